"""What a bundle says with something taken away: the score that is served, without an item of the history or without tags.

Legend of shapes: n variants, m items, B = n · m rows, D width of the retrieval vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.data import Batcher, Dataset, EntityTable, History, Ragged
from motet.errors import DataError
from motet.models import Inputs, Outputs
from motet.models.baselines import Pairs
from motet.recommend import BlendedRanking, ContextRows, RawRows
from motet.recommend.live import FOUND, without_entities
from motet.schema import Entity, Schema
from motet.training import NETWORK, Bundle

__all__ = ["Probe", "Scored", "history_of", "items_without", "ranking_task", "users_with"]

Floats = NDArray[np.float32]
Variant = Mapping[str, NDArray[np.int32]]

_NONE = np.zeros(0, np.int32)


def history_of(data: Dataset, user: int) -> dict[str, NDArray[np.int32]]:
    """What the network sees of a user's history: per sequence feature, rows of items, oldest first."""
    found = {}
    for name, history in data.histories.items():
        start = int(history.items.offsets[user])
        found[name] = history.items.values[start : start + int(history.known[user])]
    return found


def users_with(data: Dataset, user: int, variants: Sequence[Mapping[str, NDArray[np.int32]]]) -> Dataset:
    """A data set whose users are one user, once for each of several histories.

    Args:
        data: The data set.
        user: Row of the user.
        variants: Per variant and sequence feature, rows of items, oldest first.
    """
    n = len(variants)
    at = np.full(n, user, np.int64)
    table = data.users
    users = EntityTable(
        table.codes[at],
        table.numbers[at],
        {name: lists.take(at) for name, lists in table.tags.items()},
        table.vector_rows[at],
    )
    histories = {}
    for name, history in data.histories.items():
        lengths = np.array([len(variant.get(name, _NONE)) for variant in variants], np.int64)
        values = np.concatenate([variant.get(name, _NONE) for variant in variants]).astype(np.int32)
        known = lengths.astype(np.int32)
        histories[name] = History(Ragged.from_lengths(values, lengths), history.before[:0], known, known)
    return replace(data, users=users, histories=histories)


def items_without(data: Dataset, item: int, tags: Sequence[Sequence[tuple[str, str]]]) -> Dataset:
    """A data set with one item once more at its end for each of several sets of tags taken from it.

    Args:
        data: The data set.
        item: Row of the item.
        tags: Per variant (feature, value) of tags and categories.
    """
    table = data.items
    at = np.full(len(tags), item, np.int64)
    codes = table.codes[at]
    layout = data.encoder.layout("item").codes
    lists: dict[str, list[NDArray[np.int32]]] = {name: [] for name in table.tags}
    for variant, gone in enumerate(tags):
        for name in table.tags:
            values = table.tags[name].take(at[:1]).values
            lists[name].append(values[~np.isin(values, _rows(data, name, gone))])
        for feature, value in gone:
            if feature in layout:
                column = layout.index(feature)
                if codes[variant, column] in _rows(data, feature, [(feature, value)]):
                    codes[variant, column] = data.encoder.vocabularies[feature].offset
    longer = {}
    for name, parts in lists.items():
        old = table.tags[name]
        lengths = np.concatenate([old.lengths(), [len(part) for part in parts]]).astype(np.int64)
        longer[name] = Ragged.from_lengths(np.concatenate([old.values, *parts]).astype(np.int32), lengths)
    items = EntityTable(
        np.concatenate([table.codes, codes]),
        np.concatenate([table.numbers, table.numbers[at]]),
        longer,
        np.concatenate([table.vector_rows, table.vector_rows[at]]),
    )
    return replace(data, items=items)


def _rows(data: Dataset, feature: str, tags: Sequence[tuple[str, str]]) -> list[int]:
    """Rows of the embedding table of some values of a feature."""
    vocabulary = data.encoder.vocabularies[feature]
    words = vocabulary.words.words.to_list()
    wanted = [value for name, value in tags if name == feature and value in words]
    return [int(vocabulary.places[words.index(value)]) for value in wanted]


def ranking_task(schema: Schema) -> str:
    """The task that items are ranked by where a request says nothing.

    Raises:
        DataError: If there is none.
    """
    if schema.ranking_task is None:
        raise DataError(
            f"the schema '{schema.name}' has no task to rank by",
            "add a binary, regression or retrieval task on interactions",
        )
    return schema.ranking_task


