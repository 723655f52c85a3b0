"""Counts and mean labels of keys and pairs of keys as features, without a row's own label in its own statistic.

Legend of shapes: n pairs of users and items, N interactions, G distinct groups of a key, F folds, C columns of the
labels of all tasks, S statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset
from motet.models.baselines._pairs import Pairs
from motet.schema import ENTITIES, Entity

__all__ = ["NO_FOLD", "KeyStatistics", "Statistics", "fit_statistics"]

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

NO_FOLD: Final = 255
"""Fold of an interaction that no statistic was fitted on."""

_FOLDS: Final = 5
_SMOOTHINGS: Final = (1.0, 3.0, 10.0, 30.0, 100.0)
_MOST_CLASSES: Final = 10
_MOST_PAIRS: Final = 12
_CANDIDATES: Final = 45
_SAMPLE: Final = 200_000
_PAIR: Final = np.int64(1) << 31
_EDGE: Final = 1e-3
_LEAST_GAIN: Final = 5e-4  # of the variance of a label


@dataclass(frozen=True, slots=True)
class KeyStatistics:
    """Smoothed mean labels and the count of each group of training rows (Micci-Barreca 2001, eq. 3).

    mean = (Σ label + m·prior) / (count + m), where each label has its own smoothing m: that whose out-of-fold means
    have the least squared error. A training row gets the mean and count of the folds it is not in: with its own label
    in the mean a model would read the label back, and leaving out only that one label gives it away as surely, by
    the distance to the group's mean.

    Attributes:
        groups: Distinct groups, rising, int64 [G].
        rows: Training rows of each group and fold, float32 [G, F]; F is 1 where the folds are not known any more.
        count: Known labels, float32 [G, F, C].
        total: Sums of the labels, float32 [G, F, C].
        prior: Mean labels of all rows, float32 [C].
        smoothing: Of each label, float32 [C].
    """

    groups: Rows
    rows: Floats
    count: Floats
    total: Floats
    prior: Floats
    smoothing: Floats

    @classmethod
    def fit(cls, groups: Rows, fold: NDArray[np.uint8], labels: NDArray[np.float64]) -> Self:
        """Compute the statistics of training rows.

        Args:
            groups: Group of each row, [n].
            fold: Of each row, [n].
            labels: NaN where missing, [n, C].
        """
        distinct, at = np.unique(groups, return_inverse=True)
        size, width = len(distinct), labels.shape[1]
        cell = at * _FOLDS + fold
        rows = np.bincount(cell, minlength=size * _FOLDS).reshape(size, _FOLDS)
        count, total = np.zeros((size, _FOLDS, width)), np.zeros((size, _FOLDS, width))
        for column, y in enumerate(labels.T):
            known = ~np.isnan(y)
            shape = (size, _FOLDS)
            count[:, :, column] = np.bincount(cell[known], minlength=size * _FOLDS).reshape(shape)
            total[:, :, column] = np.bincount(cell[known], y[known], minlength=size * _FOLDS).reshape(shape)
        prior = total.sum(axis=(0, 1)) / np.maximum(count.sum(axis=(0, 1)), 1)
        others = count.sum(axis=1)[at] - count[at, fold]
        rest = total.sum(axis=1)[at] - total[at, fold]

        def error(smoothing: float) -> NDArray[np.float64]:
            found: NDArray[np.float64] = np.nansum(
                ((rest + smoothing * prior) / (others + smoothing) - labels) ** 2, axis=0
            )
            return found

        best = np.argmin([error(smoothing) for smoothing in _SMOOTHINGS], axis=0)
        smoothing = np.array(_SMOOTHINGS)[best]
        f32 = np.float32
        return cls(
            distinct,
            rows.astype(f32),
            count.astype(f32),
            total.astype(f32),
            prior.astype(f32),
            smoothing.astype(f32),
        )

    def columns(self, groups: Rows, fold: NDArray[np.uint8] | None = None) -> Floats:
        """Mean labels and log(1 + rows) of some groups, [n, C + 1].

        Args:
            groups: [n].
            fold: Of rows that the statistics were fitted on, to leave it out, else :data:`NO_FOLD`, [n].
        """
        if not len(self.groups):
            return np.tile(np.append(self.prior, np.float32(0)), (len(groups), 1))
        at = np.minimum(np.searchsorted(self.groups, groups), len(self.groups) - 1)
        seen = self.groups[at] == groups
        rows = np.where(seen, self.rows[at].sum(axis=1), 0)
        count = np.where(seen[:, None], self.count[at].sum(axis=1), 0)
        total = np.where(seen[:, None], self.total[at].sum(axis=1), 0)
        if fold is not None and self.rows.shape[1] > 1:
            own = np.flatnonzero(fold != NO_FOLD)
            place = (at[own], fold[own])
            # what the others say, scaled to what all folds together would
            rows[own] = (rows[own] - self.rows[place]) * (_FOLDS / (_FOLDS - 1))
            count[own] -= self.count[place]
            total[own] -= self.total[place]
        mean = (total + self.smoothing * self.prior) / (count + self.smoothing)
        return np.column_stack([mean, np.log1p(rows)]).astype(np.float32)

    def of_every_group(self) -> Floats:
        """:meth:`columns` of each group, and in the last row of one that has no rows, [G + 1, C + 1]."""
        none = np.append(self.prior, np.float32(0))[None]
        return np.concatenate([self.columns(self.groups), none]) if len(self.groups) else none

    def place(self, groups: Rows) -> Rows:
        """Row of some groups in what :meth:`of_every_group` gives, [n]."""
        if not len(self.groups):
            return np.zeros(len(groups), np.int64)
        at = np.minimum(np.searchsorted(self.groups, groups), len(self.groups) - 1)
        return np.where(self.groups[at] == groups, at, len(self.groups))

    def without_folds(self) -> Self:
        """The same for rows that it was not fitted on, which is all that serving needs."""
        rows, count, total = (part.sum(axis=1, keepdims=True) for part in (self.rows, self.count, self.total))
        return type(self)(self.groups, rows, count, total, self.prior, self.smoothing)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of keys and pairs of keys as features of interactions.

    Attributes:
        keys: Entity and column of codes of each key.
        pairs: Places in ``keys`` of each pair of keys.
        of: Statistics of the keys, then of the pairs.
        chance: Which labels are zeros and ones: their means become log-odds, [C].
    """

    keys: tuple[tuple[Entity, int], ...]
    pairs: tuple[tuple[int, int], ...]
    of: tuple[KeyStatistics, ...]
    chance: NDArray[np.bool_]
    _of_every_group: list[Floats] = field(default_factory=list, repr=False, compare=False)

    @property
    def width(self) -> int:
        """Number of columns S."""
        return len(self.of) * (len(self.chance) + 1)

    def columns(self, pairs: Pairs, fold: NDArray[np.uint8] | None = None) -> Floats:
        """Mean labels, or their log-odds, and log(1 + rows) of each key and pair, [n, S].

        Args:
            pairs: [n].
            fold: Of rows that were counted, else :data:`NO_FOLD`, [n].
        """
        if not self.of:
            return np.zeros((len(pairs), 0), np.float32)
        if fold is not None:
            each = zip(self.of, self._groups(pairs), strict=True)
            return np.concatenate(
                [self._with_odds(one.columns(groups, fold)) for one, groups in each], axis=1
            )
        if not self._of_every_group:  # once: a request looks up rows
            self._of_every_group[:] = [self._with_odds(one.of_every_group()) for one in self.of]
        found = [
            known[one.place(groups)]
            for one, known, groups in zip(self.of, self._of_every_group, self._groups(pairs), strict=True)
        ]
        return np.concatenate(found, axis=1)

    def looks_at(self) -> list[set[Entity]]:
        """What each column looks at, [S]."""
        of_keys = [{entity} for entity, _ in self.keys]
        every = of_keys + [of_keys[first] | of_keys[second] for first, second in self.pairs]
        return [one for one in every for _ in range(len(self.chance) + 1)]

    def _with_odds(self, columns: Floats) -> Floats:
        p = np.clip(columns[:, :-1][:, self.chance], _EDGE, 1 - _EDGE)
        columns[:, np.flatnonzero(self.chance)] = np.log(p / (1 - p))
        return columns

    def _groups(self, pairs: Pairs) -> Iterator[Rows]:
        groups = [_key(pairs, key) for key in self.keys]
        yield from groups
        yield from (groups[first] * _PAIR + groups[second] for first, second in self.pairs)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What has to be kept to read them again; entities by their place."""
        place = {entity: at for at, entity in enumerate(ENTITIES)}
        found: dict[str, NDArray[Any]] = {
            "keys": np.array([(place[e], c) for e, c in self.keys], np.int64).reshape(-1, 2),
            "pairs": np.array(self.pairs, np.int64).reshape(-1, 2),
            "chance": self.chance,
        }
        for at, one in enumerate(part.without_folds() for part in self.of):
            found |= {f"groups.{at}": one.groups, f"rows.{at}": one.rows, f"count.{at}": one.count}
            found |= {f"total.{at}": one.total, f"prior.{at}": one.prior, f"smoothing.{at}": one.smoothing}
        return found

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take over what :meth:`arrays` gave."""
        names = ("groups", "rows", "count", "total", "prior", "smoothing")
        size = len(arrays["keys"]) + len(arrays["pairs"])
        return cls(
            tuple((ENTITIES[entity], column) for entity, column in arrays["keys"].tolist()),
            tuple((first, second) for first, second in arrays["pairs"].tolist()),
            tuple(KeyStatistics(*(arrays[f"{name}.{at}"] for name in names)) for at in range(size)),
            arrays["chance"],
        )


