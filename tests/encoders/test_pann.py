"""CNN14: its published size, fusion for longer clips alone, and LAION's names for its weights."""

import pytest
import torch

from toccata.encoders.clap_names import of_laion
from toccata.encoders.pann import PANN, PANNConfig

SMALL = PANNConfig((8, 8, 12), bands=16, fused=True, squeeze=2)


@pytest.fixture(scope="module")
def tower() -> PANN:
    torch.manual_seed(0)
    made = PANN(SMALL).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


def test_it_has_the_published_number_of_parameters():
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in PANN(PANNConfig()).parameters())
    assert count / 1e6 == pytest.approx(79.67, abs=0.01)  # 80.8 with AudioSet's 527 classes, which CLAP doesn't use


@pytest.mark.parametrize("frames", [61, 64])
def test_crops_are_fused_into_longer_clips_alone(tower: PANN, frames: int):
    mel_BPTM = torch.randn(3, 4, frames, 16)
    longer_B = torch.tensor([True, False, True])
    before = tower.summarise(mel_BPTM, longer_B)
    for crop in (1, 2, 3):
        other = mel_BPTM.clone()
        other[:, crop] += 1
        moved_B = (tower.summarise(other, longer_B) - before).abs().amax(-1)
        assert (moved_B > 1e-3).tolist() == [True, False, True]
    assert torch.allclose(tower.summarise(mel_BPTM[1:2, :1], longer_B[1:2]), before[1:2], atol=1e-5)


def test_laions_names_are_known(tower: PANN):
    words = {"blocks.0.": "conv_block1.", "blocks.1.": "conv_block2.", "blocks.2.": "conv_block3.", ".norm1.": ".bn1.",
             ".norm2.": ".bn2.", "out.": "fc1.", "detail.": "mel_conv2d.", "fusion.near.": "fusion_model.local_att.",
             "fusion.far.": "fusion_model.global_att.", "norm_mel.": "bn0."}  # fmt: skip
    named = {"module.audio_branch.fc_audioset.bias": torch.ones(1)}
    for name, tensor in tower.state_dict().items():
        for ours, theirs in words.items():
            name = name.replace(ours, theirs)
        named[f"module.audio_branch.{name}"] = tensor
    found = of_laion({f"state_dict.{name}": tensor for name, tensor in named.items()})
    assert found.keys() == {f"audio.{name}" for name in tower.state_dict()}
    assert all(torch.equal(found[f"audio.{name}"], tensor) for name, tensor in tower.state_dict().items())
