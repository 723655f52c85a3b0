"""The stages of a request: read, retrieve, follow the chain, rank, re-rank, answer."""

from __future__ import annotations

import secrets
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from motet.errors import MotetError, RequestError
from motet.recommend import Objective, Query, RankedItem, check_objective, value_of
from motet.recommend.live._events import LiveEvent
from motet.recommend.live._history import NO_HISTORY, LiveHistory, UserHistory
from motet.recommend.live._items import LiveItems
from motet.recommend.live._scorer import Scorer, UserContext, plain_predictions
from motet.recommend.live._snapshot import CatalogueSnapshot, Eligible
from motet.recommend.live._users import EncodedUser, UserEncoder
from motet.recommend.rerank import ItemStep, Listed, Pin, rerank
from motet.recommend.retrieve import CandidateQuery, Retrieved, Retriever, StandardSources

__all__ = ["Candidates", "Clock", "LiveRequest", "Stages", "answer_items", "is_known"]

# What the stages of one request share.


@dataclass(slots=True)
class Clock:
    """Milliseconds of each stage."""

    timings_ms: dict[str, float] = field(default_factory=dict)
    _last_s: float = field(default_factory=time.perf_counter)

    def stage(self, name: str) -> None:
        """A stage is done."""
        now_s = time.perf_counter()
        self.timings_ms[name] = self.timings_ms.get(name, 0.0) + (now_s - self._last_s) * 1e3
        self._last_s = now_s


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """A request, read.

    Attributes:
        query: As asked.
        now: The snapshot of the catalogue that it works on.
        history: Of the user, the session included.
        user_context: The user and the context, as the model sees them; None where the model failed.
        ask: What candidates are wanted for.
        objective: What is ranked by.
        seed: Of what is drawn.
        link: ``personal`` or ``session``; None where nothing is known of the user.
        failure: Why there is no user context.
    """

    query: Query
    now: CatalogueSnapshot
    history: UserHistory
    user_context: UserContext | None
    ask: CandidateQuery
    objective: Objective
    seed: int
    link: str | None
    failure: str | None = None

    def kept_items(self, found: Candidates) -> tuple[RankedItem, ...] | None:
        """The items that answered the same wishes with the same candidates before; None where there are none."""
        if found.retrieved is None or found.left_out or self.user_context is None:
            return None
        retrieved, items = self.user_context.kept.items.get(_wishes(self.query), (None, ()))
        return items if retrieved is found.retrieved else None

    def keep_items(self, found: Candidates, items: tuple[RankedItem, ...]) -> None:
        """Keep the items of an answer, unless something in them was drawn, depends on the time, or was too late."""
        wishes = _wishes(self.query)
        if wishes is not None and found.retrieved is not None and not found.left_out and self.user_context:
            self.user_context.kept.add_items(wishes, found.retrieved, items)


def _wishes(query: Query) -> Hashable | None:
    """What in a request, beside its candidates, decides on the items; None where that is not all."""
    if query.rules or query.trace or query.diversity is not None or query.explore is not None:
        return None
    if query.filter is not None or query.text:  # of these no candidates are kept
        return None
    asked = query.objective
    objective = None if asked is None else (asked.scale, *asked.weights.items())
    return query.k, query.duplicates, query.sources, objective


@dataclass(slots=True)
class Candidates:
    """Items on their way to an answer; stages add to it.

    Attributes:
        rows: [n].
        values: What they are ranked by, [n].
        raw: What the model says of them per task, before the link function, [n] or [n, K].
        links: Per row, which link of the chain gave it.
        found: Per source, the rows it gave.
        left_out: What was left out, with the reason.
        retrieved: What the sources gave, where all candidates are theirs.
    """

    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    raw: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    links: dict[int, str] = field(default_factory=dict)
    found: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    retrieved: Retrieved | None = None

    def add(self, rows: NDArray[np.int64], link: str) -> NDArray[np.int64]:
        """Add rows at the end, but those that are there; returns the others."""
        new = rows[~np.isin(rows, self.rows)] if len(self.rows) else rows
        self.rows = np.concatenate([self.rows, new]) if len(self.rows) else new
        self.links |= dict.fromkeys(new.tolist(), link)
        return new


# Ranked rows as items of an answer.


