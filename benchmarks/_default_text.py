"""What text is worth: ``benchmarks.defaults --ablation text``.

Each set is trained without text; with the text of items, but histories of ids and tags and without neighbours by text; and
with the text of items in histories too (``content`` of a sequence, and the member ``text_neighbours``). Where text belongs to the rows themselves there are no histories, and two
variants. Movielens-100k holds a tenth of its films out of training, so that there are cold ones. Items are *cold* that
occur in neither training nor validation rows; the others are *warm*.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks._default_measures import (
    Gains,
    deviation_of,
    drawn_means,
    event_gains,
    events_of,
    score_model,
    statistic_draws,
)
from benchmarks._default_sets import content_of
from motet.data import SPLIT_CODES, Dataset
from motet.kinds import TagsFeature
from motet.metrics import metrics_of, prepare
from motet.models.baselines import MEMBERS, PAIR_MEMBERS
from motet.schema import ENTITIES, Schema, Task
from motet.training import ModelPredictor, load_data, train

__all__ = ["ABLATED", "ablated_schema", "ablation_cell", "variants_of"]

ABLATED: Final = ("movielens-100k", "clothing-reviews", "amazon-office")
_HELD_OUT: Final = 0.1

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


def ablated_schema(name: str, schema: Schema) -> Schema:
    """The schema with all texts; films are held out of training."""
    if not name.startswith("movielens"):
        return schema
    return schema.model_copy(update={"split": schema.split.model_copy(update={"hold_out_items": _HELD_OUT})})


def variants_of(schema: Schema) -> dict[str, Schema]:
    """Schemas by what text reaches, from nothing to everything."""
    found = {"none": _without_text(schema)}
    if not any(feature.history is not None for feature in schema.features.user.values()):
        return found | {"text of rows": schema}
    return found | {"items": _without_text_in_histories(schema), "items and histories": schema}


def _without_text(schema: Schema) -> Schema:
    content = content_of(schema.to_yaml())
    for entity in ENTITIES:
        for name, feature in schema.features.of(entity).items():
            if feature.is_text or (isinstance(feature, TagsFeature) and feature.words):
                del content["features"][entity][name]
    return Schema.parse(content)


def _without_text_in_histories(schema: Schema) -> Schema:
    content = content_of(schema.to_yaml())
    for name, feature in schema.features.user.items():
        if feature.history is not None:
            content["features"]["user"][name]["content"] = "tags"
    members = [name for name in (*MEMBERS, *PAIR_MEMBERS) if name != "text_neighbours"]
    content.setdefault("model", {})["members"] = members
    return Schema.parse(content)


class _Found:
    """What one variant predicts of the test rows."""

    def __init__(self, schema: Schema, source: Path, seed: int) -> None:
        began_s = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            settings = schema.training.model_copy(update={"seed": seed})
            bundle = train(schema.model_copy(update={"training": settings}), source, Path(place) / "bundle")
            self.train_s = time.perf_counter() - began_s
            self.data = load_data(schema, source).data
            predictor = ModelPredictor(bundle.model, self.data, blend=bundle.blend, task_blend=bundle.task_blend)  # fmt: skip
            self.of_rows = predictor.predict(self.data.rows("test"))
            self.of_items = predictor.predict_entities("item")
            self.events = events_of(self.data, "test")
            self.gains: dict[str, Gains] = {}
            if self.events is not None:
                self.gains = event_gains(self.data, self.events, score_model(predictor))


def ablation_cell(
    name: str, seed: int, source: Path, variants: Mapping[str, Schema], say: Callable[[str], None]
) -> dict[str, Any]:
    """One set and seed: values by task, group of items and variant, and draws of what each step adds."""
    found: dict[str, _Found] = {}
    for variant, schema in variants.items():
        say(f"  text: {variant}")
        found[variant] = _Found(schema, source, seed)
    data = next(iter(found.values())).data
    values = _of_rows(data, found) | _of_items(data, found) | _of_events(data, found)
    spent = {variant: one.train_s for variant, one in found.items()}
    return {"set": name, "seed": seed, "variants": list(variants), "values": values, "train_s": spent}


def _groups(data: Dataset, items: NDArray[Any]) -> dict[str, Mask]:
    known = np.concatenate([data.rows("train"), data.rows("validation")])
    warm = np.bincount(data.item_row[known], minlength=int(data.item_row.max()) + 1)[items] > 0
    groups = {"all": np.ones(len(items), np.bool_), "warm": warm, "cold": ~warm}
    return {name: mask for name, mask in groups.items() if mask.any() and (name == "all" or not warm.all())}


def _of_rows(data: Dataset, found: Mapping[str, _Found]) -> dict[str, Any]:
    rows, values = data.rows("test"), {}
    users = data.user_row[rows] if data.schema.keys.user is not None else None
    groups = (
        _groups(data, data.item_row[rows]) if data.schema.keys.item else {"all": np.ones(len(rows), np.bool_)}
    )
    for name, task in data.schema.tasks.items():
        if task.on != "interaction" or task.ranks_catalogue:
            continue
        given = {variant: one.of_rows[name] for variant, one in found.items()}
        for group, mask in groups.items():
            values[f"{name}|{group}"] = _compared(data, name, data.label(name, rows), given, mask, users)
    return values


def _of_items(data: Dataset, found: Mapping[str, _Found]) -> dict[str, Any]:
    values = {}
    for name, task in data.schema.tasks.items():
        if task.on == "item":
            known = data.entity_labels[name]
            mask = known.split == SPLIT_CODES["test"]
            given = {variant: one.of_items[name] for variant, one in found.items()}
            values[f"{name}|all"] = _compared(data, name, known.values, given, mask, None)
    return values


def _compared(
    data: Dataset,
    name: str,
    labels: Floats,
    given: Mapping[str, Floats],
    mask: Mask,
    users: NDArray[Any] | None,
) -> dict[str, Any]:
    task, deviation = data.schema.tasks[name], deviation_of(data, name)
    some = {variant: one[mask] for variant, one in given.items()}
    of_mask = None if users is None else users[mask]
    variants = list(given)
    return {
        "metric": task.primary_metric,
        "n": int(mask.sum()),
        "of": {v: _value(task, labels[mask], one, of_mask, deviation) for v, one in some.items()},
        "draws": {
            f"{later} − {earlier}": statistic_draws(
                task, labels[mask], (some[later], some[earlier]), of_mask, deviation
            )
            for earlier, later in pairwise(variants)
        },
    }


def _value(
    task: Task, labels: Floats, given: Floats, users: NDArray[Any] | None, deviation: float | None
) -> float | None:
    metric = metrics_of(task)[task.primary_metric].skill_of or task.primary_metric
    statistics, known = prepare(task, labels, given, users, (metric,))
    if metric not in statistics or not known.any():
        return None
    value = statistics[metric](np.ones(int(known.sum())))
    value = value if deviation is None else 1 - value / deviation
    return None if np.isnan(value) else float(value)


def _of_events(data: Dataset, found: Mapping[str, _Found]) -> dict[str, Any]:
    events = next(iter(found.values())).events
    if events is None:
        return {}
    values = {}
    users, variants = data.user_row[events.rows], list(found)
    for group, mask in _groups(data, data.item_row[events.rows]).items():
        for method, label in (("motet", "next"), ("network", "next, network alone")):
            of = {variant: one.gains[method]["ndcg@10"][mask] for variant, one in found.items()}
            values[f"{label}|{group}"] = {
                "metric": "NDCG@10 over events",
                "n": int(mask.sum()),
                "of": {variant: float(one.mean()) for variant, one in of.items()},
                "draws": {
                    f"{later} − {earlier}": drawn_means(of[later] - of[earlier], users[mask])
                    for earlier, later in pairwise(variants)
                },
            }
    return values
