"""The towers that joint encoders are built of, by name, so that a saved model says which it has."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from toccata.encoders.bert import BertConfig, BertEncoder
from toccata.encoders.features import read_tokeniser
from toccata.encoders.htsat import HTSATConfig
from toccata.encoders.pann import PANNConfig
from toccata.encoders.text import TextEncoder, load_text_encoder
from toccata.encoders.words import WordsConfig, WordTower
from toccata.errors import WeightsError
from toccata.nn.resnet import ResNetConfig
from toccata.nn.spectrogram_transformer import SpectrogramTransformerConfig

AUDIO = {"resnet": ResNetConfig, "transformer": SpectrogramTransformerConfig, "htsat": HTSATConfig, "pann": PANNConfig}
TEXT = {"bert": BertConfig, "words": WordsConfig}


def described(config: Any) -> dict[str, Any]:
    """A model's configuration with its ``audio`` and ``text`` towers named, as JSON takes it."""
    said = asdict(config)
    for part, kinds in (("audio", AUDIO), ("text", TEXT)):
        said[part]["tower"] = next(name for name, kind in kinds.items() if isinstance(getattr(config, part), kind))
    return said


def towers_of(said: dict[str, Any]) -> dict[str, Any]:
    """The sizes of both towers out of what ``described`` gave; raises ``KeyError`` or ``TypeError`` for others."""
    towers = {}
    for part, kinds in (("audio", AUDIO), ("text", TEXT)):
        sizes: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said[part].items()
        }
        towers[part] = kinds[sizes.pop("tower")](**sizes)
    return towers


def text_tower(config: BertConfig | WordsConfig, folder: Path | None = None, words: TextEncoder | None = None) -> Any:
    """A fresh text tower of the configured kind; BERT's tokeniser lies in ``folder``."""
    if isinstance(config, WordsConfig):
        return WordTower(words or load_text_encoder(), **asdict(config))
    if folder is None:
        raise WeightsError("a BERT as text tower needs a folder with its tokenizer.json; pull one first")
    return BertEncoder(config, read_tokeniser(folder))


def save_tokeniser(folder: Path, text: Any) -> None:
    """Write the tokeniser of a BERT beside the weights to come; the small tower's comes with toccata."""
    if isinstance(text, BertEncoder):
        folder.mkdir(parents=True, exist_ok=True)
        text._tokeniser.save(str(folder / "tokenizer.json"), pretty=False)
