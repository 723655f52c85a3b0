"""Ranked lists of the Gorse API: similar users, non-personalised and personalised lists, neighbours."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from motet.errors import MotetError, StoreUnavailableError
from motet.recommend import AnyFilter, Query, RankedItem
from motet.recommend.live import LiveEvent
from motet.recommend.retrieve import CandidateQuery, LiveItemItem
from motet.service.engine import Engine, ItemAnswer, ServedModel
from motet.service.gorse._categories import Categories
from motet.service.gorse._shapes import Score
from motet.training import Bundle

__all__ = ["LIKENESSES", "ORDERS", "AlikeUsers", "Ranks"]


class AlikeUsers:
    r"""Similarity of users by the items that they like.

    cos(u, v) of w_u and w_v, where w_ui = log(U / n_i) for an item that u likes and n_i of U users like: rarely
    liked items weigh more.

    Args:
        users: U, the number of users.
        items: The number of items.
        rows: A user for each like, [n].
        columns: Its item, [n].
    """

    def __init__(self, users: int, items: int, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
        known = (columns >= 0) & (columns < items)
        pairs = np.unique(np.stack([rows[known], columns[known]]), axis=1)
        counts = np.bincount(pairs[1], minlength=items)
        self._idf = np.log(max(users, 1) / np.maximum(counts, 1))
        self._matrix = sparse.csr_matrix((self._idf[pairs[1]], (pairs[0], pairs[1])), shape=(users, items))
        self._norms = np.sqrt(np.asarray(self._matrix.multiply(self._matrix).sum(axis=1)).ravel())

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> AlikeUsers:
        """The users of the training data."""
        behaviour, task = bundle.behaviour, bundle.schema.liking_task
        liked = np.ones(len(behaviour.time), bool) if task is None else behaviour.label(task) > 0
        users, items = len(bundle.data.user_ids), len(bundle.data.items)
        rows = np.repeat(np.arange(users), np.diff(behaviour.items.offsets))[liked]
        return cls(users, items, rows, behaviour.items.values[liked].astype(np.int64))

    @classmethod
    def of_likes(cls, likes: Mapping[str, Sequence[int]]) -> AlikeUsers:
        """Users by what they liked, rows of items for each, in the order of the mapping."""
        rows = np.repeat(np.arange(len(likes)), [len(liked) for liked in likes.values()])
        columns = np.array([item for liked in likes.values() for item in liked], np.int64)
        return cls(len(likes), int(columns.max(initial=-1)) + 1, rows, columns)

    def liked(self, row: int) -> NDArray[np.int64]:
        """Rows of the items that a user of the bundle likes; none for −1."""
        if row < 0:
            return np.zeros(0, np.int64)
        start, stop = self._matrix.indptr[row : row + 2]
        found: NDArray[np.int64] = self._matrix.indices[start:stop].astype(np.int64)
        return found

    def scores(self, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Similarity of every user of the bundle to a user who likes some items, [U].

        Args:
            items: Rows of the bundle's items, distinct; others are left out.
        """
        items = items[(items >= 0) & (items < len(self._idf))]
        own = np.zeros(len(self._idf))
        own[items] = self._idf[items]
        norm = float(np.linalg.norm(own))
        if norm == 0.0:
            return np.zeros(len(self._norms))
        found: NDArray[np.float64] = self._matrix @ own
        scores: NDArray[np.float64] = found / np.maximum(self._norms * norm, 1e-12)
        return scores


# -- ranked lists ------------------------------------------------------------------------------

ORDERS: Final = {"latest": "newest", "popular": "popular", "trending": "trending"}
"""Non-personalised lists and their sources."""
LIKENESSES: Final = ("neighbors", "model", "together", "text", "graph")
"""What can compare items; the first is all of them."""

_DEEPEST: Final = 1_000
_MOST_READ: Final = 10_000
_SHARE: Final = 20.0  # how much longer likenesses of users are used than they took to compute
_log: Final = logging.getLogger("motet.service.engine")


