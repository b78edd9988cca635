"""The public models that toccata can fetch: what each is, how large, and under which licence.

Sizes are those of the files that are fetched, rounded; vggish's and openl3's are of their numbers, four bytes each.
Licences are what the models' pages state; where a page states none, ``note`` says so.
"""

import difflib
from dataclasses import dataclass

from toccata.errors import InputError

PAGE = "https://huggingface.co/"
_LINKS = {
    "CC-BY-NC-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "MIT": "https://opensource.org/license/mit",
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "Stability-AI-Community": "https://stability.ai/community-license-agreement",
}
_SENTENCES = {
    "CC-BY-NC-4.0": "Free to use and change with attribution, but not commercially.",
    "MIT": "Free for any use, with its notice.",
    "Apache-2.0": "Free for any use, with its notice.",
    "CC-BY-4.0": "Free for any use, with attribution.",
    "Stability-AI-Community": "Free to use and change, also in business up to 1 million US dollars of revenue a year.",
}


@dataclass(frozen=True)
class Public:
    """A model that somebody else published under ``name``.

    ``size`` in bytes, ``sample_rate`` in Hz; ``files`` are needed besides the weights. ``weights`` is a regular
    expression for the names of the weights files, where they are not those that transformers gives. Where ``supported``
    is False, toccata knows the model but cannot read it.

    A model that does not lie on the hub has ``url``, of its one file; ``digest`` is what the SHA-256 of that file
    begins with, as far as its publisher or others who have it tell, and ``home`` the page that tells of it.
    """

    name: str
    family: str
    licence: str
    size: int
    sample_rate: int | None
    files: tuple[str, ...]
    note: str = ""
    weights: str = ""
    supported: bool = True
    url: str = ""
    digest: str = ""
    home: str = ""

    @property
    def page(self) -> str:
        return self.home or PAGE + self.name

    def terms(self) -> str:
        """The licence in a few lines, as it is shown before the first use."""
        lines = [f"Licence of {self.name}: {self.licence} ({_LINKS.get(self.licence, self.page)})"]
        lines += [_SENTENCES[self.licence]] if self.licence in _SENTENCES else []
        lines += [f"Note: {self.note}."] if self.note else []
        return "\n".join(lines)


_CODEC = _FEATURES = ("config.json", "preprocessor_config.json")
_TEXT = ("config.json", "tokenizer.json")
_MUSICGEN = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json")
_CLAP = ("config.json", "preprocessor_config.json", "tokenizer.json")
_DIFFUSERS = (
    "model_index.json", "transformer/config.json", "vae/config.json", "projection_model/config.json",
    "scheduler/scheduler_config.json", "text_encoder/config.json", "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
)  # fmt: skip
_NONE, _STABILITY = "not stated", "Stability-AI-Community"
_JUDGE = "it judges music for toccata evaluate, and makes none"
_GATED = "its publisher asks for consent on its page before it can be fetched"


def _musicgen(name: str, size: float) -> Public:
    return Public(f"facebook/musicgen-{name}", "musicgen", "CC-BY-NC-4.0", round(size * 1e9), 32_000, _MUSICGEN)


def _clap(name: str, size: float) -> Public:
    return Public(f"laion/{name}", "clap", "Apache-2.0", round(size * 1e6), 48_000, _CLAP)


def _pann(name: str, file: str, size: int, sample_rate: int, digest: str) -> Public:
    record = "https://zenodo.org/records/3987831"
    return Public(
        name, "pann", "CC-BY-4.0", size, sample_rate, (), note=_JUDGE,
        url=f"{record}/files/{file}", digest=digest, home=record,
    )  # fmt: skip