def fit_statistics(dataset: Dataset, rows: Rows, seed: int = 0) -> tuple[Statistics, NDArray[np.uint8]]:
    """Fit statistics on some rows.

    Keys are the ids and categories of users, items and interactions, the scenario among them; of the pairs of two
    keys those that repeat and say most about the labels beyond either key alone, twelve at most.

    Args:
        dataset: The data set.
        rows: Interactions, rising, [n].
        seed: Seed of the folds.

    Returns:
        The statistics, and the fold of each row, uint8 [n].
    """
    labels, chance = _labels(dataset, rows)
    pairs = Pairs.of(dataset, rows)
    fold = (np.random.default_rng([seed, len(rows)]).permutation(len(rows)) % _FOLDS).astype(np.uint8)
    keys: list[tuple[Entity, int]] = []
    for entity in ENTITIES if labels.shape[1] else ():
        codes, ids = pairs.tables[entity].codes, dataset.encoder.layout(entity).is_id
        for column in range(codes.shape[1]):
            is_id = column < len(ids) and ids[column]
            if is_id or entity == "interaction" or 2 * len(np.unique(codes[:, column])) <= len(codes):
                keys.append((entity, column))
    some = np.arange(0, len(rows), max(1, len(rows) // _SAMPLE))
    chosen = _chosen_pairs(pairs.take(some), keys, fold[some], labels[some])
    of = [KeyStatistics.fit(_key(pairs, key), fold, labels) for key in keys]
    for first, second in chosen:
        group = _key(pairs, keys[first]) * _PAIR + _key(pairs, keys[second])
        of.append(KeyStatistics.fit(group, fold, labels))
    return Statistics(tuple(keys), tuple(chosen), tuple(of), chance), fold


def _labels(dataset: Dataset, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Labels of the tasks on interactions as columns, and which are zeros and ones, [n, C] and [C].

    Sets of labels and more than ten classes have no columns, nor has retrieval, whose labels say what is found.
    """
    columns: list[NDArray[np.float64]] = []
    chance: list[bool] = []
    for name in dataset.encoder.interaction_tasks:
        task = dataset.schema.tasks[name]
        if task.ranks_catalogue or task.has_sets:
            continue
        labels = dataset.label(name, rows).astype(np.float64)
        if not task.has_classes:
            columns.append(labels[:, None])
            chance.append(task.is_yes_no)
        elif (classes := len(dataset.encoder.classes[name])) <= _MOST_CLASSES:
            known = ~np.isnan(labels)
            one_hot = np.full((len(labels), classes), np.nan)
            one_hot[known] = np.eye(classes)[labels[known].astype(np.int64)]
            columns.append(one_hot)
            chance += [True] * classes
    together = np.concatenate(columns, axis=1) if columns else np.zeros((len(rows), 0))
    return together, np.array(chance, np.bool_)


def _chosen_pairs(
    pairs: Pairs, keys: Sequence[tuple[Entity, int]], fold: NDArray[np.uint8], labels: NDArray[np.float64]
) -> list[tuple[int, int]]:
    """Pairs of keys that repeat and whose out-of-fold means explain more of the labels than either key alone."""
    if len(keys) < 2 or not len(pairs):
        return []
    groups = [_key(pairs, key) for key in keys]
    mean = np.nansum(labels, axis=0) / np.maximum((~np.isnan(labels)).sum(axis=0), 1)
    spread = np.maximum(np.nansum((labels - mean) ** 2, axis=0), 1e-12)

    def explained(group: Rows) -> NDArray[np.float64]:
        means = KeyStatistics.fit(group, fold, labels).columns(group, fold)[:, :-1]
        found: NDArray[np.float64] = 1 - np.nansum((means - labels) ** 2, axis=0) / spread
        return found

    alone = [explained(group) for group in groups]
    between = [(a, b) for a, b in combinations(range(len(keys)), 2) if keys[a][0] != keys[b][0]]
    within = [
        (a, b) for a, b in combinations(range(len(keys)), 2) if keys[a][0] == keys[b][0] == "interaction"
    ]
    gains = []
    for first, second in [*between, *within][:_CANDIDATES]:
        group = groups[first] * _PAIR + groups[second]
        if 2 * len(np.unique(group)) <= len(group):
            gain = float((explained(group) - np.maximum(alone[first], alone[second])).max())
            gains.append((gain, (first, second)))
    gains.sort(key=lambda one: -one[0])
    return sorted(pair for gain, pair in gains[:_MOST_PAIRS] if gain > _LEAST_GAIN)


def _key(pairs: Pairs, key: tuple[Entity, int]) -> Rows:
    entity, column = key
    found: Rows = pairs.tables[entity].codes[pairs.rows[entity], column].astype(np.int64)
    return found
