"""A batch: unique users and items, with indices into them.

Legend of shapes: B rows of the batch, U unique users (with their history), I unique items,
n rows of any one side, R unique rows of the embedding table, C codes, M numbers, L events,
D width of a vector, K labels of a task.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from motet.data._containers import EmbeddingRows, distinct_rows, distinct_users
from motet.data._dataset import Dataset, EntityTable
from motet.data._encoder import Layout
from motet.data._in_training import TrainingRows, augmented
from motet.data._labels import SPLIT_CODES
from motet.schema import ENTITIES, Entity, EventSettings

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Batch", "Batcher", "EventSequences", "Side", "Tags"]


@dataclass(frozen=True, slots=True)
class Tags:
    """Sets of embedding rows: positions in ``Batch.ids``, int64 [total], and where each set starts, [n]."""

    positions: Tensor
    starts: Tensor


@dataclass(frozen=True, slots=True)
class EventSequences:
    """The last events of each user, oldest first, padded at the end.

    Attributes:
        positions: Positions in ``Batch.ids``, int64 [n, L]; padding repeats the first id.
        lengths: int64 [n].
        total: All events so far, before the cut to L, float32 [n].
    """

    positions: Tensor
    lengths: Tensor
    total: Tensor


@dataclass(frozen=True, slots=True)
class Side:
    """Inputs of n unique users, n unique items, or the n rows of the batch.

    Attributes:
        codes: Positions in ``Batch.ids``, int64 [n, C].
        numbers: float32 [n, M].
        tags: Per tag feature.
        vectors: Per text or vector feature, float32 [n, D].
        events: Per sequence feature (users only).
    """

    codes: Tensor
    numbers: Tensor
    tags: Mapping[str, Tags]
    vectors: Mapping[str, Tensor]
    events: Mapping[str, EventSequences]

    def __len__(self) -> int:
        return self.codes.shape[0]


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's worth of rows.

    Attributes:
        ids: Distinct rows of the embedding table that the batch needs, int64 [R].
        user: U unique users; a user at two times with different histories counts twice.
        item: I unique items: those of the rows first, then ``negatives`` drawn for retrieval.
        context: The B rows themselves.
        user_of_row: int64 [B] into ``user``.
        item_of_row: int64 [B] into ``item``.
        scenario: Code of the scenario, int64 [B].
        labels: Per task on interactions, float32 [B] or [B, K], NaN where missing.
        item_labels: Per task on items, float32 [I] or [I, K]; only training labels, in training batches.
        user_labels: Per task on users, likewise [U] or [U, K].
        item_rows: Which items of the data set these are, int64 [I].
        had: Pairs (place in ``user``, place in ``item``) of users and items of their histories,
            int64 [2, P]; only in batches with negatives.
        item_log_q: Log of the chance that each item is in the batch's item list, float32 [I].
        rows: Row numbers in the data set, int64 [B].
    """

    ids: Tensor
    user: Side
    item: Side
    context: Side
    user_of_row: Tensor
    item_of_row: Tensor
    scenario: Tensor
    labels: Mapping[str, Tensor]
    rows: NDArray[np.int64]
    item_rows: Tensor
    item_log_q: Tensor
    had: Tensor
    item_labels: Mapping[str, Tensor] = field(default_factory=dict)
    user_labels: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.context.codes.shape[0]

    def side(self, entity: Entity) -> Side:
        """The side of an entity."""
        return {"user": self.user, "item": self.item, "interaction": self.context}[entity]


# Builds batches from a data set, without a Python loop over rows.

WINDOW_ROWS = 1 << 19
_RUN_ROWS = 4096


@dataclass(frozen=True, slots=True)
class _EventArrays:
    """The last events of n users: codes and item rows [n, L], their numbers and totals [n]."""

    codes: NDArray[np.int32]
    items: NDArray[np.int32]
    lengths: NDArray[np.int64]  # of codes, which training may cut
    had: NDArray[np.int64]  # of items
    total: NDArray[np.float32]


