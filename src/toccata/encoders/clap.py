"""CLAP (Wu et al. 2022, arXiv 2211.06687): sounds of any length and texts in one space, as LAION published it.

Two towers, each followed by two layers that project into the space (section 2.1). Any ``AudioTower`` and ``TextTower``
will do; those published have HTSAT and RoBERTa. How a sound becomes pictures for its tower is in ``clap_pictures``.

Shapes: B clips or texts, C channels, N samples, P pictures of a clip, T frames, M mel bands, D width.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from toccata.audio import io
from toccata.audio.resample import resample
from toccata.encoders.bert import BertConfig, BertEncoder, bert_config, roberta_base
from toccata.encoders.clap_names import htsat_config, laion_configs, of_laion, of_transformers, read_pictures
from toccata.encoders.clap_pictures import Pictures, draw
from toccata.encoders.features import read_tokeniser
from toccata.encoders.htsat import HTSAT, HTSATConfig, htsat_base, htsat_tiny
from toccata.encoders.joint import LONGEST, AudioTower, TextTower, at_rate, checked_texts, checked_wave
from toccata.encoders.pann import PANN, PANNConfig
from toccata.encoders.towers import described, save_tokeniser, text_tower, towers_of
from toccata.encoders.words import WordsConfig
from toccata.errors import InputError, WeightsError
from toccata.weights import checkpoint, published
from toccata.weights.compact import compact, expand

MAX_TOKENS = 77
TEMPERATURE = 0.07
_TOGETHER = 8


@dataclass(frozen=True)
class CLAPConfig:
    """What each tower is, how it is fed, and the ``width`` of the space."""

    audio: HTSATConfig | PANNConfig = field(default_factory=HTSATConfig)
    text: BertConfig | WordsConfig = field(default_factory=lambda: roberta_base(MAX_TOKENS))
    pictures: Pictures = field(default_factory=Pictures)
    width: int = 512


def clap_unfused() -> CLAPConfig:
    """laion/clap-htsat-unfused."""
    return CLAPConfig(htsat_tiny())


def clap_fused() -> CLAPConfig:
    """laion/clap-htsat-fused."""
    return CLAPConfig(htsat_tiny(fused=True), pictures=Pictures(fused=True))


def clap_larger() -> CLAPConfig:
    """laion/larger_clap_music, larger_clap_general."""
    return CLAPConfig(htsat_base())


def clap_mini() -> CLAPConfig:
    """clap-mini: a narrow HTSAT with fusion, more mel bands (they tell keys) on a coarser grid, the bundled words."""
    tower = HTSATConfig(width=48, depths=(2, 2, 4, 2), heads=(2, 4, 8, 16), bands=128, patch=8, fused=True)
    pictures = Pictures(24_000, window=2048, hop=480, bands=128, low=40.0, high=11_000.0, fused=True)
    return CLAPConfig(tower, WordsConfig(), pictures, width=256)


class CLAP(nn.Module):
    """A ``JointEncoder`` of two towers; a clip's or a text's embedding does not depend on those beside it."""

    def __init__(self, pictures: Pictures, width: int, audio: AudioTower, text: TextTower) -> None:
        super().__init__()
        self.pictures = pictures
        self.width = width
        self.audio, self.text = audio, text
        self.audio_out, self.text_out = (
            nn.Sequential(nn.Linear(tower.width, width), nn.ReLU(), nn.Linear(width, width)) for tower in (audio, text)
        )
        self.scale_audio, self.scale_text = (nn.Parameter(torch.tensor(-math.log(TEMPERATURE))) for _ in range(2))

    @property
    def temperature(self) -> float:
        """What training found best to divide similarities by when a sound looks for its text."""
        return math.exp(-float(self.scale_audio.detach()))

    def embed_audio(
        self, waves: Sequence[Tensor], sample_rate: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """wave_N or wave_CN (mixed to mono) of any lengths, all at ``sample_rate`` Hz -> (B, D) of unit length.

        The same sound gives the same embedding, unless a ``generator`` draws the crops of longer ones, as in training.
        Raises ``InputError`` where there is no sound, one is empty or not finite.
        """
        if not waves:
            raise InputError("there is no sound to embed; give at least one")
        if sample_rate < 1:
            raise InputError(f"a sample rate of {sample_rate} Hz is none; give the one of the sounds")
        checked = (checked_wave(wave, f"sound {i + 1}") for i, wave in enumerate(waves))
        return self._in_batches(self._draw_wave(wave_CN, sample_rate, generator) for wave_CN in checked)

    def _draw_wave(self, wave_CN: Tensor, sample_rate: int, generator: torch.Generator | None) -> tuple[Tensor, bool]:
        mono = wave_CN.detach().cpu().mean(0, keepdim=True).numpy()
        wave_N = torch.from_numpy(resample(mono, sample_rate, self.pictures.sample_rate)[0])
        return draw([wave_N], max(len(wave_N), 1), self.pictures, generator)

    def embed_files(
        self, paths: Sequence[Path], limits: io.Limits = LONGEST, generator: torch.Generator | None = None
    ) -> Tensor:
        """Sound files -> (B, D) of unit length, in memory that does not grow with their lengths.

        A file is read once, block by block; twice where its header is wrong about its length. Raises ``InputError``
        as ``audio.io.stream`` does.
        """
        if not paths:
            raise InputError("there is no sound to embed; give at least one")
        return self._in_batches(self._draw_file(path, limits, generator) for path in paths)

    def _draw_file(self, path: Path, limits: io.Limits, generator: torch.Generator | None) -> tuple[Tensor, bool]:
        state = generator.get_state() if generator else None
        length = None
        while True:
            with io.stream(path, limits) as file:
                if length is None:
                    length = math.floor(file.frames * self.pictures.sample_rate / file.sample_rate + 0.5)
                counted = _Counted(at_rate(file, self.pictures.sample_rate))
                drawn = draw(counted, max(length, 1), self.pictures, generator)
            if counted.length == length:
                return drawn
            length = counted.length
            if generator and state is not None:
                generator.set_state(state)

    @torch.no_grad()
    def _in_batches(self, drawn: Iterable[tuple[Tensor, bool]]) -> Tensor:
        """A few clips at a time, so that the number of clips does not matter either."""
        rows, batch, device = [], [], self.scale_audio.device
        for one in drawn:
            batch.append(one)
            if len(batch) == _TOGETHER:
                rows.append(self._embed(batch, device))
                batch = []
        return torch.cat([*rows, *([self._embed(batch, device)] if batch else [])])

    def _embed(self, drawn: list[tuple[Tensor, bool]], device: torch.device) -> Tensor:
        mel_BPTM = torch.stack([mel_PTM for mel_PTM, _ in drawn])
        longer_B = torch.tensor([longer for _, longer in drawn])
        return self.project_audio(mel_BPTM.to(device), longer_B.to(device))

    def project_audio(self, mel_BPTM: Tensor, longer_B: Tensor) -> Tensor:
        """(B, D) of unit length from what ``draw`` gives, on the module's device."""
        return F.normalize(self.audio_out(self.audio.summarise(mel_BPTM, longer_B)), dim=-1)

    @torch.no_grad()
    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """(B, D) of unit length; raises ``InputError`` for no texts, or an empty one."""
        ids_BL, mask_BL = self.text.tokenise(checked_texts(texts))
        device = self.scale_text.device
        return self.project_text(ids_BL.to(device), mask_BL.to(device))

    def project_text(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """(B, D) of unit length from what the text tower's ``tokenise`` gives, on the module's device."""
        return F.normalize(self.text_out(self.text.summarise(ids_BL, mask_BL)), dim=-1)

    def logits(self, audio_BD: Tensor, text_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Similarities as the loss takes them (equation 2): of each sound with all texts, of each text with all sounds.

        Each side has a temperature of its own, learnt in training.
        """
        cosines = audio_BD @ text_BD.T
        return self.scale_audio.exp() * cosines, self.scale_text.exp() * cosines.T


class _Counted:
    """The blocks, counted in samples as they are taken."""

    def __init__(self, blocks: Iterable[Tensor]) -> None:
        self._blocks = blocks
        self.length = 0

    def __iter__(self) -> Iterator[Tensor]:
        for block in self._blocks:
            self.length += len(block)
            yield block


def build(config: CLAPConfig, tokeniser: Tokenizer | None = None) -> CLAP:
    """A CLAP with random weights; a BERT needs its tokeniser."""
    audio = HTSAT(config.audio) if isinstance(config.audio, HTSATConfig) else PANN(config.audio)
    if isinstance(config.text, WordsConfig) or tokeniser is None:
        return CLAP(config.pictures, config.width, audio, text_tower(config.text))
    return CLAP(config.pictures, config.width, audio, BertEncoder(config.text, tokeniser))


def save_clap(folder: Path, model: CLAP, config: CLAPConfig, **card: object) -> None:
    """Write both towers in compact form, for ``load_trained_clap``."""
    save_tokeniser(folder, model.text)
    checkpoint.save(folder, {"family": "clap", "clap": described(config), **card}, compact(model.state_dict()))


def load_trained_clap(folder: Path) -> CLAP:
    """The CLAP that ``save_clap`` wrote, in evaluation mode; raises ``WeightsError`` where it is not whole."""
    config, tensors = checkpoint.load(folder)
    if config.get("family") != "clap":
        raise WeightsError(f"{folder} holds a {config.get('family')} model, not CLAP")
    try:
        said = config["clap"]
        sizes = CLAPConfig(**{**said, **towers_of(said), "pictures": Pictures(**said["pictures"])})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{folder / 'config.json'} does not describe a CLAP ({error}); fetch it again") from None
    tokeniser = None if isinstance(sizes.text, WordsConfig) else read_tokeniser(folder)
    model = build(sizes, tokeniser)
    checkpoint.load_into(model, expand(tensors), folder)
    return model.eval()


def load_clap(folder: Path) -> CLAP:
    """The CLAP in a folder as transformers writes it: configurations, tokenizer.json, model.safetensors or its shards.

    Float32, in evaluation mode. Raises ``WeightsError`` where a file is missing, damaged or of another model.
    """
    settings = published.read_settings(folder)
    if settings.get("model_type") != "clap":
        raise WeightsError(f"{folder} holds no CLAP that toccata can read: a {settings.get('model_type')} model")
    if settings.get("projection_hidden_act", "relu") != "relu":
        raise WeightsError(f"{folder} has a CLAP that projects with {settings['projection_hidden_act']}, not relu")
    audio, text = (settings.get(f"{tower}_config") or {} for tower in ("audio", "text"))
    tower = htsat_config(audio, folder)
    config = CLAPConfig(
        tower, bert_config(text, folder, MAX_TOKENS), read_pictures(folder, tower), settings.get("projection_dim", 512)
    )
    return _filled(config, of_transformers(published.read_tensors(folder, dtype=torch.float32)), folder, folder)


def load_laion_clap(file: Path, tokeniser: Path, config: CLAPConfig | None = None) -> CLAP:
    """The CLAP in one of LAION's own checkpoints, turned into safetensors by ``toccata models convert``.

    They hold no tokeniser; ``tokeniser`` is a folder with RoBERTa's (or BERT's) tokenizer.json, such as that of
    laion/clap-htsat-unfused. Without a ``config`` the towers are told by the weights: HTSAT-tiny, -base or
    CNN14, fused or not. Raises ``WeightsError`` as ``load_clap`` does.
    """
    tensors = of_laion(published.read_file(file, dtype=torch.float32))
    if config is None:
        audio, text = laion_configs(tensors, file)
        config = CLAPConfig(audio, text, Pictures(fused=audio.fused))
    return _filled(config, tensors, file, tokeniser)


def _filled(config: CLAPConfig, tensors: dict[str, Tensor], source: Path, tokeniser: Path) -> CLAP:
    model = build(config, read_tokeniser(tokeniser))
    checkpoint.load_into(model, tensors, source)
    return model.eval()