def answer_items(
    scorer: Scorer,
    now: CatalogueSnapshot,
    rows: NDArray[np.int64],
    values: NDArray[np.float64],
    raw: Mapping[str, NDArray[np.float32]],
    *,
    sources: Retrieved | None = None,
    links: Mapping[int, str] | None = None,
    propensities: Sequence[float] = (),
    steps: Mapping[int, tuple[ItemStep, ...]] | None = None,
) -> tuple[RankedItem, ...]:
    """Items of an answer, in the order given.

    Args:
        scorer: Knows the tasks.
        now: The catalogue.
        rows: [n].
        values: What they were ranked by, [n].
        raw: What the model says of them per task, before the link function, [n] or [n, K].
        sources: Which source gave which.
        links: Per row, which link of the chain gave it.
        propensities: [n]; 1 when left out.
        steps: Per row, what re-ranking did.
    """
    labels = scorer.labels(raw)
    columns = [plain_predictions(scorer, task, y) for task, y in labels.items()]
    predictions = list(map(dict, map(zip, repeat(list(labels)), zip(*columns, strict=True))))
    predictions = predictions or [{} for _ in rows]
    n, each = len(rows), rows.tolist()
    # column by column: an answer may have ten thousand items
    columns_of_all = (
        [now.ids[row] for row in each],
        now.origin[rows].tolist(),
        range(1, n + 1),
        values.tolist(),
        predictions,
        repeat((), n) if sources is None else map(sources.sources_of, each),
        repeat("asked", n) if links is None else [links.get(row, "") for row in each],
        propensities or repeat(1.0, n),
        repeat((), n) if steps is None else [steps.get(row, ()) for row in each],
    )
    return tuple(map(RankedItem._make, zip(*columns_of_all, strict=True)))


# The stages of a request: read, retrieve, follow the chain, rank, re-rank.

_START_MS_A_ROW = 0.005


