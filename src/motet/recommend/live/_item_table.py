"""Encoded items in arrays that only grow, and their side of the model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.data import Dataset, EntityTable, Ragged
from motet.errors import DataError
from motet.models import MultiTaskModel
from motet.models.baselines import PairMember
from motet.recommend import NOT_OF_KIND, ContextRows, ItemSide, RawRows, item_side
from motet.schema import Entity, Schema, expression_columns, table_of

__all__ = [
    "AppendOnlyArray",
    "AppendOnlyRagged",
    "AppendOnlyTensor",
    "EncodedItems",
    "ItemRows",
    "ItemSides",
    "ItemTable",
    "frame_of",
    "without_entities",
]

# Arrays that only grow: what an earlier reader holds is never written again.

_Cells = TypeVar("_Cells", bound=np.generic)


class AppendOnlyArray(Generic[_Cells]):
    """Rows at the end of an array, in amortised constant time a row.

    Views handed out before stay valid: rows are written once, beyond every view.

    Example:
        >>> grown = AppendOnlyArray(np.array([1, 2]))
        >>> before = grown.view
        >>> grown.append(np.array([3])); before.tolist(), grown.view.tolist()
        ([1, 2], [1, 2, 3])
    """

    def __init__(self, start: NDArray[_Cells]) -> None:
        self._cells = start
        self.view = start

    def __len__(self) -> int:
        return len(self.view)

    def append(self, more: NDArray[_Cells]) -> None:
        """Add rows."""
        n, total = len(self.view), len(self.view) + len(more)
        if total > len(self._cells):
            room = np.empty((max(64, total + total // 2), *self.view.shape[1:]), self.view.dtype)
            room[:n] = self.view
            self._cells = room
        self._cells[n:total] = more
        self.view = self._cells[:total]


class AppendOnlyTensor:
    """The same for a tensor.

    Example:
        >>> grown = AppendOnlyTensor(torch.ones(1, 2)); grown.append(torch.zeros(2, 2)); grown.view.shape
        torch.Size([3, 2])
    """

    def __init__(self, start: Tensor) -> None:
        self._rows: AppendOnlyArray[Any] = AppendOnlyArray(start.detach().numpy())
        self.view = start.detach()

    def append(self, more: Tensor) -> None:
        """Add rows."""
        self._rows.append(more.detach().numpy())
        self.view = torch.from_numpy(self._rows.view)


class AppendOnlyRagged:
    """The same for lists of different lengths."""

    def __init__(self, start: Ragged) -> None:
        self._values: AppendOnlyArray[np.int32] = AppendOnlyArray(start.values)
        self._offsets: AppendOnlyArray[np.int64] = AppendOnlyArray(start.offsets)
        self.view = start

    def append(self, more: Ragged) -> None:
        """Add lists."""
        last = self._offsets.view[-1]
        self._values.append(more.values)
        self._offsets.append(more.offsets[1:] + last)
        self.view = Ragged(self._values.view, self._offsets.view)


# Encoded items that only grow: the part of a data set that is about items.

_CHUNKS = 64  # a frame of so many pieces is put into one


@dataclass(frozen=True, slots=True)
class EncodedItems:
    """Items at one point in time.

    Attributes:
        table: Encoded.
        vectors: Per text or vector feature of items.
        frame: In readable form, a row each.
        sides: Their texts for templates of the interaction; None where no template names them.
        same: Equal for items that read exactly alike, [I].
    """

    table: EntityTable
    vectors: Mapping[str, NDArray[np.float32]]
    frame: pl.DataFrame
    sides: pl.DataFrame | None
    same: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.table)


class ItemTable:
    """Items of a bundle, and those added since.

    Args:
        data: The bundle's data set.
    """

    def __init__(self, data: Dataset) -> None:
        items = data.items
        self._names = data.encoder.layout("item").vectors
        self._codes = AppendOnlyArray(items.codes)
        self._numbers = AppendOnlyArray(items.numbers)
        self._vector_rows = AppendOnlyArray(items.vector_rows)
        self._tags = {name: AppendOnlyRagged(lists) for name, lists in items.tags.items()}
        self._vectors = {name: AppendOnlyArray(data.vectors[name]) for name in self._names}
        self._frame = data.catalogue.frame if data.catalogue is not None else pl.DataFrame()
        self._title = None if data.catalogue is None else data.catalogue.title
        self._same = AppendOnlyArray(_read_alike(self._frame, self._title))
        self._sides = data.sides.get("item")
        self.view = self._seen()

    def append(self, new: Dataset) -> EncodedItems:
        """Add the items of a data set that holds nothing else."""
        rows = new.items.vector_rows.copy()
        for column, name in enumerate(self._names):
            present = rows[:, column] > 0
            rows[present, column] += len(self._vectors[name]) - 1
            self._vectors[name].append(new.vectors[name][1:])
        self._codes.append(new.items.codes)
        self._numbers.append(new.items.numbers)
        self._vector_rows.append(rows)
        for name, lists in self._tags.items():
            lists.append(new.items.tags[name])
        if new.catalogue is not None:
            self._frame = self._frame.vstack(new.catalogue.frame)
            self._same.append(_read_alike(new.catalogue.frame, self._title))
            if self._frame.n_chunks() > _CHUNKS:
                self._frame = self._frame.rechunk()
        if self._sides is not None:
            self._sides = self._sides.vstack(new.sides["item"].select(self._sides.columns))
        self.view = self._seen()
        return self.view

    def _seen(self) -> EncodedItems:
        table = EntityTable(
            self._codes.view,
            self._numbers.view,
            {name: lists.view for name, lists in self._tags.items()},
            self._vector_rows.view,
        )
        vectors = {name: matrix.view for name, matrix in self._vectors.items()}
        return EncodedItems(table, vectors, self._frame, self._sides, self._same.view)


def _read_alike(frame: pl.DataFrame, title: str | None) -> NDArray[np.uint64]:
    """One hash of all that a user can read of an item; of the id where it has no title."""
    if title is None:
        return frame["id"].hash(seed=0).to_numpy() if frame.width else np.zeros(0, np.uint64)
    cells = []
    for column in frame.columns:
        cell = pl.col(column)
        if frame[column].dtype == pl.List:
            cell = cell.list.join("\x1e", ignore_nulls=True)
        if column != "id":
            cells.append(cell.cast(pl.String).str.to_lowercase().str.strip_chars().fill_null(""))
    named = pl.col(title).is_not_null() & (pl.col(title) != "")
    words = (
        pl.when(named).then(pl.concat_str(cells, separator="\x1f")).otherwise(pl.lit("\x00") + pl.col("id"))
    )
    return frame.select(words.alias("words"))["words"].hash(seed=0).to_numpy()


# Raw rows of items, encoded alone by the code of training; what a patch leaves out stays as it was.


def without_entities(data: Dataset, entity: Entity) -> Dataset:
    """The data set with none of its users or items, and only the missing vector of each feature."""
    table = data.table(entity)
    none = EntityTable(
        table.codes[:0],
        table.numbers[:0],
        {name: Ragged.empty(0) for name in table.tags},
        table.vector_rows[:0],
    )
    vectors = dict(data.vectors)
    vectors |= {name: data.vectors[name][:1] for name in data.encoder.layout(entity).vectors}
    sides = {name: frame[:0] if name == entity else frame for name, frame in data.sides.items()}
    if entity == "user":
        histories = {
            name: replace(h, items=Ragged.empty(0), known=h.known[:0], train=h.train[:0])
            for name, h in data.histories.items()
        }
        return replace(
            data, users=none, vectors=vectors, sides=sides, histories=histories, user_ids=data.user_ids[:0]
        )
    catalogue = data.catalogue
    if catalogue is not None:
        catalogue = replace(catalogue, frame=catalogue.frame[:0])
    return replace(
        data, items=none, vectors=vectors, sides=sides, item_ids=data.item_ids[:0], catalogue=catalogue
    )


def frame_of(rows: Sequence[Mapping[str, Any]], what: str) -> pl.DataFrame:
    """Plain values as a table.

    Raises:
        DataError: If one column holds values of several kinds, or one that no column can hold.
    """
    try:
        return pl.DataFrame([dict(row) for row in rows], infer_schema_length=None)
    except NOT_OF_KIND as error:
        reason = (str(error).splitlines() or [""])[0][:200]
    for column in dict.fromkeys(name for row in rows for name in row):
        try:
            pl.DataFrame([{column: row.get(column)} for row in rows], infer_schema_length=None)
        except NOT_OF_KIND as error:
            reason = f"'{str(column)[:80]}': {(str(error).splitlines() or [''])[0][:200]}"
            break
    raise DataError(
        f"{what} hold values of several kinds in one column ({reason})", "give each column one kind of value"
    )


class ItemRows:
    """Encodes raw rows of items.

    Args:
        data: The bundle's data set.
        raw: Encodes rows as in training.
    """

    def __init__(self, data: Dataset, raw: RawRows) -> None:
        self.schema = data.schema
        self.key = str(data.schema.keys.item)
        self._raw, self._none = raw, without_entities(data, "item")
        self._layout = data.encoder.layout("item")
        self._sources = {name: _sources(self.schema, name) for name in self.schema.features.item}

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> Dataset:
        """A data set of these items alone.

        Raises:
            DataError: If a value is not of its column's kind.
        """
        return self._raw.extended(self._none, "item", frame_of(rows, "the items"))[0]

    def readable(self, frame: pl.DataFrame, row: int) -> dict[str, Any]:
        """What the catalogue says of an item, as a raw row."""
        cells = frame.row(row, named=True)
        cells[self.key] = cells.pop("id")
        return cells

    def keep(
        self,
        new: Dataset,
        at: Sequence[int],
        old: EncodedItems,
        rows: Sequence[int],
        given: Sequence[frozenset[str]],
    ) -> Dataset:
        """Take over from older rows of the same items what no given column decides.

        Args:
            new: Encoded rows.
            at: Which of them, [n].
            old: Where the older rows are.
            rows: The older rows, [n].
            given: Columns that are given, of each, [n].
        """
        items, place, before = new.items, np.asarray(at, np.int64), np.asarray(rows, np.int64)
        codes, numbers, vector_rows = items.codes.copy(), items.numbers.copy(), items.vector_rows.copy()
        tags, vectors = dict(items.tags), dict(new.vectors)
        for name, sources in self._sources.items():
            kept = np.array([not sources & columns for columns in given], bool)
            if not kept.any():
                continue
            here, there = place[kept], before[kept]
            if name in self._layout.codes:
                column = self._layout.codes.index(name)
                codes[here, column] = old.table.codes[there, column]
            for column, feature in enumerate(self._layout.number_features):
                if feature == name:
                    numbers[here, column] = old.table.numbers[there, column]
            if name in tags:
                tags[name] = _with_lists(tags[name], here, old.table.tags[name].take(there))
            if name in self._layout.vectors:
                column = self._layout.vectors.index(name)
                found = old.vectors[name][old.table.vector_rows[there, column]]
                vector_rows[here, column] = len(vectors[name]) + np.arange(len(here))
                vectors[name] = np.concatenate([vectors[name], found])
        return replace(new, items=EntityTable(codes, numbers, tags, vector_rows), vectors=vectors)


def _with_lists(lists: Ragged, at: NDArray[np.int64], others: Ragged) -> Ragged:
    """The lists with some of them replaced."""
    both = Ragged(
        np.concatenate([lists.values, others.values]),
        np.concatenate([lists.offsets, lists.offsets[-1] + others.offsets[1:]]),
    )
    order = np.arange(len(lists))
    order[at] = len(lists) + np.arange(len(at))
    return both.take(order)


def _sources(schema: Schema, feature: str) -> set[str]:
    """Columns of the file that a feature of the items rests on, and the derived ones in between."""
    wanted = set(schema.feature_columns("item", feature))
    for name, expression in reversed(schema.derive.get(table_of("item"), {}).items()):
        if name in wanted:
            wanted |= set(expression_columns(expression))
    return wanted


def _one_empty_row(data: Dataset) -> EntityTable:
    users = data.users
    return EntityTable(
        np.zeros((1, users.codes.shape[1]), users.codes.dtype),
        np.zeros((1, users.numbers.shape[1]), users.numbers.dtype),
        {name: Ragged.empty(1) for name in users.tags},
        np.zeros((1, users.vector_rows.shape[1]), users.vector_rows.dtype),
    )


# The model's side of items that only grows: computed for new rows alone.

_BLOCK_ROWS: Final = 8192
# up to this, products of first layers and parts of members are kept; beyond, each request computes them
_PART_BYTES: Final = 2**30


class ItemSides:
    """The item side of a growing table of items.

    Args:
        model: In evaluation mode.
        data: The bundle's data set.
        context_rows: Any context row.
        view: The items there are.
        part_bytes: Most memory for the products of first layers, and for what members make of items.
        members: Plain members of tasks.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        data: Dataset,
        context_rows: ContextRows,
        view: EncodedItems,
        part_bytes: int = _PART_BYTES,
        members: Collection[PairMember] = (),
    ) -> None:
        if not len(data.users):  # of a bundle that knows nobody: the item side names some user, whoever it is
            data = replace(data, users=_one_empty_row(data))
        self._model, self._data, self._context_rows = model, data, context_rows
        self._members = tuple(members)
        some = self._computed(view, 0, min(1, len(view)), parts=True)
        bytes_a_row = sum(4 * part.shape[1] for part in some.parts.values())
        bytes_a_row += sum(made.nbytes for made in some.members.values())
        self._with_parts = bytes_a_row * len(view) <= part_bytes
        first = self._computed(view, 0, min(_BLOCK_ROWS, len(view)), parts=self._with_parts)
        self._item = AppendOnlyTensor(first.item)
        self._parts = {layer: AppendOnlyTensor(part) for layer, part in first.parts.items()}
        self._logits = {task: AppendOnlyTensor(y) for task, y in first.logits.items()}
        self._of_members = {member: AppendOnlyArray(part) for member, part in first.members.items()}
        self._vectors = None if first.retrieval is None else AppendOnlyTensor(first.retrieval[0])
        self._bias = None if first.retrieval is None else AppendOnlyTensor(first.retrieval[1])
        self.extend(view)

    @property
    def view(self) -> ItemSide:
        """What has been computed."""
        retrieval = None
        if self._vectors is not None and self._bias is not None:
            retrieval = (self._vectors.view, self._bias.view)
        return ItemSide(
            self._item.view,
            {layer: part.view for layer, part in self._parts.items()},
            {task: y.view for task, y in self._logits.items()},
            retrieval,
            {member: part.view for member, part in self._of_members.items()},
        )

    def extend(self, view: EncodedItems) -> ItemSide:
        """Compute the rows of a table that are new."""
        for start in range(len(self._item.view), len(view), _BLOCK_ROWS):
            new = self._computed(view, start, min(start + _BLOCK_ROWS, len(view)), parts=self._with_parts)
            self._item.append(new.item)
            for layer, part in new.parts.items():
                self._parts[layer].append(part)
            for task, y in new.logits.items():
                self._logits[task].append(y)
            for member, made in new.members.items():
                self._of_members[member].append(made)
            if new.retrieval is not None and self._vectors is not None and self._bias is not None:
                self._vectors.append(new.retrieval[0])
                self._bias.append(new.retrieval[1])
        return self.view

    def _computed(self, view: EncodedItems, start: int, stop: int, *, parts: bool) -> ItemSide:
        vectors = {**self._data.vectors, **view.vectors}
        data = replace(self._data, items=view.table, vectors=vectors)
        rows = np.arange(start, stop, dtype=np.int32)
        return item_side(self._model, data, self._context_rows, rows, parts=parts, members=self._members)
