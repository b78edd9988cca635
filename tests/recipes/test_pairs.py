"""What draws pairs: hard negatives are alike, tags are labels, the retrieval line counts what it says."""

import pytest
import torch
import torch.nn.functional as F

from toccata.corpus.band import sheet, sheet_labels
from toccata.data.mels import MelPiece
from toccata.encoders.text import load_text_encoder
from toccata.errors import InputError
from toccata.recipes import pairs
from toccata.recipes.score_heads import LabelHead


def test_hard_negatives_say_nearly_the_same():
    captions = ["slow sad piano", "fast happy drums", "loud metal guitar", "a solo flute"] * 4
    chosen = pairs.alike(load_text_encoder(), captions, 8, share=1.0)
    assert len(set(chosen)) == 8
    assert len({captions[i] for i in chosen[:4]}) == 1
    assert pairs.alike(load_text_encoder(), captions, 8, share=0.0) == list(range(8))


def test_a_caption_without_a_known_word_is_no_obstacle():
    captions = ["slow sad piano", "♪", "ピアノ", "fast happy drums", "slow sad piano music", "loud guitar", "flute"]
    chosen = pairs.alike(load_text_encoder(), captions, 7, share=1.0)
    assert sorted(chosen) == list(range(7))


def test_neither_a_piece_nor_its_words_are_drawn_twice():
    one, two, three = (MelPiece(torch.zeros(1, 1), {}) for _ in range(3))
    drawn = [(one, "slow"), (two, "fast"), (one, "sad"), (three, "fast"), (three, "loud")]
    assert pairs.apart(drawn) == [(one, "slow"), (two, "fast"), (three, "loud")]


def test_tags_are_labels_of_the_piece():
    record = {"genre": "lo_fi", "instruments": ["piano"], "moods": ["sad"], "captions": []}
    found = pairs.tags(record, torch.Generator().manual_seed(0)).split(", ")
    assert sorted(found) == ["lo fi", "piano", "sad"]
    assert pairs.tags({"captions": []}, torch.Generator()) == ""


def test_what_tells_the_bands_labels_costs_less_and_a_manifests_sounds_are_not_asked():
    torch.manual_seed(0)
    band = [MelPiece(torch.zeros(1, 1), sheet_labels(sheet(1, index), 9.0)) for index in range(4)]
    heard_BD, head = F.normalize(torch.randn(4, 8), dim=-1), LabelHead(8)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.1)
    first = pairs.label_loss(head, heard_BD, band).item()
    for _ in range(50):
        optimiser.zero_grad()
        pairs.label_loss(head, heard_BD, band).backward()
        optimiser.step()
    own, others = (pairs.label_loss(head, rows, band).item() for rows in (heard_BD, heard_BD.roll(1, 0)))
    assert own < first < others
    found = [MelPiece(torch.zeros(1, 1), {"captions": []})] * 4
    assert float(pairs.label_loss(head, heard_BD, found)) == 0


def test_the_retrieval_line_counts_ranks():
    heard_BD = torch.eye(20)
    assert "music by text R@1 1.00, R@10 1.00, median rank 1;" in pairs.retrieval_line(heard_BD, heard_BD)
    told_BD = F.normalize(heard_BD.roll(1, 0) + 0.5 * heard_BD, dim=-1)
    assert "music by text R@1 0.00, R@10 1.00, median rank 2;" in pairs.retrieval_line(heard_BD, told_BD)


def test_a_model_that_says_the_same_of_everything_finds_nothing():
    same_BD = F.normalize(torch.ones(20, 8), dim=-1)
    assert "R@1 0.00, R@10 1.00, median rank 10" in pairs.retrieval_line(same_BD, same_BD)
    with pytest.raises(InputError, match="no numbers"):
        pairs.retrieval_line(same_BD, same_BD * torch.nan)
