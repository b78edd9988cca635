"""HTSAT: windows come back as they were, shifts don't mix the edges, and fusion touches longer clips alone."""

from dataclasses import replace

import pytest
import torch

from toccata.encoders.htsat import HTSAT, Block, HTSATConfig, from_windows, htsat_base, htsat_tiny, to_windows

SMALL = HTSATConfig(width=8, depths=(2, 2), heads=(2, 4), bands=16, side=32, window=4, fused=True, squeeze=2)


@pytest.fixture(scope="module")
def tower() -> HTSAT:
    torch.manual_seed(0)
    made = HTSAT(SMALL).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def test_windows_are_cut_row_by_row_and_put_back():
    x_BYXD = torch.arange(2 * 8 * 8.0).view(2, 8, 8, 1)
    x_WLD = to_windows(x_BYXD, 4)
    assert torch.equal(x_WLD[1, :, 0].view(4, 4), x_BYXD[0, :4, 4:, 0])
    assert torch.equal(x_WLD[4, :, 0].view(4, 4), x_BYXD[1, :4, :4, 0])
    assert torch.equal(from_windows(x_WLD, 4, 8), x_BYXD)


def test_a_shifted_window_reaches_its_neighbours_but_not_round_the_edge():
    torch.manual_seed(0)
    block = Block(8, 2, size=8, window=4, shift=2, inner=2).eval()
    x_BYXD = torch.randn(1, 8, 8, 8)
    changed = x_BYXD.clone()
    changed[0, 0, 0] = torch.randn(8)
    moved_YX = (block(changed) - block(x_BYXD)).abs().amax(-1)[0] > 1e-6
    assert moved_YX[:2, :2].all()
    assert moved_YX.sum() == 4
    changed = x_BYXD.clone()
    changed[0, 3, 3] = torch.randn(8)
    moved_YX = (block(changed) - block(x_BYXD)).abs().amax(-1)[0] > 1e-6
    assert moved_YX[2:6, 2:6].all()
    assert moved_YX.sum() == 16


def test_crops_are_fused_into_longer_clips_alone(tower: HTSAT):
    mel_BPTM = torch.randn(3, 4, 60, 16)
    longer_B = torch.tensor([True, False, True])
    before = tower.summarise(mel_BPTM, longer_B)
    other = mel_BPTM.clone()
    other[:, 3] += 1
    moved_B = (tower.summarise(other, longer_B) - before).abs().amax(-1)
    assert (moved_B > 1e-3).tolist() == [True, False, True]
    assert torch.allclose(tower.summarise(mel_BPTM[:1], longer_B[:1]), before[:1], atol=1e-5)
    assert torch.allclose(tower.summarise(mel_BPTM[1:2, :1], longer_B[1:2]), before[1:2], atol=1e-5)


def test_it_learns_and_its_batch_norm_follows_the_sounds():
    torch.manual_seed(0)
    tower = HTSAT(SMALL).train()
    tower.summarise(torch.randn(4, 4, 64, 16), torch.tensor([True, True, False, False])).square().mean().backward()
    without = [name for name, p in tower.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not without
    assert tower.norm_mel.running_mean is not None
    assert tower.norm_mel.running_mean.any()


def test_a_picture_holds_as_many_frames_as_its_strips(tower: HTSAT):
    assert SMALL.frames == 64
    picture = tower.picture(torch.arange(64.0)[None, None, :, None].expand(1, 1, 64, 16))
    assert picture.shape == (1, 1, 32, 32)
    assert torch.equal(picture[0, 0, 0], torch.arange(32.0))
    assert torch.equal(picture[0, 0, 16], torch.arange(32.0, 64.0))
    with pytest.raises(ValueError, match="65 frames are more than the 64"):
        tower.picture(torch.zeros(1, 1, 65, 16))


def test_published_towers_and_sizes_that_do_not_divide():
    assert [config.sizes for config in (htsat_tiny(), htsat_base())] == [(64, 32, 16, 8)] * 2
    assert [(c.width, sum(c.depths)) for c in (htsat_tiny(), htsat_base())] == [(96, 12), (128, 18)]
    for wrong in ({"side": 40}, {"bands": 15}, {"heads": (2,)}, {"window": 3}, {"patch": 3}):
        with pytest.raises(ValueError, match="does not divide"):
            replace(SMALL, **wrong)
