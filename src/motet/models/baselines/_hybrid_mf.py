"""Baseline: factors of users and items that are sums over their features, each task by itself.

Legend of shapes: n pairs of users and items, F inputs of a side, d width of a vector, T tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, Self

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.special import expit

from motet.data import Dataset, EntityTable
from motet.models.baselines._baseline import (
    Baseline,
    Known,
    fit_rows,
    known_targets,
    tasks_for,
    within_bounds,
)
from motet.models.baselines._pairs import PairMember, Pairs
from motet.schema import ENTITIES, Entity

__all__ = ["HybridFactors", "HybridMf"]

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
_Cross = tuple[int, int, int, int, int, int]
_Settings = tuple[float, float, int]
_NO_CROSS: Final = (0, 0, 0, 0, 0, 0)

_WIDTH: Final = 16
_PENALTIES: Final = (0.003, 0.01, 0.03)
_SHARES: Final = (0.0, 0.5)
_RATE: Final = 0.005
_EPOCHS, _PATIENCE = 20, 2
_STEPS, _LEAST_BATCH, _MOST_BATCH = 100, 64, 4096  # at least so many steps a pass
_BETAS: Final = (0.9, 0.999)
_START: Final = 0.05  # deviation of the first vectors
_MOST_CHOSEN_BY: Final = 200_000  # rows that settings are tried on
_MOST_ROWS: Final = 2_000_000
_MOST_CODES: Final = 500_000  # each step looks at all of them
_MOST_PAIRS: Final = 1_000_000
_EDGE: Final = 1e-4


class HybridMf(Baseline):
    """Hybrid matrix factorisation (Kula 2015): ŷ = link(b + Σ_f b_f + ⟨Σ_{f∈U} e_f, Σ_{f∈I} e_f⟩).

    U are ids, categories, tags and numbers of the user and of the context, I those of the item; texts and sequences
    are left out. Each task has vectors of its own. The squared norms of what a row touches are penalised by λ, which is chosen,
    with the number of passes, by the loss on validation rows.
    """

    paper = "Kula 2015, Metadata embeddings for user and item cold-start recommendations"
    marks = ("cold", "warm", "scenario")

    def __init__(self, dataset: Dataset, factors: HybridFactors) -> None:
        self._dataset, self._factors = dataset, factors

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without a task it knows, or without users or items that differ."""
        if not tasks_for(dataset, "hybrid_mf"):
            return "no yes-or-no or number task on interactions"
        if dataset.encoder.table_rows > _MOST_CODES:
            return f"more than {_MOST_CODES:,} ids, categories and tags"
        return None if _two_sides(dataset) else "no features of items, or none of users and contexts"

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        splits: Sequence[str] = ("train",),
        known: Known = "validation",
        seed: int = 0,
    ) -> Self:
        """Fit each task by itself."""
        factors = HybridFactors.fit(dataset, dataset.rows("train"), seed)
        if tuple(splits) != ("train",):
            factors = factors.refit(dataset, fit_rows(dataset, splits), seed)
        return cls(dataset, factors)

    def predict(self, rows: NDArray[np.int64]) -> dict[str, Floats]:
        """Probability or number of each task."""
        return self._factors.predict(Pairs.of(self._dataset, rows))

    def score_items(self, users: NDArray[np.int64]) -> Floats | None:
        """Tasks of pairs are no ranking of the catalogue."""
        return None


@dataclass(frozen=True, slots=True)
class _Factors:
    """The factors of one task; the last row and those that training did not meet are zeros.

    Attributes:
        bias: Intercept.
        weights: Vectors of the inputs, and in the last column their own weights, [F, d + 1].
        scale: Mean and deviation of the label, 0 and 0 for log-odds.
        bounds: Lowest and highest prediction.
        settings: λ, the share of the first task's products that it begins with, and the number of passes.
    """

    bias: float
    weights: Floats
    scale: tuple[float, float]
    bounds: tuple[float, float]
    settings: _Settings


