"""Permutation importance: what each feature is worth to each task, on rows that the network was not trained on.

Legend of shapes: N measured rows, U users, I items, B draws of users.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from motet.data import SPLIT_CODES, Dataset, EntityTable, Frames, History, graph_features, known_items
from motet.errors import DataError
from motet.evaluation import metric_draws, primary_values, training_deviation
from motet.schema import Entity, Predictor, Progress, require_known, silent
from motet.training._bundle import load_bundle, write_metrics
from motet.training._predictor import ModelPredictor
from motet.training._run import load_data, write_report

__all__ = ["bundle_importance", "exchanged", "feature_importance"]

_DRAWS: Final = 200
_SPLITS: Final = ("validation", "test")


def exchanged(
    data: Dataset, feature: str, rows: NDArray[np.int64], split: str, rng: np.random.Generator
) -> Dataset:
    """A data set where a feature has the values of other users, items or rows.

    Values are exchanged among the measured rows, for a feature of the interaction; else among the users (or items)
    that occur in them, or have a label of the split. For a history that is another user's, as large a share of it as
    of the user's own is before the moment.

    Args:
        data: The data set.
        feature: Name of the feature.
        rows: Measured rows, [N].
        split: Of which they are.
        rng: Source of the exchange.
    """
    entity: Entity = next(entity for entity, name, _ in data.schema.features.all() if name == feature)
    table, parts = data.table(entity), data.encoder.parts(entity)[feature]
    layout = data.encoder.layout(entity)
    among = rows
    if entity != "interaction":
        labelled = [
            np.flatnonzero(data.entity_labels[name].split == SPLIT_CODES[split])
            for name, task in data.schema.tasks.items()
            if task.on == entity
        ]
        of_row = data.user_row if entity == "user" else data.item_row
        among = np.unique(np.concatenate([of_row[rows], *labelled]).astype(np.int64))
    source = np.arange(len(table))
    source[among] = rng.permutation(among)
    numbers = [k for k, owner in enumerate(layout.number_features) if owner == feature]
    codes = [layout.codes.index(part) for part in parts.codes]
    vectors = [layout.vectors.index(part) for part in (*parts.texts, *parts.vectors)]
    new = EntityTable(
        _with_columns(table.codes, codes, source),
        _with_columns(table.numbers, numbers, source),
        {name: lists.take(source) if name in parts.tags else lists for name, lists in table.tags.items()},
        _with_columns(table.vector_rows, vectors, source),
    )
    if entity == "interaction":
        return replace(data, context=new)
    if entity == "item":
        return replace(data, items=new)
    histories = {
        name: _of_others(history, source, data.user_row) if name in parts.events else history
        for name, history in data.histories.items()
    }
    return replace(data, users=new, histories=histories)


def _with_columns(array: NDArray[Any], columns: list[int], source: NDArray[np.int64]) -> NDArray[Any]:
    if not columns:
        return array
    changed = array.copy()
    changed[:, columns] = array[source][:, columns]
    return changed


def _of_others(history: History, source: NDArray[np.int64], user_row: NDArray[np.int32]) -> History:
    items = history.items.take(source)
    share = history.before / np.maximum(history.items.lengths()[user_row], 1)
    before = np.round(share * items.lengths()[user_row]).astype(np.int32)
    return History(items, before, history.known[source], history.train[source])


def feature_importance(
    data: Dataset,
    predictor_of: Callable[[Dataset], Predictor],
    split: Literal["validation", "test"] = "validation",
    *,
    repeats: int = 5,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Permutation importance (Breiman 2001, §10; Fisher, Rudin & Dominici 2019, eq. 3.2) of every feature.

    That of feature j to task t is m_t(data) − mean_r m_t(data with the values of j exchanged), with the primary metric
    m_t of the task, of which higher is better. Nothing is trained. Features that tell the same share what they are
    worth: each of them alone may look useless while both together are not.

    Args:
        data: The data set.
        predictor_of: The predictor, bound to a data set that differs from ``data`` in the values of one feature.
        split: Measured rows; selection belongs on validation rows.
        repeats: Exchanges of each feature, ≥ 1.
        seed: Of the exchanges.
        progress: Progress callback.

    Returns:
        ``split``, ``repeats``, ``metrics`` (primary metric by task, as it is), and ``features``: by name the
        ``entity``, and by task the ``drop``, its ``deviation`` over repeats, and for tasks on interactions its 95 %
        ``interval`` over users (rows, where there are no users). ``weak`` are features whose drop is above 0 beyond
        noise for no task.

    Raises:
        DataError: If there is nothing to measure.
    """
    rows = data.rows(split)
    if repeats < 1 or not len(rows):
        raise DataError(
            f"{repeats} repeats on {len(rows)} {split} rows measure nothing",
            "give at least one repeat, and a split with rows",
        )
    as_it_is = _measured(data, predictor_of(data), split, rows)
    names = [(entity, name) for entity, name, _ in data.schema.features.all()]
    features: dict[str, Any] = {}
    for place, (entity, name) in enumerate(names):
        found = []
        for number in range(repeats):
            progress(f"importance of {name}", place * repeats + number, len(names) * repeats)
            rng = np.random.default_rng([seed, place, number])
            other = exchanged(data, name, rows, split, rng)
            found.append(_measured(other, predictor_of(other), split, rows))
        features[name] = {
            "entity": entity,
            "tasks": {
                task: _drop(as_it_is[task], [one[task] for one in found if task in one]) for task in as_it_is
            },
        }
    progress("importance", 1, 1)
    return {
        "split": split,
        "repeats": repeats,
        "metrics": {task: value for task, (value, _) in as_it_is.items()},
        "features": features,
        "weak": [name for name, of in features.items() if not any(map(_counts, of["tasks"].values()))],
    }


