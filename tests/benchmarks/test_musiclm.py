from dataclasses import dataclass, replace

import numpy as np
import pytest

import toccata
from benchmarks import clips, musiclm
from benchmarks.captions import Case
from benchmarks.held_out import RATE
from benchmarks.musiclm import consistency, divergence, step_bytes, structure
from benchmarks.report import Options
from toccata.clip import Clip
from toccata.hub import load_embedder
from toccata.models.musiclm.config import mini
from toccata.models.musiclm.network import StageNetwork


def test_labels_alike_diverge_less_than_the_next_pieces():
    logits = 4 * np.eye(5, 50)
    figure = divergence("ours", logits, logits)
    assert figure.value == pytest.approx(0.0, abs=1e-3)
    assert (figure.control or 0) > 0.1


def test_the_bands_own_pieces_are_the_ceiling_of_consistency():
    judge = load_embedder(device="cpu")
    rng = np.random.default_rng(0)
    waves = [rng.normal(size=RATE * 2).astype(np.float32) * level for level in (0.1, 0.01)]
    asked = [Case(0, "calm piano", {}), Case(1, "loud drums", {})]
    figure = consistency("ours", judge, asked, judge.embed_text([c.text for c in asked]).numpy(), waves, waves)
    assert figure.ratio == pytest.approx(1.0)
    assert figure.n == 2


@dataclass
class Looper:
    """Plays the same two seconds again and again."""

    name: str = "looper"
    sample_rate: int = RATE
    weights_sha256: str = "0" * 64

    def generate(self, prompt: str, seconds: float = 10.0, seed: int | None = None) -> Clip:
        bar = np.random.default_rng(0).normal(size=2 * RATE) * np.repeat(np.linspace(0.01, 0.15, 8), RATE // 4)
        return Clip(np.tile(bar, round(seconds / 2) + 1)[None, : round(seconds * RATE)].astype(np.float32), RATE)


def test_a_loop_comes_back_to_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "CACHE", tmp_path)
    monkeypatch.setattr(musiclm, "LONG", 18.0)
    monkeypatch.setattr(musiclm, "THIRD", 6.0)
    figures = {figure.metric: figure for figure in structure(Looper(), 2)}
    assert figures["a minute comes back to itself (1 a loop, 0 noise)"].value == pytest.approx(1.0, abs=0.02)
    assert figures["key of the last third is the first's"].value == 1.0


def test_every_step_reads_blocks_and_heads():
    config = replace(mini().fine, width=32, layers=2, heads=2, inner=64)
    network = StageNetwork(config)
    blocks = sum(p.numel() for p in network.blocks.parameters())
    assert step_bytes(network) == 4 * (blocks + config.writes.rows * 32 + 2 * 32)


def test_another_family_is_refused():
    with pytest.raises(toccata.InputError, match="family musiclm"):
        next(musiclm.run(Options(model="musicgen-mini")))