@dataclass(frozen=True, slots=True)
class _Inputs:
    """Where the inputs of each entity stand: codes of the embedding table first, then numbers.

    Attributes:
        codes: Rows of the embedding table.
        numbers: First number of each entity.
        cross: Column and lowest code of the user's id and of the scenario, and how many scenarios and pairs there are.
        width: Place behind them, of what is not known, whose vector is zero.
    """

    codes: int
    numbers: Mapping[Entity, int]
    cross: _Cross
    width: int

    @classmethod
    def of(cls, codes: int, cross: _Cross, tables: Mapping[Entity, EntityTable]) -> Self:
        """For tables with so many codes."""
        numbers, at = {}, codes
        for entity in ENTITIES:
            numbers[entity] = at
            at += tables[entity].numbers.shape[1]
        return cls(codes, numbers, cross, at + cross[-1])

    def matrix(
        self, tables: Mapping[Entity, EntityTable], rows: Mapping[Entity, Rows], *of: Entity
    ) -> sp.csr_array:
        """Inputs of some rows, those of several entities together, [n, F]."""
        first, *others = (
            sp.csr_array((values, places, offsets), shape=(len(offsets) - 1, self.width + 1))
            for places, values, offsets in self._entries(tables, rows, *of)
        )
        return sp.csr_array(sum(others, first))

    def request(
        self, tables: Mapping[Entity, EntityTable], rows: Mapping[Entity, Rows]
    ) -> tuple[NDArray[np.int64], Floats]:
        """Inputs of one user in one context: which they are, and how much there is of each, [m]."""
        places, values, _ = zip(*self._entries(tables, rows, "user", "interaction"), strict=True)
        return np.concatenate(places), np.concatenate(values)

    def _entries(
        self, tables: Mapping[Entity, EntityTable], rows: Mapping[Entity, Rows], *of: Entity
    ) -> Iterator[tuple[NDArray[Any], Floats, NDArray[Any]]]:
        """Columns, values and offsets of sparse rows, part after part."""
        for entity in of:
            table, some = tables[entity], rows[entity]
            n, codes = len(some), table.codes[some].astype(np.int64)
            codes[(codes <= 0) | (codes >= self.codes)] = self.width  # 0 is one that is unknown
            yield codes.ravel(), np.ones(codes.size, np.float32), np.arange(n + 1) * codes.shape[1]
            for lists in table.tags.values():
                taken = lists.take(some)
                lengths = taken.lengths()
                values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
                known = (taken.values > 0) & (taken.values < self.codes)
                yield np.where(known, taken.values, self.width), values, taken.offsets
            if m := table.numbers.shape[1]:
                places = np.tile(self.numbers[entity] + np.arange(m), n)
                yield places, table.numbers[some].ravel(), np.arange(n + 1) * m
        if "user" in of and self.cross[-1]:
            places = self._crossed(tables, rows)
            yield places, np.ones(len(places), np.float32), np.arange(len(places) + 1)

    def _crossed(
        self, tables: Mapping[Entity, EntityTable], rows: Mapping[Entity, Rows]
    ) -> NDArray[np.int64]:
        """The user in the scenario."""
        column, low, at, first, scenarios, pairs = self.cross
        user = tables["user"].codes[rows["user"], column].astype(np.int64) - low
        scenario = tables["interaction"].codes[rows["interaction"], at].astype(np.int64) - first
        place = user * scenarios + scenario
        known = (user > 0) & (scenario > 0) & (scenario < scenarios) & (place < pairs)
        return np.where(known, self.width - pairs + place, self.width)


def _cross_of(dataset: Dataset) -> _Cross:
    """Where users stand in scenarios; no pairs without both, or where there would be too many."""
    user, context = dataset.encoder.layout("user"), dataset.encoder.layout("interaction")
    if not dataset.schema.keys.scenario or "scenario" not in context.codes or not any(user.is_id):
        return _NO_CROSS
    column, at = list(user.is_id).index(True), context.codes.index("scenario")
    users, scenarios = dataset.users.codes[:, column], dataset.context.codes[:, at]
    low, first = (int(of[of > 0].min(initial=2**31 - 1)) - 1 for of in (users, scenarios))
    count = int(scenarios.max(initial=0)) - first + 1
    pairs = (int(users.max(initial=0)) - low + 1) * count
    return (column, low, at, first, count, pairs) if 0 < pairs <= _MOST_PAIRS else _NO_CROSS


