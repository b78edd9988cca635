"""The melody encoder: unit vectors of windows, whatever the loudness, as tokens, from disk; the paper's sizes."""

from dataclasses import replace

import pytest
import torch

from toccata.audio.mel import pitch_filters
from toccata.encoders.melody import (
    MelodyEncoder,
    full,
    load_melody,
    median_band,
    mels_of,
    mini,
    salience,
    save_melody,
    semitones,
    turned,
)
from toccata.errors import InputError, WeightsError
from toccata.weights.parts import BUNDLED

RATE = 16_000


def tune(mel_BTM, per_octave):
    share_BTM = salience(mel_BTM, per_octave)
    return turned(share_BTM, median_band(share_BTM))


TINY = replace(mini(), width=32, layers=2, heads=2, head_width=8, inner=48, embedding=16, levels=3, vocabulary=8)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MelodyEncoder(TINY).eval()


def noise(seconds):
    return 0.1 * torch.randn(int(seconds * RATE), generator=torch.Generator().manual_seed(0))


def tone(hertz, seconds=1.0):
    return 0.3 * torch.sin(2 * torch.pi * hertz * torch.arange(int(seconds * RATE)) / RATE)


def test_three_windows_of_ten_seconds_are_told_apart(model):
    rows = model.embed(noise(10))
    assert rows.shape == (3, 16)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(3))
    assert [len(model.embed(noise(seconds))) for seconds in (0.5, 4, 6.9, 7, 12.9)] == [1, 1, 1, 2, 3]
    assert len(model.embed(noise(10), every=1.0)) == 7


def test_a_window_is_what_it_is_alone(model):
    wave_N = torch.cat([tone(220 * 2 ** (step / 12), 0.5) for step in (0, 4, 7, 2, 5, 9) * 4])
    both = model.embed(wave_N), model.embed(wave_N[3 * RATE : 7 * RATE])
    assert (both[0][1] @ both[1][0]) > 0.99  # but for the edges, where the transform sees beyond


def test_how_loud_it_is_makes_no_difference(model):
    wave_N = torch.cat([tone(220 * 2**step, 1.0) + 0.01 * noise(1) for step in (0, 0.5, 0.25, 0.75)])
    torch.testing.assert_close(model.embed(wave_N), model.embed(0.5 * wave_N), atol=1e-3, rtol=1e-3)


def test_short_sound_is_repeated(model):
    torch.testing.assert_close(model.embed(noise(1)), model.embed(noise(1).repeat(4)))


def test_silence_embeds_to_numbers(model):
    assert model.embed(torch.zeros(4 * RATE)).isfinite().all()


def test_a_transposition_moves_the_bands_along():
    low, high = (mels_of(tone(hertz)[None], mini())[0].exp().mean(0) for hertz in (300.0, 300.0 * 2 ** (7 / 12)))
    assert int(high.argmax()) - int(low.argmax()) == 7 * mini().per_octave // 12


