"""What a recipe prints: losses with their graphs, numbers and words alike."""

import torch

from toccata.training.log import StepLog


def test_figures_of_every_kind_are_told_without_a_warning(capsys):
    log = StepLog("codes", step=0, steps=100, every=50)
    assert [step for step in range(1, 101) if log.due(step)] == [50, 100]
    log(50, mel=torch.tensor(1.5, requires_grad=True) * 2, rate=0.25, note="warm")
    assert capsys.readouterr().out.startswith("codes 50/100 mel 3.000 rate 0.250 note warm, ")