class HybridFactors(PairMember):
    """The factors of all tasks.

    Args:
        codes: Rows of the embedding table that they know.
        cross: See :class:`_Inputs`.
        factors: By task.
        first: The settings, by name, of the task that others may have begun with, which need not be among them.
    """

    def __init__(
        self, codes: int, cross: _Cross, factors: Mapping[str, _Factors], first: Mapping[str, _Settings]
    ) -> None:
        self._codes, self._cross, self._of_task, self._first = codes, cross, dict(factors), dict(first)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks that it predicts."""
        return tuple(self._of_task)

    @classmethod
    def fit(cls, dataset: Dataset, rows: Rows, seed: int = 0) -> Self:
        """Fit the tasks on training rows, with λ, passes and users in scenarios as is best on validation rows."""
        return cls._fit(dataset, rows, seed, None, _cross_of(dataset))

    def refit(self, dataset: Dataset, rows: Rows, seed: int = 0) -> Self:
        """The same settings on other rows."""
        settings = self._first | {name: one.settings for name, one in self._of_task.items()}
        cross = _cross_of(dataset) if self._cross[-1] else _NO_CROSS
        return self._fit(dataset, rows, seed, settings, cross).only(self.tasks)

    @classmethod
    def _fit(
        cls, dataset: Dataset, rows: Rows, seed: int, settings: Mapping[str, _Settings] | None, cross: _Cross
    ) -> Self:
        targets = {}
        for name in () if HybridMf.steps_aside(dataset) else tasks_for(dataset, "hybrid_mf"):
            known, target = known_targets(dataset, name, rows)
            if len(known) and (target != target[0]).any() and (settings is None or name in settings):
                targets[name] = known, target[:, 0]
        found: dict[str, _Factors] = {}
        first = None
        order = sorted(targets, key=lambda name: -len(targets[name][0]))
        for name in order if settings is None else [name for name in settings if name in targets]:
            known, target = targets[name]
            if len(known) > _MOST_ROWS:
                kept = np.sort(np.random.default_rng(seed).choice(len(known), _MOST_ROWS, replace=False))
                known, target = known[kept], target[kept]
            task = _Task(dataset, name, known, target, seed)
            if settings is not None:
                chosen = settings[name]
            elif first is None:
                ways = [task.choose(None, one) for one in dict.fromkeys((_NO_CROSS, cross))]
                cross = cross if len(ways) > 1 and ways[1] < ways[0] else _NO_CROSS
                chosen = min(ways)[1]
            else:
                chosen = task.choose(first, cross)[1]
            found[name] = task.fit(chosen, first, cross)
            first = found[name].weights[:, :-1] if first is None else first
        begun = {name: one.settings for name, one in list(found.items())[:1]}
        return cls(dataset.encoder.table_rows, cross, {name: found[name] for name in targets}, begun)

    def only(self, tasks: Sequence[str]) -> Self:
        """The factors of some tasks alone."""
        kept = {name: self._of_task[name] for name in tasks if name in self._of_task}
        return type(self)(self._codes, self._cross, kept, self._first)

    def predict(self, pairs: Pairs, tasks: Sequence[str] | None = None) -> dict[str, Floats]:
        """Probability or number of tasks, all when left out, [n]."""
        wanted = self.tasks if tasks is None else [name for name in tasks if name in self._of_task]
        if not wanted:
            return {}
        inputs, found = _Inputs.of(self._codes, self._cross, pairs.tables), {}
        kept = pairs.item_parts.get(self) if pairs.is_one_request and len(pairs) else None
        if kept is not None:
            places, values = inputs.request(
                pairs.tables, {entity: of[:1] for entity, of in pairs.rows.items()}
            )
            parts = kept[pairs.rows["item"]]
            for name in wanted:
                one = self._of_task[name]
                q, p = values @ one.weights[places], parts[:, list(self._of_task).index(name)]
                found[name] = _linked(one, one.bias + q[-1] + p[:, -1] + p[:, :-1] @ q[:-1])
            return found
        users = inputs.matrix(pairs.tables, pairs.rows, "user", "interaction")
        items = inputs.matrix(pairs.tables, pairs.rows, "item")
        for name in wanted:
            one = self._of_task[name]
            found[name] = _linked(one, _logits(one.bias, users @ one.weights, items @ one.weights))
        return found

    def item_part(self, tables: Mapping[Entity, EntityTable], items: Rows) -> Floats:
        """Vectors and weights of items, [n, T, d + 1]."""
        matrix = _Inputs.of(self._codes, self._cross, tables).matrix(tables, {"item": items}, "item")
        return np.stack([matrix @ one.weights for one in self._of_task.values()], axis=1)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What has to be kept to read it again."""
        found: dict[str, NDArray[Any]] = {"codes": np.array([self._codes, *self._cross])}
        found |= {f"first.{name}": np.array(one) for name, one in self._first.items()}
        for name, one in self._of_task.items():
            found[f"weights.{name}"] = one.weights
            found[f"numbers.{name}"] = np.array([one.bias, *one.scale, *one.bounds, *one.settings])
        return found

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take over what :meth:`arrays` gave."""
        factors, first = {}, {}
        for key, numbers in arrays.items():
            if key.startswith("first."):
                penalty, share, passes = numbers.tolist()
                first[key.removeprefix("first.")] = (penalty, share, int(passes))
            if key.startswith("numbers."):
                name = key.removeprefix("numbers.")
                bias, mean, std, low, high, penalty, share, passes = numbers.tolist()
                factors[name] = _Factors(
                    bias,
                    arrays[f"weights.{name}"],
                    (mean, std),
                    (low, high),
                    (penalty, share, int(passes)),
                )
        codes, *cross = arrays["codes"].tolist()
        return cls(codes, tuple(cross), factors, first)


def _logits(bias: float, q: Floats, p: Floats) -> Floats:
    """Before the link function, of what users and items sum up to, [n, d + 1] each."""
    z: Floats = bias + q[:, -1] + p[:, -1] + np.einsum("nd,nd->n", q[:, :-1], p[:, :-1])
    return z


def _linked(one: _Factors, z: NDArray[Any]) -> Floats:
    mean, std = one.scale
    values = mean + std * z if std else expit(z)
    return np.clip(values, *one.bounds).astype(np.float32)


def _two_sides(dataset: Dataset) -> bool:
    """Whether both items and users, or contexts, have inputs."""
    tables = {entity: dataset.table(entity) for entity in ENTITIES}
    has = {entity: bool(t.codes.shape[1] or t.numbers.shape[1] or t.tags) for entity, t in tables.items()}
    return has["item"] and (has["user"] or has["interaction"])


@dataclass(frozen=True, slots=True)
class _Task:
    """A task and the rows that it learns from.

    Attributes:
        dataset: The data set.
        name: Of the task.
        rows: Interactions whose label is known, [n].
        target: Their labels, [n].
        seed: Of samples and first vectors.
    """

    dataset: Dataset
    name: str
    rows: Rows
    target: NDArray[np.float64]
    seed: int

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and deviation of the labels; 0 and 0 for chances, which are linked by σ."""
        if self.dataset.schema.tasks[self.name].is_chance:
            return 0.0, 0.0
        return float(self.target.mean()), float(self.target.std()) or 1.0

    def sample(self, rows: Rows, target: NDArray[np.float64], cross: _Cross) -> _Sample:
        """Inputs and labels of some interactions."""
        of, (mean, std) = Pairs.of(self.dataset, rows), self.scale
        inputs = _Inputs.of(self.dataset.encoder.table_rows, cross, of.tables)
        y = (target - mean) / std if std else target
        users = inputs.matrix(of.tables, of.rows, "user", "interaction")
        return _Sample(users, inputs.matrix(of.tables, of.rows, "item"), y.astype(np.float32), not std)

    def choose(self, first: Floats | None, cross: _Cross) -> tuple[float, _Settings]:
        """The least loss on validation rows, and its settings."""
        best, settings = np.inf, (_PENALTIES[1], 0.0, _PATIENCE)
        known, target = known_targets(self.dataset, self.name, self.dataset.rows("validation"))
        if not len(known):
            return best, settings
        rows, y = self.rows, self.target
        if len(rows) > _MOST_CHOSEN_BY:
            kept = np.sort(np.random.default_rng(self.seed).choice(len(rows), _MOST_CHOSEN_BY, replace=False))
            rows, y = rows[kept], y[kept]
        some, watched = self.sample(rows, y, cross), self.sample(known, target[:, 0], cross)
        for share, penalty in product(_SHARES if first is not None else _SHARES[:1], _PENALTIES):
            loss, passes = _Descent(some, penalty, self.seed, cross[-1], _scaled(first, share)).until(watched)
            if loss < best:
                best, settings = loss, (penalty, share, passes)
        return best, settings

    def fit(self, settings: _Settings, first: Floats | None, cross: _Cross) -> _Factors:
        """The factors with some settings."""
        penalty, share, passes = settings
        sample = self.sample(self.rows, self.target, cross)
        descent = _Descent(sample, penalty, self.seed, cross[-1], _scaled(first, share))
        for _ in range(passes):
            descent.a_pass()
        low, high = within_bounds(self.dataset.schema.tasks[self.name], np.array([-np.inf, np.inf]), _EDGE)
        return _Factors(descent.bias, descent.found(), self.scale, (float(low), float(high)), settings)