def test_a_tune_is_the_same_in_another_key_and_from_another_sound():
    octave = mini().per_octave
    pictures = []
    for key, overtones in ((0, (1.0,)), (5, (1.0,)), (-4, (1.0, 0.8, 0.5, 0.6))):
        played = [
            torch.stack([size * tone(220 * (i + 1) * 2 ** ((key + step) / 12)) for i, size in enumerate(overtones)])
            for step in (0, 4, 7, 4)
        ]
        tune_N = torch.cat([one.sum(0) for one in played])
        pictures.append(tune(mels_of(0.3 * tune_N[None], mini()), octave)[0])
    middles = [picture_TM[[8, 24, 40, 56]].argmax(1) - mini().bands // 2 for picture_TM in pictures]
    assert middles[0].tolist() == middles[1].tolist() == middles[2].tolist()
    assert (middles[0][1:] - middles[0][:-1]).tolist() == [step * octave // 12 for step in (4, 3, -3)]
    torch.testing.assert_close(pictures[0].sum(1), torch.ones(64))


def test_overtones_speak_for_their_fundamental():
    high_BTM = torch.zeros(1, 1, 96)
    high_BTM[0, 0, [24 + 24, 24 + 38]] = 5.0  # the second and the third harmonic of band 24, which is silent
    low = int(tune(high_BTM, 24).argmax())
    assert low == 48  # it is the median, in the middle
    high_BTM[0, 0, 24] = 5.0
    assert tune(high_BTM, 24).max() > 0.99


def test_every_band_hears_something():
    config = mini()
    filters_MF = pitch_filters(config.sample_rate, config.n_fft, config.bands, config.low, config.per_octave)
    assert filters_MF.shape == (152, 1025)
    assert (filters_MF.sum(1) > 0).all()
    assert config.low * 2 ** (config.bands / config.per_octave) < config.sample_rate / 2


def test_tokens_of_all_levels_are_nearer_than_those_of_one(model):
    rows = torch.nn.functional.normalize(torch.randn(200, 16, generator=torch.Generator().manual_seed(1)), dim=1)
    with pytest.raises(WeightsError, match="no tokens yet"):
        model.quantise(rows)
    model.quantiser.fit(rows, torch.Generator().manual_seed(0))
    codes_BK = model.quantise(rows)
    assert codes_BK.shape == (200, 3)
    near = [(model.dequantise(codes_BK[:, :k]) * rows).sum(1).mean() for k in (1, 2, 3)]
    assert near[0] < near[1] < near[2]


def test_what_was_saved_embeds_about_the_same(model, tmp_path):
    save_melody(tmp_path, model, name="x")
    loaded = load_melody(tmp_path)
    assert loaded.config == TINY
    assert (loaded.embed(noise(4)) * model.embed(noise(4))).sum() > 0.99
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"family": "melody"', '"family": "text"'))
    with pytest.raises(WeightsError, match="not a melody encoder"):
        load_melody(tmp_path)
    (tmp_path / "config.json").write_text(config.replace('"head_width"', '"hat_width"'))
    with pytest.raises(WeightsError, match="does not describe a melody encoder"):
        load_melody(tmp_path)


def test_what_ships_gives_a_tune_back_in_the_key_that_it_is_in():
    """The lowest band is a D, so an A is seven semitones above it."""
    encoder = load_melody(BUNDLED / "melody-mini")
    steps = (0, 4, 7, 5, 4, 2, 0, 7)
    for key in (0, 5):
        partials = [[0.5**i * tone(220 * (i + 1) * 2 ** ((key + step) / 12), 0.5) for i in range(4)] for step in steps]
        notes = [torch.stack(one).sum(0) for one in partials]
        tune_T = encoder.tune(torch.cat(notes), [0.0])
        assert tune_T.shape == (64,)
        asked_T = torch.tensor([(7 + key + step) % 12 for step in steps]).repeat_interleave(8)
        assert (tune_T == asked_T).float().mean() > 0.6
    with pytest.raises(InputError, match="one channel"):
        encoder.tune(torch.zeros(0), [0.0])


def test_the_likeliest_semitone_is_told_where_one_is_sure():
    chance_TP = torch.zeros(3, 24)
    chance_TP[0, 8] = 1.0
    chance_TP[1, [1, 2, 3]] = torch.tensor([0.3, 0.4, 0.3])  # half semitones count for both their neighbours
    chance_TP[2] = 1 / 24
    assert semitones(chance_TP).tolist() == [4, 1, 12]


@pytest.mark.parametrize("wave", [torch.zeros(0), torch.tensor([0.0, torch.nan]), torch.zeros(1, 9)])
def test_bad_sound_is_told(model, wave):
    with pytest.raises(InputError, match="the melody"):
        model.embed(wave)


def test_the_published_size_runs_and_is_the_papers():
    config = full()
    assert (config.layers, config.heads, config.width, config.inner) == (12, 6, 512, 1024)
    assert (config.embedding, config.levels, config.vocabulary, config.window_seconds) == (192, 24, 512, 4.0)
    with torch.device("meta"):
        model = MelodyEncoder(config)
        assert model.hear(torch.zeros(1, config.frames, config.bands)).shape == (1, 192)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(22.5e6, rel=0.02)