@dataclass(frozen=True, slots=True)
class Scored:
    """What the network says of items for one user, once for each of several histories.

    Attributes:
        network: Its scores, [n, m].
        queries: Retrieval vectors of the user, [n, D].
        data: With the user and the items.
        user: Row of the user there.
        items: Rows of the items there, [m].
    """

    network: Floats
    queries: Floats
    data: Dataset
    user: int
    items: NDArray[np.int32]


class Probe:
    """Scores of one task as they are served, before the link function.

    Where plain members rank or predict beside the network, a score is that of all of them. What the members go by
    stands in a history under :data:`~motet.recommend.live.FOUND`, beside the sequence features of the network.

    Args:
        bundle: The trained model with its data.
        context_rows: Gives the context row in which items are scored.
        items: Gives the items, where they are others than the bundle's, when they are first looked at.
        ranking: Plain members that rank beside the network; it ranks alone when left out.
    """

    def __init__(
        self,
        bundle: Bundle,
        context_rows: Callable[[], ContextRows],
        items: Callable[[], Dataset] | None = None,
        ranking: BlendedRanking | None = None,
    ) -> None:
        self.bundle, self.task = bundle, ranking_task(bundle.schema)
        self._context_rows, self._items, self._members = context_rows, items, ranking

    @property
    def ranking(self) -> BlendedRanking | None:
        """What ranks beside the network; None where the task is no retrieval task, or the network ranks alone."""
        return self._members if self.bundle.schema.tasks[self.task].ranks_catalogue else None

    @property
    def is_blended(self) -> bool:
        """Whether plain members have a part in the score."""
        blend = self.bundle.task_blend
        return self.ranking is not None or (blend is not None and self.task in blend.weights)

    def history(self, user: int) -> dict[str, NDArray[np.int32]]:
        """What scores a user goes by: rows of items per sequence feature, and what plain members know; empty for −1."""
        if user < 0:
            return {}
        found, had = history_of(self.bundle.data, user), self.bundle.found
        if self.bundle.blend is not None:
            found[FOUND] = had.values[had.offsets[user] : had.offsets[user + 1]] if user < len(had) else _NONE
        return found

    def with_histories(self, user: int, items: Sequence[int], variants: Sequence[Variant]) -> Floats:
        """Scores of items for a user with each of several histories, [n, m].

        Args:
            user: Row of the user; −1 for one the bundle does not know.
            items: Rows of the items, [m].
            variants: Histories, as :meth:`history` gives them, [n].
        """
        if not len(variants) or not len(items):
            return np.zeros((len(variants), len(items)), np.float32)
        data = self.users_with(user, variants)
        rows = np.asarray(items, np.int32)
        return self._served(self._scored(data, np.arange(len(variants)), rows), variants, user, rows)

    def without_tags(self, user: int, item: int, tags: Sequence[Sequence[tuple[str, str]]]) -> Floats:
        """Scores of an item for a user without each of several sets of its tags, [n]."""
        if not len(tags):
            return np.zeros(0, np.float32)
        data = items_without(self.context_rows.data, item, tags)
        rows = np.arange(len(data.items) - len(tags), len(data.items), dtype=np.int32)
        scored, known = self._scored(data, np.array([user]), rows), np.full(len(rows), item, np.int32)
        scores: Floats = self._served(scored, [self.history(user)], user, known)[0]
        return scores

    def users_with(self, user: int, variants: Sequence[Variant]) -> Dataset:
        """A data set whose users are one user, once for each of several histories.

        Args:
            user: Row of the user; −1 for one the bundle does not know.
            variants: As :meth:`history` gives them.
        """
        data = self.context_rows.data
        if user < 0:
            data, user = self._stranger, 0
        return users_with(data, user, variants)

    @cached_property
    def _stranger(self) -> Dataset:
        """A data set with one user, of whom nothing is known."""
        frame = pl.DataFrame({str(self.bundle.schema.keys.user): ["\0unknown"]})
        nobody = without_entities(self.context_rows.data, "user")
        return RawRows(self.bundle.data, None).extended(nobody, "user", frame)[0]

    @cached_property
    def context_rows(self) -> ContextRows:
        """The context row in which items are scored."""
        context_rows = self._context_rows()
        if self._items is None:
            return context_rows
        data = self._items()
        vectors = {name: data.vectors[name] for name in data.encoder.layout("item").vectors}
        vectors = {**context_rows.data.vectors, **vectors}
        return replace(context_rows, data=replace(context_rows.data, items=data.items, vectors=vectors))

    # -- the network ---------------------------------------------------------------------------

    def inputs(
        self, data: Dataset, users: NDArray[np.int32], items: NDArray[np.int32], *, with_history: bool = True
    ) -> Inputs:
        """Input vectors of pairs of users and items, with their histories or as if they had none."""
        context_rows = self.context_rows
        before = {
            name: history.known[users] if with_history else np.zeros(len(users), np.int32)
            for name, history in data.histories.items()
        }
        batch = Batcher(data).assemble(
            users,
            items,
            before,
            np.zeros(len(users), np.int64),
            context=(context_rows.table, context_rows.scenario),
        )
        with torch.inference_mode():
            inputs: Inputs = self.bundle.model.features(batch)
        return inputs

    def _scored(self, data: Dataset, users: NDArray[np.int64], items: NDArray[np.int32]) -> Scored:
        """What the network says of items for the user that some rows are."""
        n, m = len(users), len(items)
        at = np.repeat(users.astype(np.int32), m)
        with torch.inference_mode():
            outputs = self.bundle.model.outputs_of(self.inputs(data, at, np.tile(items, n)))
            network, queries = self.read(outputs).numpy().reshape(n, m), self.queries(outputs)[::m].numpy()
        return Scored(network, queries, data, int(users[0]), items)

    def read(self, outputs: Outputs) -> Tensor:
        """The network's score of each row of a model's outputs, [B]."""
        if not self.bundle.schema.tasks[self.task].ranks_catalogue:
            return outputs.logits[self.task]
        of_item = outputs.inputs.item_of_row
        products: Tensor = (self.queries(outputs) * outputs.item_vectors[of_item]).sum(1)
        return products + outputs.item_bias[of_item]

    def queries(self, outputs: Outputs) -> Tensor:
        """Retrieval vector of the user of each row, [B, D]; [B, 0] without such a task."""
        users: Tensor = outputs.user_vectors[outputs.inputs.user_of_row]
        return users + outputs.query_shift if outputs.query_shift.shape[1] else users

    # -- plain members -------------------------------------------------------------------------

    def _served(
        self, scored: Scored, variants: Sequence[Variant], user: int, known: NDArray[np.int32]
    ) -> Floats:
        """The score that is served, of all members, [n, m]; arguments as of :meth:`parts`."""
        if not self.is_blended:
            return scored.network
        parts = self.parts(scored, variants, user, known).values()
        total = np.zeros(scored.network.shape)
        for part in parts:
            total += part
        found: Floats = total.astype(np.float32)
        return found

    def parts(
        self, scored: Scored, variants: Sequence[Variant], user: int, known: NDArray[np.int32]
    ) -> Mapping[str, NDArray[Any]]:
        """What each member adds to the score, by name, [n, m]; [m] of one that looks at no history.

        Args:
            scored: What the network says.
            variants: The histories, [n].
            user: Row of the user in the bundle; −1 for one it does not know.
            known: Rows of the items as the bundle knows them, [m].
        """
        ranking, blend, size = self.ranking, self.bundle.task_blend, len(self.bundle.data.items)
        if ranking is not None:
            lists = [variant.get(FOUND, _NONE) for variant in variants]
            lengths = np.array([len(one) for one in lists], np.int64)
            had = Ragged.from_lengths(np.concatenate(lists).astype(np.int32), lengths)
            return ranking.parts(scored.network, scored.queries, had, known.astype(np.int64))
        if blend is None or self.task not in blend.weights:
            return {NETWORK: scored.network}
        m = len(scored.items)
        places: dict[Entity, NDArray[np.int64]] = {
            "user": np.full(m, scored.user, np.int64),
            "item": scored.items.astype(np.int64),
            "interaction": np.zeros(m, np.int64),
        }
        of_bundle: dict[Entity, NDArray[np.int64]] = {
            "user": np.full(m, user, np.int64),
            "item": np.where(known < size, known, -1).astype(np.int64),
        }
        tables: dict[Entity, EntityTable] = {
            "user": scored.data.users,
            "item": scored.data.items,
            "interaction": self.context_rows.table,
        }
        pairs = Pairs(tables, places, of_bundle, self.context_rows.texts)
        return blend.parts(self.task, self.bundle.schema.tasks[self.task], scored.network, pairs)

    def usual_parts(self) -> Mapping[str, float]:
        """What each plain member of a task adds that predicts the mean of the labels, by name."""
        blend, task = self.bundle.task_blend, self.bundle.schema.tasks[self.task]
        return {} if blend is None else blend.usual_parts(self.task, task)
