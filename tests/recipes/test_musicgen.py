import torch

from toccata.recipes.musicgen import strayed

FILLER = 99


def test_a_strayed_crop_hears_another_piece_and_learns_only_its_own():
    own = torch.arange(4)[:, None, None].expand(4, 2, 50)
    codes, asked, roll = strayed(own, own[:, 0, :, None], 1.0, FILLER, torch.Generator().manual_seed(0))
    for row in range(4):
        until = int((asked[row, 0] == FILLER).sum())
        assert 5 <= until <= 30
        assert set(codes[row, :, :until].flatten().tolist()) == {(row + 1) % 4}, "the next row's music comes before"
        assert set(codes[row, :, until:].flatten().tolist()) == {row}
        assert (asked[row, :, :until] == FILLER).all()
        assert torch.equal(asked[row, :, until:], codes[row, :, until:])
        assert torch.equal(roll[row, :, 0], codes[row, 0]), "the roll tells of the music that is heard"


def test_no_crop_strays_at_share_zero():
    own = torch.randint(9, (4, 2, 50), generator=torch.Generator().manual_seed(0))
    codes, asked, roll = strayed(own, own[:, 0, :, None], 0.0, FILLER, torch.Generator().manual_seed(0))
    assert torch.equal(codes, own)
    assert torch.equal(asked, own)
    assert torch.equal(roll[..., 0], own[:, 0])
