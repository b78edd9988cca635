"""What draws pairs: hard negatives are alike, tags are labels, the retrieval line counts what it says."""

import torch
import torch.nn.functional as F

from toccata.encoders.text import load_text_encoder
from toccata.recipes import pairs


def test_hard_negatives_say_nearly_the_same():
    captions = ["slow sad piano", "fast happy drums", "loud metal guitar", "a solo flute"] * 4
    chosen = pairs.alike(load_text_encoder(), captions, 8, share=1.0)
    assert len(set(chosen)) == 8
    assert len({captions[i] for i in chosen[:4]}) == 1
    assert pairs.alike(load_text_encoder(), captions, 8, share=0.0) == list(range(8))


def test_tags_are_labels_of_the_piece():
    record = {"genre": "lo_fi", "instruments": ["piano"], "moods": ["sad"], "captions": []}
    found = pairs.tags(record, torch.Generator().manual_seed(0)).split(", ")
    assert sorted(found) == ["lo fi", "piano", "sad"]
    assert pairs.tags({"captions": []}, torch.Generator()) == ""


def test_the_retrieval_line_counts_ranks():
    heard_BD = torch.eye(20)
    assert "music by text R@1 1.00, R@10 1.00, median rank 1;" in pairs.retrieval_line(heard_BD, heard_BD)
    told_BD = F.normalize(heard_BD.roll(1, 0) + 0.5 * heard_BD, dim=-1)
    assert "music by text R@1 0.00, R@10 1.00, median rank 2;" in pairs.retrieval_line(heard_BD, told_BD)