def _scaled(first: Floats | None, share: float) -> Floats | None:
    """Vectors whose products are so much of the first task's."""
    return None if first is None or not share else first * np.float32(share**0.5)


@dataclass(frozen=True, slots=True)
class _Sample:
    users: sp.csr_array
    items: sp.csr_array
    y: Floats
    is_chance: bool


class _Descent:
    """Adam on the penalised loss of one task.

    Args:
        sample: Training rows.
        penalty: λ.
        seed: Of first vectors and of the order of rows.
        pairs: How many inputs, the last ones, are users in scenarios, whose vectors begin as zeros.
        begin: Vectors that it begins with and is held near; those of a seed, held near 0, when left out.
    """

    def __init__(self, sample: _Sample, penalty: float, seed: int, pairs: int, begin: Floats | None) -> None:
        self.sample, self.rng = sample, np.random.default_rng(seed)
        n, width = sample.users.shape
        shape = (width, _WIDTH + 1)  # the last column is the weight of each input
        drawn = self.rng.normal(0, _START, shape).astype(np.float32)
        drawn[:, -1] = drawn[-1] = 0
        drawn[width - 1 - pairs :] = 0
        self.begin = np.zeros(shape, np.float32)
        if begin is not None:
            self.begin[:, :-1] = drawn[:, :-1] = begin
        self.w = drawn
        mean = float(np.clip(sample.y.mean(), 1e-4, 1 - 1e-4)) if sample.is_chance else 0.0
        self.bias = float(np.log(mean / (1 - mean))) if sample.is_chance else 0.0
        self.met = abs(sample.users).sum(axis=0) + abs(sample.items).sum(axis=0)
        held = (2 * penalty / n * self.met).astype(np.float32)[:, None]
        self._held, self._begin, self._w = (torch.from_numpy(a) for a in (held, self.begin, self.w))
        self._first, self._second, self.steps = torch.zeros(shape), torch.zeros(shape), 0
        self.batch = int(np.clip(2 ** int(np.log2(max(1, n // _STEPS))), _LEAST_BATCH, _MOST_BATCH))

    def a_pass(self) -> None:
        """One pass over the rows."""
        order = self.rng.permutation(len(self.sample.y))
        users, items, y = self.sample.users[order], self.sample.items[order], self.sample.y[order]
        for start in range(0, len(order), self.batch):
            some = slice(start, start + self.batch)
            self._step(users[some], items[some], y[some])

    def _step(self, users: sp.csr_array, items: sp.csr_array, y: Floats) -> None:
        q, p = users @ self.w, items @ self.w
        slope = (self._predicted(_logits(self.bias, q, p)) - y)[:, None] / np.float32(len(y))
        to_users, to_items = slope * p, slope * q
        to_users[:, -1:] = to_items[:, -1:] = slope
        found = users.T @ to_users
        found += items.T @ to_items
        grad = torch.from_numpy(found).addcmul_(self._held, self._w - self._begin)
        self.steps += 1
        self._first.lerp_(grad, 1 - _BETAS[0])
        self._second.mul_(_BETAS[1]).addcmul_(grad, grad, value=1 - _BETAS[1])
        rate = _RATE * (1 - _BETAS[1] ** self.steps) ** 0.5 / (1 - _BETAS[0] ** self.steps)
        self._w.addcdiv_(self._first, self._second.sqrt().add_(1e-8), value=-rate)

    def _predicted(self, z: Floats) -> Floats:
        return np.asarray(expit(z), np.float32) if self.sample.is_chance else z

    def until(self, watched: _Sample) -> tuple[float, int]:
        """The least loss on other rows, and after how many passes."""
        best, at = np.inf, 0
        for done in range(1, _EPOCHS + 1):
            self.a_pass()
            z = _logits(self.bias, watched.users @ self.w, watched.items @ self.w)
            each = np.logaddexp(0, z) - watched.y * z if watched.is_chance else (z - watched.y) ** 2
            loss = float(each.mean())
            if loss < best:
                best, at = loss, done
            elif done - at >= _PATIENCE:
                break
        return best, at

    def found(self) -> Floats:
        """Vectors and weights; where training did not meet an input, what it began with, [F, d + 1]."""
        return np.where((self.met > 0)[:, None], self.w, self.begin)
