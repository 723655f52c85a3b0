"""Retrieve, rank and re-rank over a catalogue and users that change while they are served."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.errors import DataError, ModelError, RequestError
from motet.graph import KnowledgeGraph
from motet.recommend._filter import AnyFilter
from motet.recommend._query import Query, Ranked, RankedItem, SimilarToItem
from motet.recommend._recommender import Recommender
from motet.recommend.live import (
    Added,
    Candidates,
    Clock,
    EventReader,
    LiveEvent,
    LiveHistory,
    LiveItems,
    LiveRequest,
    Scorer,
    Stages,
    Upserted,
    UserEncoder,
    answer_items,
    is_known,
    plain_predictions,
)
from motet.recommend.retrieve import (
    CHAIN,
    PLAIN_CHAIN,
    QUOTAS,
    CandidateQuery,
    CandidateSource,
    Retrieved,
    Retriever,
    StandardSources,
)

__all__ = ["LiveRecommender"]

_CANDIDATES: Final = 300
_RECIPROCAL: Final = 60


class LiveRecommender:
    """Answers requests from one bundle while items, users and events come in.

    The same encoding and the same model code as in training and in :class:`Recommender` stand behind it.
    Many threads may ask while others update it; each request works on one snapshot of the catalogue.

    Of an empty bundle (:attr:`motet.training.Bundle.is_empty`) no model ranks: lists are those of
    :data:`motet.recommend.retrieve.PLAIN_CHAIN`, or of the sources that a request names, without predictions.

    Args:
        recommender: Of a bundle with users and items.
        graph: Its knowledge graph, if it has one.
        sources: Further sources of candidates.
        quotas: Share of the candidates per source.
        candidates: How many are ranked, ≥ 1.
        load: Gives the live events of a user who was pushed out of memory, such as from a database; may raise
            StoreUnavailableError.
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
        raw = recommender._raw
        self._scorer = Scorer(recommender, raw)
        self.items = LiveItems(bundle, raw, self._scorer.context_rows(None, {})[0])
        self.user_encoder = UserEncoder(bundle, raw)
        self.history = LiveHistory(bundle, EventReader(bundle, raw), users=users, load=load)
        self._scorer.measure(self.items.now, self.user_encoder)
        self._own = StandardSources(
            bundle, self.items.now, graph=graph, encode_text=raw.encode_private, options=index or {}
        )
        all_sources = [*self._own.all, *sources]
        names = {source.name for source in all_sources}
        shares = {name: share for name, share in QUOTAS.items() if name in names}
        self.retriever = Retriever(all_sources, {**shares, **(quotas or {})})
        self._stages = Stages(
            items=self.items,
            user_encoder=self.user_encoder,
            history=self.history,
            scorer=self._scorer,
            sources=self._own,
            retriever=self.retriever,
            task=recommender._ranking_task(None),
            candidates=candidates,
            is_plain=bundle.is_empty,
        )

    # -- requests ------------------------------------------------------------------------------

    def knows(self, user: str) -> bool:
        """Whether anything is known of a user: from training, or by events or features since.

        Recommendation, service and assistant answer an unknown user from what holds for all; a user who was deleted
        is unknown until something new is recorded.
        """
        row = self.history.row(user)
        return is_known(row, self.history.of(user, self.items.now), self.user_encoder.of(user, row, {}))

    def recommend(self, query: Query) -> Ranked:
        """The best items for a user or a session.

        Candidates of several sources are ranked by the model in one call, and re-ranked as the request says.
        Where these do not fill the list, what is popular in the scenario, what is popular, and the newest items
        follow, in this order; where nothing is left, what the user has seen already. A list is not empty while an item
        may come.

        Raises:
            RequestError: If the request names a column, task, scenario or source that is not known.
        """
        clock = Clock()
        request = self._stages.read(query)
        clock.stage("read")
        found = self._stages.retrieve(request)
        clock.stage("retrieve")
        chain: tuple[str, ...] = (*CHAIN, "again")
        if self.bundle.is_empty:
            chain = (*(query.sources or PLAIN_CHAIN), "again")
        elif len(found.rows) >= query.k and request.link is not None:
            chain = ()
        kept = None if chain else request.kept_items(found)
        if kept is not None:
            for stage in ("rank", "rerank", "answer"):
                clock.stage(stage)
            return self._answered(request, found, kept, {}, clock)
        self._stages.rank(request, found, chain)
        clock.stage("rank")
        listed = self._stages.rerank(request, found)
        if len(listed.at) < query.k and not chain:  # repeats and caps took so many that others must follow
            chain = CHAIN
            self._stages.rank(request, found, chain)
            listed = self._stages.rerank(request, found)
        clock.stage("rerank")
        at = np.array(listed.at, np.int64)
        rows = found.rows[at]
        raw = {task: y[at] for task, y in found.raw.items()}
        if (
            raw and request.user_context is not None
        ):  # the tasks that were not ranked by, of what is shown alone
            others = raw.keys() - request.objective.weights.keys()
            raw = self._scorer.with_members(request.user_context, rows, raw, others)
        items = answer_items(
            self._scorer,
            request.now,
            rows,
            found.values[at],
            raw,
            sources=found.retrieved or Retrieved(found.rows, found.found, {}),
            links=found.links,
            propensities=listed.propensities,
            steps={row: listed.trace.of(row) for row in rows.tolist()} if query.trace else {},
        )
        clock.stage("answer")
        if not chain and not listed.skipped:
            request.keep_items(found, items)
        return self._answered(request, found, items, listed.skipped, clock)

    @staticmethod
    def _answered(
        request: LiveRequest,
        found: Candidates,
        items: tuple[RankedItem, ...],
        skipped: Mapping[str, str],
        clock: Clock,
    ) -> Ranked:
        links = dict(Counter(item.served_by for item in items))
        order = ("personal", "session", "together", "trending", *CHAIN, "again")
        return Ranked(
            items,
            served_by=next((name for name in order if name in links), "nothing"),
            links=links,
            candidates=len(found.rows),
            sources={name: len(some) for name, some in found.found.items()},
            left_out={**found.left_out, **skipped},
            timings_ms=clock.timings_ms,
            version=request.now.version,
            seed=request.seed if request.query.explore is not None else None,
        )

    def rank(self, query: Query, candidates: Sequence[str]) -> Ranked:
        """Given items in order of their value, with the predictions of every task.

        Args:
            query: Who asks, where, and what for; what chooses items is not looked at.
            candidates: Ids; those not known are named in the answer.

        Raises:
            RequestError: As :meth:`recommend`.
            ModelError: If the model fails.
        """
        clock = Clock()
        request = self._stages.read(query.model_copy(update={"filter": None, "exclude": ()}))
        clock.stage("read")
        known = dict.fromkeys(candidates)
        all_rows = request.now.rows(list(known))
        unknown = tuple(item for item, row in zip(known, all_rows.tolist(), strict=True) if row < 0)
        rows = all_rows[all_rows >= 0]
        if self.bundle.is_empty:
            raw, values = {}, self._own.popularity(request.now.origin[rows])
        elif request.user_context is None:
            raise ModelError(f"the model {request.failure}", "load another bundle")
        else:
            raw = self._scorer.score(request.user_context, rows) if len(rows) else {}
            values = self._stages.values(request.objective, raw) if raw else np.zeros(0)
        clock.stage("rank")
        order = np.lexsort((rows, -values))
        items = answer_items(
            self._scorer, request.now, rows[order], values[order], {task: y[order] for task, y in raw.items()}
        )
        clock.stage("answer")
        return Ranked(
            items,
            served_by="popular" if self.bundle.is_empty else request.link or "unknown",
            candidates=len(rows),
            timings_ms=clock.timings_ms,
            version=request.now.version,
            unknown=unknown,
        )

    def score_rows(self, query: Query, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """What the model predicts of any rows of the live catalogue for a user, per task, before the link function.

        Args:
            query: Who asks, and where; nothing else is looked at.
            rows: Of :attr:`LiveItems.now`, or of an earlier snapshot.

        Raises:
            RequestError: If the scenario is not known.
            ModelError: If the model fails.
        """
        request = self._stages.read(query)
        if request.user_context is None:
            raise ModelError(f"the model {request.failure}", "load another bundle")
        return self._scorer.score(request.user_context, rows)

    def predictions(self, raw: Mapping[str, NDArray[np.float32]]) -> list[dict[str, Any]]:
        """What :meth:`score_rows` says as plain values on the labels' own scale, one a row."""
        labels = self._scorer.labels(raw)
        columns = [plain_predictions(self._scorer, task, y) for task, y in labels.items()]
        return [dict(zip(labels, cells, strict=True)) for cells in zip(*columns, strict=True)]

    def similar(self, item: str, k: int = 10, *, wanted: AnyFilter | None = None) -> list[SimilarToItem]:
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
        ask = CandidateQuery(now, self.items.eligible(now, wanted), here, None, here)
        ranks = self._own.like(row, ask, 4 * k + 20)
        by: dict[int, dict[str, int]] = {}
        for name, rows in ranks.items():
            for rank, other in enumerate(rows.tolist(), 1):
                by.setdefault(other, {})[name] = rank
        scores = {
            other: sum(1 / (_RECIPROCAL + rank) for rank in found.values()) for other, found in by.items()
        }
        best = sorted(scores, key=lambda other: (-scores[other], other))[:k]
        return [SimilarToItem(now.ids[o], int(now.origin[o]), scores[o], by[o]) for o in best]

    # -- updates -------------------------------------------------------------------------------

    def upsert_items(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        at_s: float | None = None,
        hidden: Collection[str] | None = None,
    ) -> Upserted:
        """See :meth:`LiveItems.upsert`; the items can be recommended from the next request on."""
        done = self.items.upsert(rows, at_s=at_s, hidden=hidden)
        self._own.grow(self.items.now)
        return done

    def patch_items(
        self, rows: Sequence[Mapping[str, Any]], *, hidden: Collection[str] | None = None
    ) -> Upserted:
        """See :meth:`LiveItems.patch`."""
        done = self.items.patch(rows, hidden=hidden)
        self._own.grow(self.items.now)
        return done

    def delete_items(self, items: Sequence[str]) -> int:
        """See :meth:`LiveItems.delete`."""
        return self.items.delete(items)

    def hide_items(self, items: Sequence[str], hidden: bool = True) -> int:
        """See :meth:`LiveItems.hide`."""
        return self.items.hide(items, hidden)

    def upsert_users(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """See :meth:`UserEncoder.upsert`."""
        return self.user_encoder.upsert(rows)

    def add_events(self, events: Sequence[LiveEvent]) -> Added:
        """Take events into account from the next request on: in the users' histories, and in what is popular.

        Raises:
            DataError: If an event has no user, or a cell is not of its column's kind. Nothing is changed then.
        """
        if any(not event.user for event in events):
            raise DataError("an event has no user", "name the user of each event")
        added = self.history.add(events, self.items.now)
        liked = [(parsed, row) for parsed, row in added.parsed_events if parsed.liked is not False]
        if liked:
            rows = np.array([row for _, row in liked], np.int64)
            now_s = time.time()  # a clock that is ahead must not make all else look old
            time_s = np.array([min(parsed.event.at_s or now_s, now_s) for parsed, _ in liked])
            scenarios = [parsed.scenario for parsed, _ in liked]
            self._own.liked(rows, time_s, scenarios, [parsed.event.user for parsed, _ in liked])
        return added

    def refresh(self) -> None:
        """Take all likes into account now, as far as that takes some milliseconds; serving puts some off to save time."""
        self._own.refresh()

    def replace_events(self, user: str, events: Sequence[LiveEvent]) -> Added:
        """See :meth:`LiveHistory.replace`; what is popular keeps what it has counted.

        Raises:
            DataError: If a cell is not of its column's kind. Nothing is changed then.
        """
        return self.history.replace(user, events, self.items.now)

    def join_users(self, user: str, others: Sequence[str], events: Sequence[LiveEvent]) -> None:
        """See :meth:`LiveHistory.join`; what is popular keeps what it has counted."""
        self.history.join(user, others, events, self.items.now)

    def erase_user(self, user: str) -> bool:
        """Drop all that is known of a user, by the bundle too; returns whether there was anything.

        From then on the user is one never seen, until something new is recorded. The bundle on disk is as it was:
        leave the user out of the next training.
        """
        erased, features = self.history.erase(user), self.user_encoder.forget(user)
        self._scorer.forget()
        self._own.forget(user)
        return erased or features

    def forget_user(self, user: str) -> bool:
        """Drop what was recorded of a user while serving; returns whether there was anything."""
        events, features = self.history.forget(user), self.user_encoder.forget(user)
        self._scorer.forget()
        self._own.forget(user)
        return events or features
