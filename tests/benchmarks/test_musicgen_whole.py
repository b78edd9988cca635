"""Random models are what transformers would have written, and what is heard of them comes from a process of its own."""

from dataclasses import replace

import pytest
import torch

from benchmarks import musicgen_whole as bench
from benchmarks import random_public
from benchmarks.random_public import random_public as random_folder
from toccata.codecs.encodec import encodec_32khz
from toccata.encoders.t5 import T5Config
from toccata.errors import ToccataError
from toccata.models.musicgen.config import MusicGenConfig
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musicgen.public import load_public

transformers = pytest.importorskip("transformers")

CONFIG = MusicGenConfig(width=64, layers=2, heads=2, vocabulary=64, text_width=24)
CODEC = replace(encodec_32khz(), channels=4, latent=16, vocabulary=64, lstm_layers=1)
TEXT = T5Config(width=24, layers=1, heads=3, head_width=8, inner=32, vocabulary=16)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(random_public, "CACHE", tmp_path)
    return tmp_path


@pytest.mark.parametrize("half", [False, True])
def test_toccata_and_transformers_read_the_same_weights(cache, half):
    with random_folder(CONFIG, CODEC, TEXT, half) as folder:
        theirs, loaded = transformers.MusicgenForConditionalGeneration.from_pretrained(
            folder, output_loading_info=True, dtype=torch.float16 if half else torch.float32
        )
        assert not any(loaded.values())
        ours = load_public(folder, "random", device="cpu", precision="fp32")
        expected = theirs.decoder.model.decoder.embed_tokens[3].weight.float()
        assert torch.equal(ours.network.state_dict()["embeddings.3.weight"], expected)
        assert 0.01 < ours.generate("warm piano", 1.0, seed=0).samples.std() < 1
    assert not list(cache.iterdir())


def test_no_room_on_the_disk_is_told(cache, monkeypatch):
    monkeypatch.setattr(random_public.shutil, "disk_usage", lambda path: transformers.utils.ModelOutput(free=1000))
    with pytest.raises(ToccataError, match="too much for a disk"), random_folder(CONFIG, CODEC, TEXT):
        pass


def test_a_model_is_heard_in_a_process_of_its_own(cache):
    with random_folder(CONFIG, CODEC, TEXT) as folder:
        heard = bench.hear("tiny", folder, "fp32", 1.0, 1)
    assert heard is not None
    assert heard.first > 0
    assert heard.speed > 0
    assert 0.1 < heard.peak < 1.5


def test_figures_say_what_they_are_against(cache, monkeypatch):
    monkeypatch.setattr(bench, "hear", lambda *told: bench.Heard(first=3.0, speed=2.0, peak=1.0))
    with random_folder(CONFIG, CODEC, TEXT) as folder:
        fast = list(bench.speeds("tiny", folder, 1.0, 1))
        assert [(figure.value, figure.against, figure.ratio) for figure in fast] == [(2.0, 1.0, 2.0)] * 4
        peak, first = list(bench.needs("tiny", folder, CONFIG))[-2:]
        assert peak.against == pytest.approx(bench.weight_bytes(folder, CONFIG, "bf16") / 2**30)
        assert first.value == 3.0


def test_weights_weigh_what_their_precision_says(cache):
    own = sum(tensor.numel() for tensor in MusicGenNetwork(CONFIG).parameters())
    with random_folder(CONFIG, CODEC, TEXT) as folder:
        full, half = (bench.weight_bytes(folder, CONFIG, precision) for precision in ("fp32", "bf16"))
        assert full - half == 2 * own
        assert full == pytest.approx((folder / "model.safetensors").stat().st_size, rel=0.2)


def test_what_does_not_fit_is_noted_and_gives_no_figure(tmp_path, capsys):
    assert bench.hear("huge", tmp_path, "bf16", 1.0, 1) is None
    assert "no figures for huge, bf16" in capsys.readouterr().err
