"""The bundle's model over live users and live items.

Legend of shapes: n candidates, K classes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from motet.data import Dataset, used_columns
from motet.errors import RequestError
from motet.models import Inputs, ItemContent, link
from motet.recommend import ContextRows, PrecomputedItems, RankedItem, RawRows, Recommender, Spread
from motet.recommend.live._events import FOUND, key_of
from motet.recommend.live._history import NO_HISTORY, NOTHING, UserHistory
from motet.recommend.live._item_table import frame_of
from motet.recommend.live._snapshot import CatalogueSnapshot
from motet.recommend.live._users import EncodedUser, UserEncoder, of_one_user
from motet.schema import Entity, require_known

if TYPE_CHECKING:
    from motet.recommend.retrieve import CandidateQuery, Retrieved

__all__ = ["Scorer", "UserContext", "plain_predictions"]

_CONTEXTS: Final = 1000
_KEPT_USERS: Final = 1000  # some 90 KiB each
_KEPT_QUERIES: Final = 4
_KEPT_BYTES: Final = 2**16  # of predictions: of a ranking of thousands of items nothing is kept
_MOST_NAMED: Final = 100
_SPREAD_USERS: Final = 48
_SPREAD_ITEMS: Final = 256

Floats = NDArray[np.float32]
_Ids = tuple[int, int, int, int]


_KeptScores = tuple[NDArray[np.int64], NDArray[np.int64], dict[str, Floats]]  # rows, their order, predictions


class KeptAnswers:
    """What was found for one user in one context, neither of which changes: candidates, and what is predicted of items.

    A list between two events of a user so costs no further call of the model. Threads may share it: what is kept is
    replaced as a whole, never changed.
    """

    def __init__(self) -> None:
        self.queries: dict[Hashable, CandidateQuery] = {}
        self.items: dict[Hashable, tuple[Retrieved | None, tuple[RankedItem, ...]]] = {}
        self._scores: dict[Hashable, _KeptScores] = {}

    @property
    def knows_items(self) -> bool:
        """Whether something was predicted of an item before."""
        return bool(self._scores)

    def add_query(self, wishes: tuple[bool | None, tuple[str, ...]], query: CandidateQuery) -> None:
        """Keep what candidates are wanted for by a few wishes, unless they name many items."""
        if len(wishes[1]) <= _MOST_NAMED:
            self.queries = {**(self.queries if len(self.queries) < _KEPT_QUERIES else {}), wishes: query}

    def add_items(self, wishes: Hashable, of: Retrieved, items: tuple[RankedItem, ...]) -> None:
        """Keep the items that answered some wishes, with the candidates that they were chosen from."""
        if len(items) <= _MOST_NAMED:
            self.items = {**(self.items if len(self.items) < _KEPT_QUERIES else {}), wishes: (of, items)}

    def scores(
        self,
        what: Hashable,
        rows: NDArray[np.int64],
        compute: Callable[[NDArray[np.int64]], Mapping[str, Floats]],
    ) -> dict[str, Floats]:
        """What is predicted of some items; computed of those alone that are not kept.

        Args:
            what: What is predicted.
            rows: Of the items, distinct, [n].
            compute: Predictions of some places of ``rows``, [m] → [m] or [m, K] a task.
        """
        kept = self._scores.get(what)
        known, order, values = kept if kept is not None else (rows[:0], rows[:0], {})
        if len(known):
            at = order[np.minimum(np.searchsorted(known, rows, sorter=order), len(known) - 1)]
            missing = np.flatnonzero(known[at] != rows)
            if not len(missing):
                return {task: y[at] for task, y in values.items()}
            if len(missing) < len(rows):
                new = compute(missing)
                known = np.concatenate([known, rows[missing]])
                at[missing] = np.arange(len(known) - len(missing), len(known))
                values = {task: np.concatenate([values[task], y]) for task, y in new.items()}
                self._keep(what, known, values)
                return {task: y[at] for task, y in values.items()}
        values = dict(compute(np.arange(len(rows))))
        self._keep(what, rows.copy(), {task: y.copy() for task, y in values.items()})
        return values

    def _keep(self, what: Hashable, rows: NDArray[np.int64], values: dict[str, Floats]) -> None:
        if sum(y.nbytes for y in values.values()) <= _KEPT_BYTES:
            others = self._scores if len(self._scores) < _KEPT_QUERIES else {}
            self._scores = {**others, what: (rows, np.argsort(rows, kind="stable"), values)}


@dataclass(frozen=True, slots=True)
class UserContext:
    """The user of a request and its context, as the model sees them.

    Attributes:
        data: A data set of this user alone, with the live items.
        ahead: The items' side, in the context of the request.
        inputs: The user's side.
        vector: Of retrieval; None without such a task.
        frame: The context as one raw row.
        had: First rows of the items that the user liked, oldest first.
        origin: First row of the item of each row of the catalogue, [I].
        row: Of the user in the bundle; −1 where it is not there.
        context: The context, encoded.
        kept: What was found for it before.
    """

    data: Dataset
    ahead: PrecomputedItems
    inputs: Inputs | None
    vector: Floats | None
    frame: pl.DataFrame
    had: NDArray[np.int32]
    origin: NDArray[np.int32]
    row: int
    context: ContextRows
    kept: KeptAnswers = field(default_factory=KeptAnswers, repr=False, compare=False)


class Scorer:
    """Predicts every task for live users and items.

    Args:
        recommender: Of the bundle.
        raw: Encodes rows as in training.
    """

    def __init__(self, recommender: Recommender, raw: RawRows) -> None:
        self.bundle, self.schema = recommender.bundle, recommender.schema
        self._recommender, self._raw = recommender, raw
        for module in self.bundle.model.modules():
            if isinstance(module, ItemContent):
                module.keep()
        self._contexts: OrderedDict[bytes, tuple[ContextRows, pl.DataFrame]] = OrderedDict()
        self._lock = threading.Lock()
        self._users: tuple[CatalogueSnapshot | None, OrderedDict[_Ids, tuple[object, UserContext]]]
        self._users = (None, OrderedDict())
        self.round = 0  # rises whenever users are forgotten
        data = self.bundle.data
        # a kept context holds the vectors of its own texts alone, not those of all of training
        missing = {name: data.vectors[name][:1] for name in data.encoder.layout("interaction").vectors}
        self._none = replace(data, sides={}, vectors={**data.vectors, **missing})
        keys = self.schema.keys
        key_columns = {keys.user, keys.item, keys.scenario}
        self._columns = [c for c in used_columns(self.schema, "interaction") if c not in key_columns]
        self.spreads: Mapping[str, Spread] = {}

    def check_scenario(self, scenario: str | None) -> None:
        """Raise unless a scenario is known, or none is named."""
        if scenario is None:
            return
        if self.schema.keys.scenario is None:
            raise RequestError(f"the schema '{self.schema.name}' has no scenarios", "leave the scenario out")
        require_known(scenario, self.bundle.data.encoder.scenarios[1:], "the scenario", RequestError)

    def context_rows(
        self, scenario: str | None, context: Mapping[str, Any]
    ) -> tuple[ContextRows, pl.DataFrame]:
        """The context of a request, encoded and as one raw row; the latest ones are kept.

        Raises:
            RequestError: If the scenario or a column is not known.
        """
        self.check_scenario(scenario)
        for column in context:
            require_known(column, self._columns, "the column of the context", RequestError)
        key = key_of([scenario, context])
        with self._lock:
            found = self._contexts.get(key)
            if found is not None:
                self._contexts.move_to_end(key)
                return found
        found = self._encoded(scenario, context)
        with self._lock:
            self._contexts[key] = found
            while len(self._contexts) > _CONTEXTS:
                self._contexts.popitem(last=False)
        return found

    def user_context(
        self,
        now: CatalogueSnapshot,
        user: EncodedUser,
        history: UserHistory,
        scenario: str | None,
        context: Mapping[str, Any],
        row: int = -1,
        round: int | None = None,
    ) -> UserContext:
        """A user in the context of a request.

        Args:
            now: The catalogue.
            user: Its features.
            history: Its history.
            scenario: Where.
            context: Further columns.
            row: Of the user in the bundle.
            round: :attr:`round` before the history was read; if a user was forgotten since, nothing is kept.


        Those of the latest users are kept until the catalogue changes. A further event makes another history, and so
        another context.
        """
        context_rows, frame = self.context_rows(scenario, context)
        ids = id(user), id(history), id(context_rows), row
        with self._lock:
            if self._users[0] is not now:
                self._users = now, OrderedDict()
            kept = self._users[1]
            found = kept.get(ids)
            if found is not None:
                kept.move_to_end(ids)
                return found[1]
        made = self._user_context(now, user, history, context_rows, frame, row)
        with self._lock:  # the objects are kept as well, so that no others get their ids
            if round is not None and round != self.round:
                return made
            kept[ids] = (user, history, context_rows), made
            while len(kept) > _KEPT_USERS:
                kept.popitem(last=False)
        return made

    def forget(self) -> None:
        """Drop the contexts of users that are kept."""
        with self._lock:
            self.round += 1
            self._users = (None, OrderedDict())

    def _user_context(
        self,
        now: CatalogueSnapshot,
        user: EncodedUser,
        history: UserHistory,
        context_rows: ContextRows,
        frame: pl.DataFrame,
        row: int,
    ) -> UserContext:
        latest = {
            name: now.now(history.sequences.get(name, NOTHING).rows).astype(np.int32)
            for name in self.bundle.data.histories
        }
        data = of_one_user(self.bundle.data, user, history, now.view, latest)
        ahead = PrecomputedItems(self.bundle.model, data, context_rows, now.side)
        inputs = ahead.inputs_of_user(data, 0)
        vector = ahead.user_vector(data, 0, inputs)
        had = history.sequences.get(FOUND, NOTHING).rows
        return UserContext(data, ahead, inputs, vector, frame, had, now.origin, row, context_rows)

    def score(
        self, user_context: UserContext, rows: NDArray[np.int64], tasks: Collection[str] | None = None
    ) -> dict[str, Floats]:
        """Every task for some items, before the link function, [n] or [n, K].

        Args:
            user_context: The user and the context.
            rows: Of the items, [n].
            tasks: What plain members predict beside the network is asked of these alone; of all when left out.
        """
        wanted = None if tasks is None else frozenset(tasks)
        return user_context.kept.scores(
            ("network and members", wanted), rows, lambda at: self._score(user_context, rows[at], tasks)
        )

    def _score(
        self, user_context: UserContext, rows: NDArray[np.int64], tasks: Collection[str] | None
    ) -> dict[str, Floats]:
        if user_context.data.sides:  # texts of the context depend on the pair: nothing can be precomputed
            pairs: dict[Entity, NDArray[np.int32]] = {
                "user": np.zeros(len(rows), np.int32),
                "item": rows.astype(np.int32),
            }
            frame = user_context.frame[np.zeros(len(rows), np.int64)]
            raw = self._recommender._predicted(user_context.data, pairs, frame, linked=False, blended=False)
        else:
            found = user_context.ahead.every_task(user_context.data, 0, rows, user_context.inputs)
            raw = {task: values.numpy() for task, values in found.items()}
        ranking = self._recommender.ranking
        if ranking is not None and user_context.vector is not None:
            first = user_context.origin[rows].astype(np.int64)
            for task in (name for name, kind in self.schema.tasks.items() if kind.ranks_catalogue):
                raw[task] = ranking.of_user(raw[task], user_context.vector, user_context.had, first)
        asked = raw.keys() if tasks is None else tasks
        return {
            **raw,
            **self._with_members(user_context, rows, {task: raw[task] for task in asked if task in raw}),
        }

    def with_members(
        self,
        user_context: UserContext,
        rows: NDArray[np.int64],
        raw: Mapping[str, Floats],
        tasks: Collection[str],
    ) -> dict[str, Floats]:
        """What the network says of some items, and for some tasks what plain members and the network say together.

        Args:
            user_context: The user and the context.
            rows: Of the items, [n].
            raw: What the network says of every task, [n] or [n, K].
            tasks: The tasks.
        """
        blended = user_context.kept.scores(
            ("members", frozenset(tasks)),
            rows,
            lambda at: self._with_members(user_context, rows[at], {t: raw[t][at] for t in tasks if t in raw}),
        )
        return {**raw, **blended}

    def _with_members(
        self, user_context: UserContext, rows: NDArray[np.int64], raw: Mapping[str, Floats]
    ) -> dict[str, Floats]:
        asked = {task: torch.from_numpy(y) for task, y in raw.items()}
        n, known = len(rows), user_context.origin[rows].astype(np.int64)
        pairs: dict[Entity, NDArray[np.int32]] = {
            "user": np.zeros(n, np.int32),
            "item": rows.astype(np.int32),
        }
        context, at, blend = user_context.context, np.zeros(n, np.int64), self.bundle.task_blend
        if user_context.data.sides and blend is not None and blend.reads_texts:
            frame = user_context.frame[at]  # the texts hold something of each item
            context, at = (
                self._raw.context_rows(user_context.data, frame, pairs),
                np.arange(n, dtype=np.int64),
            )
        found = self._recommender.with_members(
            asked,
            user_context.data,
            pairs["user"],
            pairs["item"],
            context,
            at,
            user_context.row,
            known,
            user_context.ahead.members,
        )
        return {task: values.numpy() for task, values in found.items()}

    def labels(self, raw: Mapping[str, Floats]) -> dict[str, Floats]:
        """The same on the labels' own scale, in schema order."""
        encoder, found = self.bundle.data.encoder, {}
        for task, kind in self.schema.tasks.items():
            if task in raw:
                values = raw[task]
                if not kind.ranks_catalogue:
                    values = link(self.schema, encoder, task, torch.from_numpy(values)).numpy()
                found[task] = values
        return found

    def measure(self, now: CatalogueSnapshot, user_encoder: UserEncoder) -> None:
        """Measure how much each task varies over users and items of the bundle, seeded."""
        users, items = len(self.bundle.data.users), len(now)
        if self.bundle.data.sides or not users or not items:
            self.spreads = {task: Spread(0.0, 1.0) for task in self.schema.tasks}
            return
        rng = np.random.default_rng(0)
        rows = np.sort(rng.choice(items, min(items, _SPREAD_ITEMS), replace=False)).astype(np.int64)
        parts: dict[str, list[Floats]] = {}
        for user in rng.choice(users, min(users, _SPREAD_USERS), replace=False).tolist():
            user_context = self.user_context(now, user_encoder.of(None, user, {}), NO_HISTORY, None, {}, user)
            # plain members score by what a user had: without it they would seem not to vary
            if user < len(self.bundle.found):
                had = self.bundle.found.take(np.array([user])).values
                user_context = replace(user_context, had=had, kept=KeptAnswers())
            for task, values in self.score(user_context, rows).items():
                parts.setdefault(task, []).append(values)
        self.spreads = {task: Spread.of(np.concatenate(found)) for task, found in parts.items()}

    def _encoded(self, scenario: str | None, context: Mapping[str, Any]) -> tuple[ContextRows, pl.DataFrame]:
        key = self.schema.keys.scenario
        frame = frame_of([{key or "": scenario, **context}], "the context")
        if scenario is None:
            frame = frame.with_columns(pl.col(key or "").cast(pl.String))
        context_rows = self._raw.context_rows(self._none, frame)
        if scenario is not None:  # what the request says takes precedence over what is derived
            code = self.bundle.data.encoder.scenarios.index(scenario)
            offset = self.bundle.data.encoder.vocabularies["scenario"].offset
            context_rows.table.codes[:, -1] = offset + code
            context_rows.scenario[:] = code
        return context_rows, frame


def plain_predictions(scorer: Scorer, task: str, values: Floats) -> list[Any]:
    """Predictions of one task as plain values: numbers, classes with their probabilities, or labels."""
    return scorer.schema.tasks[task].answers(values, scorer.bundle.data.encoder.classes.get(task, ()))
