"""Text blocks learn what captions say, and heads on hidden states have true targets."""

import pytest
import torch

from toccata.corpus.band import ROLL_WIDTH, sheet, sheet_labels
from toccata.encoders.text import load_text_encoder
from toccata.models.musicgen.config import mini
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.recipes import words
from toccata.recipes.score_heads import LOWEST_TEMPO, TEMPO_STEP, TRAITS, LabelHead, RollHead, label_targets


@pytest.fixture(scope="module")
def records():
    return [sheet_labels(sheet(1, index), 0.0) for index in range(30)]


def test_targets_are_the_labels(records):
    targets = label_targets(records)
    for row, record in enumerate(records):
        bin_ = int(targets.tempo[row].argmax())
        assert LOWEST_TEMPO * 2.718281828 ** (bin_ * TEMPO_STEP) == pytest.approx(record["tempo"], rel=0.02)
        assert int(targets.tonic[row]) == record["tonic"]
        held = {name for name, there in zip(TRAITS, targets.traits[row], strict=True) if there}
        assert set(record["instruments"]) | set(record["moods"]) <= held
        assert ("drums" in held) == record["drums"]


def test_the_label_head_is_best_where_it_is_right(records):
    targets = label_targets(records[:4])
    head = LabelHead(8)
    x_ND = torch.eye(4, 8)
    optimiser = torch.optim.Adam(head.parameters(), 0.1)
    before = float(head(x_ND, targets).detach())
    for _ in range(60):
        optimiser.zero_grad()
        head(x_ND, targets).backward()
        optimiser.step()
    assert float(head(x_ND, targets).detach()) < before / 2
    assert head.guesses(x_ND).tonic.argmax(-1).tolist() == targets.tonic.tolist()


def test_the_roll_head_foretells_the_frame_that_its_state_leads_to():
    roll = (torch.rand(1, 40, ROLL_WIDTH, generator=torch.Generator().manual_seed(0)) < 0.2).to(torch.uint8)
    head = RollHead(ROLL_WIDTH)
    with torch.no_grad():
        head.project.weight[:ROLL_WIDTH] = 20 * torch.eye(ROLL_WIDTH)
        head.project.bias[:ROLL_WIDTH] = -10
    assert head(roll.float(), roll) < head(torch.roll(roll.float(), 1, dims=1), roll)


def test_words_are_learnt_from_captions_alone(monkeypatch, capsys):
    monkeypatch.setattr(words, "PIECES", 40)
    monkeypatch.setattr(words, "HELD_OUT_PIECES", 5)
    torch.manual_seed(0)
    network, head = MusicGenNetwork(mini()), LabelHead(256)
    kept = network.heads.weight.clone(), next(iter(network.blocks)).up.weight.clone()
    words.learn_words(network, head, load_text_encoder(), 1, 2, 30, 16, "cpu")
    assert "words held out: tempo" in capsys.readouterr().out
    assert torch.equal(network.heads.weight, kept[0])
    assert torch.equal(next(iter(network.blocks)).up.weight, kept[1])
    record = sheet_labels(sheet(1, 0), 0.0)
    mean = words._mean(network, load_text_encoder(), [sheet(1, 0).captions[0].text], "cpu")
    untrained = LabelHead(256)(mean, label_targets([record]))
    assert head(mean, label_targets([record])) < untrained