class Batcher:
    """Builds batches from a data set.

    Args:
        data: The data set.
        id_dropout: Share of ids taken as unknown, in training batches only.
        negatives: Items drawn uniformly from the catalogue for each training batch.
        augment: Whether training batches change histories as the schema says.
        training: Which rows and labels training batches have.
    """

    def __init__(
        self,
        data: Dataset,
        *,
        id_dropout: float = 0.0,
        negatives: int = 0,
        augment: bool = False,
        training: TrainingRows | None = None,
    ) -> None:
        self.data = data
        self.id_dropout, self.augment, self.training = id_dropout, augment, training
        self.negatives = min(negatives, len(data.items))
        self._layouts: dict[Entity, Layout] = {entity: data.encoder.layout(entity) for entity in ENTITIES}
        self._place = np.zeros(max(data.encoder.table_rows, 1), np.int32)
        self._event_codes = {name: self._codes_of(name) for name in self._layouts["user"].sequences}
        self._unknown_event = {
            name: data.encoder.vocabularies[self._events_of(name).of].offset for name in self._event_codes
        }
        self._text_augment = {
            name: feature.text_augment for _, name, feature in data.schema.features.all() if augment
        }
        self._unknown = {entity: self._unknown_ids(entity) for entity in ENTITIES}
        train = data.split == SPLIT_CODES["train"]
        counts = np.bincount(data.item_row[train], minlength=len(data.items)) if negatives else np.ones(1)
        self._item_share = counts / max(counts.sum(), 1)

    def useful(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of some rows that training learns from, in their order, and rows that resampling adds to them."""
        if self.training is None:
            return rows
        found = self.training.rows(rows)
        self.data = self.training.data
        return found

    def count_useful(self, rows: NDArray[np.int64]) -> int:
        """How many rows :meth:`useful` gives."""
        return len(rows) if self.training is None else self.training.count(rows)

    def epoch(
        self, rows: NDArray[np.int64], batch_size: int, seed: tuple[int, ...], start: int = 0
    ) -> Iterator[Batch]:
        """Training batches over all rows in a seeded order; the last, smaller one included.

        Rows of a memory-mapped data set are shuffled in windows: runs of rows in random order, and
        the rows of a window in random order, so that a window is read once.

        Args:
            rows: Row numbers.
            batch_size: Rows a batch.
            seed: What the order depends on, such as (seed, epoch).
            start: Batches to leave out at the front, when a run goes on after an interruption.
        """
        order = self._order(rows, np.random.default_rng([*seed, 0]))
        for number, first in enumerate(range(0, len(rows), batch_size)):
            if number >= start:
                rng = np.random.default_rng([*seed, 1, number])
                yield self.batch(order[first : first + batch_size], rng=rng)

    def batch(self, rows: NDArray[np.int64], *, rng: np.random.Generator | None = None) -> Batch:
        """The batch of some interactions; with ``rng`` a training batch with id dropout and negatives."""
        import torch  # noqa: PLC0415 (commands that need no model load no torch)

        data = self.data
        before = {name: history.before[rows] for name, history in data.histories.items()}
        labels = {name: torch.from_numpy(data.label(name, rows)) for name in data.encoder.interaction_tasks}
        if rng is not None and self.training is not None:
            self.training.hide(labels, rows)
        return self.assemble(data.user_row[rows], data.item_row[rows], before, rows, labels, rng)

    def assemble(
        self,
        user_row: NDArray[np.int32],
        item_row: NDArray[np.int32],
        before: Mapping[str, NDArray[np.int32]],
        rows: NDArray[np.int64],
        labels: Mapping[str, Tensor] | None = None,
        rng: np.random.Generator | None = None,
        context: tuple[EntityTable, NDArray[np.int16]] | None = None,
    ) -> Batch:
        """A batch of any pairs of users and items.

        Args:
            user_row: Row of each pair's user, int32 [B].
            item_row: Row of each pair's item, int32 [B].
            before: Per sequence, how many of the user's events are in the past, int32 [B].
            rows: Rows of the context table, int64 [B].
            labels: Per task.
            rng: Given for training batches.
            context: Another context table and scenario codes than those of the data set.
        """
        import torch  # noqa: PLC0415

        data = self.data
        table, scenario = context if context is not None else (data.context, data.scenario)
        users, user_of_row, user_before = distinct_users(user_row, before, len(data.users))
        items, item_of_row = distinct_rows(item_row, len(data.items))
        log_q = np.zeros(len(items), np.float32)
        if rng is not None and self.negatives:
            items, log_q = self._with_negatives(items, len(rows), rng)
        parts = EmbeddingRows()
        sources: tuple[tuple[Entity, EntityTable, NDArray[np.int64]], ...] = (
            ("user", data.users, users),
            ("item", data.items, items),
            ("interaction", table, rows),
        )
        for entity, source, at in sources:
            parts.add(entity, self._codes(entity, source, at, rng))
            for name in self._layouts[entity].tags:
                parts.add(name, source.tags[name].take(at))
        events = {
            name: self._events(name, users, user_before[name], rng)
            for name in self._layouts["user"].sequences
        }
        for name, found in events.items():
            parts.add(name, found.codes)
        ids, positions = parts.positions(self._place)

        def side(entity: Entity, source: EntityTable, at: NDArray[np.int64]) -> Side:
            layout = self._layouts[entity]
            return Side(
                codes=positions[entity],
                numbers=torch.from_numpy(source.numbers[at]),
                tags={name: Tags(positions[name], parts.starts(name)) for name in layout.tags},
                vectors={
                    name: torch.from_numpy(self._vectors(name, source.vector_rows[at, column], rng))
                    for column, name in enumerate(layout.vectors)
                },
                events={
                    name: EventSequences(
                        positions[name],
                        torch.from_numpy(events[name].lengths),
                        torch.from_numpy(events[name].total),
                    )
                    for name in layout.sequences
                },
            )

        return Batch(
            ids=ids,
            user=side("user", data.users, users),
            item=side("item", data.items, items),
            context=side("interaction", table, rows),
            user_of_row=torch.from_numpy(user_of_row),
            item_of_row=torch.from_numpy(item_of_row),
            scenario=torch.from_numpy(scenario[rows].astype(np.int64)),
            labels=labels or {},
            rows=rows,
            item_rows=torch.from_numpy(items),
            item_log_q=torch.from_numpy(log_q),
            had=self._had(events.values() if rng is not None and self.negatives else (), items),
            item_labels=self._entity_labels("item", items) if rng is not None else {},
            user_labels=self._entity_labels("user", users) if rng is not None else {},
        )

    # -- pieces --------------------------------------------------------------------------------

    def _order(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        if not isinstance(self.data.user_row, np.memmap):
            return rng.permutation(rows)
        runs = np.array_split(rows, max(1, len(rows) // _RUN_ROWS))
        order = [runs[i] for i in rng.permutation(len(runs))]
        per_window = max(1, WINDOW_ROWS // _RUN_ROWS)
        windows = [np.concatenate(order[i : i + per_window]) for i in range(0, len(order), per_window)]
        return np.concatenate([rng.permutation(window) for window in windows])

    def _codes(
        self, entity: Entity, table: EntityTable, rows: NDArray[np.int64], rng: np.random.Generator | None
    ) -> NDArray[np.int32]:
        codes = table.codes[rows]
        columns, unknown = self._unknown[entity]
        if rng is not None and self.id_dropout and len(columns):
            dropped = rng.random((len(rows), len(columns)), np.float32) < self.id_dropout
            codes[:, columns] = np.where(dropped, unknown, codes[:, columns])
        return codes

    def _vectors(
        self, name: str, rows: NDArray[np.int32], rng: np.random.Generator | None
    ) -> NDArray[np.float32]:
        """Vectors of a feature; in training batches some of them are those of changed texts."""
        found: NDArray[np.float32] = self.data.vectors[name][rows]
        settings = self._text_augment.get(name)
        if rng is None or settings is None or name not in self.data.versions:
            return found
        changed = rng.random(len(rows)) < settings.share
        version = rng.integers(0, settings.copies, len(rows))
        found[changed] = self.data.versions[name][version[changed], rows[changed]]
        return found

    def _unknown_ids(self, entity: Entity) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        layout = self._layouts[entity]
        columns = [i for i, is_id in enumerate(layout.is_id) if is_id]
        offsets = [self.data.encoder.vocabularies[layout.codes[i]].offset for i in columns]
        return np.asarray(columns, np.int64), np.asarray(offsets, np.int32)

    def _events_of(self, sequence: str) -> EventSettings:
        settings = self.data.schema.features.user[sequence].history
        assert settings is not None  # noqa: S101 (by the layout)
        return settings

    def _codes_of(self, sequence: str) -> NDArray[np.int32]:
        """Embedding row of every item, for the item feature that a sequence is made of."""
        column = self._layouts["item"].codes.index(self._events_of(sequence).of)
        return self.data.items.codes[:, column]

    def _events(
        self,
        name: str,
        users: NDArray[np.int64],
        before: NDArray[np.int32],
        rng: np.random.Generator | None,
    ) -> _EventArrays:
        history = self.data.histories[name]
        last = self._events_of(name).last
        lengths = np.minimum(before, last).astype(np.int64)
        total = before.astype(np.float32)
        if not len(history.items.values):
            none = np.zeros((len(users), 1), np.int32)
            return _EventArrays(none, none, lengths, lengths, total)
        longest = max(1, int(lengths.max(initial=0)))
        place = (history.items.offsets[users] + before - lengths)[:, None] + np.arange(longest)
        real = np.arange(longest) < lengths[:, None]
        items = history.items.values[np.where(real, place, 0)]
        codes = self._event_codes[name][items]
        if rng is not None and self.id_dropout:
            dropped = rng.random(codes.shape, np.float32) < self.id_dropout
            codes = np.where(dropped, self._unknown_event[name], codes)
        had, augment = lengths, self._events_of(name).augment
        if rng is not None and self.augment and augment is not None:
            codes, lengths = augmented(codes, lengths, augment, self._unknown_event[name], rng)
            real = np.arange(longest) < lengths[:, None]
        return _EventArrays(np.where(real, codes, codes[:1, :1]), items, lengths, had, total)

    def _had(self, events: Collection[_EventArrays], items: NDArray[np.int64]) -> Tensor:
        """Places in the batch of each user's items of the past, as far as they are in the batch."""
        import torch  # noqa: PLC0415

        if not events:
            return torch.zeros(2, 0, dtype=torch.int64)
        place = np.full(len(self.data.items), -1, np.int64)
        place[items] = np.arange(len(items))
        pairs = []
        for found in events:
            real = np.arange(found.items.shape[1]) < found.had[:, None]
            owner = np.repeat(np.arange(len(found.had)), found.had)
            of_event = place[found.items[real]]
            pairs.append(np.stack([owner, of_event])[:, of_event >= 0])
        return torch.from_numpy(np.concatenate(pairs, 1))

    def _with_negatives(
        self, items: NDArray[np.int64], batch_rows: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Add drawn items, and the log of the chance of each to be in the list (Yi et al. 2019, §4)."""
        catalogue = len(self.data.items)
        if self.negatives >= catalogue:
            rest = np.ones(catalogue, bool)
            rest[items] = False
            return np.concatenate([items, np.flatnonzero(rest)]), np.zeros(catalogue, np.float32)
        drawn = rng.integers(0, catalogue, self.negatives)
        drawn = np.setdiff1d(drawn, items)
        items = np.concatenate([items, drawn])
        # in the list by a row of the batch, or by the draw
        absent = (1 - self._item_share[items]) ** batch_rows * (1 - 1 / catalogue) ** self.negatives
        return items, np.log(np.maximum(1 - absent, 1e-12)).astype(np.float32)

    def _entity_labels(self, entity: Entity, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        import torch  # noqa: PLC0415

        labels = {}
        for name, task in self.data.schema.tasks.items():
            if task.on == entity:
                known = self.data.entity_labels[name]
                values = known.values[rows].copy()
                values[known.split[rows] != SPLIT_CODES["train"]] = np.nan
                labels[name] = torch.from_numpy(values)
        return labels
