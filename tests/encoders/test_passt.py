"""PaSST: its published size, the windows that it hears a sound in, weights of other models."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.evaluation.public_judges import passt
from toccata.encoders.passt import PaSST, PaSSTConfig, load_passt, log_mel, windows
from toccata.errors import WeightsError

RATE = 32_000
PEAK = 10 ** (-1 / 20)


def sound(seconds: float) -> torch.Tensor:
    return 0.2 * torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(0))


def narrow(folder: Path) -> PaSST:
    save_file(passt(), folder / "passt.safetensors")
    return load_passt(folder)


@pytest.mark.parametrize(
    ("seconds", "count"), [(2, 1), (9.9, 1), (10, 1), (10.1, 2), (14, 2), (15, 2), (15.1, 3), (30, 5)]
)
def test_a_sound_is_heard_in_windows_of_ten_seconds_every_five(seconds: float, count: int):
    wave_N = sound(seconds)
    found_BN = windows(wave_N)
    assert found_BN.shape == (count, 10 * RATE)
    assert found_BN.abs().max() == pytest.approx(PEAK)
    scaled_N = wave_N * (PEAK / wave_N.abs().max())
    for place, window_N in enumerate(found_BN):
        heard = min(10 * RATE, len(wave_N) - place * 5 * RATE)
        torch.testing.assert_close(window_N[:heard], scaled_N[place * 5 * RATE :][:heard])
        assert not window_N[heard:].any()


def test_a_sound_of_a_second_and_a_half_is_not_filled_with_silence():
    assert windows(sound(1.5)).shape == (1, 1.5 * RATE)
    assert windows(sound(1.6)).shape == (1, 10 * RATE)


def test_silence_has_numbers_too(tmp_path: Path):
    assert all(found.isfinite().all() for found in narrow(tmp_path).listen(torch.zeros(3 * RATE)))


def test_each_window_has_a_row_that_the_others_leave_alone(tmp_path: Path):
    model = narrow(tmp_path)
    wave_N = sound(15) / sound(15).abs().max()
    wave_N[0] = wave_N[-1] = 1.0  # so that both windows have the same peak
    embedding_BD, logits_BV = model.listen(wave_N)
    assert embedding_BD.shape == (2, 128)
    assert logits_BV.shape == (2, 9)
    torch.testing.assert_close(model.listen(wave_N[5 * RATE :])[0][0], embedding_BD[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.labels(model.norm_labels(embedding_BD)), logits_BV)


def test_ten_seconds_are_a_thousand_frames_of_all_places():
    assert log_mel(sound(10)[None]).shape == (1, 128, 1000)
    config = PaSSTConfig()
    assert ((1000 - config.patch) // config.stride + 1, (128 - config.patch) // config.stride + 1) == (99, 12)


def test_it_has_the_published_number_of_parameters():
    with torch.device("meta"):
        model = PaSST(PaSSTConfig())
    second_head, places_of_summaries = 527 * 769, 2 * 768  # the one is left out, the others added to their tokens
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == 86_153_758 - second_head - places_of_summaries


def test_strides_are_those_of_the_weights(tmp_path: Path):
    wide = passt() | {"freq_new_pos_embed": torch.zeros(1, 128, 8, 1), "time_new_pos_embed": torch.zeros(1, 128, 1, 62)}
    save_file(wide, tmp_path / "passt.safetensors")
    model = load_passt(tmp_path)
    assert model.config.stride == 16
    assert model.listen(sound(10))[1].shape == (1, 9)


def test_other_weights_are_told(tmp_path: Path):
    save_file({"head.weight": torch.ones(2, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=r"another model than PaSST: they lack 'head\.1\.weight'"):
        load_passt(tmp_path)
