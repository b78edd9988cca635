"""CNN14 with its labels: its published size, the parts that it hears a sound in, weights of other models."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from toccata.encoders.clap_pictures import Pictures
from toccata.encoders.pann import PANNConfig
from toccata.encoders.pann_tagger import PANNTagger, load_pann, parts
from toccata.errors import WeightsError

FAST = Pictures(2000, window=128, hop=40, low=50.0, high=900.0, bands=32, seconds=1.0)


@pytest.mark.parametrize(("seconds", "count"), [(1, 1), (9.9, 1), (14.9, 1), (15, 2), (20, 2), (24, 2), (26, 3)])
def test_a_sound_is_heard_in_equal_parts_of_about_ten_seconds(seconds: float, count: int):
    found = parts(torch.arange(seconds * 100), 100)
    assert len(found) == count
    assert len({len(part) for part in found}) == 1
    assert torch.cat(found).equal(torch.arange(len(torch.cat(found))).float())
    assert seconds * 100 - len(torch.cat(found)) < count


def test_each_part_has_a_row_that_the_others_leave_alone():
    torch.manual_seed(0)
    model = PANNTagger(PANNConfig((4, 4, 6, 6, 8, 10), bands=32), 5, FAST).eval()
    wave_N = torch.randn(2 * 10 * 2000)
    embedding_BD, logits_BV = model.listen(wave_N)
    assert embedding_BD.shape == (2, 10)
    assert logits_BV.shape == (2, 5)
    assert embedding_BD.min() == 0  # after the ReLU
    assert torch.equal(model.listen(wave_N[20_000:])[0][0], embedding_BD[1])
    assert torch.allclose(model.labels(embedding_BD), logits_BV, atol=1e-6)


def test_it_has_the_published_number_of_parameters():
    with torch.device("meta"):
        model = PANNTagger(PANNConfig(), 527, FAST)
        count = sum(parameter.numel() for parameter in model.parameters())
    assert count == 80_753_615


def test_other_weights_are_told(tmp_path: Path):
    save_file({"model.conv_block1.conv1.weight": torch.ones(2, 1, 3, 3)}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=r"another model than CNN14: they lack 'conv_block2\.conv1\.weight'"):
        load_pann(tmp_path)
