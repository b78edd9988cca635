"""Stable Audio's benchmarks run on small random models, and their measures mean what they say."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import __main__ as bench
from benchmarks import autoencoder, clips, editing, stable_audio, steps, stereo, timing
from benchmarks.held_out import Excerpt as Held
from benchmarks.report import Options
from benchmarks.stereo import Excerpt, image_error
from toccata.codecs import magnitude_config
from toccata.codecs.autoencoder import Autoencoder, AutoencoderConfig, save_autoencoder
from toccata.codecs.encodec import EnCodec, encodec_48khz
from toccata.codecs.magnitude import build, save_magnitude
from toccata.models.stable_audio.config import StableAudioConfig, mini, open_1_0
from toccata.models.stable_audio.network import StableAudioNetwork
from toccata.models.stable_audio.pipeline import StableAudio, save_stable_audio
from toccata.nn.dit import DiTSizes
from toccata.weights import checkpoint

RATE = 16000
CODEC = AutoencoderConfig(sample_rate=RATE, channels=4, decoder_channels=4, widths=(1, 2), strides=(16, 16), latent=4)
DIT = DiTSizes(latent=4, width=32, layers=1, heads=2, tokens=16, context=32, whole=32)


def hum(seconds: float, seed: int = 0, rate: int = stereo.RATE) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    left, right = (np.sin(2 * np.pi * pitch * (1 + seed / 7) * time) for pitch in (220, 330))
    return (0.3 * np.stack([left, 0.5 * left + 0.5 * right])).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = StableAudioNetwork(replace(mini(), dit=DIT, window=100, sampling=replace(mini().sampling, steps=2)))
    save_autoencoder(tmp_path / "autoencoder", Autoencoder(CODEC))
    save_stable_audio(tmp_path / "model", network, codec="autoencoder", text="text-mini")
    return tmp_path


@pytest.fixture
def pieces(monkeypatch) -> None:
    monkeypatch.setattr(stereo, "excerpts", lambda indices: [Excerpt(hum(2.0, i), "slow piano") for i in indices])


def test_a_model_of_another_family_is_refused(capsys, folder):
    assert bench.main(["timing", "--model", "musicgen-mini"]) == 2
    assert "measures models of the family stable-audio" in capsys.readouterr().err


def test_timing_gives_every_length_with_its_control(folder, monkeypatch):
    monkeypatch.setattr(timing, "LENGTHS", (2.0, 3.0, 4.0))
    figures = {figure.metric: figure for figure in timing.run(Options(True, model=str(folder / "model")))}
    assert len(figures) == 13
    share = figures["ends within 0.25 s, all lengths"]
    assert share.n == 6
    assert share.control is not None
    assert (figures["as generated: seconds of fading at the end (median)"].against or 0) > 0


def test_a_model_trained_without_timing_is_asked_for_the_same(folder, monkeypatch):
    monkeypatch.setattr(timing, "LENGTHS", (2.0, 3.0, 4.0))
    monkeypatch.setattr(timing, "beginnings_and_ends", lambda heard, band: iter(()))
    model = str(folder / "model")
    figures = {figure.metric: figure for figure in timing.run(Options(True, model=model, against=model))}
    untold = figures["ends within 0.25 s, trained without timing"]
    assert untold.n == 6
    assert untold.value == untold.against == figures["ends within 0.25 s, all lengths"].value


def test_the_end_of_music_is_its_last_loud_moment():
    wave = np.zeros((2, 5 * RATE), np.float32)
    wave[:, RATE // 2 : 2 * RATE] = 0.5
    wave[:, 2 * RATE : 3 * RATE] = 0.005  # 40 dB below
    wave[0, 3 * RATE : 4 * RATE] = 0.0005  # 63 dB below
    found = timing.ends_of(wave, RATE, 3.25)
    assert (found.start, found.end, found.fade) == (0.5, 3.0, 1.0)
    assert found.left == pytest.approx(-63.0, abs=0.2)
    assert timing.ends_of(np.zeros((2, RATE), np.float32), RATE, 0.5).end == 0


def test_a_model_that_ends_where_it_is_told_is_told_from_one_misled(folder, monkeypatch):
    def latents(self, asked, canvas, total, strength):
        frames = torch.arange(canvas.frames)[:, None] / self.codec.config.frame_rate
        yield (frames < total).float().expand(-1, 4)

    monkeypatch.setattr(StableAudio, "latents", latents)
    monkeypatch.setattr(Autoencoder, "decode", lambda self, latent: latent[:, :, :1].mT.repeat_interleave(256, -1))
    figures = {figure.metric: figure for figure in timing.run(Options(True, model=str(folder / "model")))}
    share = figures["ends within 0.25 s, all lengths"]
    assert (share.value, share.control) == (1.0, 0.0)
    assert (figures["level after 5 s (median)"].value or 0) < -60


def test_editing_measures_strengths_parts_and_joins(folder, pieces, monkeypatch):
    monkeypatch.setattr(editing, "STRENGTHS", (0.5,))
    monkeypatch.setattr(editing, "REGION", (0.3, 0.8))
    monkeypatch.setattr(editing, "PART", (0.3, 1.0))
    monkeypatch.setattr(editing, "EXTENSION", (0.5, 0.5))
    monkeypatch.setattr(editing, "BARS", 1)
    monkeypatch.setattr(editing, "chroma_correlation", lambda a, b, rate: float(np.corrcoef(a, b)[0, 1]))
    figures = {figure.metric: figure for figure in editing.run(Options(True, model=str(folder / "model")))}
    assert figures["largest difference outside the part made anew"].value == 0
    assert len([metric for metric in figures if "strength" in metric]) == 3
    fit = figures["fit to the words, strength 0.5"]
    assert fit.against is not None
    assert fit.control is not None
    assert figures["change at a loop's join over elsewhere (median)"].control is not None
    assert figures["change at the joins of an extended recording over elsewhere (median)"].n == 4


def test_a_join_that_is_heard_stands_out():
    smooth, broken = hum(2.0, rate=RATE), hum(2.0, rate=RATE)
    broken[:, RATE:] = np.random.default_rng(0).uniform(-0.3, 0.3, (2, RATE))
    assert editing.change(broken, RATE, 1.0) > 3 * max(editing.change(smooth, RATE, 1.0), 1)


def test_the_stereo_image_is_kept_by_a_copy_and_lost_in_a_sum():
    wave = hum(3.0)
    assert image_error(wave, wave, stereo.RATE) == 0
    assert image_error(wave, 0.5 * wave, stereo.RATE) < 0.1
    mixed = np.broadcast_to(wave.mean(0), wave.shape)
    assert image_error(wave, mixed, stereo.RATE) > 5
    assert image_error(wave, wave[::-1], stereo.RATE) < 0.1  # left and right changed places: as wide as before


def test_codecs_are_compared_at_their_rates(folder, pieces, monkeypatch):
    torch.manual_seed(0)
    other = autoencoder.of_encodec(
        EnCodec(replace(encodec_48khz(), channels=2, latent=8, levels=2, lstm_layers=1)), "encodec"
    )
    monkeypatch.setattr(autoencoder, "others", lambda device: [other])
    monkeypatch.setattr(autoencoder, "QUICK", autoencoder.Sizes(2, 2))
    monkeypatch.setattr(autoencoder.recordings, "stereo_songs", lambda count, rate: [])
    told = Options(True, model=str(folder / "autoencoder"))
    monkeypatch.setattr(stereo, "excerpts", lambda indices: [Excerpt(hum(1.2 + i / 10, i), "") for i in indices])
    figures = {figure.metric: figure for figure in autoencoder.run(told)}
    assert len(figures) == 12
    assert figures["SI-SDR (median) of the side, band, autoencoder, 250 numbers/s"].n == 2
    image = figures["error of the stereo image, band, encodec, 3 kbit/s"]
    assert image.control is not None
    assert image.control > 1


def test_a_perfect_codec_has_no_distance():
    copier = autoencoder.Copier("itself", lambda wave: wave)
    figures = {
        figure.metric.split(",")[0]: figure for figure in autoencoder.distances(copier, "band", [hum(1), hum(1, 3)])
    }
    assert figures["log-mel L1 of the middle"].value == figures["error of the stereo image"].value == 0
    assert (figures["log-mel L1 of the side"].control or 0) > 0.1


@pytest.fixture
def small() -> tuple[StableAudioConfig, AutoencoderConfig]:
    sound = AutoencoderConfig(sample_rate=4000, channels=8, decoder_channels=8, widths=(1, 2), strides=(8, 8), latent=4)
    return replace(open_1_0(), dit=DIT, text_width=16, text_tokens=6, window=100), sound


@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
def test_both_compute_the_same_and_their_speeds_are_compared(small):
    pytest.importorskip("diffusers")
    config, sound = small
    sizes = stable_audio.Sizes(frames=70, rounds=1, steps=1)
    figures = list(stable_audio.compared_with_diffusers(config, sound, "cpu", sizes))
    assert [figure.unit for figure in figures] == ["s", "s"] * len(stable_audio.dtypes_on("cpu")) + ["s/s"]
    assert all((figure.ratio or 0) > 0 for figure in figures)
    dit, told, vae = stable_audio.theirs(config, sound, "cpu")
    network, codec = stable_audio.ours(dit, told, vae, config)
    expected = vae.decode(torch.ones(1, 4, 30)).sample
    assert torch.allclose(codec.decode(torch.ones(1, 30, 4)), expected.clamp(-1, 1), atol=1e-4)
    assert network.dit is not None
    shared = network.dit.latent_in.weight.data_ptr()
    assert shared == dit.proj_in.weight.data_ptr()
    assert stable_audio.their_step(dit, config, 70)().shape == (2, 4, 70)
    assert stable_audio.our_step(network, 70)().shape == (2, 70, 4)


def test_memory_counts_the_weights(small, tmp_path):
    config, sound = small
    stable_audio.alone(config, sound, "cpu", 70, tmp_path / "memory.json")
    said = json.loads((tmp_path / "memory.json").read_text())
    network, codec = StableAudioNetwork(config), Autoencoder(sound)
    drawing, decoding = (sum(p.numel() for p in each.parameters()) for each in (network, codec))
    expected = drawing * stable_audio.dtypes_on("cpu")[-1].itemsize + decoding * 4
    assert said["peak"] is None
    assert said["weights"] == pytest.approx(expected / 2**30, rel=0.02)


def test_moûsais_autoencoder_is_measured_too(tmp_path, pieces, monkeypatch):
    torch.manual_seed(0)
    save_magnitude(tmp_path / "codec", build(replace(magnitude_config.mini(), steps=1)))
    checkpoint.save(tmp_path / "model", {"family": "mousai", "codec": "codec"}, {"x": torch.zeros(1)})
    for folder in ("codec", "model"):
        copier = autoencoder.named(Options(model=str(tmp_path / folder)))
        assert copier.name == "magnitude autoencoder, 1500 numbers/s, 1 steps"
        assert copier.copy(hum(0.5)).shape == hum(0.5).shape


def test_quality_and_work_are_told_by_the_number_of_steps(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(steps, "QUICK", steps.Sizes(prompts=8, many=(3, 2), few=(1,), rounds=1, long=3))
    monkeypatch.setattr(steps, "SECONDS", 2.0)
    monkeypatch.setattr(steps, "TIMED", 1.0)
    monkeypatch.setattr(
        steps, "excerpts", lambda seed, indices: [Held(hum(2.0, i, 24000).mean(0), {}, frozenset()) for i in indices]
    )
    for module in (clips, steps):
        monkeypatch.setattr(module, "CACHE", tmp_path / "cache")
    model = str(folder / "model")
    figures = {figure.metric: figure for figure in steps.run(Options(True, model=model, against=model))}
    guided = [f"{count} steps, guidance 4" for count in (3, 2)]
    for way in (*guided, "1 steps, distilled"):
        assert (figures[f"work for 1 s of stereo: {way}"].value or 0) > 0
        assert figures[f"MuLan cycle consistency: {way}"].n == 8
    assert "memory grown in the last third of 3 s of stream" in figures
