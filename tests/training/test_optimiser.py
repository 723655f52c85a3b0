from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from motet.models import EmbeddingTable
from motet.schema import TrainingSettings
from motet.training import RowOptimiser

DENSE: dict[str, Any] = {
    "adam": lambda p, rate, l2: torch.optim.Adam(p, lr=rate, weight_decay=l2),
    "adamw": lambda p, rate, l2: torch.optim.Adam(p, lr=rate, weight_decay=l2),  # no decay on embeddings
    "adagrad": lambda p, rate, l2: torch.optim.Adagrad(p, lr=rate, weight_decay=l2),
}


@pytest.mark.parametrize("rule", DENSE)
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_it_is_the_dense_rule_where_every_row_is_in_every_batch(rule: str, l2: float) -> None:
    torch.manual_seed(0)
    table = EmbeddingTable(rows=7, width=3)
    plain = nn.Parameter(table.weight.detach().clone())
    settings = TrainingSettings.model_validate({"optimizer": rule, "embedding_l2": l2, "weight_decay": 0.5})
    ours, theirs = RowOptimiser(table, settings), DENSE[rule]([plain], 0.05, l2)
    for step in range(25):
        ids = torch.randperm(7)
        goal = torch.randn(7, 3)
        rate = 0.05 / (1 + step)
        (table(ids) - goal[ids]).pow(2).sum().backward()
        ours.step(rate)
        theirs.param_groups[0]["lr"] = rate
        theirs.zero_grad()
        (plain - goal).pow(2).sum().backward()  # type: ignore[no-untyped-call]
        theirs.step()
        torch.testing.assert_close(table.weight.detach(), plain.detach(), atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("rule", DENSE)
def test_rows_outside_the_batch_stay_as_they_are(rule: str) -> None:
    torch.manual_seed(0)
    table = EmbeddingTable(rows=9, width=3)
    optimiser = RowOptimiser(table, TrainingSettings.model_validate({"optimizer": rule, "embedding_l2": 0.1}))
    for ids in ([1, 4], [4, 7], [1]):
        before = table.weight.detach().clone()
        states = {name: value.clone() for name, value in optimiser.state().items()}
        table(torch.tensor(ids)).sin().sum().backward()
        optimiser.step(0.1)
        rest = [row for row in range(9) if row not in ids]
        assert torch.equal(table.weight[rest], before[rest])
        assert bool((table.weight[ids] != before[ids]).any(1).all())
        for name in ("first", "second"):
            if len(states[name]):
                assert torch.equal(optimiser.state()[name][rest], states[name][rest])


def test_a_step_without_a_gradient_changes_nothing() -> None:
    table = EmbeddingTable(rows=4, width=2)
    optimiser = RowOptimiser(table, TrainingSettings())
    before = table.weight.detach().clone()
    with torch.no_grad():
        table(torch.tensor([1]))
    optimiser.step(0.1)
    table(torch.tensor([2]))
    optimiser.step(0.1)
    assert torch.equal(table.weight, before)


@pytest.mark.parametrize("rule", DENSE)
def test_saved_and_loaded_it_goes_on_the_same(rule: str) -> None:
    def steps(table: EmbeddingTable, optimiser: RowOptimiser, n: int) -> None:
        for _ in range(n):
            table(torch.tensor([0, 2])).pow(2).sum().backward()
            optimiser.step(0.1)

    settings = TrainingSettings.model_validate({"optimizer": rule})
    torch.manual_seed(0)
    table = EmbeddingTable(rows=4, width=2)
    optimiser = RowOptimiser(table, settings)
    steps(table, optimiser, 3)
    copy = EmbeddingTable(rows=4, width=2)
    copy.load_state_dict({k: v.clone() for k, v in table.state_dict().items()})
    loaded = RowOptimiser(copy, settings)
    loaded.load({name: value.clone() for name, value in optimiser.state().items()})
    steps(table, optimiser, 3)
    steps(copy, loaded, 3)
    assert torch.equal(copy.weight, table.weight)