PUBLIC = (
    _musicgen("small", 2.36),
    _musicgen("medium", 8.04),
    _musicgen("large", 13.72),
    _musicgen("melody", 6.13),
    _musicgen("melody-large", 10.51),
    _musicgen("stereo-small", 1.22),
    _musicgen("stereo-medium", 4.07),
    _musicgen("stereo-large", 6.93),
    _musicgen("stereo-melody", 6.33),
    _musicgen("stereo-melody-large", 10.64),
    Public(
        "facebook/musicgen-style", "musicgen", "CC-BY-NC-4.0", 3_080_000_000, 32_000, (),
        note="it is published in audiocraft's own layout only", supported=False,
    ),
    Public(
        "facebook/encodec_24khz", "encodec", _NONE, 93_100_000, 24_000, _CODEC,
        note="its page names no licence; the repository of its code, which links to the weights, is under MIT",
    ),
    Public(
        "facebook/encodec_32khz", "encodec", "CC-BY-NC-4.0", 239_000_000, 32_000, _CODEC,
        note="its page names no licence; audiocraft, which it belongs to, puts its weights under CC-BY-NC-4.0",
    ),
    Public("facebook/encodec_48khz", "encodec", "MIT", 76_300_000, 48_000, _CODEC),
    _clap("clap-htsat-fused", 616),
    _clap("clap-htsat-unfused", 617),
    _clap("larger_clap_music", 778),
    _clap("larger_clap_general", 778),
    Public(
        "stabilityai/stable-audio-open-1.0", "stable-audio", _STABILITY, 5_290_000_000, 44_100, _DIFFUSERS,
        note=_GATED,
        weights=r"(transformer|vae|projection_model)/diffusion_pytorch_model\.safetensors|text_encoder/model\.safetensors",
    ),
    Public(
        "stabilityai/stable-audio-open-small", "stable-audio", _STABILITY, 1_990_000_000, 44_100,
        ("model_config.json",),
        note=f"{_GATED}; it needs google-t5/t5-base too, to read texts with",
    ),
    Public("google-t5/t5-base", "t5", "Apache-2.0", 893_000_000, None, _TEXT),
    Public(
        "facebook/w2v-bert-2.0", "w2v-bert-2.0", "MIT", 2_320_000_000, 16_000, _FEATURES,
        note="its features become semantic tokens; they need transformers: pip install 'toccata[features]'",
    ),
    Public(
        "m-a-p/MERT-v1-95M", "mert", "CC-BY-NC-4.0", 378_000_000, 24_000, _FEATURES,
        note="its features become semantic tokens; they need transformers: pip install 'toccata[features]'",
    ),
    Public(
        "adefossez/HTDemucs", "demucs", "MIT", 84_000_000, 44_100, ("htdemucs.yaml",),
        note="melodies go through it where its package is here too: pip install 'toccata[separation]'",
        weights=r"[0-9a-f]{8}\.safetensors",
    ),
    Public(
        "vggish", "vggish", "Apache-2.0", 289_000_000, 16_000, (),
        note=f"{_JUDGE}; Google's weights, ported to torch; the files beside them, not a page, name the licence",
        url="https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
        digest="10086976", home="https://github.com/harritaylor/torchvggish",
    ),
    _pann(
        "pann-cnn14", "Cnn14_mAP%3D0.431.pth", 327_428_481, 32_000,
        "0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31",
    ),
    _pann(
        "pann-cnn14-16k", "Cnn14_16k_mAP%3D0.438.pth", 358_668_570, 16_000,
        "e2ee543a27919542c2ea03eabaa70b24dcd4e6c8e05621de6b67a94e4c5058e6",
    ),
    Public(
        "passt", "passt", "Apache-2.0", 344_665_734, 32_000, (),
        note=f"{_JUDGE}; the licence is that of its authors' repository, which publishes the weights without another",
        url="https://github.com/kkoutini/PaSST/releases/download/v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt",
        digest="302903fa8c4aee817b11dc982da0b29aaf8d11a3e722420476d0a12c9db70c2c",
        home="https://github.com/kkoutini/PaSST",
    ),
    Public(
        "openl3", "openl3", "CC-BY-4.0", 18_800_000, 48_000, (),
        note=f"{_JUDGE}; Keras wrote its weights, which h5py reads: pip install 'toccata[openl3]'",
        url="https://github.com/marl/openl3/raw/models/openl3_audio_mel256_music-v0_4_0.h5.gz",
        digest="e379f41e880b78e157c199ebddac80d3764e6a46282bcccdbe875bcf538f9afd",
        home="https://github.com/marl/openl3",
    ),
)  # fmt: skip
ALIASES = {"t5-base": "google-t5/t5-base"}


def find(name: str) -> Public | None:
    """The public model of that name, or of the name it had before; None where there is none."""
    name = ALIASES.get(name, name)
    return next((model for model in PUBLIC if model.name == name), None)


def get(name: str) -> Public:
    """``find``, or an ``InputError`` that says what there is; so it is for a model that toccata cannot read."""
    model = find(name)
    if model is None:
        close = difflib.get_close_matches(name, [each.name for each in PUBLIC], n=1)
        hint = f"did you mean {close[0]}?" if close else "toccata models list shows those there are"
        raise InputError(f"there is no public model {name!r}; {hint}")
    if not model.supported:
        raise InputError(f"toccata cannot read {name} yet; {model.note}; choose another of toccata models list")
    return model
