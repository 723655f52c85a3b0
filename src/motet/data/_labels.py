"""Labels, and which rows are for training, validation and test."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._containers import ColumnWriter, IdIndex, Ragged, Spill, as_strings, release
from motet.data._encoder import Encoder
from motet.data._prepare import CleaningReport, evaluate
from motet.errors import DataError
from motet.schema import Entity, Schema, SplitSettings, Task

__all__ = ["SPLIT_CODES", "Fold", "LabelReader", "RawLabels", "draw_split", "split_rows"]

_BLOCK_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class RawLabels:
    """Labels of the tasks on one entity, before classes are known.

    Attributes:
        values: Per task, float32 [n], NaN where missing; the word number of a multi-class task;
            1 where the set of a multi-label task is known.
        words: Per multi-class and multi-label task, its distinct words.
        sets: Per multi-label task, the words of each row.
    """

    values: Mapping[str, NDArray[np.float32]]
    words: Mapping[str, IdIndex]
    sets: Mapping[str, Ragged] = field(default_factory=dict)

    def take(self, rows: NDArray[np.int64]) -> RawLabels:
        """Some of the rows, in their order."""
        return RawLabels(
            {name: column[rows] for name, column in self.values.items()},
            self.words,
            {name: lists.take(rows) for name, lists in self.sets.items()},
        )

    def fit(self, encoder: Encoder, train: NDArray[np.bool_], tasks: Collection[str] | None = None) -> None:
        """Fit classes and label statistics on training rows, of some tasks or of all."""
        for name, column in self.values.items():
            if tasks is not None and name not in tasks:
                continue
            seen = train & ~np.isnan(column)
            if name in self.sets:
                lists = self.sets[name]
                count = np.bincount(
                    lists.values[np.repeat(seen, lists.lengths())], minlength=len(self.words[name])
                )
            elif name in self.words:
                count = np.bincount(column[seen].astype(np.int64), minlength=len(self.words[name]))
            else:
                known = column[seen].astype(np.float64)
                encoder.label_mean[name] = float(known.mean()) if len(known) else 0.0
                encoder.label_std[name] = float(known.std()) or 1.0 if len(known) else 1.0
                continue
            words = self.words[name].words.to_list()
            found = sorted((w, n) for w, n in zip(words, count.tolist(), strict=True) if n > 0)
            encoder.classes[name] = tuple(w for w, _ in found)
            if name not in self.sets:
                encoder.class_shares[name] = tuple(n / sum(count.tolist()) for _, n in found)

    def encode(
        self, encoder: Encoder, cleaning_report: CleaningReport, source: str, spill: Spill | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Ragged]]:
        """Labels as numbers: columns [n, T], and label codes per multi-label task.

        A class that no training row has cannot be learnt: its label is masked, and counted.
        """
        columns, sets = [], {}
        for name, column in self.values.items():
            if name in self.words:
                known = IdIndex(pl.Series(encoder.classes[name], dtype=pl.String))
                codes = known.rows(self.words[name].words)
            if name in self.sets:
                lists = self.sets[name]
                mapped = codes[lists.values] if len(codes) else lists.values
                owner = np.repeat(np.arange(len(lists)), lists.lengths())[mapped >= 0]
                lengths = np.bincount(owner, minlength=len(lists)).astype(np.int64)
                sets[name] = Ragged.from_lengths(mapped[mapped >= 0], lengths)
                unknown = int((mapped < 0).sum())
                cleaning_report.note(
                    source, name, "a label that no training row has", "label left out", unknown
                )
            elif name in self.words:
                present = ~np.isnan(column)
                mapped = np.full(len(column), -1, np.int64)
                mapped[present] = codes[column[present].astype(np.int64)]
                unknown = int((present & (mapped < 0)).sum())
                cleaning_report.note(
                    source, name, "a class that no training row has", "label masked", unknown
                )
                column = np.where(mapped >= 0, mapped, np.nan).astype(np.float32)  # noqa: PLW2901
            columns.append(column)
        n = len(columns[0]) if columns else 0
        together = (spill or Spill()).writer(np.float32, len(columns))
        for start in range(0, n if columns else 0, _BLOCK_ROWS):
            together.append(np.stack([column[start : start + _BLOCK_ROWS] for column in columns], 1))
        release(*columns)
        return together.finish(), sets


class LabelReader:
    """Reads the labels of the tasks on one entity from prepared chunks."""

    def __init__(
        self,
        schema: Schema,
        entity: Entity,
        source: str,
        cleaning_report: CleaningReport,
        spill: Spill | None = None,
    ) -> None:
        self._tasks: dict[str, Task] = {
            name: task for name, task in schema.tasks.items() if task.on == entity
        }
        self._source, self._cleaning_report = source, cleaning_report
        spill = spill or Spill()
        self._columns = {name: spill.writer(np.float32) for name in self._tasks}
        self._words = {name: IdIndex() for name, task in self._tasks.items() if task.has_classes}
        self._sets: dict[str, tuple[ColumnWriter, ColumnWriter]] = {
            name: (spill.writer(np.int32), spill.writer(np.int64))
            for name, task in self._tasks.items()
            if task.has_sets
        }

    def add(self, frame: pl.DataFrame) -> None:
        """Read one prepared chunk.

        Raises:
            DataError: If a label expression fails, or a label is not of its task's kind.
        """
        values = {name: self._read(name, task, frame) for name, task in self._tasks.items()}
        for name in self._tasks:
            masked = values[name].copy()
            parent = self._tasks[name].after
            while parent is not None:
                masked[values[parent] != 1] = np.nan
                parent = self._tasks[parent].after
            self._columns[name].append(masked)

    def finish(self) -> RawLabels:
        """All chunks."""
        return RawLabels(
            values={name: column.finish() for name, column in self._columns.items()},
            words=self._words,
            sets={name: Ragged.from_lengths(v.finish(), n.finish()) for name, (v, n) in self._sets.items()},
        )

    def _read(self, name: str, task: Task, frame: pl.DataFrame) -> NDArray[np.float32]:
        cells = evaluate(frame, task.label, self._source, f"tasks.{name}.label")
        return task.read_labels(cells, _Sink(self, name, task))

    def words(self, name: str, cells: pl.Series) -> NDArray[np.int32]:
        """Number the words of a task, −1 where missing, [n]."""
        return self._words[name].grow(as_strings(cells))

    def sets(self, name: str, lists: pl.Series) -> None:
        """Take in the sets of a task."""
        values, lengths = self._sets[name]
        exploded = lists.fill_null(pl.Series([[]], dtype=pl.List(pl.String))).explode(empty_as_null=False)
        values.append(self._words[name].grow(exploded))
        lengths.append(lists.list.len().fill_null(0).to_numpy())

    def note(self, name: str, found: str, done: str, rows: int) -> None:
        """Note what was done to some labels of a task."""
        self._cleaning_report.note(self._source, f"tasks.{name}", found, done, rows)

    def place(self, name: str, task: Task) -> str:
        """Where the labels of a task are from."""
        return f"{self._source}: tasks.{name}.label {task.label!r}"


@dataclass(frozen=True, slots=True)
class _Sink:
    """A :class:`motet.schema.LabelSink` of one task of a reader."""

    reader: LabelReader
    name: str
    task: Task

    @property
    def place(self) -> str:
        return self.reader.place(self.name, self.task)

    def note(self, found: str, done: str, rows: int) -> None:
        self.reader.note(self.name, found, done, rows)

    def words(self, cells: pl.Series) -> NDArray[np.int32]:
        return self.reader.words(self.name, cells)

    def sets(self, lists: pl.Series) -> None:
        self.reader.sets(self.name, lists)


# Splits: which rows are for training, validation and test.

SPLIT_CODES = {"train": 0, "validation": 1, "test": 2, "unused": 3}
_WINDOWS_FROM = 0.5  # the test windows of a rolling origin are in the last half of the rows
_TOLERANCE = 1e-9  # 0.8 + 0.1 is a little more than 0.9


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold of a cross-validation, in the place of the schema's own split.

    With ``by: random`` the rows of each user are dealt out at random: every row is tested in one fold. With
    ``by: time`` and ``by: user_time`` each fold is a window of a rolling origin: it is tested on the rows of a
    window, trained and validated on those before it, and what comes later is unused. Windows follow each
    other up to the last row, each as long as the test of the schema, or shorter where they would not fit into
    the last half of the rows. Where they fit, the last fold is the split of the schema.

    Attributes:
        number: Which, from 0.
        of: Number of folds, at least 2.
        seed: Of random folds.
    """

    number: int
    of: int
    seed: int = 0

    def deal(
        self, settings: SplitSettings, group: NDArray[np.int32] | None, n: int, stream: int = 0
    ) -> NDArray[np.uint8]:
        """Split n rows at random, those of each group evenly; ``stream`` tells draws apart."""
        drawn = np.random.default_rng([self.seed, 2, stream]).permutation(n)
        order = drawn if group is None else np.lexsort((drawn, group))
        place = np.empty(n, np.int64)
        place[order] = np.arange(n)
        split = np.full(n, SPLIT_CODES["train"], np.uint8)
        rank = place - (place - self.number + self.of - 1) // self.of  # among the rows that are not tested
        share = settings.validation / (settings.train + settings.validation)
        split[np.floor((rank + 1) * share) > np.floor(rank * share)] = SPLIT_CODES["validation"]
        split[place % self.of == self.number] = SPLIT_CODES["test"]
        return split

    def window(
        self, settings: SplitSettings, rank: NDArray[np.int64], size: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """Split rows by their rank in time, from 0, among ``size`` rows."""
        length = min(1 - settings.train - settings.validation, (1 - _WINDOWS_FROM) / self.of)
        end = 1 - length * (self.of - 1 - self.number)
        start = end - length
        trained = start * settings.train / (settings.train + settings.validation)
        share = (rank + 1) / np.maximum(size, 1)
        split = np.full(len(rank), SPLIT_CODES["unused"], np.uint8)
        for until, name in ((end, "test"), (start, "validation"), (trained, "train")):
            split[share <= until + _TOLERANCE] = SPLIT_CODES[name]
        return split


def split_rows(
    settings: SplitSettings,
    user_row: NDArray[np.int32],
    item_row: NDArray[np.int32],
    time: NDArray[np.int64],
    item_order: NDArray[np.int64],
    column: pl.Series | None,
    fold: Fold | None = None,
) -> NDArray[np.uint8]:
    """Assign every interaction to a split.

    A row of rank r (from 0) among n falls in training if (r + 1) / n ≤ train, and in validation if
    (r + 1) / n ≤ train + validation. Ties in time are ordered by item.

    Args:
        settings: How to split.
        user_row: int32 [N].
        item_row: int32 [N].
        time: Microseconds, int64 [N].
        item_order: Rank of each item's id in natural order, [I], which breaks ties.
        column: The named column, for ``by: column``.
        fold: A fold in the place of the shares of the settings; not for ``by: column``.

    Returns:
        Codes of :data:`SPLIT_CODES`, uint8 [N].

    Raises:
        DataError: If the column holds another word than train, validation, test or unused.
    """
    n = len(user_row)
    if settings.by == "column":
        assert column is not None  # noqa: S101 (the schema demands it)
        split = _from_words(column, str(settings.column))
    elif settings.by == "random":
        split = draw_split(n, settings) if fold is None else fold.deal(settings, user_row, n)
    else:
        by_item = item_order[item_row] if len(item_order) else item_row
        if settings.by == "time":
            order = np.lexsort((by_item, time))
            rank, size = np.empty(n, np.int64), np.array([n])
            rank[order] = np.arange(n)
        else:
            order = np.lexsort((by_item, time, user_row))
            counts = np.bincount(user_row, minlength=int(user_row.max(initial=-1)) + 1)
            starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
            rank = np.empty(n, np.int64)
            rank[order] = np.arange(n) - np.repeat(starts, counts)
            size = counts[user_row]
        split = _cut(rank, size, settings) if fold is None else fold.window(settings, rank, size)
    if settings.hold_out_items:
        items = np.unique(item_row)
        stream = [1] if fold is None else [1, fold.number]
        chosen = np.random.default_rng([settings.seed, *stream]).permutation(items)
        held = np.isin(item_row, chosen[: round(settings.hold_out_items * len(items))])
        split[held & (split != SPLIT_CODES["test"])] = SPLIT_CODES["unused"]
    return split


def draw_split(
    n: int, settings: SplitSettings, stream: int = 0, fold: Fold | None = None
) -> NDArray[np.uint8]:
    """Split n rows at random with the settings' seed, or as a fold says; ``stream`` tells draws apart."""
    if fold is not None:
        return fold.deal(settings, None, n, stream)
    rank = np.empty(n, np.int64)
    rank[np.random.default_rng([settings.seed, 0, stream]).permutation(n)] = np.arange(n)
    return _cut(rank, np.full(n, n), settings)


def _cut(rank: NDArray[np.int64], size: NDArray[np.int64], settings: SplitSettings) -> NDArray[np.uint8]:
    share = (rank + 1) / np.maximum(size, 1)
    split = np.full(len(rank), SPLIT_CODES["test"], np.uint8)
    split[share <= settings.train + settings.validation + _TOLERANCE] = SPLIT_CODES["validation"]
    split[share <= settings.train + _TOLERANCE] = SPLIT_CODES["train"]
    return split


def _from_words(column: pl.Series, name: str) -> NDArray[np.uint8]:
    words = column.cast(pl.String).str.to_lowercase().str.replace("^valid$|^val$|^dev$", "validation")
    unknown = words.filter(~words.is_in(list(SPLIT_CODES)) | words.is_null())
    if len(unknown):
        raise DataError(
            f"split.column '{name}' holds {unknown[0]!r}", "use only train, validation, test and unused"
        )
    codes: NDArray[np.uint8] = words.replace_strict(SPLIT_CODES, return_dtype=pl.UInt8).to_numpy()
    return codes.copy()