class Stages:
    """What a live recommender does for one request, stage by stage.

    Args:
        items: The catalogue.
        user_encoder: Encodes the users.
        history: Of the users.
        scorer: Runs the model.
        sources: Of the chain.
        retriever: Of candidates.
        task: Ranked by where a request names no objective.
        candidates: How many are ranked.
        is_plain: Whether there is no model to rank with: requests are answered by the chain alone, and objectives,
            scenarios and contexts that no schema knows yet are not refused.
    """

    def __init__(
        self,
        *,
        items: LiveItems,
        user_encoder: UserEncoder,
        history: LiveHistory,
        scorer: Scorer,
        sources: StandardSources,
        retriever: Retriever,
        task: str,
        candidates: int,
        is_plain: bool = False,
    ) -> None:
        self._is_plain = is_plain
        self._items, self._user_encoder, self._history, self._scorer = items, user_encoder, history, scorer
        self._sources, self._retriever = sources, retriever
        self._task, self._candidates = task, candidates
        self._repeats = scorer.schema.tasks[task].offers_again
        self._ms_a_row = _START_MS_A_ROW

    def read(self, query: Query) -> LiveRequest:
        """Resolve a request: the user and the context, and what is wanted.

        Raises:
            RequestError: If the request names what is not known.
        """
        now = self._items.now
        objective = query.objective or Objective(weights={self._task: 1.0})
        if not self._is_plain:
            check_objective(objective, self._scorer.schema)
        for name in query.sources or ():
            if name not in self._retriever.sources:
                known = ", ".join(self._retriever.sources)
                raise RequestError(f"there is no source '{name[:80]}'", f"name some of {known}")
        eligible = self._items.eligible(now, query.filter)
        round = self._scorer.round
        history = NO_HISTORY if query.user is None else self._history.of(query.user, now)
        of_user = history  # without the session
        events = [LiveEvent(item=one) if isinstance(one, str) else one for one in query.history]
        history = self._history.after(history, events, now)
        row = -1 if query.user is None else self._history.row(query.user)
        user = self._user_encoder.of(query.user, row, query.user_features)
        user_context, failure = None, None
        try:
            if not self._is_plain:
                user_context = self._scorer.user_context(
                    now, user, history, query.scenario, query.context, row, round
                )
        except MotetError:  # the request is wrong
            raise
        except Exception as error:  # the model is: popular items can be shown all the same
            failure = _reason(error)
        own = query.user is not None and is_known(row, of_user, user)
        ask = self._candidate_query(query, now, eligible, history, user_context)
        return LiveRequest(
            query,
            now,
            history,
            user_context,
            ask,
            objective,
            seed=secrets.randbits(63) if query.seed is None else query.seed,
            link=None
            if self._is_plain
            else "personal"
            if own
            else "session"
            if history or user.known or query.text
            else None,
            failure=failure,
        )

    def retrieve(self, request: LiveRequest) -> Candidates:
        """Candidates of all sources, or everything that may come where that is no more than is ranked."""
        query, found = request.query, Candidates()
        pinned = request.now.rows([rule.item for rule in query.rules if isinstance(rule, Pin)])
        pinned = pinned[pinned >= 0]
        found.add(np.unique(pinned[request.ask.may_come(pinned)]), request.link or "popular")
        if request.failure is not None:
            found.left_out["model"] = request.failure
        if request.link is None:
            return found
        n, limit_ms = max(self._candidates, 3 * query.k), query.budget.retrieve_ms
        budget_s = None if limit_ms is None else limit_ms / 1e3
        retrieved = self._retriever.retrieve(request.ask, n, names=query.sources, budget_s=budget_s)
        found.left_out |= retrieved.left_out
        found.found |= retrieved.found
        rows = retrieved.rows
        if query.sources is None and request.ask.eligible.count <= n:
            rows = request.ask.eligible.rows
            rows = rows[request.ask.may_come(rows)]
        if query.budget.rank_ms is not None:
            most = max(query.k, int(query.budget.rank_ms / self._ms_a_row))
            if len(rows) > most:
                late = f"{len(rows) - most} of {len(rows)} were not ranked, to save time"
                found.left_out["candidates"] = late
                rows = rows[:most]
        if rows is retrieved.rows and not len(found.rows):
            found.retrieved = retrieved
        found.add(rows, request.link)
        return found

    def rank(self, request: LiveRequest, candidates: Candidates, chain: Sequence[str] = ()) -> None:
        """Let the model rank the candidates; what the links of a chain give follows behind them.

        Args:
            request: The request.
            candidates: Gets further rows, values and what the model says.
            chain: Links to follow, until there is enough.
        """
        own, wanted = len(candidates.rows), max(3 * request.query.k, 50)
        for name in chain:
            if len(candidates.rows) - own >= wanted or (len(candidates.rows) and name == "again"):
                break
            self._follow(request, candidates, name, wanted)
        n, began_s = len(candidates.rows), time.perf_counter()
        is_first = request.user_context is None or not request.user_context.kept.knows_items
        candidates.values = -np.arange(n, dtype=np.float64)
        if n and request.user_context is not None:
            try:
                candidates.raw = self._scorer.score(
                    request.user_context, candidates.rows, request.objective.weights
                )
                candidates.values = self.values(request.objective, candidates.raw)
            except Exception as error:  # a list in the order of the sources is better than none
                candidates.left_out["model"] = _reason(error)
        if n > 50 and is_first:  # what was kept took no time
            spent_ms = (time.perf_counter() - began_s) * 1e3 / n
            self._ms_a_row += 0.1 * (spent_ms - self._ms_a_row)
        asked = request.query.objective is not None and request.link is None
        if (
            n > own and not asked
        ):  # an unknown user gets the order of the chain, unless the request names an objective
            floor = float(candidates.values[:own].min()) if own else 0.0
            candidates.values = np.concatenate([candidates.values[:own], floor - 1.0 - np.arange(n - own)])

    def rerank(self, request: LiveRequest, candidates: Candidates) -> Listed:
        """The list that is shown."""
        return rerank(
            request.query,
            request.now,
            candidates.rows,
            candidates.values,
            mask_of=lambda wanted: self._items.eligible(request.now, wanted).mask,
            seed=request.seed,
            at_s=time.time(),
        )

    def values(self, objective: Objective, raw: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        """Values of candidates by what the model says of them, [n]."""
        needed = {task: raw[task] for task in objective.weights}
        labels = self._scorer.labels(needed) if objective.scale == "label" else {}
        return value_of(objective, needed, labels, self._scorer.spreads)

    def _follow(self, request: LiveRequest, candidates: Candidates, name: str, n: int) -> None:
        """Add the candidates of one more link of the chain."""
        ask = request.ask
        if name == "again":
            excluded = self._excluded(request.query, request.now, request.history, again=True)
            ask = CandidateQuery(ask.now, ask.eligible, excluded, None, ask.liked, ask.scenario)
        source = self._sources.link(name)
        # those that came before are among what the source gives
        rows, _ = source.candidates(ask, n + len(candidates.rows))
        new = candidates.add(rows, name)
        candidates.found[source.name] = np.concatenate([candidates.found.get(source.name, new[:0]), new])

    def _candidate_query(
        self,
        query: Query,
        now: CatalogueSnapshot,
        eligible: Eligible,
        history: UserHistory,
        user_context: UserContext | None,
    ) -> CandidateQuery:
        """What candidates are wanted for; the same object for the same wishes in the same context of a user."""
        # neither masks of filters, which are large, nor words of users are kept
        keeps = None if query.filter is not None or query.text else user_context
        wishes = query.include_seen, query.exclude
        if keeps is not None and (kept := keeps.kept.queries.get(wishes)) is not None:
            return kept
        found = CandidateQuery(
            now,
            eligible,
            self._excluded(query, now, history),
            None if user_context is None else user_context.vector,
            now.now(history.liked.rows),
            query.scenario,
            query.text,
            None if user_context is None else user_context.had,
        )
        if keeps is not None:
            keeps.kept.add_query(wishes, found)
        return found

    def _excluded(
        self, query: Query, now: CatalogueSnapshot, history: UserHistory, *, again: bool = False
    ) -> NDArray[np.int64]:
        rows = now.rows(query.exclude)
        keep = self._repeats if query.include_seen is None else query.include_seen
        seen = np.zeros(0, np.int64) if keep or again else now.now(history.seen)
        distinct: NDArray[np.int64] = np.unique(np.concatenate([rows[rows >= 0], seen]))
        return distinct


def _reason(error: Exception) -> str:
    return f"failed ({type(error).__name__}: {str(error)[:200]})"


def is_known(row: int, history: UserHistory, user: EncodedUser) -> bool:
    """Whether anything is known of a user, which is what divides known users from unknown ones everywhere.

    Args:
        row: Of the user in the training data; −1 where the model was not trained with it, or it was deleted since.
        history: Of the user, in training and since.
        user: Its features, as far as they were recorded or come with the request.
    """
    return row >= 0 or bool(history) or user.known
