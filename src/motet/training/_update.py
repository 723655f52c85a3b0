"""A trained bundle learns from the events since: micro-batch by micro-batch, each first predicted and then learnt from.

bundle ─► events since, cut by their numbers ─► test, then train, with older rows ─► plain members counted again ─► bundle
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from motet.data import (
    Batcher,
    CleaningReport,
    Dataset,
    Frames,
    Preparer,
    as_tables,
    graph_features,
    known_items,
    read_table,
    text_columns,
)
from motet.errors import DataError, ModelError
from motet.graph import write_knowledge
from motet.models import MultiTaskModel
from motet.models.baselines import MEMBERS
from motet.schema import Progress, Schema, SplitSettings, require_known, silent
from motet.training._bundle import Bundle, check_place, load_bundle, save_bundle
from motet.training._run import Prepared, load_data
from motet.training._step import TrainingStep, task_losses
from motet.training.blending import RankingBlend, TaskBlend, check_plain

__all__ = ["MicroBatch", "UpdateSettings", "update_bundle"]

Rows = NDArray[np.int64]

_SPLIT: Final = SplitSettings(by="time", train=0.88, validation=0.1)
_EVERY: Final = ("train", "validation", "test")
_TEST, _REPLAY, _TRAIN = 1, 2, 3  # apart from each other in seeds


@dataclass(frozen=True, slots=True)
class UpdateSettings:
    """How a bundle learns from the events since.

    Attributes:
        events: Numbers of events a micro-batch, ≥ 1.
        replay: Older rows that are drawn for each new one, ≥ 0.
        rate: Learning rate, as a multiple of that of the schema, > 0.
        passes: Over the rows of a micro-batch, ≥ 1.
        members: Whether plain members are counted again, with the settings that the bundle's training chose.
    """

    events: int = 500
    replay: float = 1.0
    rate: float = 0.1
    passes: int = 1
    members: bool = True

    def __post_init__(self) -> None:
        for name, least in (("events", 1), ("replay", 0), ("passes", 1)):
            if getattr(self, name) < least:
                raise ModelError(f"{name} is {getattr(self, name)}, and is at least {least}", f"raise {name}")
        if not self.rate > 0:
            raise ModelError(f"rate is {self.rate}, and must be above 0", "such as 0.1")


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """What became of one micro-batch.

    Attributes:
        until: Number of its last event.
        rows: Rows that it learnt from, without older ones.
        loss: Mean loss per task before it learnt from them.
    """

    until: int
    rows: int
    loss: Mapping[str, float]


def update_bundle(
    bundle: str | Path,
    tables: Any,
    out: str | Path,
    *,
    after: int,
    until: int | None = None,
    number: str = "seq",
    settings: UpdateSettings | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Bundle:
    """Let a bundle learn from the events after those it has learnt from, and write what it becomes as a bundle.

    The events are cut into micro-batches by their numbers, never by the clock. On the rows of each the networks are
    measured before they learn from them, with as many older rows as the settings say, drawn by a seed, by small steps
    with the optimiser of the schema. Weights of plain members and settings stay; their counts are taken again
    over all rows. The same bundle, tables and numbers give the same weights, bit for bit; nothing is kept beside
    the bundles, so that an update which was killed is done again.

    Args:
        bundle: Directory of the bundle.
        tables: Directory or frames, as of a training: with all rows that histories and members rest on.
        out: Directory of the new bundle.
        after: Number of the last event that the bundle has learnt from.
        until: Number of the last event that it is to learn from; the largest when left out.
        number: Column of the interactions with the number of each row's last event: whole numbers, rising.
        settings: How it learns.
        overwrite: Replace a bundle that is there.
        progress: Progress callback.

    Returns:
        The new bundle. Its ``metrics["updates"]`` say what was learnt.

    Raises:
        ModelError: If the bundle has no network, or was written before members kept their settings.
        DataError: If the tables have no times or numbers, or no row is new.
        MotetError: If the data or the place is wrong; nothing half-written remains.
    """
    settings, out = settings or UpdateSettings(), Path(out)
    check_place(out, overwrite)
    began_s = time.process_time()
    old = load_bundle(bundle)
    _check(old)
    schema = old.schema.model_copy(update={"split": _SPLIT})
    given = as_tables(tables, old.schema)
    prepared = _read(old, schema, given, progress)
    data = prepared.data
    numbers = _numbers(schema, given, data, number)
    last = int(numbers.max(initial=0)) if until is None else until
    if not ((numbers > after) & (numbers <= last)).any():
        raise DataError(
            f"no row has a number ('{number}') from {after + 1} to {last}",
            "wait for events, or lower 'after'",
        )
    read_s = time.process_time() - began_s
    each = [
        _Learner(data, _of_network(schema, at), network, numbers, settings)
        for at, network in enumerate(old.model.networks)
    ]
    done: list[MicroBatch] = []
    for start in range(after, last, settings.events):
        stop = min(start + settings.events, last)
        progress("learning from new events", start - after, last - after)
        losses = [one.learn(start, stop) for one in each]
        rows = int(np.count_nonzero((numbers > start) & (numbers <= stop)))
        mean = {task: float(np.mean([loss[task] for loss in losses])) for task in losses[0]}
        done.append(MicroBatch(stop, rows, mean))
    old.model.eval()
    learnt_s = time.process_time() - began_s - read_s
    blend, task_blend = old.blend, old.task_blend
    if settings.members:
        progress("counting for plain members", 0, 1)
        blend, task_blend = _counted_again(old, data)
    facts = {
        "after": after,
        "until": last,
        "rows": sum(one.rows for one in done),
        "settings": asdict(settings),
        "micro_batches": [asdict(one) for one in done],
        "cpu_s": {
            "read": round(read_s, 3),
            "learn": round(learnt_s, 3),
            "members": round(time.process_time() - began_s - read_s - learnt_s, 3),
        },
    }
    graph = prepared.graph
    save_bundle(
        out,
        model=old.model,
        data=replace(data, schema=old.schema),
        metrics={**old.metrics, "updates": facts},
        blend=blend,
        task_blend=task_blend,
        overwrite=overwrite,
        write_more=None if graph is None else lambda place: write_knowledge(place, graph),
    )
    return load_bundle(out)


def _check(old: Bundle) -> None:
    """Refuse bundles that cannot learn so, before any work."""
    if check_plain(old.schema):
        raise ModelError(
            f"{old.directory} is the plain method '{old.schema.model.architecture}', which has no network to update",
            "train it again: motet train",
        )
    keys = old.schema.keys
    for what in ("user", "item", "time"):
        if getattr(keys, what) is None:
            raise DataError(
                f"the schema '{old.schema.name}' has no keys.{what}, without which events have no order",
                f"name the column in keys.{what}, and train in full",
            )
    for name, of in (old.blend.report["members"] if old.blend is not None else {}).items():
        if old.blend is not None and name in old.blend.members and of.get("settings") is None:
            raise ModelError(
                f"{old.directory} does not say with which settings '{name}' was fitted: an earlier version wrote it",
                "train in full once",
            )


def _of_network(schema: Schema, at: int) -> Schema:
    """The schema of one network: the seeds of several differ."""
    seed = schema.training.seed + at
    return schema.model_copy(update={"training": schema.training.model_copy(update={"seed": seed})})


def _read(old: Bundle, schema: Schema, given: Path | Frames, progress: Progress) -> Prepared:
    return load_data(
        schema,
        given,
        encoder=old.data.encoder,
        item_vectors=known_items(old.data) if graph_features(schema) else None,
        progress=progress,
    )


def _numbers(schema: Schema, given: Path | Frames, data: Dataset, number: str) -> Rows:
    """Number of each row's last event, [N]: cleaning may have left rows of the table out."""
    keys, source = schema.keys, schema.tables.interactions
    frame = read_table(
        given,
        source,
        [str(keys.user), str(keys.item)],
        text_columns(schema, "interaction"),
        tables=schema.tables,
    )
    require_known(number, frame.columns, f"the column of event numbers in {source}", DataError)
    if not frame[number].dtype.is_integer() or frame[number].null_count():
        raise DataError(
            f"{source}, column '{number}': it holds {frame[number].dtype} or gaps, and numbers of events are whole",
            "number the rows in the order of their events, from 1",
        )
    rows = Preparer(schema, CleaningReport(), lenient=True).prepare(frame, "interaction", source)
    numbered = rows.select(
        pl.col(str(keys.user)).cast(pl.String).alias("user"),
        pl.col(str(keys.item)).cast(pl.String).alias("item"),
        pl.col(str(keys.time)).dt.timestamp("us").alias("time"),
        pl.col(number).cast(pl.Int64).alias("number"),
    )
    last = numbered.group_by("user", "item", "time").agg(pl.col("number").max())
    known = pl.DataFrame(
        {
            "user": data.user_ids.gather(data.user_row),
            "item": data.item_ids.gather(data.item_row),
            "time": np.asarray(data.time),
        }
    )
    found = known.join(last, on=["user", "item", "time"], how="left", maintain_order="left")["number"]
    return found.to_numpy().astype(np.int64)


