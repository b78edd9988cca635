"""Opens a published MusicGen, with its T5 and its EnCodec, as transformers or audiocraft laid them out.

Shapes: B batch, C channels (2), K codebooks, T frames, N samples.
"""

from collections.abc import Iterable, Iterator
from itertools import tee
from pathlib import Path

import torch
from torch import Tensor

from toccata.codecs.encodec import EnCodec, encodec_from_audiocraft, encodec_from_transformers
from toccata.encoders.t5 import T5Encoder, load_t5
from toccata.errors import WeightsError
from toccata.models.musicgen.config import MusicGenConfig, small
from toccata.models.musicgen.decoders import fast_decoder, loading_dtype, pick_precision
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musicgen.pipeline import MusicGen
from toccata.models.musicgen.published import (
    config_from_audiocraft,
    config_from_transformers,
    from_audiocraft,
    from_transformers,
)
from toccata.weights import published
from toccata.weights.device import check_memory, pick_device

AUDIOCRAFT, AUDIOCRAFT_CODEC = "state_dict.safetensors", "compression_state_dict.safetensors"
HEADROOM, HEADROOM_WHILE_QUANTISING = 1.25, 1.6  # of the bytes that are read; see benchmarks/musicgen_whole.py


class PairedCodec:
    """A mono codec for stereo: codebooks of left and right take turns (left 1, right 1, left 2, ...)."""

    def __init__(self, mono: EnCodec) -> None:
        self.mono, self.config = mono, mono.config

    def eval(self) -> "PairedCodec":
        self.mono.eval()
        return self

    def encode(self, wave_BCN: Tensor, levels: int | None = None) -> Tensor:
        """wave_BCN -> codes_BKT; ``levels`` counts both channels' codebooks."""
        each = None if levels is None else levels // 2
        left, right = (self.mono.encode(wave_BCN[:, c : c + 1], each) for c in (0, 1))
        return torch.stack([left, right], dim=2).flatten(1, 2)

    def decode(self, codes_BKT: Tensor) -> Tensor:
        """codes_BKT -> wave_BCN."""
        return torch.cat([self.mono.decode(codes_BKT[:, c::2]) for c in (0, 1)], dim=1)

    def decode_stream(self, parts_BKT: Iterable[Tensor]) -> Iterator[Tensor]:
        """As the mono codec's, both channels in step."""
        left, right = tee(parts_BKT)
        sides = (self.mono.decode_stream(part[:, c::2] for part in parts) for c, parts in enumerate((left, right)))
        for both in zip(*sides, strict=True):
            yield torch.cat(both, dim=1)


def is_audiocraft(folder: Path) -> bool:
    """Whether ``folder`` holds a MusicGen of audiocraft, converted to safetensors."""
    return (folder / AUDIOCRAFT).is_file() and (folder / AUDIOCRAFT_CODEC).is_file()


def load_public(
    folder: Path, name: str, sha256: str = "", device: str = "auto", precision: str = "auto", t5: Path | None = None
) -> MusicGen:
    """The published MusicGen in ``folder``; audiocraft's layout needs T5 from another folder, ``t5``.

    Raises ``WeightsError`` for what is missing, damaged or of another model, ``InputError`` where the machine's memory
    is too small for it.
    """
    place = pick_device(device)
    precision = pick_precision(precision, place, small().width)
    dtype = loading_dtype(precision)
    headroom = HEADROOM_WHILE_QUANTISING if precision in ("int8", "int4") else HEADROOM
    check_memory(name, round(published.count_values(folder) * dtype.itemsize * headroom), dtype, place)
    if is_audiocraft(folder):
        if t5 is None:
            raise WeightsError(
                f"{name} is in audiocraft's layout and lacks its text encoder; run: toccata models pull t5-base"
            )
        network, codec, text = _audiocraft(folder, t5, dtype)
    else:
        network, codec, text = _transformers(folder, dtype)
    codec = codec.to(place)
    paired = PairedCodec(codec) if network.config.channels == 2 else codec
    network = network.eval().to(place)
    return MusicGen(network, paired, text, name, sha256, decoder=fast_decoder(network, precision))


def _transformers(folder: Path, dtype: torch.dtype) -> tuple[MusicGenNetwork, EnCodec, T5Encoder]:
    settings = published.read_settings(folder)
    config = config_from_transformers(settings, folder)
    decoder = {}
    for prefix in ("decoder.", "enc_to_dec_proj.", "audio_enc_to_dec_proj."):
        found = published.read_tensors(folder, prefix, dtype)
        decoder |= {prefix + name: tensor for name, tensor in found.items()}
    network = assigned(config, from_transformers(decoder, config, folder), folder)
    sound = published.read_tensors(folder, "audio_encoder.")
    codec = encodec_from_transformers(settings["audio_encoder"], sound, folder)
    return network, codec, load_t5(folder)


def _audiocraft(folder: Path, t5: Path, dtype: torch.dtype) -> tuple[MusicGenNetwork, EnCodec, T5Encoder]:
    tensors = published.read_file(folder / AUDIOCRAFT, "best_state.", dtype)
    config = config_from_audiocraft(tensors, folder)
    network = assigned(config, from_audiocraft(tensors, config, folder), folder)
    sound = published.read_file(folder / AUDIOCRAFT_CODEC, "best_state.")
    return network, encodec_from_audiocraft({"best_state": sound}, folder), load_t5(t5)


def assigned(config: MusicGenConfig, tensors: dict[str, Tensor], source: Path) -> MusicGenNetwork:
    """A network of these very tensors: nothing is initialised, nothing copied."""
    with torch.device("meta"):
        network = MusicGenNetwork(config)
    for name, wanted in network.state_dict().items():
        if tensors[name].shape != wanted.shape:
            raise WeightsError(f"the weights in {source} are of another model: they have another shape for {name!r}")
    network.load_state_dict(tensors, assign=True)
    return network.requires_grad_(False)
