"""A mix without its drums and bass by HTDemucs (arXiv 2211.08553), where its package and its weights are here.

The weights are published as a bag in YAML that names models, and a safetensors file for each, whose metadata tell the
class to build and its arguments as JSON. The package's own loader imports any class that a file names. Here it is
always HTDemucs, and from plain values.

Shapes: B batch, S stems, C channels, N samples.
"""

import inspect
import json
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from toccata.audio.resample import resample, to_channels
from toccata.errors import WeightsError
from toccata.nn.streaming import overlap_add
from toccata.weights import catalogue, checkpoint, published, store

if TYPE_CHECKING:
    from demucs.apply import BagOfModels
    from demucs.htdemucs import HTDemucs

NAME, BAG, CLASS = "adefossez/HTDemucs", "htdemucs.yaml", "demucs.htdemucs.HTDemucs"
DROPPED = ("drums", "bass")
OVERLAP = 0.25
SHORTEST_SEGMENT, LONGEST_SEGMENT = 0.1, 60.0
_AGAIN = f"delete its folder and run: toccata models pull {NAME}"


class Demucs:
    """Models whose stems are averaged.

    They run on the CPU: a tune is heard alike whatever the music is made on, and the same way twice.
    """

    def __init__(self, bag: "BagOfModels") -> None:
        self.bag = bag.eval()

    def pitched(self, samples_CN: np.ndarray, sample_rate: int, to_rate: int) -> Tensor:
        """Every stem of a mix (float, [-1, 1]) but drums and bass, together as one channel (N,) at ``to_rate`` Hz.

        The models hear a segment of seconds at a time, and the stems of no more than that are held. Raises
        ``WeightsError`` where they were built, but cannot be run or make no numbers.
        """
        from demucs.apply import TensorChunk, apply_model

        bag = self.bag
        heard_CN = to_channels(samples_CN.astype(np.float32), bag.audio_channels)
        mix_BCN = torch.from_numpy(resample(heard_CN, sample_rate, bag.samplerate))[None]
        kept = [bag.sources.index(stem) for stem in bag.sources if stem not in DROPPED]
        length = int(bag.samplerate * bag.max_allowed_segment)
        hop = int(length * (1 - OVERLAP))

        def segment(start: int) -> Tensor:
            # A chunk knows what is around it, and a short one is filled up with that.
            try:
                stems_BSCN = apply_model(bag, TensorChunk(mix_BCN, start, length), shifts=0, split=False)
            except Exception as error:  # arguments that can be built with may still not fit together
                raise WeightsError(f"{NAME} cannot be run ({error!r:.200}); {_AGAIN}") from error
            return stems_BSCN[:, kept].sum(1).mean(1)

        parts = overlap_add(map(segment, range(0, mix_BCN.shape[-1], hop)), length, hop)
        wave_BN = torch.cat(list(parts), dim=-1)
        if not wave_BN.isfinite().all():
            raise WeightsError(f"what {NAME} makes of a sound is no numbers; {_AGAIN}")
        return torch.from_numpy(resample(wave_BN.numpy(), bag.samplerate, to_rate)[0])


def find_demucs() -> Demucs | None:
    """Demucs, or None where its package is not installed or its weights were not fetched.

    Raises ``WeightsError`` where they are damaged, so that it never depends on chance which separation is used.
    """
    found = store.fetched(catalogue.get(NAME))
    if found is None:
        return None
    try:
        import demucs.apply  # noqa: F401
    except ImportError:
        return None
    store.remind(catalogue.get(NAME))
    return load_demucs(found.folder)


def load_demucs(folder: Path) -> Demucs:
    """The models that the bag in ``folder`` names, in float32; needs the package demucs.

    Raises ``WeightsError`` where a file is missing or damaged, or holds anything but an HTDemucs with its weights.
    """
    from demucs.apply import BagOfModels

    bag = _read_bag(folder / BAG)
    models = [_load_model(folder / f"{name}.safetensors") for name in bag["models"]]
    if len({(*model.sources, model.samplerate, model.audio_channels) for model in models}) > 1:
        raise WeightsError(f"the models of {folder / BAG} differ in stems, rate or channels; {_AGAIN}")
    weights = bag.get("weights")
    if weights is not None and [len(row) for row in weights] != [len(model.sources) for model in models]:
        raise WeightsError(f"{folder / BAG} weighs other stems than its models have; {_AGAIN}")
    return Demucs(BagOfModels(list(models), weights, bag.get("segment")))


