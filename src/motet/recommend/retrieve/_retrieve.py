"""Candidates from several sources, each up to its quota."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from motet.errors import DataError
from motet.recommend.live import CatalogueSnapshot, Eligible
from motet.schema import require_known

__all__ = ["CandidateQuery", "CandidateSource", "KeptAnswer", "Retrieved", "Retriever", "best_of"]

# What a source of candidates is asked, and what it answers.
#
# Legend of shapes: I rows of the live catalogue, n candidates, Dr width of a retrieval vector.


@dataclass(frozen=True, slots=True)
class CandidateQuery:
    """What candidates are wanted for.

    Attributes:
        now: The catalogue.
        eligible: Items that may come, before what this one user may not get.
        excluded: Rows that may not come for this user, rising, [x].
        user_vector: Of retrieval, [Dr]; None without such a task.
        liked: Rows of the items that the user liked lately, oldest first.
        scenario: Where they are shown.
        text: Words of the user, if there are any.
        had: First rows of the items that rank others for the user, oldest first; those of ``liked`` when left out.
        kept: What sources answered to this query, by name; see ``changes`` of :class:`CandidateSource`.
        retrieved: The latest candidates of all sources, if there are any.
    """

    now: CatalogueSnapshot
    eligible: Eligible
    excluded: NDArray[np.int64]
    user_vector: NDArray[np.float32] | None
    liked: NDArray[np.int64]
    scenario: str | None = None
    text: str | None = None
    had: NDArray[np.int32] | None = None
    kept: dict[str, KeptAnswer] = field(default_factory=dict, repr=False, compare=False)
    retrieved: list[Retrieved] = field(default_factory=list, repr=False, compare=False)

    def may_come(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some rows may come, [n]."""
        allowed: NDArray[np.bool_] = self.eligible.mask[rows]
        if len(self.excluded) and len(rows):
            at = np.minimum(np.searchsorted(self.excluded, rows), len(self.excluded) - 1)
            allowed = allowed & (self.excluded[at] != rows)
        return allowed


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a source answered: rows that may come, best first, with its ``changes`` and the number asked for then."""

    changes: int
    n: int
    rows: NDArray[np.int64]


@runtime_checkable
class CandidateSource(Protocol):
    """Gives candidates of one kind.

    A source may also have an attribute ``changes``, a number that rises whenever it would answer the same query in
    another way; 0 for ever where the query alone decides. While it stays, the answer to a query is kept, and the source is not
    asked again. A source without it is asked each time.

    Attributes:
        name: What it is called in answers.
        inline: Whether it always answers within about a millisecond, and so needs no thread of its own that
            could be left behind; ``"without words"`` where that holds of requests without words.
    """

    name: str

    @property
    def inline(self) -> bool | Literal["without words"]:
        """As above; an attribute of the class will do."""
        ...

    def candidates(self, ask: CandidateQuery, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """At most n rows that may come, best first, with scores on the source's own scale; none is fine."""
        ...


