"""``load(name)``: a name or a folder in, a generator out."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from toccata.clip import Generator
from toccata.errors import InputError, WeightsError
from toccata.weights import catalogue, store
from toccata.weights.catalogue import Public

if TYPE_CHECKING:
    from toccata.evaluation.ears import Embedding, JointJudge, Labeller
    from toccata.search.embedder import Embedder

BUNDLED = Path(__file__).parent / "bundled"
DEFAULT, DEFAULT_JOINT = "musicgen-mini", "mulan-mini"
PRECISIONS = ("auto", "fp32", "bf16", "int8", "int4")
_FEATURES = ("mert_model", "hubert", "wav2vec2-bert")
_JUDGES = "musicnn, vggish, openl3, pann-cnn14, passt, MERT, a codec, a CLAP or a MuLan"
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class Model:
    """A model that ``load`` knows by name, or a part of one: its family, licence and the folder it lies in."""

    name: str
    family: str
    licence: str

    @property
    def folder(self) -> Path:
        return BUNDLED / self.name

    @property
    def here(self) -> bool:
        """Whether its weights are on this machine."""
        return (self.folder / "config.json").is_file()


KNOWN = (
    Model("musicgen-mini", "musicgen", "Apache-2.0"),
    Model("musiclm-mini", "musiclm", "Apache-2.0"),
    Model("autoencoder-mini", "autoencoder", "Apache-2.0"),
    Model("melody-mini", "melody", "Apache-2.0"),
    Model("mousai-mini", "mousai", "Apache-2.0"),
    Model("mousai-autoencoder-mini", "cosine-autoencoder", "Apache-2.0"),
    Model("mulan-mini", "mulan", "Apache-2.0"),
    Model("soundstream-mini", "soundstream", "Apache-2.0"),
    Model("stable-audio-mini", "stable-audio", "Apache-2.0"),
    Model("stable-audio-mini-8-steps", "stable-audio", "Apache-2.0"),
    Model("text-mini", "text", "Apache-2.0"),
    Model("w2vbert-mini", "w2vbert", "Apache-2.0"),
)


def find(name: str) -> Path:
    """The folder of the model with that name, bundled or public, or the folder itself; loads nothing.

    A public model whose licence nobody has accepted on this machine warns with its terms, once in a process. Raises
    ``InputError`` for a name that nothing has, ``WeightsError`` where the weights are not on this machine.
    """
    for model in KNOWN:
        if model.name == name:
            if not model.here:
                raise WeightsError(f"the weights of {name} are not on this machine; install toccata again")
            return model.folder
    if public := catalogue.find(name):
        return _public_folder(public)
    if name and Path(name).is_dir():
        return Path(name)
    bundled = [model.name for model in KNOWN]
    close = difflib.get_close_matches(name, [*bundled, *(model.name for model in catalogue.PUBLIC)], n=1)
    hint = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(bundled)}, a public model"
    raise InputError(f"there is no model {name!r}; {hint}" + ("" if close else " (toccata models list), or a folder"))


def _public_folder(model: Public) -> Path:
    found = store.fetched(model)
    if found is None:
        catalogue.get(model.name)  # that toccata cannot read it is to be told first
        size = f"{model.size / 1e9:.1f} GB, {model.licence}"
        raise WeightsError(
            f"the weights of {model.name} are not on this machine; run: toccata models pull {model.name} ({size})"
        )
    store.remind(model)
    return found.folder


def check_choices(device: str, precision: str) -> None:
    """Raise ``InputError`` for a device or precision that no machine has."""
    if not _DEVICE.fullmatch(device):
        raise InputError(f"there is no device {device!r}; choose auto, cpu, cuda or mps")
    if precision not in PRECISIONS:
        raise InputError(f"there is no precision {precision!r}; choose one of {', '.join(PRECISIONS)}")


@overload
def load(
    name: Literal["mulan-mini", "laion/larger_clap_music"], device: str = "auto", precision: str = "auto"
) -> "Embedder": ...


@overload
def load(name: str = DEFAULT, device: str = "auto", precision: str = "auto") -> Generator: ...


def load(name: str = DEFAULT, device: str = "auto", precision: str = "auto") -> "Generator | Embedder":
    """Load a model that makes music, or one that compares music with words: a known name or a folder on disk.

    ``device`` is auto, cpu, cuda or mps, ``precision`` auto, fp32, bf16, int8 or int4; auto takes what is best on this
    machine. Raises ``InputError`` for what is not known or makes no music, ``WeightsError`` for missing or damaged
    weights.
    """
    check_choices(device, precision)
    folder = find(name)
    family = _family(name, folder)
    match family:
        case "musicgen":
            from toccata.models.musicgen.pipeline import load_pipeline

            return load_pipeline(folder, device, precision)
        case "musiclm":
            from toccata.models.musiclm.pipeline import load_pipeline

            return load_pipeline(folder, device, precision)
        case "stable-audio":
            from toccata.models.stable_audio.pipeline import load_pipeline

            return load_pipeline(folder, device, precision)
        case "mousai":
            from toccata.models.mousai.pipeline import load_pipeline

            return load_pipeline(folder, device, precision)
        case "riffusion":
            from toccata.models.riffusion.pipeline import load_pipeline

            return load_pipeline(folder, device, precision)
        case "stable-audio, published":
            from toccata.models.stable_audio.public import load_public

            return load_public(folder, name, _hash(name), device, precision, _t5())
        case "musicgen, published":
            from toccata.models.musicgen.public import load_public

            return load_public(folder, name, _hash(name), device, precision, _t5())
        case "mulan" | "clap":
            return load_embedder(name, device)
    raise InputError(f"{name} makes no music (its family is {family}); load one that does, such as {DEFAULT}")


def _hash(name: str) -> str:
    """What a public model's clips record as its weights' hash."""
    public = catalogue.find(name)
    found = store.fetched(public) if public else None
    return found.sha256 if found else ""


def _t5() -> Path | None:
    """The folder of the T5 that layouts without a text encoder share, where it is here."""
    found = store.fetched(catalogue.get("t5-base"))
    return found.folder if found else None


def load_embedder(name: str = DEFAULT_JOINT, device: str = "auto") -> "Embedder":
    """Load a model that holds music and words in one space (MuLan, CLAP), as ``load`` does."""
    check_choices(device, "auto")
    folder = find(name)
    from toccata.search.embedder import Embedder
    from toccata.weights import checkpoint, published
    from toccata.weights.device import pick_device

    place = str(pick_device(device))
    match family := _family(name, folder):
        case "mulan":
            from toccata.encoders.mulan import load_mulan

            return Embedder(load_mulan(folder, place), name, checkpoint.sha256(folder))
        case "clap":
            from toccata.encoders.clap import load_clap, load_trained_clap

            if not published.wrote(folder):
                return Embedder(load_trained_clap(folder).to(place), name, checkpoint.sha256(folder))
            public = catalogue.find(name)
            clap = load_clap(folder).to(place)
            found = store.fetched(public) if public else None
            return Embedder(clap, name, found.sha256 if found else published.sha256(folder))
    raise InputError(f"{name} compares no music with words (its family is {family}); choose a CLAP or a MuLan")


def load_judge(name: str = "musicnn", device: str = "auto") -> "Embedding":
    """Load what Fréchet distances are taken of, by name or folder.

    That is musicnn, VGGish, OpenL3 (``openl3:6144`` for its larger embedding), a PANN, PaSST, a layer of MERT or
    w2v-BERT 2.0 (the 7th or 17th, or as ``name:layer`` has it), a codec's latents, or a joint encoder. Raises as
    ``load`` does.
    """
    check_choices(device, "auto")
    from toccata.evaluation.ears import CodecJudge, FeatureJudge, MusicnnJudge, OpenL3Judge, VGGishJudge
    from toccata.weights import checkpoint, published
    from toccata.weights.device import pick_device

    if name == "musicnn":
        return MusicnnJudge()
    name, layer = _layered(name)
    folder, place = find(name), pick_device(device)
    family = _family(name, folder)
    if layer is not None and family not in (*_FEATURES, "openl3"):
        raise InputError(f"{name} has no layers to choose from; leave out :{layer}")
    match family:
        case "vggish":
            from toccata.encoders.vggish import load_vggish

            return VGGishJudge(load_vggish(folder).to(place), name, _hash(name))
        case "openl3":
            from toccata.encoders.openl3 import load_openl3

            return OpenL3Judge(load_openl3(folder, 512 if layer is None else layer).to(place), name, _hash(name))
        case "pann" | "passt":
            return load_labeller(name, device)
        case family if family in _FEATURES:
            from toccata.encoders.public_features import public_features

            sha256 = _hash(name) or published.sha256(folder)
            return FeatureJudge(public_features(name, layer).to(place), name, sha256)
        case "mulan" | "clap":
            return load_joint_judge(name, device)
        case "soundstream":
            from toccata.codecs.soundstream import load_soundstream

            return CodecJudge(load_soundstream(folder).to(place), name, checkpoint.sha256(folder))
        case "encodec":
            from toccata.codecs.encodec import load_encodec

            sha256 = published.sha256(folder) if published.wrote(folder) else checkpoint.sha256(folder)
            return CodecJudge(load_encodec(folder).to(place), name, sha256)
    raise InputError(f"{name} embeds no music (its family is {family}); choose {_JUDGES}")


def _layered(name: str) -> tuple[str, int | None]:
    """``name:4`` -> the name and 4; None where no layer is named, or where a folder has that whole name."""
    start, _, last = name.rpartition(":")
    named = start and last.isdecimal() and not Path(name).is_dir()
    return (start, int(last)) if named else (name, None)


def load_labeller(name: str = "musicnn", device: str = "auto") -> "Labeller":
    """Load what tells the labels that divergences are taken of: musicnn's 50 tags, or a PANN's or PaSST's 527."""
    check_choices(device, "auto")
    from toccata.evaluation.ears import MusicnnJudge, PANNJudge, PaSSTJudge
    from toccata.weights.device import pick_device

    if name == "musicnn":
        return MusicnnJudge()
    folder, place = find(name), pick_device(device)
    match family := _family(name, folder):
        case "pann":
            from toccata.encoders.pann_tagger import load_pann

            return PANNJudge(load_pann(folder).to(place), name, _hash(name))
        case "passt":
            from toccata.encoders.passt import load_passt

            return PaSSTJudge(load_passt(folder).to(place), name, _hash(name))
    raise InputError(f"{name} tells no labels (its family is {family}); choose musicnn, pann-cnn14 or passt")


def load_joint_judge(name: str = DEFAULT_JOINT, device: str = "auto") -> "JointJudge":
    """Load a joint encoder as a judge of how well music fits its text."""
    from toccata.encoders.mulan import MuLan
    from toccata.evaluation.ears import JointJudge

    embedder = load_embedder(name, device)
    kind = "MuLan cycle consistency" if isinstance(embedder.encoder, MuLan) else "CLAP score"
    return JointJudge(embedder, kind)


def _family(name: str, folder: Path) -> str | None:
    """What kind of model lies in ``folder``: toccata's own name for it, or "musicgen, published" and the like."""
    from toccata.weights import checkpoint, published

    if any((folder / index).is_file() for index in ("model_index.json", "model_config.json")):
        return "stable-audio, published"
    if (public := catalogue.find(name)) and "config.json" not in public.files:
        return public.family
    if published.wrote(folder):
        kind = str(published.read_settings(folder)["model_type"])
        return "musicgen, published" if kind in ("musicgen", "musicgen_melody") else kind
    if (folder / "state_dict.safetensors").is_file():
        return "musicgen, published"
    return checkpoint.read_config(folder).get("family")
