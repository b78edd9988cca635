"""Fit semantic tokens that know pitch to music: k-means of pitch classes beside an encoder's leading components."""

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from toccata.data.mels import mel_shard, pieces
from toccata.data.shards import made_ahead
from toccata.encoders.pitched import CLASSES, Pitched, pitch_classes
from toccata.encoders.public_features import PublicFeatures
from toccata.encoders.semantic import SemanticTokens, load_semantic, save_semantic
from toccata.encoders.w2vbert import W2vBert
from toccata.errors import InputError
from toccata.recipes.music import Front, MusicRecipe, shards_of
from toccata.recipes.w2vbert import tell
from toccata.training.cpu import settle
from toccata.training.provenance import provenance
from toccata.weights import checkpoint


@dataclass(frozen=True)
class SemanticTokensRecipe(MusicRecipe):
    __doc__ = f"""{MusicRecipe.__doc__}
    Here the tokens of the trained encoder in the folder ``features`` are fitted, anew, to ``first_shards`` of the
    music: clusters of 24 pitch classes and ``components`` of its features. No caption is read; there are no steps.
    """

    out: Path = Path("runs/semantic-tokens")
    features: Path = Path("runs/w2vbert/model")
    components: int = 16
    first_shards: int = 8
    held_out_shards: int = 1
    steps: int = 0


def train(recipe: SemanticTokensRecipe) -> None:
    """Write the encoder with its new tokens to ``recipe.out``/model; print how many of them held-out music uses."""
    settle(recipe.threads)
    encoder = encoder_at(recipe.features)
    if not 0 < recipe.components <= encoder.config.width:
        raise InputError(f"components must lie between 1 and {encoder.config.width}, not {recipe.components}")
    source = shards_of(recipe, front_of(recipe.features), captioned=False)
    count = min(recipe.first_shards, source.count)
    with made_ahead(source.train, 0, count, recipe.workers, count) as read:
        rows_ND = torch.cat([one.mel_TM.float() for index in range(count) for one in pieces(read(index))])
    pitched = Pitched(encoder, recipe.components)
    pitched.fit(rows_ND[:, CLASSES:])
    model = SemanticTokens(pitched)
    model.fit(_joined(pitched, rows_ND)[0], torch.Generator().manual_seed(recipe.seed))
    held_out_ND = torch.cat([one.mel_TM.float() for one in source.held_out_pieces()])
    tell(model, len(rows_ND), model.named([_joined(pitched, held_out_ND)]))
    card = checkpoint.read_config(recipe.features)
    kept = {name: card[name] for name in ("name", "steps", "hours_heard") if name in card}
    save_semantic(recipe.out / "model", model, **kept, frames=len(rows_ND), **provenance(recipe.device))


def front_of(features: Path) -> Front:
    """Pitch classes and all of the encoder's features."""
    name = f"pitched-{checkpoint.sha256(features)[:12]}"
    return Front(
        name,
        encoder_at(features).config.sample_rate,
        functools.partial(mel_shard, mels=functools.partial(rows_of, features=features)),
    )


@functools.lru_cache(maxsize=1)
def encoder_at(features: Path) -> W2vBert | PublicFeatures:
    """The encoder in the folder, whatever tokens it has."""
    if not (features / "config.json").is_file():
        raise InputError(f"there is no trained encoder in {features}; run toccata train w2vbert first")
    encoder = load_semantic(features).encoder
    inner = encoder.encoder if isinstance(encoder, Pitched) else encoder
    assert isinstance(inner, W2vBert | PublicFeatures)
    return inner


@torch.no_grad()
def rows_of(wave_BN: Tensor, features: Path) -> Tensor:
    """What tokens are fitted to, of a whole piece: (B, T, D)."""
    encoder = encoder_at(features)
    config = encoder.config
    wave_BN = wave_BN[:, : wave_BN.shape[-1] // config.stride * config.stride]
    heard_BTD = torch.cat(list(encoder.windows(wave_BN)), dim=1)
    classes_BTD = pitch_classes(wave_BN, config.sample_rate, config.stride)
    return torch.cat([classes_BTD[:, : heard_BTD.shape[1]], heard_BTD], dim=-1)


def _joined(pitched: Pitched, rows_ND: Tensor) -> Tensor:
    return pitched.joined(rows_ND[None, :, :CLASSES], rows_ND[None, :, CLASSES:])
