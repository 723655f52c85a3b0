"""The network learns from the validation rows too, once they have served to choose it."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from motet.data import SPLIT_CODES, Dataset
from motet.errors import DataError, TrainingError
from motet.evaluation import primary_values, score_of
from motet.models import MultiTaskModel
from motet.schema import Progress, Schema, silent
from motet.training._predictor import ModelPredictor
from motet.training._step import TrainingStep

__all__ = ["Refit", "refit_network"]

_FEWEST_ROWS: Final = 200
_MOST_PASSES: Final = 12
_PATIENCE: Final = 4  # the first passes of fresh optimisers may go wrong for what later ones make better
_NEARLY: Final = 0.95  # of the best gain
_RATE: Final = 0.3  # of the learning rate


@dataclass(frozen=True, slots=True)
class Refit:
    """How the network learnt from the validation rows.

    Attributes:
        passes: Over all validation rows; 0 if those over the first half did not help.
        before: Score of the second half of the validation rows before it learnt from the first.
        after: The best of it after passes over the first half.
        elapsed_s: Seconds in all.
    """

    passes: int
    before: float
    after: float
    elapsed_s: float

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def refit_network(
    data: Dataset,
    model: MultiTaskModel,
    schema: Schema | None = None,
    *,
    deadline_s: float | None = None,
    progress: Progress = silent,
) -> Refit | None:
    """Train a network on some validation rows for as long as that helps with others, then on all of them.

    What happened last says most about what comes next, and a split by time keeps it from training. How many passes
    are made, at 0.3 times the learning rate, is what made the score of the second half of the validation rows best
    after passes over the first half: split as the test is, by time, by each user's time, or by a seeded draw. Of several
    that are nearly as good it is the fewest.

    Args:
        data: The data set.
        model: The trained network, changed in place.
        schema: Another schema than the data set's own, with the same features.
        deadline_s: Reading of :func:`time.monotonic` after which no further pass is begun, and nothing is changed.
        progress: Progress callback.

    Returns:
        None with fewer than 200 validation rows, where half of them defines no metric, if the deadline came first, or
        if a pass ended in a loss that is no number; the network is then as it was.
    """
    schema = schema or data.schema
    rows, began_s = data.rows("validation"), time.monotonic()
    if len(rows) < _FEWEST_ROWS or _over(deadline_s):
        return None
    first = _first_half(data, rows)
    split = data.split.copy()
    split[first] = SPLIT_CODES["train"]
    half, kept = replace(data, split=split), copy.deepcopy(model.state_dict())

    def score() -> float:
        found = primary_values(half, ModelPredictor(model, half, known="train"), "validation")
        return score_of(schema, {name: found.get(name) for name in schema.tasks})

    try:
        before = best = score()
        passes, scores = 0, [before]
        trials = _passes(data, model, schema, first, kept)
        for done in range(1, _MOST_PASSES + 1):
            if _over(deadline_s):
                break
            next(trials)
            progress("trying how often to learn from the validation rows", done, _MOST_PASSES)
            scores.append(score())
            if scores[-1] > best:
                best, passes = scores[-1], done
            elif done - passes >= _PATIENCE:
                break
        if passes:
            enough = before + _NEARLY * (best - before)
            passes = next(number for number, one in enumerate(scores) if one >= enough)
        model.load_state_dict(kept)
        trials = _passes(data, model, schema, rows, kept)
        for done in range(1, passes + 1):
            if _over(deadline_s):
                model.load_state_dict(kept)
                return None
            next(trials)
            progress("learning from the validation rows", done, passes)
    except (DataError, TrainingError):  # half of the rows defines no metric, or a pass ends in no number
        model.load_state_dict(kept)
        return None
    finally:
        model.eval()
    return Refit(passes, before, best, time.monotonic() - began_s)


def _first_half(data: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Half of the validation rows, which stands to the other half as they stand to the test rows, rising.

    Where the last rows of each user are the test, it is the first half of each user's rows: to have learnt from other
    users of late says less than to have learnt from the same.
    """
    by = data.schema.split.by
    if not data.schema.keys.time or by == "random":
        order = np.random.default_rng(0).permutation(rows)
        return np.sort(order[: len(rows) // 2])
    order = rows[np.argsort(data.time[rows], kind="stable")]
    if by != "user_time":
        return np.sort(order[: len(rows) // 2])
    order = order[np.argsort(data.user_row[order], kind="stable")]
    _, start, count = np.unique(data.user_row[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(start, count)
    return np.sort(order[place < np.repeat(count // 2, count)])


def _passes(
    data: Dataset, model: MultiTaskModel, schema: Schema, rows: NDArray[np.int64], start: dict[str, Tensor]
) -> Iterator[None]:
    """Passes over some rows from some weights, with fresh optimisers; yields after each."""
    stepper, settings = TrainingStep(data, schema, model=model), schema.training
    size = settings.rows_a_step(stepper.batcher.count_useful(data.rows("train")))
    rows = stepper.batcher.useful(rows)
    model.load_state_dict(start)
    for number in range(_MOST_PASSES):
        for batch in stepper.batcher.epoch(rows, size, (settings.seed, settings.epochs, number)):
            stepper(batch, _RATE * settings.learning_rate)
        yield


def _over(deadline_s: float | None) -> bool:
    return deadline_s is not None and time.monotonic() >= deadline_s
