"""What users did, with its outcomes: what profiles, reasons and lists rest on.

Legend of shapes: U users, n events in all, T tasks on interactions.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._containers import Ragged
from motet.data._dataset import Dataset
from motet.data._labels import SPLIT_CODES
from motet.data._prepare import used_columns
from motet.schema import Schema, expression_columns, parse_expression

__all__ = ["NEGATIVE_EVENTS", "Behaviour", "EventMeaning", "EventMeanings", "behaviour_of"]

NEGATIVE_EVENTS: Final = frozenset({"dislike", "hide", "not_interested"})
"""Types of events that turn an item down, in every schema that has neither a task nor a column of that name."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The latest events of each user, oldest first.

    Attributes:
        items: Item rows, a list a user, [U].
        time: Microseconds since 1970, int64 [n]; zeros where the schema has no time.
        labels: float32 with NaN where missing, [n, T], in the order of ``tasks``.
        tasks: Names of the tasks on interactions.
        scenario: Code of the scenario of each event, 0 for unknown, int16 [n]; None where it is not known.
    """

    items: Ragged
    time: NDArray[np.int64]
    labels: NDArray[np.float32]
    tasks: tuple[str, ...]
    scenario: NDArray[np.int16] | None = None

    def events(self, user: int) -> slice:
        """Range of the events of a user; empty for a user beyond those known."""
        if user >= len(self.items):
            return slice(0, 0)
        return slice(int(self.items.offsets[user]), int(self.items.offsets[user + 1]))

    def label(self, task: str) -> NDArray[np.float32]:
        """Labels of one task, [n]."""
        column: NDArray[np.float32] = self.labels[:, self.tasks.index(task)]
        return column


def behaviour_of(data: Dataset, *, last: int = 500, splits: tuple[str, ...] | None = None) -> Behaviour:
    """Collect what users did.

    Args:
        data: With interactions.
        last: Events a user that are kept, the latest ones, ≥ 1.
        splits: Only events of these splits; all when left out, as serving needs. What is measured
            must leave ``test`` out.
    """
    rows = np.arange(len(data))
    if splits is not None:
        rows = np.flatnonzero(np.isin(data.split, [SPLIT_CODES[split] for split in splits]))
    rows = rows[np.lexsort((data.item_row[rows], data.time[rows], data.user_row[rows]))]
    users = len(data.users)
    counts = np.bincount(data.user_row[rows], minlength=users)
    # place of each event counted from its user's end
    from_end = np.repeat(np.cumsum(counts), counts) - np.arange(len(rows))
    rows = rows[from_end <= last]
    lengths = np.minimum(counts, last).astype(np.int64)
    return Behaviour(
        Ragged.from_lengths(data.item_row[rows], lengths),
        data.time[rows],
        data.labels[rows],
        tuple(data.encoder.interaction_tasks),
        data.scenario[rows] if data.schema.keys.scenario is not None else None,
    )


@dataclass(frozen=True, slots=True)
class EventMeaning:
    """What the type and value of one event say.

    Attributes:
        task: The task whose label it says; None where it says none.
        is_positive: Whether that label is positive; None without a task.
        is_negative: Whether the event turns the item down, by one of :data:`NEGATIVE_EVENTS`: the user did not
            consume it. Every other event says that the user had the item.
        liked: Whether the user liked the item; None where it does not say.
    """

    task: str | None
    is_positive: bool | None
    is_negative: bool
    liked: bool | None


class EventMeanings:
    """What types of events mean in a schema: asked by live recommendation, service and explanations alike.

    * A type that names a task says that task's label: positive where its value is above 0.
    * No type says that the user liked the item (or, with the value 0, did not).
    * A type of :data:`NEGATIVE_EVENTS` says that the user turned the item down, which is a 0 for the task that says
      what is liked. Where the schema has a task or a column of that name, it is that.
    * Every other type says that the user had the item, and nothing more; its columns may say the rest.

    Args:
        schema: With the tasks.

    Example:
        >>> from motet.testing import toy_schema
        >>> meanings = EventMeanings(toy_schema())
        >>> meanings.of("click", 1).liked, meanings.of("hide", 1).liked, meanings.of("view", 1).liked
        (True, False, None)
    """

    def __init__(self, schema: Schema) -> None:
        self.liking = schema.liking_task
        self._tasks = {name: task for name, task in schema.tasks.items() if task.on == "interaction"}
        own = {*schema.derive.get("interactions", {}), *used_columns(schema, "interaction")}
        self._retrieval = schema.retrieval_task
        self._derived = frozenset(schema.derive.get("interactions", {}))
        limits = ((task.label.strip('"'), getattr(task, "range", None)) for task in self._tasks.values())
        self._ranges: dict[str, tuple[float, float]] = {column: ends for column, ends in limits if ends}
        self._negative = NEGATIVE_EVENTS - own - schema.tasks.keys()

    def of(self, type: str, value: float | str | bool | None) -> EventMeaning:
        """What an event says by its type and value alone.

        Args:
            type: Name of a column or task, or any other.
            value: The cell, or the label of the task.
        """
        is_negative = type in self._negative
        task = type if type in self._tasks else self.liking if is_negative or not type else None
        positive = (value > 0 if isinstance(value, int | float) else bool(value)) and not is_negative
        liked = positive if task is not None and task == self.liking else False if is_negative else None
        return EventMeaning(task, None if task is None else positive, is_negative, liked)

    def value_of_none(self, type: str) -> float:
        """The value of an event whose sender gave none, where 0 is how that is written.

        Of a type that is a yes-or-no task, 0 would say the opposite of what happened, so it is 1.
        """
        task = self._tasks.get(type)
        return 1.0 if task is not None and task.is_yes_no else 0.0

    def like(self) -> tuple[str, float]:
        """Type and value of an event that says that a user liked an item, of the types that events have anyway.

        That is ``like`` where a task is called so, or where no task says what is liked. A task whose label is made from
        another column, such as ``rating >= 4``, is said by that column, with the least that counts: a like says no more.
        """
        name = "like" if "like" in self._tasks and self._tasks["like"].is_yes_no else self.liking
        if name is None or name == "like":
            return "like", 1.0
        label, plain = self._tasks[name].label, ("like" if name == self._retrieval else name)
        columns = expression_columns(label)
        if len(columns) != 1 or columns[0] in self._derived:
            return plain, 1.0
        value = _least(label, columns[0], self._ranges.get(columns[0]))
        return (plain, 1.0) if value is None else (columns[0], value)


_NUMBER: Final = re.compile(r"(?<![\w.\"])-?\d+(?:\.\d+)?(?![\w\"])")


def _least(label: str, column: str, limits: tuple[float, float] | None) -> float | None:
    """A value of a column for which a label is true, nearest to the numbers that it compares with; None if none is found."""
    low, high = limits or (-math.inf, math.inf)
    named = [float(text) for text in _NUMBER.findall(label)]
    tried = [value for by in (0.0, 1.0, -1.0) for value in (one + by for one in named)] + [1.0, high, low]
    tried = [value for value in tried if low <= value <= high and math.isfinite(value)]
    try:
        truth = pl.DataFrame({column: tried}).select(parse_expression(label, "the label").cast(pl.Float64))
    except pl.exceptions.PolarsError:
        return None
    return next((value for value, yes in zip(tried, truth.to_series().to_list(), strict=True) if yes), None)
