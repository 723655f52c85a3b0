"""Labels: evaluated from the schema's expressions, masked where they are missing or not defined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._account import Account
from motet.data._columns import ColumnWriter, Spill, release
from motet.data._encoder import Encoder
from motet.data._index import WordIndex, as_words
from motet.data._prepare import evaluate, quoted_text
from motet.data._ragged import Ragged, split_words
from motet.errors import DataError
from motet.schema import AnyTask, Entity, MultilabelTask, RegressionTask, Schema

__all__ = ["LabelReader", "RawLabels"]

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
    words: Mapping[str, WordIndex]
    sets: Mapping[str, Ragged] = field(default_factory=dict)

    def take(self, rows: NDArray[np.int64]) -> RawLabels:
        """Some of the rows, in their order."""
        return RawLabels(
            {name: column[rows] for name, column in self.values.items()},
            self.words,
            {name: lists.take(rows) for name, lists in self.sets.items()},
        )

    def fit(self, encoder: Encoder, train: NDArray[np.bool_]) -> None:
        """Fit classes and label statistics on training rows."""
        for name, column in self.values.items():
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
            encoder.classes[name] = tuple(sorted(w for w, n in zip(words, count, strict=True) if n > 0))

    def encode(
        self, encoder: Encoder, account: Account, source: str, spill: Spill | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Ragged]]:
        """Labels as numbers: columns [n, T], and label codes per multi-label task.

        A class that no training row has cannot be learnt: its label is masked, and counted.
        """
        columns, sets = [], {}
        for name, column in self.values.items():
            if name in self.words:
                known = WordIndex(pl.Series(encoder.classes[name], dtype=pl.String))
                codes = known.rows(self.words[name].words)
            if name in self.sets:
                lists = self.sets[name]
                mapped = codes[lists.values] if len(codes) else lists.values
                owner = np.repeat(np.arange(len(lists)), lists.lengths())[mapped >= 0]
                lengths = np.bincount(owner, minlength=len(lists)).astype(np.int64)
                sets[name] = Ragged.from_lengths(mapped[mapped >= 0], lengths)
                unknown = int((mapped < 0).sum())
                account.note(source, name, "a label that no training row has", "label left out", unknown)
            elif name in self.words:
                present = ~np.isnan(column)
                mapped = np.full(len(column), -1, np.int64)
                mapped[present] = codes[column[present].astype(np.int64)]
                unknown = int((present & (mapped < 0)).sum())
                account.note(source, name, "a class that no training row has", "label masked", unknown)
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
        self, schema: Schema, entity: Entity, source: str, account: Account, spill: Spill | None = None
    ) -> None:
        self._tasks: dict[str, AnyTask] = {
            name: task for name, task in schema.tasks.items() if task.on == entity
        }
        self._source, self._account = source, account
        spill = spill or Spill()
        self._columns = {name: spill.writer(np.float32) for name in self._tasks}
        self._words = {
            name: WordIndex()
            for name, task in self._tasks.items()
            if task.kind in ("multiclass", "multilabel")
        }
        self._sets: dict[str, tuple[ColumnWriter, ColumnWriter]] = {
            name: (spill.writer(np.int32), spill.writer(np.int64))
            for name, task in self._tasks.items()
            if task.kind == "multilabel"
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

    def _read(self, name: str, task: AnyTask, frame: pl.DataFrame) -> NDArray[np.float32]:
        cells = evaluate(frame, task.label, self._source, f"tasks.{name}.label")
        if isinstance(task, MultilabelTask):
            lists = split_words(cells, task.separator)
            values, lengths = self._sets[name]
            exploded = lists.fill_null(pl.Series([[]], dtype=pl.List(pl.String))).explode(empty_as_null=False)
            values.append(self._words[name].grow(exploded))
            lengths.append(lists.list.len().fill_null(0).to_numpy())
            return np.where(lists.is_null().to_numpy(), np.nan, 1.0).astype(np.float32)
        if task.kind == "multiclass":
            codes = self._words[name].grow(as_words(cells))
            return np.where(codes >= 0, codes, np.nan).astype(np.float32)
        if cells.dtype != pl.Boolean and not cells.dtype.is_numeric() and cells.null_count() < len(cells):
            example = cells.drop_nulls()[0]
            raise DataError(
                f"{self._source}: tasks.{name}.label {task.label!r} gives {str(example)[:60]!r}, not a number",
                f'compare it with a value, such as "{task.label} = {quoted_text(example)}"',
            )
        numbers = cells.cast(pl.Float32, strict=False).fill_null(np.nan).to_numpy().copy()
        numbers[~np.isfinite(numbers)] = np.nan
        if isinstance(task, RegressionTask):
            if task.range is not None:
                low, high = task.range
                outside = (numbers < low) | (numbers > high)
                self._account.note(
                    self._source,
                    f"tasks.{name}",
                    f"label outside {low:g} to {high:g}",
                    "label masked",
                    int(outside.sum()),
                )
                numbers[outside] = np.nan
        else:
            wrong = ~np.isnan(numbers) & (numbers != 0) & (numbers != 1)
            if wrong.any():
                # the lowest value, such as the -1 of a dislike, would make every label 1
                above = numbers > np.nanmin(numbers)
                offers = (numbers[above & wrong], numbers[above], numbers[wrong])
                from_value = next(values[0] for values in offers if len(values))
                raise DataError(
                    f"{self._source}: tasks.{name}.label {task.label!r} gives {numbers[wrong][0]:g}, which is not 0 or 1",
                    f'compare it with a value, such as "{task.label} >= {from_value:g}"',
                )
        return numbers