def best_of(
    rows: NDArray[np.int64], scores: NDArray[np.float32], n: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The n best, best first; the lower row first of equals.

    Example:
        >>> best_of(np.array([4, 2, 9]), np.array([1.0, 3.0, 3.0], np.float32), 2)[0].tolist()
        [2, 9]
    """
    if len(rows) > 4 * n > 0:
        edge = np.partition(scores, len(scores) - n)[len(scores) - n]
        kept = scores >= edge
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[:n]
    return rows[order], scores[order]


_THREADS: Final = 8
_MOST_LATE: Final = 2  # calls of one source that are no longer waited for

Answer = tuple[NDArray[np.int64], NDArray[np.float32]]


@dataclass(frozen=True)
class Retrieved:
    """Candidates.

    Attributes:
        rows: Distinct, those of the first source first, [n].
        found: Per source, the rows it gave, best first.
        left_out: Sources that gave nothing because they failed or were late, with the reason.
    """

    rows: NDArray[np.int64]
    found: Mapping[str, NDArray[np.int64]]
    left_out: Mapping[str, str]

    def sources_of(self, row: int) -> tuple[str, ...]:
        """Which sources gave an item."""
        return self._names.get(row, ())

    @cached_property
    def _names(self) -> dict[int, tuple[str, ...]]:
        names: dict[int, tuple[str, ...]] = {}
        for name, rows in self.found.items():
            for row in rows.tolist():
                names[row] = (*names.get(row, ()), name)
        return names


class Retriever:
    """Asks sources and puts together what they give.

    A source gives at most its share of the candidates wanted; what one source does not fill goes to none of the
    others, for the model ranks what there is. A source that raises, or is not done in time, is left out
    and named; of one that is not ``inline``, the call goes on in a thread of its own, and it is not
    asked again while two such calls are still going on.

    Args:
        sources: In order of trust: of an item that several give, the first is named first.
        quotas: Share of the candidates per source, > 0; 1 for one that is not named.

    Raises:
        DataError: If a quota names no source, or is not positive, or two sources have one name.
    """

    def __init__(self, sources: Sequence[CandidateSource], quotas: Mapping[str, float] | None = None) -> None:
        self.sources = {source.name: source for source in sources}
        if len(self.sources) < len(sources):
            raise DataError("two sources have the same name", "give each a name of its own")
        for name, quota in (quotas or {}).items():
            require_known(name, self.sources, "the quota of the source", DataError)
            if not quota > 0:
                raise DataError(f"the quota of '{name}' is {quota}", "give a share above 0")
        self._quotas = {name: (quotas or {}).get(name, 1.0) for name in self.sources}
        self._pool: ThreadPoolExecutor | None = None
        self._late: dict[str, int] = {}
        self._lock = threading.Lock()

    def retrieve(
        self,
        ask: CandidateQuery,
        n: int,
        *,
        names: Sequence[str] | None = None,
        budget_s: float | None = None,
    ) -> Retrieved:
        """Candidates for a request.

        Args:
            ask: What for.
            n: Candidates in all, ≥ 1.
            names: Sources to ask; all when left out.
            budget_s: Longest time to wait, > 0; no limit when left out.
        """
        asked = [name for name in self.sources if names is None or name in names]
        total = sum(self._quotas[name] for name in asked)
        share = {name: max(1, round(n * self._quotas[name] / total)) for name in asked}
        until_s = time.perf_counter() + budget_s if budget_s is not None else None
        answers: dict[str, Answer] = {}
        left_out: dict[str, str] = {}
        waiting: dict[str, Future[Answer]] = {}
        changes = {name: _changes(self.sources[name]) for name in asked}
        kept = {
            name: one
            for name in asked
            if (one := ask.kept.get(name)) is not None
            and (one.changes, one.n) == (changes[name], share[name])
        }
        for name in asked:
            source = self.sources[name]
            if name in kept or until_s is None or source.inline is True or (source.inline and not ask.text):
                continue
            if self._late.get(name, 0) >= _MOST_LATE:
                left_out[name] = "still busy with earlier requests"
                continue
            waiting[name] = self._submit(source, ask, share[name])
        for name in asked:
            if name in kept or name in waiting or name in left_out:
                continue
            if until_s is not None and time.perf_counter() > until_s:
                left_out[name] = "no time was left"
                continue
            try:
                answers[name] = self.sources[name].candidates(ask, share[name])
            except Exception as error:  # a source is replaceable: the answer goes on without it
                left_out[name] = _reason(error)
        for name, future in waiting.items():
            try:
                answers[name] = future.result(max(0.0, (until_s or 0.0) - time.perf_counter()))
            except TimeoutError:
                left_out[name] = "was not done in time"
                self._watch(name, future)
            except Exception as error:  # likewise
                left_out[name] = _reason(error)
        for name, answer in answers.items():
            rows, of = _checked(answer[0], ask), changes[name]
            kept[name] = KeptAnswer(of or 0, share[name], rows)
            if of is not None:
                ask.kept[name] = kept[name]
        found = {name: kept[name].rows for name in asked if name in kept}
        for before in ask.retrieved:
            same = found.keys() == before.found.keys() and not left_out
            if same and all(rows is before.found[name] for name, rows in found.items()):
                return before
        made = Retrieved(_distinct(list(found.values())), found, left_out)
        ask.retrieved[:] = [made]
        return made

    def close(self) -> None:
        """End the threads of sources; calls that go on are not waited for."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, source: CandidateSource, ask: CandidateQuery, n: int) -> Future[Answer]:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="motet-source")
            return self._pool.submit(source.candidates, ask, n)

    def _watch(self, name: str, future: Future[Answer]) -> None:
        if future.cancel():
            return
        with self._lock:
            self._late[name] = self._late.get(name, 0) + 1

        def done(_: Future[Answer]) -> None:
            with self._lock:
                self._late[name] -= 1

        future.add_done_callback(done)


def _changes(source: CandidateSource) -> int | None:
    try:
        found = getattr(source, "changes", None)
    except Exception:  # what is wrong with it is found when it is asked
        return None
    return found if type(found) is int else None


def _checked(rows: NDArray[np.int64], ask: CandidateQuery) -> NDArray[np.int64]:
    """What a source gave, less what may not come whatever it says."""
    rows = np.asarray(rows, np.int64)
    rows = rows[(rows >= 0) & (rows < len(ask.now))]
    return rows[ask.may_come(rows)]


def _distinct(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    if not parts:
        return np.zeros(0, np.int64)
    rows = np.concatenate(parts)
    _, first = np.unique(rows, return_index=True)
    distinct: NDArray[np.int64] = rows[np.sort(first)]
    return distinct


def _reason(error: Exception) -> str:
    return f"failed ({type(error).__name__}: {str(error)[:200]})"
