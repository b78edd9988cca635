"""Stable Audio whole, on small random weights: exact lengths, seeds, streams, editing, bad input, files."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import toccata
from toccata import Clip, InputError, Prompt, WeightsError
from toccata.codecs.autoencoder import Autoencoder, AutoencoderConfig, save_autoencoder
from toccata.encoders.text import load_text_encoder
from toccata.models.stable_audio.config import DiffusionSampling, StableAudioConfig
from toccata.models.stable_audio.looping import decode_around
from toccata.models.stable_audio.network import StableAudioNetwork
from toccata.models.stable_audio.pipeline import StableAudio, load_pipeline, save_stable_audio
from toccata.nn.dit import DiTSizes
from toccata.nn.unet import UNetSizes
from toccata.nn.weightnorm import fold

RATE, STRIDE, WINDOW = 4000, 64, 100  # a window is 1.6 s
CODEC = AutoencoderConfig(sample_rate=RATE, channels=4, decoder_channels=4, widths=(1, 2), strides=(8, 8), latent=4)
CONFIG = StableAudioConfig(
    dit=DiTSizes(latent=4, width=32, layers=1, heads=2, tokens=16, context=32, whole=32),
    objective="rectified-flow",
    window=WINDOW,
    text_width=256,
    text_tokens=8,
    numbers="table",
    sampling=DiffusionSampling(solver="dpm-2m-sde", schedule="even", steps=4, guidance=3.0),
)


def parts(config=CONFIG):
    torch.manual_seed(0)
    network, codec = StableAudioNetwork(config), Autoencoder(CODEC)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    fold(codec)
    with torch.no_grad():
        codec.decoder.layers[-1].conv.weight.mul_(0.1)  # type: ignore[union-attr]
    return network, codec


@pytest.fixture(scope="module")
def model():
    return StableAudio(*parts(), load_text_encoder(), "small", "ab" * 32)


def hum(seconds, seed=0):
    samples = np.random.default_rng(seed).uniform(-0.3, 0.3, (2, round(seconds * RATE))).astype(np.float32)
    return Clip(samples, RATE)


@pytest.mark.parametrize("seconds", [1.0, 1.2345, 1.6, 1.7, 4.03])
def test_a_clip_is_as_long_as_asked_to_the_sample(model, seconds):
    clip = model.generate("calm piano", seconds, 7)
    assert clip.samples.shape == (2, round(seconds * RATE))
    assert (clip.prompt, clip.seed, clip.model, clip.weights_sha256) == ("calm piano", 7, "small", "ab" * 32)


@pytest.mark.parametrize("seconds", [1.0, 4.03])
def test_a_piece_with_a_rest_is_drawn_in_sight_of_the_silence_after_it(model, seconds):
    resting = StableAudio(*parts(replace(CONFIG, rest=0.4)), load_text_encoder(), "small", "ab" * 32)
    clip, plain = resting.generate("calm piano", seconds, 7), model.generate("calm piano", seconds, 7)
    assert clip.samples.shape == plain.samples.shape
    assert not np.allclose(clip.samples, plain.samples, atol=1e-3)
    silence_D = resting._encoded(np.zeros((2, 64 * STRIDE), np.float32))[32]
    canvas = resting._canvas(None, 70, ())
    assert canvas.beyond == 25
    assert torch.equal(canvas.sound_TD[70:], silence_D.expand(WINDOW, 4))
    assert canvas.keep_T[70:].all()


def test_the_same_seed_gives_the_same_samples_alone_or_in_a_list(model):
    one, other = model.generate(["calm piano", "fast drums"], 1.0, 7)
    assert np.array_equal(one.samples, model.generate("calm piano", 1.0, 7).samples)
    assert np.array_equal(other.samples, model.generate("fast drums", 1.0, 7).samples)
    assert not np.allclose(one.samples, other.samples, atol=1e-3)
    assert not np.allclose(one.samples, model.generate("calm piano", 1.0, 8).samples, atol=1e-3)


def test_the_global_seed_is_neither_read_nor_moved(model):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    clip = model.generate("calm piano", 1.0, 7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert np.array_equal(model.generate("calm piano", 1.0, 7).samples, clip.samples)


def test_streamed_it_is_the_same_in_parts_as_windows_are_done(model):
    done: list[float] = []
    clips = list(model.stream("calm piano", 5.0, 7, progress=lambda made, total: done.append(made)))
    assert len(clips) > 2
    assert np.array_equal(Clip.join(clips).samples, model.generate("calm piano", 5.0, 7).samples)
    assert done == sorted(done)
    assert done[-1] == 5.0
    assert len(done) == 16  # four windows of four steps


def test_the_first_part_comes_before_the_last_window_is_drawn(model):
    done: list[float] = []
    stream = model.stream("calm piano", 6.0, 7, progress=lambda made, total: done.append(made))
    next(stream)
    assert done[-1] < 4.0


def test_an_interruption_goes_through(model):
    def stop(made, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.generate("calm piano", 1.0, 7, progress=stop)


@pytest.mark.parametrize("options", [{"steps": 6}, {"guidance": 1.0}, {"guidance": 6.0}])
def test_numbers_that_are_asked_for_matter(model, options):
    assert not np.allclose(
        model.generate("calm piano", 1.0, 7, **options).samples, model.generate("calm piano", 1.0, 7).samples, atol=1e-4
    )


def test_a_negative_prompt_matters_where_guidance_is(model):
    asked = Prompt("calm piano", negative="loud drums")
    plain = {g: model.generate("calm piano", 1.0, 7, guidance=g).samples for g in (1.0, 3.0)}
    assert not np.allclose(model.generate(asked, 1.0, 7).samples, plain[3.0], atol=1e-4)
    assert np.array_equal(model.generate(asked, 1.0, 7, guidance=1.0).samples, plain[1.0])


def test_seconds_decide_and_not_only_cut(model):
    longer, shorter = model.generate("calm piano", 1.5, 7), model.generate("calm piano", 1.0, 7)
    assert not np.allclose(longer.samples[:, : RATE // 2], shorter.samples[:, : RATE // 2], atol=1e-5)


def test_a_story_sounds_as_its_first_text_until_it_changes(model):
    told = model.generate(Prompt.story({0: "calm piano", 3: "loud drums"}), 5.0, 7)
    plain = model.generate("calm piano", 5.0, 7)
    same = int(2.7 * RATE)  # the decoder sees the new text's first frames a little earlier
    assert told.samples.shape == plain.samples.shape
    assert np.allclose(told.samples[:, :RATE], plain.samples[:, :RATE], atol=1e-5)
    assert not np.allclose(told.samples[:, same:], plain.samples[:, same:], atol=1e-3)


def test_a_recording_is_gone_from_farther_with_more_strength(model):
    old = hum(1.5)
    heard = model.codec.decode(model.codec.encode(torch.from_numpy(old.samples)[None]))[0].numpy()[:, :6000]
    away = [
        np.abs(
            model.generate("calm piano", seed=7, init=old, strength=s, steps=20).samples[:, :5800] - heard[:, :5800]
        ).mean()
        for s in (0.02, 0.3, 1.0)
    ]
    assert away[0] < away[1] < away[2]
    assert away[0] < 0.2 * away[2]


def test_a_recording_gives_its_length_and_may_have_any_rate_and_channels(model, tmp_path):
    Clip(np.random.default_rng(0).uniform(-0.3, 0.3, (1, 12800)).astype(np.float32), 8000, "hum").save(
        tmp_path / "a.wav"
    )
    assert model.generate("calm piano", seed=7, init=tmp_path / "a.wav").samples.shape == (2, 6400)
    assert model.generate("calm piano", 1.0, 7, init=tmp_path / "a.wav").samples.shape == (2, 4000)
    assert model.generate("calm piano", 3.0, 7, init=tmp_path / "a.wav").samples.shape == (2, 12000)


@pytest.mark.parametrize("seconds", [1.5, 5.0])
def test_outside_the_parts_made_anew_every_sample_stays(model, seconds):
    old = hum(seconds)
    regions = [(0.2, 0.4), (0.9, 1.1)]
    made = model.generate("calm piano", seed=7, init=old, inpaint=regions)
    changed = (made.samples != old.samples).any(0)
    inside = np.zeros_like(changed)
    for start, end in regions:
        inside[int(start * RATE) : int(end * RATE)] = True
    assert made.samples.shape == old.samples.shape
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.9
    again = model.generate("calm piano", seed=8, init=old, inpaint=regions)
    assert not np.allclose(again.samples[:, inside], made.samples[:, inside], atol=1e-3)


def test_what_surrounds_a_part_is_heard_when_it_is_made(model):
    quiet, loud = Clip(hum(1.5).samples * 0.01, RATE), hum(1.5, seed=3)
    inside = slice(int(0.6 * RATE), int(0.9 * RATE))
    a, b = (model.generate("calm piano", seed=7, init=one, inpaint=[(0.5, 1.0)]).samples for one in (quiet, loud))
    assert not np.allclose(a[:, inside], b[:, inside], atol=1e-3)


@pytest.mark.parametrize("before", [0.5, 3.0])
def test_a_continuation_keeps_the_recording_and_goes_on(model, before):
    old = hum(before)
    made = model.continue_(old, "calm piano", 2.0, seed=7)
    assert made.seconds == before + 2.0
    assert np.array_equal(made.samples[:, : old.samples.shape[1]], old.samples)
    assert np.abs(made.samples[:, old.samples.shape[1] + 100 : -200]).mean() > 1e-4
    other = model.continue_(hum(before, seed=5), "calm piano", 2.0, seed=7)
    assert not np.allclose(made.samples[:, -4000:-200], other.samples[:, -4000:-200], atol=1e-4)


@pytest.mark.parametrize(("before", "after"), [(0.7, 0.0), (0.0, 0.7), (0.4, 2.6), (2.6, 0.4)])
def test_an_extended_recording_stays_between_new_music(model, before, after):
    old = hum(1.1)
    made = model.generate("calm piano", seed=7, init=old, extend=(before, after))
    first, count = round(before * RATE), old.samples.shape[1]
    assert made.samples.shape == (2, first + count + round(after * RATE))
    assert np.array_equal(made.samples[:, first : first + count], old.samples)
    other = model.generate("calm piano", seed=7, init=hum(1.1, seed=5), extend=(before, after)).samples
    for new in (slice(max(first - 2000, 0), max(first - 100, 0)), slice(first + count + 100, -200)):
        if made.samples[:, new].size:
            assert np.abs(made.samples[:, new]).mean() > 1e-4
            assert (made.samples != other)[:, new].mean() > 0.9  # what it goes on from is heard


def test_variations_of_a_recording_differ_and_repeat_by_their_seeds(model):
    one, again, other = (
        model.generate("calm piano", seed=seed, init=hum(1.5), strength=0.5).samples for seed in (7, 7, 8)
    )
    assert np.array_equal(one, again)
    assert not np.allclose(one, other, atol=1e-3)


def test_a_longer_recording_is_varied_window_by_window(model):
    old = hum(4.0)
    heard = model.codec.decode(model.codec.encode(torch.from_numpy(old.samples)[None]))[0].numpy()
    made = model.generate("calm piano", seed=7, init=old, strength=0.02, steps=20).samples
    assert np.abs(made - heard[:, : made.shape[1]])[:, :-200].mean() < 0.2 * np.abs(heard).mean()


@pytest.mark.parametrize(("bars", "text", "samples"), [
    (1, "drums at 120 bpm", 8000), (2, "a waltz at 131 bpm", 10992), (2, "at 97 bpm in 6/8", 9897),
    (4, "slow, 70bpm", 54857),
])  # fmt: skip
def test_a_loop_is_as_long_as_its_bars_to_the_sample(model, bars, text, samples):
    clip = model.generate(text, seed=7, loop=bars)
    assert clip.samples.shape == (2, samples)
    assert np.array_equal(clip.samples, model.generate(text, seed=7, loop=bars).samples)
    assert not np.allclose(clip.samples, model.generate(text, seed=8, loop=bars).samples, atol=1e-3)


def test_bpm_goes_before_the_prompt_s_tempo(model):
    assert model.generate("drums at 120 bpm", seed=7, loop=1, bpm=100).samples.shape == (2, 9600)
    assert model.generate("drums", seed=7, loop=1, bpm=120).samples.shape == (2, 8000)


def changes(wave_CN, at):
    """How much a spectrogram changes around sample ``at``, over how much it does elsewhere: means, and largest."""
    size = 4 * STRIDE
    spectrum_FT = torch.stft(
        torch.from_numpy(wave_CN).mean(0), size, STRIDE, window=torch.hann_window(size), center=False,
        return_complex=True,
    ).abs()  # fmt: skip
    flux_T = spectrum_FT.diff(dim=1).abs().sum(0).numpy()
    here = np.arange(at // STRIDE - 5, at // STRIDE + 2)
    elsewhere = np.delete(flux_T, here)
    return flux_T[here].mean() / elsewhere.mean(), flux_T[here].max() / elsewhere.max()


@pytest.mark.parametrize("bars", [1, 2])
def test_a_loop_s_join_changes_no_more_than_any_other_moment(model, monkeypatch, bars):
    """One bar is as long as the window, nearly; two are longer. Latents become smooth: in noise no seam is heard."""
    kernel = torch.hann_window(33)[1:].expand(4, 1, 32) / 4

    def smooth(latent_BTD, t_B, condition):
        padded = F.pad(latent_BTD.transpose(1, 2), (16, 15))
        return (latent_BTD - F.conv1d(padded, kernel, groups=4).transpose(1, 2)) / t_B[:, None, None]

    monkeypatch.setattr(model.network, "forward", smooth)
    found = []
    for seed in range(6):
        loop = model.generate("drums at 140 bpm", seed=seed, loop=bars).samples
        plain = model.generate("drums", loop.shape[1] / RATE, seed).samples
        found.append([changes(np.tile(clip, 2), loop.shape[1]) for clip in (loop, plain)])
    (mean, largest), (plain_mean, _) = np.mean(found, axis=0)
    assert mean < 1.4
    assert largest < 1
    assert plain_mean > 1.5 * mean


def test_a_loop_has_no_first_frame(model):
    """Decoded thrice in a row, the second turn is the loop itself, but for the stretch to whole samples."""
    latent_TD = torch.randn(1, 60, 4, generator=torch.Generator().manual_seed(1))
    turn = decode_around(model.codec, latent_TD)
    whole = model.codec.decode(latent_TD.repeat(1, 3, 1))
    assert torch.allclose(turn, whole[..., 60 * STRIDE : 120 * STRIDE], atol=1e-5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: m.generate("drums", loop=4), 'put it in the prompt, such as "at 120 bpm"'),
        (lambda m: m.generate("drums at 120 bpm", 8.0, loop=4), "leave out seconds"),
        (lambda m: m.generate("drums at 400 bpm", loop=1), "last 0.6 seconds, not 1 to 600; loop more bars"),
        (lambda m: m.generate("drums at 20 bpm", loop=64), "loop fewer bars"),
        (lambda m: m.generate("drums at 120 bpm", loop=0), "loop must be a whole number"),
        (lambda m: m.generate("drums at 120 bpm", bpm=120), "bpm says how long"),
        (lambda m: m.generate("drums at 120 bpm", loop=1, init=hum(1.0)), "begins from nothing"),
        (lambda m: m.generate(Prompt.story({0: "a at 120 bpm", 1: "b"}), loop=1), "leave out init and the story"),
        (lambda m: m.generate("drums at 120 bpm", loop=1, inpaint=[(0, 1)]), "begins from nothing"),
        (lambda m: m.generate("piano", extend=(1, 1)), "extend needs a recording"),
        (lambda m: m.generate("piano", init=hum(1.0), extend=(0, 0)), "changes nothing"),
        (lambda m: m.generate("piano", init=hum(1.0), extend=(1,)), "such as"),
        (lambda m: m.generate("piano", init=hum(1.0), extend=(1, 600)), "extended, the recording lasts 602 seconds"),
        (lambda m: m.generate("piano", init=hum(1.0), extend=(1, 1), inpaint=[(0, 1)]), "keeps all"),
        (lambda m: m.generate("piano", 3.0, init=hum(1.0), extend=(1, 1)), "leave out seconds"),
        (lambda m: m.continue_(hum(1.0), "piano", loop=4), "leave out loop"),
        (lambda m: m.generate("piano", 1.0, tempo=4), "small takes no tempo"),
        (lambda m: m.generate([]), "list of prompts is empty"),
        (lambda m: m.generate("piano", 0.5), "seconds must be"),
        (lambda m: m.generate("piano", 1.0, top_k=5), "chooses no tokens"),
        (lambda m: m.generate("piano", 1.0, temperature=1.0), "chooses no tokens"),
        (lambda m: m.generate("piano", 1.0, guidance=(3.0, 1.0)), "one guidance"),
        (lambda m: m.generate("piano", 1.0, melody="hum.wav"), "takes no melody"),
        (lambda m: m.generate("piano", 1.0, steps=0), "steps must be"),
        (lambda m: m.generate("piano", 1.0, strength=0.5), "strength needs a recording"),
        (lambda m: m.generate("piano", 1.0, inpaint=[(0, 1)]), "inpaint needs a recording"),
        (lambda m: m.generate("piano", init=hum(1.5), inpaint=[(1, 2)]), "ends at 2 seconds, the piece at 1.5"),
        (lambda m: m.generate("piano", init=hum(1.5), strength=0.0), "strength must be"),
        (
            lambda m: m.generate("piano", init=Clip(np.zeros((2, 0), np.float32), RATE)),
            "recording to begin from is empty",
        ),
        (lambda m: m.continue_(hum(1.0)), "by a prompt only"),
        (lambda m: m.continue_(hum(1.0), "piano", inpaint=[(0, 1)]), "keeps all of its recording"),
    ],
)
def test_bad_input_is_one_sentence(model, call: Callable, says):
    with pytest.raises(InputError, match=says):
        call(model)


@pytest.fixture
def folder(tmp_path):
    network, codec = parts()
    save_autoencoder(tmp_path / "autoencoder-small", codec)
    save_stable_audio(tmp_path / "model", network, name="small", codec="autoencoder-small", text="text-mini")
    return tmp_path / "model"


def test_saved_and_loaded_by_its_folder_it_is_the_same_model(folder):
    ours = toccata.load(str(folder), device="cpu")
    assert isinstance(ours, StableAudio)
    assert (ours.name, ours.config) == ("small", CONFIG)
    clip = ours.generate("calm piano", 1.0, 7)
    assert np.array_equal(clip.samples, load_pipeline(folder, "cpu").generate("calm piano", 1.0, 7).samples)
    assert len(clip.weights_sha256) == 64


def test_with_a_unet_in_the_transformers_place_it_plays_edits_and_loads(tmp_path):
    unet = UNetSizes(
        inputs=4, channels=(16, 32), factors=(1, 4), blocks=(1, 1), attentions=(1, 1), crosses=(1, 1), heads=2,
        head_width=0, tokens=16, features=16, stacked=True, middle=1,
    )  # fmt: skip
    sampling = DiffusionSampling(solver="dpm-2m", schedule="exponential", steps=4, guidance=3.0)
    network, codec = parts(replace(CONFIG, unet=unet, objective="v", sampling=sampling))
    save_autoencoder(tmp_path / "autoencoder-small", codec)
    save_stable_audio(tmp_path / "model", network, name="first", codec="autoencoder-small", text="text-mini")
    ours = toccata.load(str(tmp_path / "model"), device="cpu")
    assert isinstance(ours, StableAudio)
    assert ours.config == network.config
    one, other = ours.generate(["calm piano", "fast drums"], 2.5, 7)
    assert one.samples.shape == (2, 10000)
    assert np.array_equal(other.samples, ours.generate("fast drums", 2.5, 7).samples)
    assert not np.allclose(one.samples, other.samples, atol=1e-3)
    old = hum(1.5)
    made = ours.generate("calm piano", seed=7, init=old, inpaint=[(0.4, 0.8)])
    assert np.array_equal(made.samples[:, :1600], old.samples[:, :1600])


def test_in_half_the_bits_it_is_nearly_the_same(folder):
    full, half = (
        load_pipeline(folder, "cpu", each).generate("calm piano", 1.0, 7).samples for each in ("fp32", "bf16")
    )
    assert 0 < np.abs(full - half).mean() < 0.1 * np.abs(full).mean()


def test_wrong_folders_and_precisions_are_told(folder):
    with pytest.raises(InputError, match="does not run in 'int8'"):
        load_pipeline(folder, "cpu", "int8")
    save_stable_audio(folder, parts()[0], codec="nowhere", text="text-mini")
    with pytest.raises(WeightsError, match="needs the codec 'nowhere'"):
        load_pipeline(folder)
    network, _ = parts(replace(CONFIG, numbers="fourier"))
    save_stable_audio(folder, network, codec="autoencoder-small", text="text-mini", stable_audio={"window": 3})
    with pytest.raises(WeightsError, match="does not describe a Stable Audio"):
        load_pipeline(folder)


def test_a_model_with_a_rest_is_told_of_the_last_windows_as_of_pieces_of_their_own(monkeypatch):
    network, codec = parts(replace(CONFIG, rest=0.4))
    told, condition = [], network.condition
    listen = lambda *asked: told.append([round(float(s[0]), 2) for s in asked[2].values()]) or condition(*asked)  # noqa: E731
    monkeypatch.setattr(network, "condition", listen)
    resting = StableAudio(network, codec, load_text_encoder(), "small", "ab" * 32)
    resting.generate("calm piano", 1.5, 7)  # one window, but for its rest
    assert {total for _, total in told} == {1.5}
    told.clear()
    resting.generate("calm piano", 4.0, 7)
    assert all(start == 0.0 or total == 4.0 for start, total in told)
    assert 0 < told[-1][1] <= WINDOW * STRIDE / RATE - 0.4