class Ranks:
    """Answers from the active model, down to rank 1,000.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._categories = Categories(engine.store)
        self._alike: weakref.WeakKeyDictionary[ServedModel, AlikeUsers] = weakref.WeakKeyDictionary()
        self._by_events: tuple[AlikeUsers, list[str]] | None = None
        self._due_s = 0.0
        self._lock = threading.Lock()

    def recommended(self, user: str, n: int, offset: int, categories: Sequence[str]) -> list[Score]:
        """For a user, without the items of its history up to now."""
        served, read = self._engine.active, self._read_by(user)
        query = Query(
            user=served.known_as(user),
            k=_depth(n, offset),
            filter=self._filter(served, categories),
            exclude=read or (),
            include_seen=None if read is None else True,
        )
        return self._scores(served, query, n, offset, user)

    def for_session(
        self, past: Sequence[LiveEvent], n: int, offset: int, categories: Sequence[str]
    ) -> list[Score]:
        """For a session without a known user, without the items in it."""
        served = self._engine.active
        query = Query(
            history=tuple(past),
            k=_depth(n, offset),
            filter=self._filter(served, categories),
            exclude=tuple(dict.fromkeys(one.item for one in past)),
        )
        return self._scores(served, query, n, offset, None)

    def collaborative(
        self, user: str, n: int, offset: int, categories: Sequence[str], reader: str
    ) -> list[Score]:
        """Candidates of the vector search for a user, of what is taken together before a model; none for an unknown user."""
        served = self._engine.active
        sources = served.parts.live.retriever.sources
        source = next((name for name in ("model", "together") if name in sources), None)
        query = Query(
            user=served.known_as(user),
            k=_depth(n, offset),
            filter=self._filter(served, categories),
            exclude=(self._read_by(reader) or ()) if reader else (),
            include_seen=True,
            sources=None if source is None else (source,),
        )
        return self._scores(
            served, query, n, offset, None, only=lambda one: source is None or source in one.sources
        )

    def ordered(self, name: str, n: int, offset: int, categories: Sequence[str], reader: str) -> list[Score]:
        """A non-personalised list; see :data:`ORDERS`."""
        served = self._engine.active
        read = (self._read_by(reader) or ()) if reader else ()
        return self._ordered(served, name, n, offset, self._filter(served, categories), read)

    def _ordered(
        self,
        served: ServedModel,
        name: str,
        n: int,
        offset: int,
        wanted: AnyFilter | None,
        without: Sequence[str],
    ) -> list[Score]:
        live = served.parts.live
        now = live.items.now
        read = now.rows(without)
        nothing: NDArray[np.int64] = np.zeros(0, np.int64)
        ask = CandidateQuery(now, live.items.eligible(now, wanted), np.unique(read[read >= 0]), None, nothing)
        k = _depth(n, offset)
        if name != "latest":
            rows, scores = live.retriever.sources[ORDERS[name]].candidates(ask, k)
            found = zip(rows.tolist(), scores.tolist(), strict=True)
            return [Score(id=now.ids[row], score=score) for row, score in found][offset : offset + n]
        rows = live.retriever.sources[ORDERS[name]].candidates(ask, k + 100)[0]
        appeared_s = np.where(np.isfinite(now.appeared_s[rows]), now.appeared_s[rows], 0.0)
        times = dict(zip((now.ids[row] for row in rows.tolist()), appeared_s.tolist(), strict=True))
        try:  # the time that a client sent counts, even if it was sent later
            for id, item in self._engine.store.items.get_many(times).items():
                if item.timestamp is not None:
                    times[id] = item.timestamp.timestamp()
        except StoreUnavailableError:
            pass
        newest = sorted(times, key=lambda id: -times[id])  # stable: equals as the source has them
        return [Score(id=id, score=times[id]) for id in newest][offset : offset + n]

    def like(
        self, name: str, item: str, n: int, offset: int, categories: Sequence[str], reader: str
    ) -> list[Score]:
        """Items similar to another, by all or one of :data:`LIKENESSES`; none for an unknown item."""
        served = self._engine.active
        live = served.parts.live
        if live.items.now.row(item) < 0:
            return []
        read = frozenset((self._read_by(reader) or ()) if reader else ())
        wanted = self._filter(served, categories)
        if name == LIKENESSES[0]:
            similar = live.similar(item, min(_depth(n, offset) + len(read), _DEEPEST), wanted=wanted)
            found = [Score(id=one.item, score=one.score) for one in similar if one.item not in read]
        else:
            similar = live.similar(item, min(4 * _depth(n, offset) + len(read), _DEEPEST), wanted=wanted)
            ranks = {one.item: one.by[name] for one in similar if name in one.by and one.item not in read}
            found = [Score(id=id, score=1 / ranks[id]) for id in sorted(ranks, key=lambda id: ranks[id])]
        return found[offset : offset + n]

    def alike(self, user: str, n: int, offset: int) -> list[Score]:
        """Users by similarity to a user: those of the bundle, or of the events while nothing is trained."""
        served, whose = self._engine.active, self._engine.store.identities.resolve
        live = served.parts.live
        now = live.items.now
        liked = live.history.of(served.known_as(user), now).liked.rows.astype(np.int64)
        if isinstance(source := live.retriever.sources.get("together"), LiveItemItem):
            users, ids = self._alike_by_events(source)
            scores = users.scores(np.unique(now.origin[liked]))
            own = {whose(user)}
            others = ((whose(ids[at]), scores[at]) for at in np.argsort(-scores, kind="stable"))
        else:
            with self._lock:
                if served not in self._alike:
                    self._alike[served] = AlikeUsers.of_bundle(served.bundle)
                users = self._alike[served]
            rows = served.rows_of_user(user)
            scores = users.scores(np.unique(np.concatenate([*map(users.liked, rows), liked])))
            names = served.bundle.data.user_ids
            own = {whose(names[at]) for at in rows}
            others = (
                (whose(names[at]), scores[at])
                for at in np.argsort(-scores, kind="stable").tolist()
                if at not in rows and served.is_of_bundle(names[at])
            )
        found: dict[str, Score] = {}
        for id, score in others:
            if len(found) == _depth(n, offset) or score <= 0:
                break
            if id not in own:
                found.setdefault(id, Score(id=id, score=float(score)))
        return list(found.values())[offset : offset + n]

    def _alike_by_events(self, source: LiveItemItem) -> tuple[AlikeUsers, list[str]]:
        """Users by their events, computed again a little later than these came in."""
        with self._lock:
            began_s = time.monotonic()
            if self._by_events is None or began_s >= self._due_s:
                likes = source.likes()
                self._by_events = AlikeUsers.of_likes(likes), list(likes)
                ended_s = time.monotonic()
                self._due_s = ended_s + _SHARE * (ended_s - began_s)
            return self._by_events

    def _filter(self, served: ServedModel, categories: Sequence[str]) -> AnyFilter | None:
        return self._categories.filter(categories, served.parts.live.items.fields)

    def _read_by(self, user: str) -> tuple[str, ...] | None:
        """Items of the history of a user up to now; None if the store cannot be read."""
        served = self._engine.active
        weights = served.schema.default_objective()
        tasks = [served.schema.tasks[name] for name in weights]
        if any(task.offers_again for task in tasks):
            return ()
        now = datetime.now(UTC)
        try:
            feedback = [one for one in self._engine.store.feedback.of_user(user) if one.time <= now]
        except StoreUnavailableError:
            return None
        feedback.sort(key=lambda one: one.time, reverse=True)
        items = dict.fromkeys(one.item for one in feedback)
        for row in served.rows_of_user(user):
            seen = served.bundle.seen
            ids = served.parts.live.items.now.ids
            items |= dict.fromkeys(ids[at] for at in seen.values[seen.offsets[row] : seen.offsets[row + 1]])
        return tuple(items)[:_MOST_READ]

    def _scores(
        self,
        served: ServedModel,
        query: Query,
        n: int,
        offset: int,
        user: str | None,
        *,
        only: Callable[[RankedItem], bool] = lambda _: True,
    ) -> list[Score]:
        query, began = query.model_copy(update={"budget": self._engine.settings.budget}), datetime.now(UTC)
        applied = self._engine.experiments.apply(query, user, served)
        placed: dict[str, str] = {}
        try:
            found_all, applied, placed = self._engine.experiments.ranked(
                user, applied, lambda served, request: served.parts.live.recommend(request)
            )
            query, served = applied.request, applied.served
            self._engine.note_request(served, query, found_all)
            self._engine.experiments.expose(user, applied, began)
            ranked = [one for one in found_all.items if only(one)]
        except MotetError:
            raise
        except Exception:
            _log.exception("recommending failed; the list is by popularity")
            read = self._read_by(user) if user else None
            without = (*query.exclude, *(read or ()))
            found = self._ordered(served, "popular", _depth(n, offset), 0, query.filter, without)
            popular = {one.id for one in found}
            newest = self._ordered(served, "latest", _depth(n, offset), 0, query.filter, without)
            found += [Score(id=one.id, score=0.0) for one in newest if one.id not in popular]
            return found[offset : offset + n]
        shown = ranked[offset : offset + n]
        if shown:
            answers = [_answer(one, at + 1) for at, one in enumerate(shown)]
            self._engine.shown_log.record(
                answers, user=user, scenario=None, model=applied.model, began=began, placed=placed
            )
        return [Score(id=one.item, score=one.value) for one in shown]


def _depth(n: int, offset: int) -> int:
    return max(1, min(n + offset, _DEEPEST))


def _answer(one: RankedItem, rank: int) -> ItemAnswer:
    return ItemAnswer(
        id=one.item,
        title="",
        rank=rank,
        value=one.value,
        predictions=dict(one.predictions),
        sources=one.sources,
        propensity=one.propensity,
        fields={},
    )
