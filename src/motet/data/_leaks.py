"""The leak check: features whose value alone gives a label away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._dataset import Dataset, EntityTable
from motet.schema import ENTITIES, Entity

__all__ = ["Leak", "find_leaks"]

_SAMPLE_ROWS = 1_000_000
_EXPLAINED = 0.95
_RAREST = 10
_BINS = 256


@dataclass(frozen=True, slots=True)
class Leak:
    """A feature that gives a label away.

    Attributes:
        feature: Its name.
        task: The task it gives away.
        explained: Share of the mistakes of a blind guess that the feature alone takes away; for a
            number, of the variance.
    """

    feature: str
    task: str
    explained: float


def find_leaks(data: Dataset) -> list[Leak]:
    """Features whose value alone decides a label.

    A feature leaks if guessing, for each of its values, the label that is commonest there takes
    away 95 % of the mistakes of always guessing the commonest label, or, for a number, 95 % of its
    variance (adjusted for the number of values). Numbers are also looked at in 256 equal parts, so
    that a copy with noise is found; texts and tags by their whole value and by being there at all.
    Values that stand in one row only say nothing and are left out; ids and histories are not looked at.

    Args:
        data: The data set; its training rows are looked at, a million at the most.
    """
    leaks = []
    rows = data.rows("train")
    rows = rows[:: max(1, -(-len(rows) // _SAMPLE_ROWS))]
    for name, task in data.schema.tasks.items():
        if task.ranks_catalogue or task.has_sets:
            continue
        if task.on == "interaction":
            label = data.label(name, rows)
            known = rows[~np.isnan(label)]
            places: dict[Entity, NDArray[Any]] = {
                "user": data.user_row[known],
                "item": data.item_row[known],
                "interaction": known,
            }
        else:
            values, split = data.entity_labels[name].values, data.entity_labels[name].split
            label = values[split == 0]
            places = {task.on: np.flatnonzero((split == 0) & ~np.isnan(values))}
        y = label[~np.isnan(label)].astype(np.float64)
        explained = _variance_explained if task.is_number else _mistakes_explained
        found: dict[str, float] = {}
        for entity, at in places.items():
            for feature, codes in _codes(data, entity, at):
                if feature not in task.hide:
                    found[feature] = max(found.get(feature, 0.0), explained(codes, y))
        leaks += [Leak(feature, name, share) for feature, share in found.items() if share >= _EXPLAINED]
    return leaks


def _codes(data: Dataset, entity: Entity, at: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each feature of some rows as whole numbers, in one or more ways."""
    if entity not in ENTITIES or not len(at):
        return
    layout = data.encoder.layout(entity)
    table: EntityTable = data.table(entity)
    for column, name in enumerate(layout.codes):
        if not layout.is_id[column] and name != "scenario":
            yield name, table.codes[at, column].astype(np.int64)
    for column, name in enumerate(layout.number_features):
        values = np.asarray(table.numbers[at, column])
        yield name, np.unique(values, return_inverse=True)[1]
        cuts = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)))
        yield name, np.searchsorted(cuts, values)
    for name, lists in table.tags.items():
        taken = lists.take(at)
        sums = np.zeros(len(at), np.int64)
        # a set of tags as one number: the same for the same set, whatever the order
        np.add.at(sums, np.repeat(np.arange(len(at)), taken.lengths()), _mixed(taken.values))
        yield name, sums
        yield name, (taken.lengths() > 0).astype(np.int64)
    for column, name in enumerate(layout.vectors):
        positions = np.asarray(table.vector_rows[at, column])
        yield name, positions.astype(np.int64)
        yield name, (positions > 0).astype(np.int64)


def _mixed(values: NDArray[np.int32]) -> NDArray[np.int64]:
    mixed = values.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed ^ (mixed >> np.uint64(29))).view(np.int64)


def _groups(codes: NDArray[np.int64], y: NDArray[np.float64]) -> pl.DataFrame | None:
    """Rows whose value stands in more than one row; None if they are less than half."""
    frame = pl.DataFrame({"code": codes, "y": y})
    frame = frame.filter(pl.len().over("code") > 1)
    return frame if len(frame) >= max(2, len(y) // 2) else None


def _mistakes_explained(codes: NDArray[np.int64], y: NDArray[np.float64]) -> float:
    frame = _groups(codes, y)
    if frame is None:
        return 0.0
    wrong = len(frame) - int(frame["y"].value_counts()["count"].max())  # type: ignore[arg-type]
    if wrong < _RAREST:
        return 0.0
    right = frame.group_by("code", "y").len().group_by("code").agg(pl.col("len").max())
    return 1 - (len(frame) - int(right["len"].sum())) / wrong


def _variance_explained(codes: NDArray[np.int64], y: NDArray[np.float64]) -> float:
    frame = _groups(codes, y)
    if frame is None or len(frame) < _RAREST:
        return 0.0
    groups = frame["code"].n_unique()
    total = float(((frame["y"] - frame["y"].mean()) ** 2).sum())
    within = float(frame.select(((pl.col("y") - pl.col("y").mean().over("code")) ** 2).sum()).item())
    if total <= 0 or groups >= len(frame):
        return 0.0
    return 1 - (within / (len(frame) - groups)) / (total / (len(frame) - 1))
