"""Retrieve, rank and re-rank over a catalogue and users that change while they are served."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.errors import DataError, RequestError
from motet.knowledge import KnowledgeGraph
from motet.recommend._filter import AnyFilter
from motet.recommend._live._answer import told
from motet.recommend._live._event import LiveEvent
from motet.recommend._live._event_reader import EventReader
from motet.recommend._live._history import Added, LiveHistory
from motet.recommend._live._items import LiveItems, Upserted
from motet.recommend._live._items_now import ItemsNow
from motet.recommend._live._past import Past
from motet.recommend._live._people import People, Person
from motet.recommend._live._scorer import Asker, Scorer
from motet.recommend._objective import Objective, check_objective, value_of
from motet.recommend._query import Query
from motet.recommend._ranked import Ranked, Similar
from motet.recommend._recommender import Recommender
from motet.recommend._rerank._rerank import Listed, rerank
from motet.recommend._rerank._rules import Pin
from motet.recommend._retrieve import Retrieved, Retriever
from motet.recommend._sources._source import Ask, CandidateSource
from motet.recommend._sources._standard import CHAIN, QUOTAS, StandardSources

__all__ = ["LiveRecommender"]

_CANDIDATES: Final = 300
_RECIPROCAL: Final = 60


@dataclass(slots=True)
class _Clock:
    """Milliseconds of each stage."""

    timings_ms: dict[str, float] = field(default_factory=dict)
    _last_s: float = field(default_factory=time.perf_counter)

    def stage(self, name: str) -> None:
        now_s = time.perf_counter()
        self.timings_ms[name] = self.timings_ms.get(name, 0.0) + (now_s - self._last_s) * 1e3
        self._last_s = now_s


@dataclass(frozen=True, slots=True)
class _Request:
    """What the stages of one request share."""

    query: Query
    now: ItemsNow
    past: Past
    person: Person
    asker: Asker
    ask: Ask
    objective: Objective
    seed: int
    link: str | None


class LiveRecommender:
    """Answers requests from one bundle while items, users and events come in.

    The same encoding and the same model code as in training and in :class:`Recommender` stand behind it.
    Many threads may ask while others tell; each request works on the catalogue of one moment.

    Args:
        recommender: Of a bundle with users and items.
        graph: Its knowledge graph, if it has one.
        sources: Further sources of candidates.
        quotas: Share of the candidates per source.
        candidates: How many are ranked, ≥ 1.
        load: Gives the live events of a user whom memory does not hold, such as from a database.
        users: Users whose live events are kept in memory, ≥ 1.
        index: For :class:`VectorIndex`, such as ``approximate_from``.

    Raises:
        DataError: If the schema has no users, no items, or no task to rank by.
    """

    def __init__(
        self,
        recommender: Recommender,
        *,
        graph: KnowledgeGraph | None = None,
        sources: Sequence[CandidateSource] = (),
        quotas: Mapping[str, float] | None = None,
        candidates: int = _CANDIDATES,
        load: Callable[[str], Sequence[LiveEvent]] | None = None,
        users: int = 100_000,
        index: Mapping[str, Any] | None = None,
    ) -> None:
        bundle, schema = recommender.bundle, recommender.schema
        if schema.keys.user is None:
            raise DataError(f"the schema '{schema.name}' has no users", "recommending needs keys.user")
        self.bundle, self.schema = bundle, schema
        self._task = recommender._ranking_task(None)
        self._candidates = candidates
        raw = recommender._raw
        self._scorer = Scorer(recommender, raw)
        self.items = LiveItems(bundle, raw, self._scorer.moment(None, {})[0])
        self.people = People(bundle, raw)
        self.history = LiveHistory(bundle, EventReader(bundle, raw), users=users, load=load)
        self._scorer.measure(self.items.now, self.people)
        self._own = StandardSources(
            bundle, self.items.now, graph=graph, encode_text=raw.encode_text, options=index or {}
        )
        there = [*self._own.all, *sources]
        names = {source.name for source in there}
        shares = {name: share for name, share in QUOTAS.items() if name in names}
        self.retriever = Retriever(there, {**shares, **(quotas or {})})
        self._ms_a_row = 0.005

    # -- asking --------------------------------------------------------------------------------

    def recommend(self, query: Query) -> Ranked:
        """The best items for a user or a session.

        Candidates of several sources are ranked by the model in one call, and re-ranked as the request says.
        Where these do not fill the list, what is popular in the scenario, what is popular, and the newest items
        follow, in this order; where nothing is left, what the user has seen already. A list is not empty while an item
        may come.

        Raises:
            RequestError: If the request names a column, task, scenario or source that is not known.
        """
        clock = _Clock()
        request = self._read(query, clock)
        left_out: dict[str, str] = {}
        rows, values = np.zeros(0, np.int64), np.zeros(0)
        raw: dict[str, NDArray[np.float32]] = {}
        links: dict[int, str] = {}
        found: dict[str, NDArray[np.int64]] = {}
        if request.link is not None:
            retrieved = self._retrieved(request, clock)
            left_out |= retrieved.left_out
            found |= retrieved.found
            rows = self._cut(request, self._with_pinned(request, retrieved.rows), left_out)
            links = dict.fromkeys(rows.tolist(), request.link)
        chain: Sequence[str] = () if len(rows) >= query.k else (*CHAIN, "again")
        rows, values, raw = self._ranked(request, rows, links, found, chain, left_out, clock)
        listed = self._listed(request, rows, values)
        if len(listed.at) < query.k and not chain:  # repeats and caps took so many that others must follow
            rows, values, raw = self._ranked(request, rows, links, found, (*CHAIN, "again"), left_out, clock)
            listed = self._listed(request, rows, values)
        left_out |= listed.skipped
        clock.stage("rerank")
        at = np.array(listed.at, np.int64)
        items = told(
            self._scorer,
            request.now,
            rows[at],
            values[at],
            {task: y[at] for task, y in raw.items()},
            sources=Retrieved(rows, found, {}),
            links=links,
            propensities=listed.propensities,
            steps={int(row): listed.trace.of(int(row)) for row in rows[at]} if query.trace else {},
        )
        clock.stage("answer")
        counts: dict[str, int] = {}
        for item in items:
            counts[item.served_by] = counts.get(item.served_by, 0) + 1
        return Ranked(
            items,
            served_by=next(
                (name for name in ("personal", "session", *CHAIN, "again") if name in counts), "nothing"
            ),
            links=counts,
            candidates=len(rows),
            sources={name: len(some) for name, some in found.items()},
            left_out=left_out,
            timings_ms=clock.timings_ms,
            version=request.now.version,
            seed=request.seed if query.explore is not None else None,
        )

    def rank(self, query: Query, candidates: Sequence[str]) -> Ranked:
        """Given items in order of their value, with the predictions of every task.

        Args:
            query: Who asks, where, and what for; what chooses items is not looked at.
            candidates: Ids; those not known are named in the answer.

        Raises:
            RequestError: As :meth:`recommend`.
        """
        clock = _Clock()
        request = self._read(query.model_copy(update={"filter": None, "exclude": ()}), clock)
        known = dict.fromkeys(candidates)
        all_rows = request.now.rows(list(known))
        unknown = tuple(item for item, row in zip(known, all_rows.tolist(), strict=True) if row < 0)
        rows = all_rows[all_rows >= 0]
        raw = self._scorer.score(request.asker, rows) if len(rows) else {}
        clock.stage("rank")
        values = self._values(request.objective, raw) if raw else np.zeros(0)
        order = np.lexsort((rows, -values))
        items = told(
            self._scorer, request.now, rows[order], values[order], {task: y[order] for task, y in raw.items()}
        )
        clock.stage("answer")
        return Ranked(
            items,
            served_by=request.link or "nobody",
            candidates=len(rows),
            timings_ms=clock.timings_ms,
            version=request.now.version,
            unknown=unknown,
        )

    def similar(self, item: str, k: int = 10, *, wanted: AnyFilter | None = None) -> list[Similar]:
        """Items like another, by all that can compare them: Σ 1/(60 + rank) (Cormack et al. 2009).

        Args:
            item: Its id.
            k: Items, ≥ 1.
            wanted: Which items may come.

        Raises:
            RequestError: If the item is not known.
        """
        now = self.items.now
        row = now.row(item)
        if row < 0:
            raise RequestError(f"the item '{item[:80]}' is not known", "name an item of the catalogue")
        here = np.array([row], np.int64)
        ask = Ask(now, self.items.eligible(now, wanted), here, None, here)
        ranks = self._own.like(row, ask, 4 * k + 20)
        by: dict[int, dict[str, int]] = {}
        for name, rows in ranks.items():
            for rank, other in enumerate(rows.tolist(), 1):
                by.setdefault(other, {})[name] = rank
        scores = {
            other: sum(1 / (_RECIPROCAL + rank) for rank in found.values()) for other, found in by.items()
        }
        best = sorted(scores, key=lambda other: (-scores[other], other))[:k]
        return [Similar(now.ids[o], int(now.origin[o]), scores[o], by[o]) for o in best]

    # -- telling -------------------------------------------------------------------------------

    def upsert_items(self, rows: Sequence[Mapping[str, Any]], *, at_s: float | None = None) -> Upserted:
        """See :meth:`LiveItems.upsert`; the items can be recommended from the next request on."""
        done = self.items.upsert(rows, at_s=at_s)
        self._own.grow(self.items.now)
        return done

    def patch_items(self, rows: Sequence[Mapping[str, Any]]) -> Upserted:
        """See :meth:`LiveItems.patch`."""
        done = self.items.patch(rows)
        self._own.grow(self.items.now)
        return done

    def delete_items(self, items: Sequence[str]) -> int:
        """See :meth:`LiveItems.delete`."""
        return self.items.delete(items)

    def hide_items(self, items: Sequence[str], hidden: bool = True) -> int:
        """See :meth:`LiveItems.hide`."""
        return self.items.hide(items, hidden)

    def upsert_users(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """See :meth:`People.upsert`."""
        return self.people.upsert(rows)

    def add_events(self, events: Sequence[LiveEvent]) -> Added:
        """Take events into account from the next request on: in pasts, and in what is popular.

        Raises:
            DataError: If an event has no user, or a cell is not of its column's kind. Nothing is changed then.
        """
        if any(not event.user for event in events):
            raise DataError("an event has no user", "name the user of each event")
        added = self.history.add(events, self.items.now)
        liked = [(meant, row) for meant, row in added.meant if meant.liked is not False]
        if liked:
            rows = np.array([row for _, row in liked], np.int64)
            time_s = np.array([meant.event.at_s for meant, _ in liked])
            places = [meant.scenario for meant, _ in liked]
            self._own.liked(rows, time_s, places)
        return added

    def forget_user(self, user: str) -> bool:
        """Drop what was told of a user while serving; returns whether there was anything."""
        events, features = self.history.forget(user), self.people.forget(user)
        return events or features

    # -- stages --------------------------------------------------------------------------------

    def _read(self, query: Query, clock: _Clock) -> _Request:
        now = self.items.now
        objective = query.objective or Objective(weights={self._task: 1.0})
        check_objective(objective, self.schema)
        for name in query.sources or ():
            if name not in self.retriever.sources:
                raise RequestError(
                    f"there is no source '{name[:80]}'", f"name some of {', '.join(self.retriever.sources)}"
                )
        eligible = self.items.eligible(now, query.filter)
        clock.stage("filter")
        past = self.history.of(query.user, now) if query.user is not None else self.history.of("", now)
        own = bool(past)
        events = [LiveEvent(item=one) if isinstance(one, str) else one for one in query.history]
        past = self.history.after(past, events, now)
        row = self.history.row(query.user) if query.user is not None else -1
        person = self.people.of(query.user, row, query.user_features)
        asker = self._scorer.asker(now, person, past, query.scenario, query.context)
        own = own or row >= 0 or (person.known and query.user is not None)
        link = "personal" if own else "session" if past or person.known or query.text else None
        clock.stage("user")
        return _Request(
            query,
            now,
            past,
            person,
            asker,
            Ask(
                now,
                eligible,
                self._excluded(query, now, past),
                asker.vector,
                now.now(past.liked.rows),
                query.scenario,
                query.text,
            ),
            objective,
            secrets.randbits(63) if query.seed is None else query.seed,
            link,
        )

    def _excluded(self, query: Query, now: ItemsNow, past: Past, *, again: bool = False) -> NDArray[np.int64]:
        rows = now.rows(query.exclude)
        keep = query.keep_seen
        if keep is None:
            task = self.schema.tasks[self._task]
            keep = task.kind == "retrieval" and task.repeats
        seen = np.zeros(0, np.int64) if keep or again else now.now(past.seen)
        distinct: NDArray[np.int64] = np.unique(np.concatenate([rows[rows >= 0], seen]))
        return distinct

    def _retrieved(self, request: _Request, clock: _Clock) -> Retrieved:
        query, n = request.query, max(self._candidates, 3 * request.query.k)
        limit_ms = query.budget.retrieve_ms
        retrieved = self.retriever.retrieve(
            request.ask,
            n,
            names=query.sources,
            budget_s=None if limit_ms is None else limit_ms / 1e3,
        )
        if query.sources is None and request.ask.eligible.count <= n:  # so few are left that all are ranked
            rows = request.ask.eligible.rows
            rows = rows[request.ask.may_come(rows)]
            retrieved = Retrieved(rows, retrieved.found, retrieved.left_out)
        clock.stage("retrieve")
        return retrieved

    def _with_pinned(self, request: _Request, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        pinned = request.now.rows([rule.item for rule in request.query.rules if isinstance(rule, Pin)])
        pinned = pinned[pinned >= 0]
        pinned = pinned[request.ask.may_come(pinned)]
        more = pinned[~np.isin(pinned, rows)]
        return np.concatenate([more, rows]) if len(more) else rows

    def _cut(self, request: _Request, rows: NDArray[np.int64], left_out: dict[str, str]) -> NDArray[np.int64]:
        limit_ms = request.query.budget.rank_ms
        if limit_ms is None:
            return rows
        most = max(request.query.k, int(limit_ms / self._ms_a_row))
        if len(rows) > most:
            left_out["candidates"] = f"{len(rows) - most} of {len(rows)} were not ranked, to save time"
        return rows[:most]

    def _ranked(
        self,
        request: _Request,
        rows: NDArray[np.int64],
        links: dict[int, str],
        found: dict[str, NDArray[np.int64]],
        chain: Sequence[str],
        left_out: dict[str, str],
        clock: _Clock,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], dict[str, NDArray[np.float32]]]:
        """Candidates, with those of the chain behind them, and what the model says of them."""
        own = len(rows)
        wanted = max(3 * request.query.k, 50)
        for name in chain:
            if len(rows) - own >= wanted or (len(rows) and name == "again"):
                break
            rows = self._followed(request, rows, links, found, name, wanted)
        raw: dict[str, NDArray[np.float32]] = {}
        began_s = time.perf_counter()
        try:
            if len(rows):
                raw = self._scorer.score(request.asker, rows)
                values = self._values(request.objective, raw)
            else:
                values = np.zeros(0)
        except Exception as error:  # a list in the order of the sources is better than none
            left_out["model"] = f"failed ({type(error).__name__}: {str(error)[:200]})"
            values = -np.arange(len(rows), dtype=np.float64)
        if len(rows) > 50:
            spent = (time.perf_counter() - began_s) * 1e3 / len(rows)
            self._ms_a_row += 0.1 * (spent - self._ms_a_row)
        clock.stage("rank")
        if len(rows) > own and not (
            request.query.objective is not None and request.link is None and own == 0
        ):
            # behind all others, in the order of the chain
            floor = float(values[:own].min()) if own else 0.0
            values = values.copy()
            values[own:] = floor - 1.0 - np.arange(len(rows) - own)
        return rows, values, raw

    def _listed(self, request: _Request, rows: NDArray[np.int64], values: NDArray[np.float64]) -> Listed:
        return rerank(
            request.query,
            request.now,
            rows,
            values,
            mask_of=lambda wanted: self.items.eligible(request.now, wanted).mask,
            seed=request.seed,
            at_s=time.time(),
        )

    def _followed(
        self,
        request: _Request,
        rows: NDArray[np.int64],
        links: dict[int, str],
        found: dict[str, NDArray[np.int64]],
        name: str,
        n: int,
    ) -> NDArray[np.int64]:
        """Candidates with those of one more link of the chain behind them."""
        ask = request.ask
        if name == "again":
            excluded = self._excluded(request.query, request.now, request.past, again=True)
            ask = Ask(ask.now, ask.eligible, excluded, None, ask.liked, ask.scenario)
        source = self._own.link(name)
        # those that came before are among what the source gives
        more = source.candidates(ask, n + len(rows))[0]
        more = more[~np.isin(more, rows)][:n]
        if not len(more):
            return rows
        for row in more.tolist():
            links[row] = name
        found[source.name] = np.concatenate([found.get(source.name, more[:0]), more])
        return np.concatenate([rows, more])

    def _values(self, objective: Objective, raw: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        needed = {task: raw[task] for task in objective.weights}
        labels = self._scorer.labels(needed) if objective.scale == "label" else {}
        return value_of(objective, needed, labels, self._scorer.spreads)
