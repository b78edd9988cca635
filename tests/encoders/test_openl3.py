"""OpenL3: its published size, the windows that it hears a sound in, weights of other models."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from toccata.encoders.openl3 import OpenL3, OpenL3Config, load_openl3, log_mel, windows
from toccata.errors import InputError, WeightsError

RATE = 48_000


def sound(seconds: float) -> torch.Tensor:
    return 0.2 * torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("seconds", "count"), [(0.2, 1), (0.5, 1), (1, 2), (1.1, 3), (1.5, 3), (10, 20)])
def test_a_sound_is_heard_in_seconds_every_half_begun_half_a_second_before_it(seconds: float, count: int):
    wave_N = sound(seconds)
    found_BN = windows(wave_N)
    assert found_BN.shape == (count, RATE)
    assert not found_BN[0, : RATE // 2].any()
    whole_N = torch.cat([found_BN[0], *(window_N[RATE // 2 :] for window_N in found_BN[1:])])
    assert torch.equal(whole_N[RATE // 2 :][: len(wave_N)], wave_N)
    assert not whole_N[RATE // 2 + len(wave_N) :].any()


def test_loudness_changes_nothing_and_silence_has_numbers_too():
    mel_BMT = log_mel(sound(1)[None])
    assert mel_BMT.shape == (1, 256, 199)
    assert mel_BMT.max() == 0
    assert mel_BMT.min() >= -80
    torch.testing.assert_close(log_mel(0.1 * sound(1)[None]), mel_BMT, atol=1e-3, rtol=0)
    assert not log_mel(torch.zeros(1, RATE)).any()


def test_each_window_has_a_row_that_the_others_leave_alone():
    torch.manual_seed(0)
    model = OpenL3(OpenL3Config((4, 4, 6, 8), 6144)).eval()
    wave_N = sound(5)
    embedding_BD = model.listen(wave_N)
    assert embedding_BD.shape == (10, 4 * 3 * 8)
    alone_BD = model(log_mel(windows(wave_N)[8:9]))
    torch.testing.assert_close(embedding_BD[8:9], alone_BD, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [512, 6144])
def test_embeddings_have_the_published_sizes_and_the_network_its_parameters(size: int):
    with torch.device("meta"):
        model = OpenL3(OpenL3Config(size=size))
        assert model.eval()(torch.zeros(1, 256, 199)).shape == (1, size)
    convolutions = sum(9 * a * b + b for a, b in ((1, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256),
                                                  (256, 512), (512, 512)))  # fmt: skip
    norms = 2 * (1 + 64 + 64 + 128 + 128 + 256 + 256 + 512)
    assert sum(parameter.numel() for parameter in model.parameters()) == convolutions + norms


def test_other_sizes_and_weights_are_told(tmp_path: Path):
    with pytest.raises(InputError, match="no embedding of 128 numbers; choose 512 or 6144"):
        OpenL3(OpenL3Config(size=128))
    save_file({"0.gamma": torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="another model than OpenL3"):
        load_openl3(tmp_path)
