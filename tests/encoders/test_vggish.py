"""VGGish: its published size, a row every .96 seconds, its file as it is published."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from toccata.encoders.vggish import VGGish, VGGishConfig, load_vggish, log_mel
from toccata.errors import InputError, WeightsError
from toccata.weights.convert import convert

SMALL = VGGishConfig((4, 6, 8, 8, 10, 12), hidden=20, width=7)


@pytest.fixture
def model() -> VGGish:
    torch.manual_seed(0)
    return VGGish(SMALL).eval()


def noise(samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(0))


def test_it_has_the_published_number_of_parameters():
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in VGGish(VGGishConfig()).parameters()) == 72_141_184


def test_each_window_is_heard_alone_and_the_rest_is_left_out(model: VGGish):
    wave_N = noise(40_000)
    rows = model.listen(wave_N)
    assert rows.shape == (2, 7)
    # A window's last frame reaches 15 ms into the next one.
    for k in range(2):
        assert torch.allclose(model.listen(wave_N[k * 15_360 : (k + 1) * 15_360 + 240])[0], rows[k], atol=1e-6)
    assert rows.min() < 0  # no ReLU at the end


def test_long_sounds_are_heard_as_their_parts_are():
    wave_N = noise(12 * 16_000)  # more frames than are taken at once
    mel_TM = log_mel(wave_N)
    assert len(mel_TM) == 1198
    assert torch.equal(log_mel(wave_N[990 * 160 :]), mel_TM[990:])


def test_a_second_is_enough_and_less_than_a_window_is_told(model: VGGish):
    assert model.listen(noise(15_600)).shape == (1, 7)
    for samples in (15_599, 10):
        with pytest.raises(InputError, match=r"too short for VGGish; give 0\.975 seconds or more"):
            model.listen(noise(samples))


def test_the_published_pickle_is_read_once_it_is_converted(model: VGGish, tmp_path: Path):
    torch.save(model.state_dict(), tmp_path / "vggish-10086976.pth")
    convert(tmp_path / "vggish-10086976.pth", tmp_path / "out")
    again = load_vggish(tmp_path / "out")
    assert again.config == SMALL
    assert torch.equal(again.listen(noise(20_000)), model.listen(noise(20_000)))


def test_other_weights_are_told(tmp_path: Path):
    with pytest.raises(WeightsError, match="holds 0 safetensors files"):
        load_vggish(tmp_path)
    save_file({"features.0.weight": torch.ones(2, 1, 3, 3)}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=r"another model than VGGish: they lack 'features\.3\.weight'"):
        load_vggish(tmp_path)
