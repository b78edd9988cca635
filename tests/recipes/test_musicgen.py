from collections import Counter

import torch

from toccata.data.tokens import TokenPiece
from toccata.recipes.musicgen import MusicGenRecipe, captioned, strayed

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


def test_pieces_drawn_by_family_come_with_captions_that_name_it_and_rare_families_as_often_as_common_ones():
    shard = [piece(["violin"], "a violin"), *[piece(["piano"], "a piano", "slow")] * 9]
    choose = torch.Generator().manual_seed(0)
    drawn = [captioned(shard, MusicGenRecipe(family_share=1.0), choose) for _ in range(400)]
    texts = Counter(text for _, texts in drawn for text in texts)
    assert texts.keys() == {"a violin", "a piano"}
    assert 150 < texts["a violin"] < 250


def test_a_shard_whose_captions_name_no_family_is_drawn_from_evenly():
    shard = [piece([], "slow"), piece([], "fast")]
    choose = torch.Generator().manual_seed(0)
    drawn = {captioned(shard, MusicGenRecipe(family_share=1.0), choose)[1][0] for _ in range(40)}
    assert drawn == {"slow", "fast"}


def piece(instruments: list[str], *texts: str) -> TokenPiece:
    named = {"instruments": instruments} if instruments else {}
    captions = [{"text": text, "named": named if text[:2] == "a " else {}} for text in texts]
    return TokenPiece(torch.zeros(2, 4), torch.zeros(4, 29), {"captions": captions})