class _Learner:
    """One network that learns from the rows of a data set in the order of their numbers."""

    def __init__(
        self,
        data: Dataset,
        schema: Schema,
        model: MultiTaskModel,
        numbers: Rows,
        settings: UpdateSettings,
    ) -> None:
        self._data, self._schema, self._settings = data, schema, settings
        self._step = TrainingStep(data, schema, model=model)
        self._tests = Batcher(data, negatives=self._step.batcher.negatives)
        self._order = np.argsort(numbers, kind="stable").astype(np.int64)
        self._numbers = numbers[self._order]
        self._size = schema.training.rows_a_step(self._step.batcher.count_useful(data.rows("train")))

    def learn(self, start: int, stop: int) -> dict[str, float]:
        """Measure, then learn from, the rows with numbers above ``start`` up to ``stop``; the mean loss per task."""
        first, end = np.searchsorted(self._numbers, [start, stop], side="right").tolist()
        new, seed = self._order[first:end], self._schema.training.seed
        if not len(new):
            return dict.fromkeys(self._schema.tasks, float("nan"))
        loss = self._test(new, np.random.default_rng([seed, start, _TEST]))
        drawn = min(first, round(self._settings.replay * len(new)))
        rng = np.random.default_rng([seed, start, _REPLAY])
        older = self._order[np.sort(rng.choice(first, drawn, replace=False))] if drawn else new[:0]
        batcher, training = self._step.batcher, self._schema.training
        rows = batcher.useful(np.sort(np.concatenate([new, older])))
        for number in range(self._settings.passes):
            for batch in batcher.epoch(rows, self._size, (seed, start, _TRAIN, number)):
                self._step(batch, self._settings.rate * training.learning_rate)
        return loss

    def _test(self, rows: Rows, rng: np.random.Generator) -> dict[str, float]:
        model, sums = self._step.model, dict.fromkeys(self._schema.tasks, 0.0)
        model.eval()
        with torch.no_grad():
            for at in range(0, len(rows), self._size):
                batch = self._tests.batch(rows[at : at + self._size], rng=rng)
                found = task_losses(model, self._data, self._schema, batch, model(batch))
                for task, value in found.items():
                    sums[task] += float(value) * len(batch) / len(rows)
        return sums


def _counted_again(old: Bundle, data: Dataset) -> tuple[RankingBlend | None, TaskBlend | None]:
    """Plain members over all rows, with the settings and weights that they have."""
    blend, task_blend = old.blend, old.task_blend
    if blend is not None:
        members = {
            name: MEMBERS[name].fit_scores(data, _settings(blend.report["members"][name]["settings"]), _EVERY)
            for name in blend.members
        }
        occurs = np.bincount(data.item_row, minlength=len(data.items)) > 0
        blend = RankingBlend(members, blend.weights, occurs, blend.report)
    if task_blend is not None:
        every = np.arange(len(data))
        again = {n: m.refit(data, every) if m.is_quick else m for n, m in task_blend.members.items()}
        statistics = {name: data.encoder.statistics(name) for name in task_blend.weights}
        task_blend = TaskBlend(again, task_blend.weights, statistics, task_blend.report)
    return blend, task_blend


def _settings(plain: Any) -> Any:
    """Settings of a member as it reads them: a number, or several by name."""
    return SimpleNamespace(**plain) if isinstance(plain, Mapping) else plain
