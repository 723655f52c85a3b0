"""The encoder: vocabularies, scales of numbers and reductions of vectors, fitted on training rows only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtri

from motet.data._containers import IdIndex, Ragged, Spill
from motet.data._raw import RawTable
from motet.schema import ENTITIES, Entity, LabelStatistics, Parts, Schema

if TYPE_CHECKING:
    from motet.data._vectors import Reduction

__all__ = ["EncodedTable", "Encoder", "Layout", "Scale", "Vocabulary"]

QUANTILES = 257


@dataclass(frozen=True, slots=True)
class Scale:
    """How one number enters the model: a transform, then (x − centre) / spread.

    Attributes:
        kind: ``standard``, ``log``, ``quantile`` or ``none``, as in the schema.
        centre: Mean of the training values after the transform; missing values take it.
        spread: Their standard deviation; 1 for a constant.
        knots: Quantiles of the training values, for ``quantile`` only.
    """

    kind: str
    centre: float = 0.0
    spread: float = 1.0
    knots: tuple[float, ...] = ()

    @classmethod
    def fit(cls, kind: str, values: NDArray[np.float64]) -> Scale:
        """Fit on training values; missing ones (NaN) are left out.

        Example:
            >>> Scale.fit("standard", np.array([1.0, 3.0, np.nan])).apply(np.array([3.0, np.nan]))
            array([1., 0.], dtype=float32)
        """
        values = values[np.isfinite(values)]
        if kind == "none" or not len(values):
            return cls(kind if kind != "quantile" else "none")
        if kind == "quantile":
            knots = np.quantile(values, np.linspace(0, 1, QUANTILES))
            return cls(kind, knots=tuple(float(k) for k in knots))
        values = cls(kind)._transform(values)
        spread = float(values.std())
        return cls(kind, float(values.mean()), spread if spread > 1e-12 else 1.0)

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Scale values; missing ones become 0, the centre. Shape as given."""
        scaled = (self._transform(values) - self.centre) / self.spread
        return np.where(np.isfinite(scaled), scaled, 0.0).astype(np.float32)

    def _transform(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.kind == "log":
            return np.asarray(np.sign(values) * np.log1p(np.abs(values)))
        if self.kind == "quantile":
            knots = np.asarray(self.knots)
            low = np.searchsorted(knots, values, "left")
            high = np.searchsorted(knots, values, "right")
            rank = (low + high) / 2 / QUANTILES
            normal = ndtri(np.clip(rank, 1e-3, 1 - 1e-3))
            return np.where(np.isfinite(values), normal, np.nan)
        return values

    def to_json(self) -> dict[str, Any]:
        """The scale as plain values."""
        return {"kind": self.kind, "centre": self.centre, "spread": self.spread, "knots": list(self.knots)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Scale:
        """Read what :meth:`to_json` wrote."""
        return cls(content["kind"], content["centre"], content["spread"], tuple(content["knots"]))


# The encoder: from strings and numbers to codes and arrays.

_BLOCK_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of one feature that have a row of their own in the one embedding table.

    Attributes:
        words: Known words; every other word has row ``offset``.
        offset: First row of this feature.
        rows: Rows from there on that a full training gave it, the unknown one included.
        places: Row of each word, int32 [n]: ``offset + 1 + k`` for word k after a full training; words that came
            later have rows anywhere behind those of all features.
    """

    words: IdIndex
    offset: int
    rows: int
    places: NDArray[np.int32]

    @classmethod
    def fitted(cls, words: IdIndex, offset: int) -> Vocabulary:
        """As a full training gives it: the unknown row, then those of the words, in order."""
        return cls(words, offset, len(words) + 1, offset + 1 + np.arange(len(words), dtype=np.int32))

    @property
    def is_fitted(self) -> bool:
        """Whether all words have the rows that a full training gave them."""
        whole = self.rows == len(self.words) + 1
        return whole and bool((self.places == self.offset + 1 + np.arange(len(self.words))).all())

    def encode(self, index: IdIndex, positions: NDArray[np.int32]) -> NDArray[np.int32]:
        """Table rows of numbered words, shape as ``positions``; −1 is missing and so unknown."""
        known = np.append(self.words.rows(index.words), np.int32(-1))
        return np.append(self.places, np.int32(self.offset))[known][positions]

    def word(self, row: int) -> str | None:
        """The word of a row of the table; None for the unknown one, and for rows of other features."""
        found = np.flatnonzero(self.places == row)
        return str(self.words.words[int(found[0])]) if len(found) else None


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of the columns of an encoded table, in order.

    Attributes:
        codes: Ids and categories.
        is_id: Which of them are ids, which training drops at random.
        numbers: Scaled numbers; "x missing" tells whether x was missing.
        number_features: Feature that each of them comes from.
        tags: Tag features.
        vectors: Text and vector features.
        sequences: Sequence features (of the user).
    """

    codes: tuple[str, ...]
    is_id: tuple[bool, ...]
    numbers: tuple[str, ...]
    number_features: tuple[str, ...]
    tags: tuple[str, ...]
    vectors: tuple[str, ...]
    sequences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EncodedTable:
    """Encoded columns of n rows: codes int32 [n, C], numbers float32 [n, M], tags per feature."""

    codes: NDArray[np.int32]
    numbers: NDArray[np.float32]
    tags: Mapping[str, Ragged]


@dataclass(slots=True)
class Encoder:
    """Fitted vocabularies, scales, classes and label statistics.

    Attributes:
        schema: The schema it was fitted for.
        vocabularies: Per id, category, tag feature and ``scenario``.
        scales: Per number.
        missing: Numbers that have an indicator because training rows lacked some.
        reductions: Per text or vector feature that is whitened or made narrower otherwise.
        vector_widths: Width of each text or vector feature as the model gets it.
        classes: Per multi-class and multi-label task, the names of its classes.
        class_shares: Per multi-class task, the share of each class in training labels.
        label_mean: Per regression task, the mean of training labels; per binary task, their rate.
        label_std: Per regression task, their standard deviation.
        table_rows: Rows of the one embedding table.
    """

    schema: Schema
    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)
    scales: dict[str, Scale] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    reductions: dict[str, Reduction] = field(default_factory=dict)
    vector_widths: dict[str, int] = field(default_factory=dict)
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    class_shares: dict[str, tuple[float, ...]] = field(default_factory=dict)
    label_mean: dict[str, float] = field(default_factory=dict)
    label_std: dict[str, float] = field(default_factory=dict)
    table_rows: int = 0

    @property
    def interaction_tasks(self) -> tuple[str, ...]:
        """Names of the tasks on interactions, in schema order."""
        return tuple(name for name, task in self.schema.tasks.items() if task.on == "interaction")

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Names of the scenarios; index 0 is "unknown"."""
        vocabulary = self.vocabularies.get("scenario")
        return ("unknown", *(vocabulary.words.words.to_list() if vocabulary else []))

    def layout(self, entity: Entity) -> Layout:
        """Names of an entity's encoded columns."""
        parts = self.parts(entity)
        codes = [
            (part, self.schema.features.of(entity)[n].is_id) for n, p in parts.items() for part in p.codes
        ]
        if entity == "interaction" and self.schema.keys.scenario:
            codes.append(("scenario", False))
        numbers: list[str] = []
        number_features: list[str] = []
        for name, given in parts.items():
            columns = [
                n
                for part in given.numbers
                for n in ([part, f"{part} missing"] if part in self.missing else [part])
            ]
            numbers += columns
            number_features += [name] * len(columns)
        return Layout(
            codes=tuple(part for part, _ in codes),
            is_id=tuple(is_id for _, is_id in codes),
            numbers=tuple(numbers),
            number_features=tuple(number_features),
            tags=tuple(part for given in parts.values() for part in given.tags),
            vectors=tuple(part for given in parts.values() for part in (*given.texts, *given.vectors)),
            sequences=tuple(part for given in parts.values() for part in given.events),
        )

    def parts(self, entity: Entity) -> dict[str, Parts]:
        """What each feature of an entity gives, by feature."""
        return {name: feature.parts(name) for name, feature in self.schema.features.of(entity).items()}

    def statistics(self, task: str) -> LabelStatistics:
        """What is known of the training labels of a task."""
        return LabelStatistics(
            self.label_mean.get(task, 0.0),
            self.label_std.get(task, 1.0),
            self.classes.get(task, ()),
            self.class_shares.get(task, ()),
        )

    def fit(self, raw: Mapping[Entity, RawTable], weight: Mapping[Entity, NDArray[np.int64]]) -> None:
        """Fit vocabularies and scales.

        Args:
            raw: Tables as read.
            weight: Per entity, the number of training interactions of each row, [n]; rows of
                weight 0 are not looked at.
        """
        for entity in ENTITIES:
            if entity not in raw:
                continue
            table, counts = raw[entity], weight[entity]
            features = {
                part: self.schema.features.of(entity)[name]
                for name, parts in self.parts(entity).items()
                for part in (*parts.codes, *parts.tags, *parts.numbers)
            }
            for name, (index, positions) in table.words.items():
                minimum = features[name].fewest_rows if name in features else 1
                self._add_vocabulary(name, index, _counts(positions, counts, len(index)), minimum)
            for name, (index, lists) in table.tags.items():
                repeated = np.repeat(counts, lists.lengths())
                minimum = features[name].fewest_rows
                self._add_vocabulary(name, index, _counts(lists.values, repeated, len(index)), minimum)
            for name, values in table.numbers.items():
                seen = _sample(values, counts)
                self.scales[name] = Scale.fit(features[name].scaling, seen)
                if np.isnan(seen).any():
                    self.missing.append(name)

    def encode(self, table: RawTable, entity: Entity, spill: Spill | None = None) -> EncodedTable:
        """Encode a table; words not in the vocabulary are unknown, missing numbers are the mean."""
        spill = spill or Spill()
        layout = self.layout(entity)
        codes = spill.writer(np.int32, len(layout.codes))
        numbers = spill.writer(np.float32, len(layout.numbers))
        for start in range(0, max(table.rows, 1), _BLOCK_ROWS):
            block = slice(start, min(start + _BLOCK_ROWS, table.rows))
            n = block.stop - start
            columns = [
                self.vocabularies[name].encode(table.words[name][0], table.words[name][1][block])
                for name in layout.codes
            ]
            codes.append(np.stack(columns, 1) if columns else np.empty((n, 0), np.int32))
            scaled = [self._number(table, name, block) for name in layout.numbers]
            numbers.append(np.stack(scaled, 1) if scaled else np.empty((n, 0), np.float32))
        tags = {}
        for name in layout.tags:
            index, lists = table.tags[name]
            tags[name] = Ragged(self.vocabularies[name].encode(index, lists.values), lists.offsets)
        return EncodedTable(codes.finish(), numbers.finish(), tags)

    def _number(self, table: RawTable, name: str, block: slice) -> NDArray[np.float32]:
        source = name.removesuffix(" missing")
        if name != source and source in self.missing:
            return np.isnan(table.numbers[source][block]).astype(np.float32)
        return self.scales[name].apply(table.numbers[name][block].astype(np.float64))

    def _add_vocabulary(self, name: str, index: IdIndex, counts: NDArray[np.int64], minimum: int) -> None:
        frame = pl.DataFrame({"word": index.words, "count": counts}).filter(
            pl.col("count") >= max(minimum, 1)
        )
        words = frame.sort("count", "word", descending=[True, False])["word"]
        self.vocabularies[name] = Vocabulary.fitted(IdIndex(words), self.table_rows)
        self.table_rows += len(words) + 1


def _counts(positions: NDArray[np.int32], weight: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    counts = np.zeros(n, np.int64)
    for start in range(0, len(positions), _BLOCK_ROWS):
        block, heavy = positions[start : start + _BLOCK_ROWS], weight[start : start + _BLOCK_ROWS]
        known = block >= 0
        counts += np.bincount(block[known], heavy[known], minlength=n).astype(np.int64)
    return counts


def _sample(values: NDArray[np.float32], weight: NDArray[np.int64]) -> NDArray[np.float64]:
    """At most a million values of training rows, evenly spaced."""
    rows = np.flatnonzero(weight > 0)
    return values[rows[:: max(1, len(rows) // _BLOCK_ROWS)]].astype(np.float64)
