"""Fit the tokens of a trained MuLan to music of one's own: what MusicLM is told (arXiv 2301.11325, section 3.1)."""

from dataclasses import dataclass
from pathlib import Path

from toccata.data.shards import made_ahead
from toccata.encoders.mulan import load_mulan, save_mulan
from toccata.errors import InputError
from toccata.recipes.mulan import fit_tokens, front_of
from toccata.recipes.music import MusicRecipe, shards_of
from toccata.training.cpu import settle
from toccata.training.provenance import provenance
from toccata.weights import checkpoint
from toccata.weights.parts import BUNDLED


@dataclass(frozen=True)
class MuLanTokensRecipe(MusicRecipe):
    __doc__ = f"""{MusicRecipe.__doc__}
    Here nothing but the tokens of the MuLan in the folder ``model`` is fitted, anew, to the ``first_shards`` of the
    music; no caption is read, and there are no steps.
    """

    out: Path = Path("runs/mulan-tokens")
    model: Path = BUNDLED / "mulan-mini"
    steps: int = 0


def train(recipe: MuLanTokensRecipe) -> None:
    """Write the MuLan with its new tokens to ``recipe.out``/model; print what they keep of held-out music."""
    settle(recipe.threads)
    if not (recipe.model / "config.json").is_file():
        raise InputError(f"there is no MuLan in {recipe.model}; train one, or leave model out for mulan-mini")
    card = checkpoint.read_config(recipe.model)
    model = load_mulan(recipe.model, recipe.device)
    source = shards_of(recipe, front_of(model.config), captioned=False)
    with made_ahead(source.train, 0, source.count, recipe.workers, source.count) as read:
        fit_tokens(model, recipe, source, read)
    kept = {name: card[name] for name in ("name", "steps", "pairs") if name in card}
    save_mulan(recipe.out / "model", model, **kept, **provenance(recipe.device))
