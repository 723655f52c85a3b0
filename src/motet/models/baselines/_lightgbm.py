"""Baseline: gradient-boosted trees on attributes, and on counts and mean labels of keys and pairs of keys.

Legend of shapes: n pairs of users and items, F inputs, K columns of a label.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset, EntityTable, Ragged
from motet.models.baselines._baseline import (
    MAX_FIT_ROWS,
    Baseline,
    Known,
    fit_rows,
    known_targets,
    tasks_for,
    within_bounds,
)
from motet.models.baselines._leaf_masks import LeafMasks, read_by_masks
from motet.models.baselines._pairs import PairMember, Pairs
from motet.models.baselines._statistics import Statistics, fit_statistics
from motet.schema import ENTITIES, Entity

__all__ = ["BoostedTrees", "LightGBM"]

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

_MOST_CATEGORIES: Final = 64
_MOST_TAGS: Final = 100
_ROUNDS, _ROUNDS_UNWATCHED, _PATIENCE = 1000, 200, 50
# beside a network trees cost time in every request: fewer and smaller ones
_BESIDE: Final = {"learning_rate": 0.15, "num_leaves": 15}
_MOST_BESIDE: Final = 120
_SETTINGS: Final[dict[str, Any]] = {
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class LightGBM(Baseline):
    """LightGBM (Ke et al. 2017) per task, stopped early on validation rows.

    Inputs are categories of up to 64 values, numbers, the 100 most frequent tags, and, for ids, categories and
    pairs of them, the smoothed mean labels of all tasks and the number of training rows; those of training rows are
    out-of-fold, so that no row sees its own label.
    """

    paper = "Ke et al. 2017, LightGBM: a highly efficient gradient boosting decision tree"
    marks = ("cold", "warm", "scenario")

    def __init__(self, dataset: Dataset, trees: BoostedTrees) -> None:
        self._dataset, self.trees = dataset, trees

    @classmethod
    def steps_aside(cls, dataset: Dataset) -> str | None:
        """Without a task it knows."""
        return None if tasks_for(dataset, "lightgbm") else "no yes-or-no, number or class task"

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        splits: Sequence[str] = ("train",),
        known: Known = "validation",
        seed: int = 0,
    ) -> Self:
        """Fit each task by itself, on inputs in common."""
        trees = BoostedTrees.fit(dataset, dataset.rows("train"), seed, beside=False)
        if tuple(splits) != ("train",):
            trees = trees.refit(dataset, fit_rows(dataset, splits), seed)
        return cls(dataset, trees)

    def predict(self, rows: NDArray[np.int64]) -> dict[str, Floats]:
        """Probability, number or distribution of each task."""
        tasks = self._dataset.schema.tasks
        found = self.trees.predict(Pairs.of(self._dataset, rows))
        return {
            name: within_bounds(tasks[name], values.astype(np.float64)).astype(np.float32)
            for name, values in found.items()
        }

    def score_items(self, users: NDArray[np.int64]) -> Floats | None:
        """It does not rank: scoring every pair of user and item by trees is out of proportion."""
        return None


class _Trees:
    """The trees of one task; LightGBM, which takes 60 MiB, is loaded where it is asked for alone.

    Args:
        booster: A trained ``lightgbm.Booster``.
        text: The same as text; one of the two is given.
        dumped: What :class:`LeafMasks` reads of it, where that was kept.
    """

    def __init__(self, booster: Any = None, text: str = "", dumped: Mapping[str, Any] | None = None) -> None:
        self._booster, self._text, self._dumped = booster, text, dumped

    @property
    def booster(self) -> Any:
        """The booster."""
        if self._booster is None:
            import lightgbm  # noqa: PLC0415 (slow to import, only needed here)

            self._booster = lightgbm.Booster(model_str=self._text)
        return self._booster

    @property
    def rounds(self) -> int:
        """How many trees of each class were asked for."""
        best: int = self.booster.best_iteration
        return best if best > 0 else int(self.booster.num_trees())

    @property
    def text(self) -> str:
        """As LightGBM writes it."""
        return self._text or str(self.booster.model_to_string(num_iteration=_last(self.booster)))

    @property
    def dumped(self) -> Mapping[str, Any]:
        """As ``Booster.dump_model`` gives it, or the part of that that :class:`LeafMasks` reads."""
        if self._dumped is None:
            self._dumped = self.booster.dump_model(num_iteration=_last(self.booster))
        return self._dumped


class BoostedTrees(PairMember):
    """The trees of all tasks with what makes their inputs.

    Args:
        inputs: Makes the inputs.
        trees: Those of each task.
        columns: Columns of the prediction of each task, 1 for a yes-or-no label or a number.
        settings: Of LightGBM; not kept in a bundle.
    """

    def __init__(
        self,
        inputs: _Inputs,
        trees: Mapping[str, _Trees],
        columns: Mapping[str, int],
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self._inputs, self._of_task, self._columns = inputs, dict(trees), dict(columns)
        self._settings = dict(settings or {})
        self._masks: LeafMasks | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks that it predicts."""
        return tuple(self._of_task)

    @classmethod
    def fit(
        cls, dataset: Dataset, rows: NDArray[np.int64], seed: int = 0, *, beside: bool | None = None
    ) -> Self:
        """Fit the tasks on some rows, stopped early on validation rows.

        Args:
            dataset: The data set.
            rows: Interactions, rising; a task whose known labels are all alike is left out.
            seed: Of folds and samples.
            beside: Whether there are to be at most 120 trees of 15 leaves, as lists of many items are predicted by
                them; when left out, where the schema has a retrieval task.
        """
        beside = dataset.schema.retrieval_task is not None if beside is None else beside
        settings = _SETTINGS | {"seed": seed} | (_BESIDE if beside else {})
        return cls._fit(dataset, rows, settings, _MOST_BESIDE if beside else _ROUNDS)

    def refit(self, dataset: Dataset, rows: NDArray[np.int64], seed: int = 0) -> Self:
        """As many trees of each task as the validation rows asked for, fitted on other rows."""
        rounds = {name: one.rounds for name, one in self._of_task.items()}
        return self._fit(dataset, rows, self._settings | {"seed": seed}, rounds)

    @classmethod
    def _fit(
        cls,
        dataset: Dataset,
        rows: NDArray[np.int64],
        settings: Mapping[str, Any],
        rounds: int | Mapping[str, int],
    ) -> Self:
        """Fit the tasks with some numbers of trees, or with at most so many, stopped early on validation rows."""
        import lightgbm  # noqa: PLC0415 (slow to import, only needed here)

        if len(rows) > MAX_FIT_ROWS:
            rows = np.sort(np.random.default_rng(settings["seed"]).choice(rows, MAX_FIT_ROWS, replace=False))
        inputs, matrix = _Inputs.fit(dataset, rows, settings["seed"])
        validation = dataset.rows("validation") if isinstance(rounds, int) else rows[:0]
        watched = inputs.matrix(Pairs.of(dataset, validation))
        boosters, columns = {}, {}
        for name in tasks_for(dataset, "lightgbm"):
            labelled, target = known_targets(dataset, name, rows)
            if not len(labelled) or (target == target[0]).all():
                continue
            if not isinstance(rounds, int) and name not in rounds:
                continue
            of_task = {
                **settings,
                "objective": dataset.schema.tasks[name].boosting_objective,
                "num_threads": _threads(len(labelled)),
            }
            columns[name] = target.shape[1]
            if target.shape[1] > 1:
                of_task["num_class"] = target.shape[1]
            train = lightgbm.Dataset(
                matrix[np.searchsorted(rows, labelled)],
                _flat(target),
                categorical_feature=list(range(len(inputs.categories))),
                params=of_task,
            )
            known, target = known_targets(dataset, name, validation)
            if not isinstance(rounds, int):
                boosters[name] = lightgbm.train(of_task, train, rounds[name])
            elif len(known):
                some = train.create_valid(watched[np.searchsorted(validation, known)], _flat(target))
                stop = lightgbm.early_stopping(_PATIENCE, verbose=False)
                boosters[name] = lightgbm.train(of_task, train, rounds, valid_sets=[some], callbacks=[stop])
            else:
                boosters[name] = lightgbm.train(of_task, train, min(rounds, _ROUNDS_UNWATCHED))
        return cls(inputs, {name: _Trees(one) for name, one in boosters.items()}, columns, settings)

    def only(self, tasks: Sequence[str]) -> Self:
        """The trees of some tasks alone."""
        kept = {name: self._of_task[name] for name in tasks}
        columns = {name: self._columns[name] for name in tasks}
        return type(self)(self._inputs, kept, columns, self._settings)

    def predict(self, pairs: Pairs, tasks: Sequence[str] | None = None) -> dict[str, Floats]:
        """Probability, number or distribution of tasks, all when left out, [n] or [n, K]."""
        wanted = self.tasks if tasks is None else [name for name in tasks if name in self._of_task]
        if not len(pairs) or not wanted:  # LightGBM refuses to predict nothing
            empty = {name: self._columns[name] for name in wanted}
            return {n: np.zeros(0 if size == 1 else (0, size), np.float32) for n, size in empty.items()}
        items = pairs.item_parts.get(self)
        if items is not None and self._masks is not None and pairs.is_one_request:
            matrix = self._inputs.matrix(pairs) if self._masks.looks_at_pairs else None
            request = self._inputs.matrix(pairs.take(np.zeros(1, np.int64))) if matrix is None else matrix[:1]
            found = self._masks.predict(request, items[pairs.rows["item"]], matrix, wanted)
            return {name: values.astype(np.float32) for name, values in found.items()}
        matrix, threads = self._inputs.matrix(pairs), _threads(len(pairs))
        return {
            name: np.asarray(self._of_task[name].booster.predict(matrix, num_threads=threads), np.float32)
            for name in wanted
        }

    def item_part(self, tables: Mapping[Entity, EntityTable], items: Rows) -> NDArray[np.uint16] | None:
        """Which leaves each item leaves in each tree, [n, R]; None where the trees are left to LightGBM."""
        if self._masks is None:
            of_item, of_pair = self._inputs.looks_at(tables)
            try:
                self._masks = LeafMasks({n: one.dumped for n, one in self._of_task.items()}, of_item, of_pair)
            except (
                ValueError,
                KeyError,
                IndexError,
                TypeError,
                RecursionError,
            ):  # the latter of a damaged bundle
                return None
        zeros = np.zeros(len(items), np.int64)
        rows: dict[Entity, Rows] = {"user": zeros, "item": items, "interaction": zeros}
        return self._masks.of_items(self._inputs.matrix(Pairs(tables, rows, {})))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What has to be kept to read it again."""
        found = self._inputs.arrays()
        for name, one in self._of_task.items():
            found[f"trees.{name}"] = np.frombuffer(one.text.encode(), np.uint8)
            found[f"columns.{name}"] = np.array([self._columns[name]])
            if kept := read_by_masks(one.dumped):
                found[f"masks.{name}"] = np.frombuffer(json.dumps(kept).encode(), np.uint8)
        return found

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take over what :meth:`arrays` gave."""
        names = [key.removeprefix("trees.") for key in arrays if key.startswith("trees.")]
        trees = {}
        for name in names:
            kept = arrays.get(f"masks.{name}")  # bundles of earlier versions have none
            dumped = None if kept is None else json.loads(bytes(kept))
            trees[name] = _Trees(text=bytes(arrays[f"trees.{name}"]).decode(), dumped=dumped)
        return cls(_Inputs.read(arrays), trees, {n: int(arrays[f"columns.{n}"][0]) for n in names})


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What trees look at.

    Attributes:
        categories: Entity, column of codes, and lowest code of each category that is an input itself.
        tags: Per entity and feature, the tags that are inputs.
        statistics: Of keys and pairs of keys.
    """

    categories: tuple[tuple[Entity, int, int], ...]
    tags: Mapping[tuple[Entity, str], NDArray[np.int64]]
    statistics: Statistics

    @classmethod
    def fit(cls, dataset: Dataset, rows: NDArray[np.int64], seed: int) -> tuple[Self, Floats]:
        """Choose the inputs, and give those of the rows they were chosen on, [n, F]."""
        pairs, categories, tags = Pairs.of(dataset, rows), [], {}
        for entity in ENTITIES:
            table = dataset.table(entity)
            for column in range(table.codes.shape[1]):
                low = int(table.codes[:, column].min(initial=0))
                if int(table.codes[:, column].max(initial=0)) - low < _MOST_CATEGORIES:
                    categories.append((entity, column, low))
            for name, lists in table.tags.items():
                counts = np.bincount(
                    lists.take(pairs.rows[entity]).values, minlength=dataset.encoder.table_rows
                )
                frequent = np.argsort(-counts, kind="stable")[:_MOST_TAGS]
                tags[entity, name] = frequent[counts[frequent] > 0]
        statistics, fold = fit_statistics(dataset, rows, seed)
        made = cls(tuple(categories), tags, statistics)
        return made, made.matrix(pairs, fold)

    def matrix(self, pairs: Pairs, fold: NDArray[np.uint8] | None = None) -> Floats:
        """Inputs of some pairs, categories first, [n, F]; ``fold`` of those that the statistics were fitted on."""
        parts: list[NDArray[Any]] = [
            pairs.tables[entity].codes[pairs.rows[entity], column, None] - low
            for entity, column, low in self.categories
        ]
        for entity in ENTITIES:
            parts.append(pairs.tables[entity].numbers[pairs.rows[entity]])
        for entity, name in sorted(self.tags):
            lists = pairs.tables[entity].tags[name].take(pairs.rows[entity])
            parts.append(_multi_hot(lists, self.tags[entity, name]))
        parts.append(self.statistics.columns(pairs, fold))
        return np.concatenate([part.astype(np.float32) for part in parts], axis=1)

    def looks_at(self, tables: Mapping[Entity, EntityTable]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which inputs look at the item alone, and which at it together with something else, [F] each."""
        sources: list[set[Entity]] = [{entity} for entity, _, _ in self.categories]
        for entity in ENTITIES:
            sources += [{entity}] * tables[entity].numbers.shape[1]
        for entity, name in sorted(self.tags):
            sources += [{entity}] * len(self.tags[entity, name])
        sources += self.statistics.looks_at()
        of_item = np.array([one == {"item"} for one in sources], np.bool_)
        return of_item, np.array(["item" in one for one in sources], np.bool_) & ~of_item

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What has to be kept to read it again; entities by their place."""
        place = {entity: at for at, entity in enumerate(ENTITIES)}
        categories = [(place[entity], column, low) for entity, column, low in self.categories]
        found = {f"tags.{place[entity]}.{name}": chosen for (entity, name), chosen in self.tags.items()}
        found |= {f"statistics.{name}": array for name, array in self.statistics.arrays().items()}
        return found | {"categories": np.array(categories, np.int64).reshape(-1, 3)}

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take over what :meth:`arrays` gave."""
        tags = {}
        for key, chosen in arrays.items():
            if key.startswith("tags."):
                _, at, name = key.split(".", 2)
                tags[ENTITIES[int(at)], name] = chosen
        start = "statistics."
        statistics = {key.removeprefix(start): a for key, a in arrays.items() if key.startswith(start)}
        return cls(
            tuple((ENTITIES[e], column, low) for e, column, low in arrays["categories"].tolist()),
            tags,
            Statistics.read(statistics),
        )


def _multi_hot(lists: Ragged, chosen: NDArray[np.int64]) -> Floats:
    """Zeros and ones for some tags, shape [n, len(chosen)]."""
    position = np.full(int(max(chosen.max(initial=0), lists.values.max(initial=0))) + 1, -1)
    position[chosen] = np.arange(len(chosen))
    columns = position[lists.values]
    rows = np.repeat(np.arange(len(lists)), lists.lengths())
    dense = np.zeros((len(lists), len(chosen)), np.float32)
    dense[rows[columns >= 0], columns[columns >= 0]] = 1.0
    return dense


def _last(booster: Any) -> int:
    """The number of trees that count; −1 for all."""
    return booster.best_iteration if booster.best_iteration > 0 else -1


def _threads(rows: int) -> int:
    """Threads that pay: on few rows, or a busy machine, the second one only waits for the first."""
    return 1 if rows < 200_000 else 2


def _flat(target: NDArray[np.float64]) -> NDArray[np.float64]:
    flat: NDArray[np.float64] = (
        target[:, 0] if target.shape[1] == 1 else target.argmax(axis=1).astype(np.float64)
    )
    return flat
