"""Predictions of a bundle for pairs, and the best items of the catalogue for users.

Raw rows go through the same reading, encoding and model code as in training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from motet.data import (
    Batcher,
    Dataset,
    EntityTable,
    IdIndex,
    TextToVectors,
    as_strings,
    text_columns,
    used_columns,
)
from motet.errors import DataError
from motet.models import link
from motet.models.baselines import PairMember, Pairs
from motet.recommend._blended import BlendedRanking
from motet.recommend._precomputed import PrecomputedItems
from motet.recommend._query import task_columns
from motet.recommend._raw_rows import ContextRows, RawRows
from motet.schema import ENTITIES, Entity, Progress, require_known, silent
from motet.training import Bundle

__all__ = ["Recommender"]

_PAIR_ROWS = 8192
_SCORES = 2**24  # of users times items, held at once
_USERS = 512  # ranked between two reports of progress
_Ranking = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]


class Recommender:
    """Answers from one bundle.

    Args:
        bundle: The trained model with its data.
        encode_text: Turns texts of raw rows into vectors; without it they count as missing.
        encode_private: The same for texts of users and requests; ``encode_text`` when left out.
    """

    def __init__(
        self,
        bundle: Bundle,
        encode_text: TextToVectors | None = None,
        *,
        encode_private: TextToVectors | None = None,
    ) -> None:
        self.bundle = bundle
        self.schema = bundle.schema
        self._raw = RawRows(bundle.data, encode_text, encode_private)
        self._ahead: dict[str | None, PrecomputedItems] = {}
        self.ranking = (
            None if bundle.blend is None else BlendedRanking(bundle.blend, bundle, self.precomputed_items)
        )
        self._known = {"user": IdIndex(bundle.data.user_ids), "item": IdIndex(bundle.data.item_ids)}

    @property
    def columns(self) -> frozenset[str]:
        """Columns of raw rows that are looked at, as "column" and, of users and items, "user.column"."""
        names = {c for entity in ENTITIES for c in used_columns(self.schema, entity)}
        names |= {f"{e}.{c}" for e in ("user", "item") for c in used_columns(self.schema, e)}
        return frozenset(names)

    @property
    def word_columns(self) -> frozenset[str]:
        """Columns of raw rows that are words where they look like numbers."""
        names = {c for entity in ENTITIES for c in text_columns(self.schema, entity)}
        return frozenset(names | {f"{entity}.{c}" for entity in ("user", "item") for c in names})

    def predict(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Predict every task for pairs of users and items.

        Args:
            pairs: One row a pair, with the key columns of the schema and, as far as they are there,
                the columns of its features: those of the interaction, and those of users and items
                never seen before, written ``column``, or ``user.column`` and ``item.column`` where
                one name stands in both tables. A scenario never seen counts as unknown. The
                history of a user is everything the bundle knows of it.

        Returns:
            The key columns (``row``, from 1, where the schema has no keys), then a column for each
            task: a probability, a number, the likeliest class with its probability (``task`` and
            ``task_probability``), or a list of labels.

        Raises:
            DataError: If a key column is missing, or a key is empty, or a value is not of its kind.
        """
        data, rows, frame = self._with_new_entities(pairs)
        values = self._predicted(data, rows, frame)
        keys = [key for key in (self.schema.keys.user, self.schema.keys.item) if key]
        result = pairs.select(keys)
        if not keys:
            result = pl.DataFrame({"row": np.arange(1, len(pairs) + 1)})
        return result.hstack(self._columns(values, result))

    def recommend(
        self,
        users: Sequence[str] | pl.DataFrame,
        k: int = 10,
        *,
        scenario: str | None = None,
        by: str | None = None,
        include_seen: bool = False,
        progress: Progress = silent,
    ) -> pl.DataFrame:
        """Rank the whole catalogue for users.

        Args:
            users: User ids, or a table with the user column and, for users never seen, columns of
                their features; one of whom nothing is known is answered from what holds for all.
            k: Items a user, ≥ 1; fewer come where the catalogue ends.
            scenario: Where they are shown; unknown when left out.
            by: Task to rank by; the retrieval task when left out, else the first one.
            include_seen: Whether items that a user had interactions with may come back; they do anyway
                for a retrieval task with ``repeats``.
            progress: Called with the users done and the users in all.

        Returns:
            Columns user, rank (from 1), item, score (what was ranked by, before the link function, so
            that none tie at the end of a scale), and a column for each task.

        Raises:
            DataError: If the scenario or the task is not known, a user is empty, or there are no
                users or items.
        """
        user_key = self._check_ranking(scenario)
        item_key, scenario_key = str(self.schema.keys.item), self.schema.keys.scenario
        if k < 1:
            raise DataError(f"k is {k}", "ask for at least one item")
        by = self._ranking_task(by)
        include_seen = include_seen or self.schema.tasks[by].offers_again
        if not isinstance(users, pl.DataFrame):
            users = pl.DataFrame(
                {user_key: pl.Series([None if u is None else str(u) for u in users], dtype=pl.String)}
            )
        data, of_frame, frame = self._with_users(users, user_key)
        parts = []
        progress("recommend", 0, len(users))
        for done, (chosen, rank, items, scores) in self._ranked(
            data, of_frame, k, by, scenario, None if include_seen else self.bundle
        ):
            part = pl.DataFrame(
                {
                    user_key: frame[user_key].gather(chosen),
                    "rank": rank,
                    item_key: self.bundle.data.item_ids.gather(items),
                    "score": scores,
                }
            )
            asked = part.select(user_key, item_key)
            if scenario is not None:
                asked = asked.with_columns(pl.lit(scenario).alias(str(scenario_key)))
            rows: dict[Entity, NDArray[np.int32]] = {"user": of_frame[chosen], "item": items.astype(np.int32)}
            values = self._predicted(data, rows, asked)
            parts.append(part.hstack(self._columns(values, part)))
            progress("recommend", done, len(users))
        return pl.concat(parts)

    def scores(
        self, user: str | pl.DataFrame, *, scenario: str | None = None, by: str | None = None
    ) -> NDArray[np.float32]:
        """What :meth:`recommend` ranks by, for one user and every item of the bundle.

        Args:
            user: Id of the user, or one row with the user column and what else is known.
            scenario: Where the items are shown; unknown when left out.
            by: Task to rank by, as for :meth:`recommend`.

        Returns:
            Scores before the link function, [I].

        Raises:
            DataError: As :meth:`recommend`.
        """
        by = self._ranking_task(by)
        user_key = self._check_ranking(scenario)
        if isinstance(user, str):
            user = pl.DataFrame({user_key: [user]})
        data, row, _ = self._with_users(user, user_key)
        scores: NDArray[np.float32] = self._scores(
            self.precomputed_items(scenario), data, row[:1], by, scenario
        )[0]
        return scores

    def seen(self, user: str) -> NDArray[np.int32]:
        """Rows of the items that a user had interactions with; none for a user never seen."""
        row = int(self._known["user"].rows(pl.Series([user], dtype=pl.String))[0])
        if row < 0:
            return np.zeros(0, np.int32)
        seen = self.bundle.seen
        return seen.values[seen.offsets[row] : seen.offsets[row + 1]]

    def precomputed_items(self, scenario: str | None = None) -> PrecomputedItems:
        """The catalogue's side of the model, computed once ahead of all requests from one scenario."""
        if scenario not in self._ahead:
            key = self.schema.keys.scenario
            frame = pl.DataFrame({key: [scenario]}) if key is not None else pl.DataFrame({"": [None]})
            context_rows = self._raw.context_rows(self.bundle.data, frame)
            self._ahead[scenario] = PrecomputedItems(self.bundle.model, self.bundle.data, context_rows)
        return self._ahead[scenario]

    # -- users and items -----------------------------------------------------------------------

    def _with_new_entities(
        self, pairs: pl.DataFrame
    ) -> tuple[Dataset, dict[Entity, NDArray[np.int32]], pl.DataFrame]:
        """Rows of the pairs' users and items, those never seen added at the end of the tables."""
        if not len(pairs):
            raise DataError("the pairs have no rows", "give at least one pair")
        data, frame = self.bundle.data, pairs
        rows: dict[Entity, NDArray[np.int32]] = {}
        entities: tuple[Literal["user", "item"], ...] = ("user", "item")
        for entity in entities:
            key = getattr(self.schema.keys, entity)
            if key is None:
                rows[entity] = np.zeros(len(pairs), np.int32)
                continue
            data, rows[entity], frame = self._found(data, frame, entity, key, "the pairs")
        return data, rows, frame

    def _with_users(self, users: pl.DataFrame, key: str) -> tuple[Dataset, NDArray[np.int32], pl.DataFrame]:
        if not len(users):
            raise DataError("there are no users to recommend for", "give at least one user")
        return self._found(self.bundle.data, users, "user", key, "the users")

    def _found(
        self, data: Dataset, frame: pl.DataFrame, entity: Literal["user", "item"], key: str, what: str
    ) -> tuple[Dataset, NDArray[np.int32], pl.DataFrame]:
        if key not in frame.columns:
            raise DataError(f"{what} have no column '{key}'", f"name the {entity} of each row in '{key}'")
        words = as_strings(frame[key])
        if words.null_count():
            row = int(words.is_null().arg_true()[0]) + 1
            raise DataError(
                f"{what} have no {entity} in data row {row}, column '{key}'",
                f"name the {entity} in every row",
            )
        frame = frame.with_columns(words)
        found = self._known[entity].rows(words)
        if (found < 0).any():
            new = frame.filter(pl.Series(found < 0)).unique(subset=[key], keep="first", maintain_order=True)
            data, index = self._raw.extended(data, entity, new)
            found = index.rows(words)
        return data, found, frame

    # -- scores --------------------------------------------------------------------------------

    def _predicted(
        self,
        data: Dataset,
        rows: Mapping[Entity, NDArray[np.int32]],
        frame: pl.DataFrame,
        *,
        linked: bool = True,
        blended: bool = True,
    ) -> dict[str, NDArray[np.float32]]:
        """Every task for pairs, on the label's own scale, or before the link function.

        Retrieval's score is that of the network alone unless ``blended``.
        """
        queries: dict[int, NDArray[np.float32]] = {}
        context_rows = self._raw.context_rows(data, frame, rows)
        scenario = context_rows.scenario
        columns: dict[str, list[NDArray[np.float32]]] = {}
        batcher = Batcher(context_rows.data)
        for start in range(0, len(frame), _PAIR_ROWS):
            at = np.arange(start, min(start + _PAIR_ROWS, len(frame)), dtype=np.int64)
            users = rows["user"][at]
            before = {name: history.known[users] for name, history in data.histories.items()}
            batch = batcher.assemble(
                users, rows["item"][at], before, at, context=(context_rows.table, context_rows.scenario)
            )
            with torch.no_grad():
                outputs = self.bundle.model(batch)
            found = dict(outputs.logits)
            for task, values in outputs.entity.items():
                of_row = batch.item_of_row if self.schema.tasks[task].on == "item" else batch.user_of_row
                found[task] = values.index_select(0, of_row)
            if self.bundle.model.retrieval is not None:
                user_vectors = outputs.user_vectors[batch.user_of_row]
                if outputs.query_shift.shape[1]:
                    user_vectors = user_vectors + outputs.query_shift
                item_vectors = outputs.item_vectors[batch.item_of_row]
                score = (user_vectors * item_vectors).sum(1) + outputs.item_bias[batch.item_of_row]
                found |= {n: score for n, t in self.schema.tasks.items() if t.ranks_catalogue}
                _, first = np.unique(_queries_of(users, scenario[at]), return_index=True)
                places = _queries_of(users, scenario[at])[first].tolist()
                queries |= dict(zip(places, user_vectors[torch.from_numpy(first)].numpy(), strict=True))
            if blended:
                items = rows["item"][at]
                found |= self.with_members(found, data, users, items, context_rows, at)
            for task, values in found.items():
                if linked and not self.schema.tasks[task].ranks_catalogue:
                    values = link(self.schema, self.bundle.data.encoder, task, values)  # noqa: PLW2901
                columns.setdefault(task, []).append(values.numpy())
        values = {task: np.concatenate(parts) for task, parts in columns.items()}
        if blended and self.ranking is not None:
            for name in (name for name, task in self.schema.tasks.items() if task.ranks_catalogue):
                asked = _queries_of(rows["user"], scenario)
                values[name] = self.ranking.of_pairs(values[name], queries, asked, rows["user"], rows["item"])
        return values

    def with_members(
        self,
        found: Mapping[str, torch.Tensor],
        data: Dataset,
        users: NDArray[np.int32],
        items: NDArray[np.int32],
        context: ContextRows,
        at: NDArray[np.int64],
        known_user: int | None = None,
        known_item: NDArray[np.int64] | None = None,
        item_parts: Mapping[PairMember, NDArray[Any]] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Tasks that plain members of the bundle predict beside the network, before the link function.

        Args:
            found: What the network says, [n] or [n, K] each.
            data: With the users and items.
            users: Row of each pair's user, [n].
            items: Row of each pair's item, [n].
            context: Contexts.
            at: Row of each pair's context, [n].
            known_user: Row of the one user in the bundle, −1 where it is not there; by ``users`` when left out.
            known_item: Row of each pair's item in the bundle, likewise, [n].
            item_parts: What members made of every item of ``data``, where it is known.
        """
        blend = self.bundle.task_blend
        of_tasks = {} if blend is None else {t: found[t].numpy() for t in blend.weights if t in found}
        if blend is None or not of_tasks:
            return {}
        places: dict[Entity, NDArray[np.int64]] = {
            "user": users.astype(np.int64),
            "item": items.astype(np.int64),
            "interaction": at,
        }
        known_users = places["user"] if known_user is None else np.full(len(users), known_user)
        known_items = places["item"] if known_item is None else known_item
        known: dict[Entity, NDArray[np.int64]] = {
            "user": _within(known_users, len(self.bundle.data.users)),
            "item": _within(known_items, len(self.bundle.data.items)),
        }
        tables: dict[Entity, EntityTable] = {
            "user": data.users,
            "item": data.items,
            "interaction": context.table,
        }
        pairs = Pairs(tables, places, known, context.texts, item_parts or {})
        logits = blend.logits(self.schema.tasks, of_tasks, pairs)
        return {task: torch.from_numpy(values) for task, values in logits.items()}

    def _columns(self, values: Mapping[str, NDArray[np.float32]], beside: pl.DataFrame) -> list[pl.Series]:
        return task_columns(self.schema, self.bundle.data.encoder, values, beside.columns)

    def _check_ranking(self, scenario: str | None) -> str:
        """Raise unless there are users and items to rank, in a scenario that is known; returns the user key."""
        keys = self.schema.keys
        if keys.user is None or keys.item is None:
            raise DataError(
                f"the schema '{self.schema.name}' has no users or no items", "recommend needs both keys"
            )
        if scenario is not None and keys.scenario is None:
            raise DataError(f"the schema '{self.schema.name}' has no scenarios", "leave the scenario out")
        if scenario is not None:
            require_known(scenario, self.bundle.data.encoder.scenarios[1:], "the scenario", DataError)
        return keys.user

    def _ranking_task(self, by: str | None) -> str:
        if by is None:
            if self.schema.ranking_task is None:
                raise DataError(
                    f"the schema '{self.schema.name}' has no task to rank by",
                    "add a binary, regression or retrieval task on interactions",
                )
            return self.schema.ranking_task
        rankable = [n for n in self.schema.rankable_tasks if self.schema.tasks[n].on == "interaction"]
        require_known(by, rankable, "the task to rank by", DataError)
        return by

    def _ranked(
        self,
        data: Dataset,
        users: NDArray[np.int32],
        k: int,
        by: str,
        scenario: str | None,
        without_seen: Bundle | None,
    ) -> Iterator[tuple[int, _Ranking]]:
        """For some users at a time: the users done, and place of the user, rank, item and score of each choice."""
        items = len(self.bundle.data.items)
        ahead = self.precomputed_items(scenario)
        step = min(max(1, _SCORES // max(items, 1)), _USERS)
        for start in range(0, len(users), step):
            part = users[start : start + step]
            scores = self._scores(ahead, data, part, by, scenario)
            for place, row in enumerate(part):
                if without_seen is not None and row < len(without_seen.seen):
                    seen = without_seen.seen
                    scores[place, seen.values[seen.offsets[row] : seen.offsets[row + 1]]] = -np.inf
            best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            found = np.take_along_axis(scores, best, 1)
            real = np.isfinite(found)
            user, rank = np.nonzero(real)
            yield start + len(part), (start + user, rank + 1, best[real], found[real])

    def _scores(
        self, ahead: PrecomputedItems, data: Dataset, users: NDArray[np.int32], by: str, scenario: str | None
    ) -> NDArray[np.float32]:
        """Score of every item of the bundle for each user, [U, I]."""
        items = np.arange(len(self.bundle.data.items), dtype=np.int32)
        scores = np.empty((len(users), len(items)), np.float32)
        retrieval = self.schema.tasks[by].ranks_catalogue
        key = self.schema.keys.scenario
        context = pl.DataFrame({key or "": [scenario] * len(items)}, schema={key or "": pl.String})
        for place, user in enumerate(users):
            if retrieval:
                scores[place] = ahead.retrieve(data, int(user)).numpy()
            elif data.sides:  # texts of the context depend on the pair: nothing can be precomputed
                rows: dict[Entity, NDArray[np.int32]] = {"user": np.full(len(items), user), "item": items}
                scores[place] = self._predicted(data, rows, context, linked=False)[by]
            else:
                found = {by: ahead.score(data, int(user))[by]}
                own, at = np.full(len(items), user, np.int32), np.zeros(len(items), np.int64)
                found |= self.with_members(found, data, own, items, ahead.context_rows, at)
                scores[place] = found[by].numpy()
        return self.ranking.of_users(scores, users) if retrieval and self.ranking is not None else scores


def _queries_of(users: NDArray[np.int32], scenario: NDArray[np.int16]) -> NDArray[np.int64]:
    """A number for each user in each scenario, [n]."""
    return users.astype(np.int64) * (1 << 16) + scenario.astype(np.int64)


def _within(rows: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Rows, −1 in place of those beyond a size."""
    return np.where(rows < size, rows, -1)
