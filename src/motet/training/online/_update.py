"""A trained bundle learns from the events since: micro-batch by micro-batch, each first predicted and then learnt from.

bundle ─► events since, cut by their numbers ─► test, then train, with older rows ─► plain members counted and weighed again ─► bundle
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from motet.data import (
    Batcher,
    CleaningReport,
    Dataset,
    Encoder,
    Frames,
    IdIndex,
    Preparer,
    as_tables,
    graph_features,
    known_items,
    read_table,
    text_columns,
)
from motet.errors import DataError, ModelError
from motet.graph import KNOWLEDGE_FILES, read_written_knowledge, write_knowledge
from motet.models import MultiTaskModel
from motet.schema import Progress, Schema, SplitSettings, require_known, silent
from motet.training._bag import network_schema
from motet.training._bundle import Bundle, check_place, load_bundle, save_bundle
from motet.training._predictor import ModelPredictor
from motet.training._run import load_data
from motet.training._step import TrainingStep, task_losses
from motet.training.blending import (
    TaskBlend,
    check_plain,
    weigh_again,
)
from motet.training.online._growth import Grown, grow_encoder, id_features
from motet.training.online._lists import ListsBefore, choose_again, counted

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
        recent: The older rows are drawn from so many latest ones; 0 for all of them.
        rate: Learning rate, as a multiple of that of the schema, > 0.
        passes: Over the rows of a micro-batch, ≥ 1.
        admit_after: Rows of a user or an item from which on it has an embedding of its own, ≥ 1; until then it is what
            its features and history say.
        choose_every: Numbers of events after which the settings of plain members that rank are looked at again, on as many
            latest ones; 0 for never.
        expire_after: Numbers of events without one of a user or item after which its embedding is dropped; 0 for never.
    """

    events: int = 500
    replay: float = 3.0
    recent: int = 0
    rate: float = 0.3
    passes: int = 1
    admit_after: int = 5
    choose_every: int = 5_000
    expire_after: int = 0

    def __post_init__(self) -> None:
        least = {
            "events": 1,
            "replay": 0,
            "recent": 0,
            "passes": 1,
            "admit_after": 1,
            "choose_every": 0,
            "expire_after": 0,
        }
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ModelError(
                    f"{name} is {getattr(self, name)}, and is at least {lowest}", f"raise {name}"
                )
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
    number: str = "seq",
    settings: UpdateSettings | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Bundle:
    """Let a bundle learn from the events after those it has learnt from, and write what it becomes as a bundle.

    The events are cut into micro-batches by their numbers, never by the clock. On the rows of each the networks are
    measured before they learn from them, with as many older rows as the settings say, drawn by a seed, by small steps
    with the optimiser of the schema. Plain members are counted again over all rows; trees and models of words stay. Now
    and then the settings of those that rank are looked at again, near those that they have, and at each update their
    weights, by the lists that all members would have made before they learnt from a row. A task that network and
    members together predicted worse than the network alone is weighed again. The same bundle, tables and numbers give
    the same weights, bit for bit; nothing is kept beside the bundles, so that an update which was killed is done again.

    Args:
        bundle: Directory of the bundle.
        tables: Directory or frames, as of a training: all rows up to the last that it is to learn from, old ones too,
            for histories, plain members and replay rest on them.
        out: Directory of the new bundle.
        after: Number of the last event that the bundle has learnt from.
        number: Column of the interactions with the number of each row's last event: whole numbers, rising.
        settings: How it learns.
        overwrite: Replace a bundle that is there.
        progress: Progress callback.

    Returns:
        The new bundle. Its ``metrics["updates"]`` say what was learnt.

    Raises:
        ModelError: If the bundle has no network, or was written before members kept their settings.
        DataError: If the schema has no times, the tables have no numbers, or no row is new.
        MotetError: If the data or the place is wrong; nothing half-written remains.
    """
    settings, out = settings or UpdateSettings(), Path(out)
    check_place(out, overwrite)
    began_s = time.process_time()
    old = load_bundle(bundle)
    _check(old)
    schema = old.schema.model_copy(update={"split": _SPLIT})
    given = as_tables(tables, old.schema)
    numbered = _numbered(schema, given, number)
    last = int(numbered["number"].max() or 0)  # type: ignore[arg-type]
    if last <= after:
        raise DataError(
            f"no row is new: the largest '{number}' is {last}, and the bundle has learnt up to {after}",
            "wait for events, or lower 'after'",
        )
    grown = _grow(old, numbered, last, settings)
    data = _read(old, grown.encoder, schema, given, progress)
    numbers = _numbers_of(data, numbered)
    read_s = time.process_time() - began_s
    each = [
        _Learner(data, network_schema(schema, old.model, at), network, numbers, settings)
        for at, network in enumerate(old.model.networks)
    ]
    done: list[MicroBatch] = []
    predicted: dict[str, list[NDArray[np.float32]]] = {}
    predictor = ModelPredictor(old.model, data, known="train")
    lists = _lists(old, data, each[0], predictor, after, last)
    for start in range(after, last, settings.events):
        stop = min(start + settings.events, last)
        progress("learning from new events", start - after, last - after)
        rows = each[0].rows(start, stop)
        if not len(rows):
            continue
        for task, values in predictor.predict(rows).items():
            predicted.setdefault(task, []).append(values)
        if lists is not None:
            lists.add(rows)
        losses = [one.learn(start, stop) for one in each]
        mean = {task: float(np.mean([loss[task] for loss in losses])) for task in losses[0]}
        done.append(MicroBatch(stop, len(rows), mean))
    old.model.eval()
    learnt_s = time.process_time() - began_s - read_s
    progress(
        "counting for plain members", 0, 1
    )  # rows of users and items may be others now, so all that counts by them
    blend = None if lists is None else counted(lists.weighed(), data, _EVERY)
    network = {task: np.concatenate(values) for task, values in predicted.items()}
    task_blend = None
    if old.task_blend is not None:
        task_blend = _weighed_again(old.task_blend, data, each[0].rows(after, last), network)
    facts = {
        "after": after,
        "until": last,
        "rows": sum(one.rows for one in done),
        "admitted": dict(grown.admitted),
        "dropped": dict(grown.dropped),
        "settings": asdict(settings),
        "micro_batches": [asdict(one) for one in done],
        "cpu_s": {
            "read": round(read_s, 3),
            "learn": round(learnt_s, 3),
            "members": round(time.process_time() - began_s - read_s - learnt_s, 3),
        },
    }
    save_bundle(
        out,
        model=old.model,
        data=replace(data, schema=old.schema),
        metrics={**old.metrics, "updates": facts},
        blend=blend,
        task_blend=task_blend,
        overwrite=overwrite,
        write_more=lambda place: _write_rest(old, data, place),
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


def _grow(old: Bundle, numbered: pl.DataFrame, last: int, settings: UpdateSettings) -> Grown:
    """The encoder with the users and items that have come and without those that have gone; the networks likewise."""
    sightings = {
        name: numbered.group_by(pl.col(entity).alias("word")).agg(
            pl.len().alias("count"), pl.col("number").max().alias("last")
        )
        for name, entity in id_features(old.schema).items()
    }
    keep_from = last - settings.expire_after if settings.expire_after else None
    grown = grow_encoder(old.data.encoder, sightings, admit_after=settings.admit_after, keep_from=keep_from)
    for network in old.model.networks:
        network.features.table.take_in(torch.from_numpy(grown.rows), torch.from_numpy(grown.like))
    return grown


def _read(old: Bundle, encoder: Encoder, schema: Schema, given: Path | Frames, progress: Progress) -> Dataset:
    return load_data(
        schema,
        given,
        encoder=encoder,
        item_vectors=known_items(old.data) if graph_features(schema) else None,
        progress=progress,
    ).data


def _write_rest(old: Bundle, data: Dataset, place: Path) -> None:
    """The knowledge graph, whose links are by row of the items, and the report of the training in full."""
    if all((old.directory / name).is_file() for name in KNOWLEDGE_FILES):
        graph = read_written_knowledge(old.directory)
        rows = IdIndex(old.data.item_ids).rows(data.item_ids)
        linked = np.where(rows >= 0, graph.item_entity[rows], np.int32(-1)).astype(np.int32)
        write_knowledge(place, replace(graph, item_entity=linked))
    if (old.directory / "report.html").is_file():
        shutil.copyfile(old.directory / "report.html", place / "report.html")


def _numbered(schema: Schema, given: Path | Frames, number: str) -> pl.DataFrame:
    """``user``, ``item``, ``time`` and the number of its last event of each row of the table."""
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
    return rows.select(
        pl.col(str(keys.user)).cast(pl.String).alias("user"),
        pl.col(str(keys.item)).cast(pl.String).alias("item"),
        pl.col(str(keys.time)).dt.timestamp("us").alias("time"),
        pl.col(number).cast(pl.Int64).alias("number"),
    )


def _numbers_of(data: Dataset, numbered: pl.DataFrame) -> Rows:
    """Number of each row's last event, [N]: cleaning may have left rows of the table out."""
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
        self._data, self._schema, self.settings = data, schema, settings
        self._step = TrainingStep(data, schema, model=model)
        self._tests = Batcher(data, negatives=self._step.batcher.negatives)
        self._order = np.argsort(numbers, kind="stable").astype(np.int64)
        self._numbers = numbers[self._order]
        self._size = schema.training.rows_a_step(self._step.batcher.count_useful(data.rows("train")))

    def rows(self, start: int, stop: int) -> Rows:
        """Rows with numbers above ``start`` up to ``stop``, in their order."""
        first, end = np.searchsorted(self._numbers, [start, stop], side="right").tolist()
        return self._order[first:end]

    def learn(self, start: int, stop: int) -> dict[str, float]:
        """Measure, then learn from, the rows with numbers above ``start`` up to ``stop``; the mean loss per task."""
        new, seed = self.rows(start, stop), self._schema.training.seed
        loss = self._test(new, np.random.default_rng([seed, start, _TEST]))
        before = self.rows(-1, start)[-self.settings.recent :]  # all of them for 0
        drawn = min(len(before), round(self.settings.replay * len(new)))
        rng = np.random.default_rng([seed, start, _REPLAY])
        older = before[np.sort(rng.choice(len(before), drawn, replace=False))] if drawn else new[:0]
        batcher, training = self._step.batcher, self._schema.training
        rows = batcher.useful(np.sort(np.concatenate([new, older])))
        for number in range(self.settings.passes):
            for batch in batcher.epoch(rows, self._size, (seed, start, _TRAIN, number)):
                self._step(batch, self.settings.rate * training.learning_rate)
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


def _lists(
    old: Bundle, data: Dataset, learner: _Learner, predictor: ModelPredictor, after: int, last: int
) -> ListsBefore | None:
    """What gathers lists to weigh members by, whose settings are looked at again now and then; None without members."""
    if old.blend is None:
        return None
    every, blend = learner.settings.choose_every, None
    if every and last // every > after // every:
        blend = choose_again(old.blend, data, learner.rows(last - every, last))
    return ListsBefore(old, blend or old.blend, data, learner.rows(after, last), predictor)


def _weighed_again(
    blend: TaskBlend, data: Dataset, new: Rows, network: Mapping[str, NDArray[np.float32]]
) -> TaskBlend | None:
    """Plain members of tasks, counted again over all rows where that is quick, and weighed again where they do harm."""
    every = np.arange(len(data))
    found = weigh_again(_quick_again(blend, data, np.setdiff1d(every, new)), data, new, network)
    return None if found is None else _quick_again(found, data, every)


def _quick_again(blend: TaskBlend, data: Dataset, rows: Rows) -> TaskBlend:
    members = {name: m.refit(data, rows) if m.is_quick else m for name, m in blend.members.items()}
    statistics = {name: data.encoder.statistics(name) for name in blend.weights}
    return TaskBlend(members, blend.weights, statistics, blend.report)