_Measured = tuple[float | None, NDArray[np.float64] | None]


def _measured(
    data: Dataset, predictor: Predictor, split: str, rows: NDArray[np.int64]
) -> dict[str, _Measured]:
    """The primary metric of each task, and under draws of users for those on interactions."""
    found: dict[str, _Measured] = {
        name: (value, None) for name, value in primary_values(data, predictor, split).items()
    }
    users = data.user_row[rows] if data.schema.keys.user else None
    for name, predictions in predictor.predict(rows).items():
        drawn = metric_draws(
            data.schema.tasks[name],
            data.label(name, rows),
            predictions,
            users,
            deviation=training_deviation(data, name),
            draws=_DRAWS,
        )
        if drawn is not None and np.isfinite(drawn.value):
            found[name] = (drawn.value, drawn.draws)
    return found


def _drop(before: _Measured, after: list[_Measured]) -> dict[str, Any]:
    value, draws = before
    values = [other for other, _ in after if other is not None]
    if value is None or not values:
        return {"drop": None, "deviation": None, "interval": None}
    drops = value - np.array(values)
    interval = None
    drawn = [other for _, other in after if other is not None]
    if draws is not None and len(drawn) == len(after):
        lost = draws - np.mean(drawn, axis=0)
        if np.isfinite(lost).mean() > 0.5:
            interval = np.nanquantile(lost, [0.025, 0.975]).tolist()
    return {
        "drop": float(drops.mean()),
        "deviation": float(drops.std(ddof=1)) if len(drops) > 1 else 0.0,
        "interval": interval,
    }


def _counts(of: dict[str, Any]) -> bool:
    """Whether a drop is above 0 beyond noise."""
    if of["drop"] is None:
        return False
    low: float = of["interval"][0] if of["interval"] else of["drop"] - 2 * of["deviation"]
    return low > 0


def bundle_importance(
    bundle: str | Path,
    directory: str | Path | Frames,
    *,
    split: str = "validation",
    repeats: int = 5,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Measure what each feature is worth to what a bundle serves; its metrics and its report get a table of it.

    Args:
        bundle: Its directory.
        directory: The files.
        split: ``validation`` or ``test``.
        repeats: See :func:`feature_importance`.
        seed: Likewise.
        progress: Progress callback.

    Returns:
        What :func:`feature_importance` does; ``learnt_from`` says whether the bundle has learnt from these rows.
    """
    require_known(split, _SPLITS, "the split", DataError)
    loaded = load_bundle(bundle)
    data = load_data(
        loaded.schema,
        directory,
        encoder=loaded.data.encoder,
        item_vectors=known_items(loaded.data) if graph_features(loaded.schema) else None,
        progress=progress,
    ).data
    known: Literal["train", "validation"] = "train" if split == "validation" else "validation"

    def predictor_of(other: Dataset) -> ModelPredictor:
        return ModelPredictor(
            loaded.model, other, known=known, blend=loaded.blend, task_blend=loaded.task_blend
        )

    found = feature_importance(
        data, predictor_of, "validation" if split == "validation" else "test",
        repeats=repeats, seed=seed, progress=progress,
    )  # fmt: skip
    found["learnt_from"] = split == "validation" and loaded.schema.training.refit
    write_metrics(Path(bundle), {**loaded.metrics, "importance": found})
    if loaded.metrics:
        write_report(bundle)
    return found
