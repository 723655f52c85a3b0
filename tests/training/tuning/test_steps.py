from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from motet.errors import TrainingError
from motet.schema import silent
from motet.training.tuning import AlignSettings, run_steps

SETTINGS = AlignSettings(steps=6, check_every=2, patience=9, learning_rate=0.1, warmup=0)


def run(
    scores: list[float], settings: AlignSettings = SETTINGS
) -> tuple[nn.Parameter, list[float], int, str]:
    """Tune one number towards 5 with validations that give these scores; the number after each validation."""
    number, seen, recorded = nn.Parameter(torch.zeros(1)), [], iter(scores)

    def losses(step: int) -> Iterator[Tensor]:
        yield ((number - 5) ** 2).sum()

    def score() -> float:
        seen.append(float(number.detach()))
        return next(recorded)

    history = run_steps({"number": number}, losses, score, settings, progress=silent)
    return number, seen, history.best, history.stopped


def test_the_weights_of_the_best_look_are_kept() -> None:
    number, seen, best, stopped = run([0.1, 0.2, 0.4, 0.3])
    assert (best, stopped) == (2, "steps")
    assert float(number.detach()) == seen[2]
    assert seen[0] < seen[1] < seen[2] < seen[3]


def test_what_does_not_help_leaves_the_weights_as_they_were() -> None:
    number, _, best, _ = run([0.5, 0.4, 0.5, 0.3])
    assert best == 0
    assert float(number.detach()) == 0.0


def test_patience_ends_it() -> None:
    _, seen, best, stopped = run([0.5, 0.6, 0.1, 0.1], SETTINGS.model_copy(update={"patience": 2}))
    assert (best, stopped, len(seen)) == (1, "patience", 4)
    _, seen, best, stopped = run([0.5, 0.1], SETTINGS.model_copy(update={"patience": 1}))
    assert (best, stopped, len(seen)) == (0, "patience", 2)


def test_parts_of_a_step_add_up() -> None:
    whole, parts = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    rows = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))

    def at_once(step: int) -> Iterator[Tensor]:
        yield ((rows @ whole) ** 2).mean()

    def in_parts(step: int) -> Iterator[Tensor]:
        for row in rows:
            yield (row @ parts) ** 2 / len(rows)

    for weights, losses in ((whole, at_once), (parts, in_parts)):

        def score(weights: nn.Parameter = weights) -> float:
            return -float(((rows @ weights) ** 2).mean().detach())

        run_steps({"w": weights}, losses, score, SETTINGS, progress=silent)
    assert not torch.equal(whole, torch.ones(3))
    torch.testing.assert_close(whole, parts)


def test_a_loss_that_is_not_finite_is_told() -> None:
    number = nn.Parameter(torch.zeros(1))

    def losses(step: int) -> Iterator[Tensor]:
        yield (number / 0).sum()

    with pytest.raises(TrainingError, match="step 1 is not finite"):
        run_steps({"number": number}, losses, lambda: 0.0, SETTINGS, progress=silent)