def read_settings(folder: Path) -> dict[str, Any]:
    """What the weights files in ``folder`` say of their models, by name; raises ``WeightsError`` as loading does."""
    return {path.stem: _said(path) for path in sorted(folder.glob("*.safetensors"))}


def _read_bag(path: Path) -> dict[str, Any]:
    import yaml

    try:
        bag = yaml.safe_load(path.read_text(encoding="utf-8"))
        names, weights, segment = bag["models"], bag.get("weights"), bag.get("segment")
        whole = isinstance(names, list) and bool(names) and all(re.fullmatch(r"[0-9a-f]+", name) for name in names)
        if weights is not None:
            whole &= all(0 <= x <= 100 for row in weights for x in row)
            whole &= all(sum(column) > 0 for column in zip(*weights, strict=True))
        whole &= segment is None or SHORTEST_SEGMENT <= segment <= LONGEST_SEGMENT
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing; {_AGAIN}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, yaml.YAMLError):
        whole = False
    if not whole:
        raise WeightsError(f"{path} is no list of models; {_AGAIN}")
    return bag


def _load_model(path: Path) -> "HTDemucs":
    """The model in one file: built without memory of its own, then given the file's tensors if all of them fit."""
    from demucs.htdemucs import HTDemucs

    tensors = published.read_file(path, dtype=torch.float32)
    said = _said(path)
    if said["klass"] != CLASS:
        raise WeightsError(f"{path} names the class {said['klass']!r}, and toccata builds {CLASS} alone; {_AGAIN}")
    try:
        signature = inspect.signature(HTDemucs)
        # As the package does: what a training had and the class no longer knows is left out.
        known = {name: _plain(value) for name, value in said["kwargs"].items() if name in signature.parameters}
        arguments = signature.bind(*_plain(said["args"]), **known).arguments
        arguments["t_sin_random_shift"] = 0  # it would shift positions by chance, in use too
        with torch.device("meta"):
            model = HTDemucs(**arguments)
        fits = _sane(model)
    except Exception:  # the class doesn't check what it is given, so anything may come of it
        fits = False
    if not fits:
        raise WeightsError(f"{path} describes no HTDemucs that toccata can build; {_AGAIN}")
    checkpoint.load_into(model, tensors, path, assign=True)
    return model


def _sane(model: "HTDemucs") -> bool:
    """Whether the mix goes in as toccata gives it, and there is more to keep than drums and bass."""
    stems, rate, channels = model.sources, model.samplerate, model.audio_channels
    named = isinstance(stems, list) and all(isinstance(stem, str) for stem in stems) and len(set(stems)) == len(stems)
    known = named and set(DROPPED) < set(stems)
    cut = SHORTEST_SEGMENT <= model.segment <= LONGEST_SEGMENT
    return known and cut and 4_000 <= rate <= 192_000 and channels in (1, 2)


def _said(path: Path) -> dict[str, Any]:
    """``klass``, ``args`` and ``kwargs`` in a file's metadata."""
    try:
        with safe_open(path, "pt") as file:
            said = file.metadata() or {}
        return {"klass": said["klass"], "args": json.loads(said["args"]), "kwargs": json.loads(said["kwargs"])}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is damaged or incomplete ({error}); {_AGAIN}") from None
    except (KeyError, ValueError, RecursionError):
        raise WeightsError(f"{path} does not say which model it holds; {_AGAIN}") from None


def _plain(value: Any) -> Any:
    """A number, text, fraction or list of them, from JSON; a ``KeyError`` for any other object."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return Fraction(value["numerator"], value["denominator"]) if isinstance(value, dict) else value
