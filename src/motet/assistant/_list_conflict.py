"""Which limits cannot all be kept, and the least that would have to give.

Legend of shapes: I items, n candidates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motet.assistant._list_answer import ListConflict, WayOut
from motet.assistant._list_limits import ListLimit, ListPool, count_limit, smaller_part
from motet.assistant._list_problem import Solution, SumLimit, exact_sum
from motet.assistant._list_solve import search_list, solve_list_exactly
from motet.assistant._list_words import number, said
from motet.data import Catalogue

__all__ = ["ConflictExplainer", "ConflictExplanation", "Way"]


@dataclass(frozen=True, slots=True)
class Way:
    """A limit loosened as little as gives a list.

    Attributes:
        limit: As it was.
        loosened: What takes its place; None if nothing does.
        described: The same for the user.
        change: How much was given, as a share of what was asked; the way with the least is the nearest.
        own: What gives parts items of their own, where the limit is one of a part: as it was, and instead.
    """

    limit: ListLimit
    loosened: ListLimit | None
    described: WayOut
    change: float
    own: tuple[ListLimit, ListLimit] | None = None


@dataclass(frozen=True, slots=True)
class ConflictExplanation:
    """Why there is no list.

    Attributes:
        conflict: For the user.
        nearest: Limits under which there is a list; None if only exclusions are left to give up.
        loosened: What was loosened for it, in words.
    """

    conflict: ListConflict
    nearest: list[ListLimit] | None
    loosened: tuple[str, ...]


class ConflictExplainer:
    """Finds the reason why limits cannot all be kept.

    The **conflict** is found by the deletion filter (Chinneck & Dravnieks 1991): limit after limit is
    left out for good if there is still no list without it. What remains cannot be kept together, and
    can as soon as any one of it is left out. Limits that were not asked for are tried first, so that
    they are blamed only where they are to blame, and the count last.

    A **way out** loosens one limit and keeps all others: the sum, the count or the number of items
    outside is minimised or maximised by the exact solver; ends of ranges and the likeness by
    bisection. Exclusions are never loosened.

    Args:
        pool: What lists are made of.
        catalogue: Its words.
        language: Of what is said.
        ends: Time of ``time.monotonic`` at which to stop.
    """

    def __init__(self, pool: ListPool, catalogue: Catalogue, language: str, ends: float) -> None:
        self._pool, self._catalogue, self._language, self._ends = pool, catalogue, language, ends

    def explain(self, limits: Sequence[ListLimit]) -> ConflictExplanation:
        """The conflict among limits that cannot all be kept, and the nearest limits that can."""
        current, conflict = list(limits), None
        loosened: list[str] = []
        for _ in limits:
            blamed, minimal = self._conflict(current)
            ways = [way for way in (self._way(limit, current) for limit in blamed) if way is not None]
            if conflict is None:
                conflict = ListConflict(
                    limits=tuple(limit.words for limit in blamed),
                    kinds=tuple(limit.kind for limit in blamed),
                    minimal=minimal,
                    ways=tuple(way.described for way in ways),
                )
            if ways:
                nearest = min(ways, key=lambda way: way.change)
                instead = [nearest.loosened if limit is nearest.limit else limit for limit in current]
                was, now = nearest.own or (None, None)
                instead = [now if limit is was else limit for limit in instead]
                kept = [limit for limit in instead if limit is not None]
                return ConflictExplanation(conflict, kept, (*loosened, nearest.described.words))
            may_go = [limit for limit in blamed if limit.given_up and limit.kind != "count"]
            if not may_go or time.monotonic() > self._ends:
                break
            # more than one conflict: what is given up whole here leaves the others to be loosened
            gone = may_go[0]
            loosened.append(said("way_drop", self._language, words=gone.words))
            current = [limit for limit in current if limit is not gone]
            if self._solved(current).chosen is not None:
                return ConflictExplanation(conflict, current, tuple(loosened))
        assert conflict is not None  # noqa: S101 (there is always the count)
        return ConflictExplanation(conflict, None, ())

    def _solved(self, limits: Sequence[ListLimit], value: NDArray[np.float64] | None = None) -> Solution:
        """A list that keeps the limits, the best by ``value`` [I] if there is one."""
        rows = self._pool.compared(self._pool.candidates(limits), limits)
        worth = np.full(len(self._pool.scores), -1.0) if value is None else value
        problem = self._pool.problem(limits, rows, worth)
        left_s = max(self._ends - time.monotonic(), 0.02)
        found = Solution(None, -np.inf, np.inf, False, "search")
        if value is None:  # a list that is found needs no proof
            found = search_list(problem, time_limit_s=left_s, starts=1)
        if found.chosen is None:
            found = solve_list_exactly(problem, time_limit_s=left_s, any_list=value is None)
        chosen = None if found.chosen is None else tuple(int(rows[place]) for place in found.chosen)
        whole = len(rows) == len(self._pool.candidates(limits))
        return replace(found, chosen=chosen, proven=found.proven and (whole or chosen is not None))

    def _conflict(self, limits: Sequence[ListLimit]) -> tuple[list[ListLimit], bool]:
        """Limits that cannot be kept together, and whether each of them is needed for that."""
        blamed, sure = list(limits), True
        for limit in limits:
            if len(blamed) == 1:
                break
            rest = [other for other in blamed if other is not limit]
            found = self._solved(rest)
            if found.chosen is None and found.proven:
                blamed = rest
            elif found.chosen is None:
                sure = False
        return blamed, sure

    # -- ways out ------------------------------------------------------------------------------

    def _way(self, limit: ListLimit, limits: Sequence[ListLimit]) -> Way | None:
        """The least loosening of one limit that gives a list, if there is one."""
        if not limit.given_up:
            return None
        others = [other for other in limits if other is not limit]
        if limit.kind == "count":
            return self._fewer(limit, others)
        if limit.kind == "quota" and limit.low is not None and (own := _own(others)) is not None:
            return self._part(limit, [other for other in others if other is not own], own)
        if limit.kind in ("total", "quota"):
            return self._sum(limit, others)
        if limit.kind == "range":
            return self._range(limit, others)
        if limit.kind == "alike":
            return self._alike(limit, others)
        if limit.kind == "each":
            return self._each(limit, others)
        if limit.keeps is not None:
            return self._outside(limit, others)
        if self._solved(others).chosen is None:
            return None
        return self._way_out(limit, None, None, "way_drop", 0.5)

    def _way_out(self, limit: ListLimit, loosened: ListLimit | None, needed: float | None, key: str, change: float, wanted: float | None = None) -> Way:  # fmt: skip
        name = "" if limit.column is None else self._catalogue.column_name(limit.column, self._language)
        words = said(
            key,
            self._language,
            name=name,
            words=limit.words,
            needed="" if needed is None else number(needed),
            wanted="" if wanted is None else number(wanted),
        )
        described = WayOut(kind=limit.kind, limit=limit.words, needed=needed, words=words)
        if loosened is not None:
            loosened = replace(loosened, words=words)  # "kept" is then what it was loosened to
        return Way(limit, loosened, described, change)

    def _fewer(self, limit: ListLimit, others: Sequence[ListLimit]) -> Way | None:
        assert limit.high is not None  # noqa: S101 (a count has one)
        items, wanted = len(self._pool.scores), int(limit.high)
        some = count_limit(1, wanted, items, self._language)
        found = self._solved([*others, some], np.ones(items))
        if not found.chosen:
            return None
        most = len(found.chosen)
        loosened = count_limit(most, most, items, self._language)
        return self._way_out(limit, loosened, most, "way_count", (wanted - most) / wanted, wanted)

    def _sum(self, limit: ListLimit, others: Sequence[ListLimit]) -> Way | None:
        (row,) = limit.sums
        open_ = replace(limit, sums=(), low=None, high=None)
        for end, sign in (("high", -1.0), ("low", 1.0)):
            wanted = getattr(limit, end)
            if wanted is None:
                continue
            # the other end is kept while this one is looked for
            low, high = (None, row.high) if end == "low" else (row.low, None)
            kept = replace(row, low=low, high=high)
            found = self._solved([*others, replace(open_, sums=(kept,))], sign * row.weights)
            if found.chosen is None or not found.proven:
                continue
            needed = float(exact_sum([row.weights[item] for item in found.chosen]))
            if (needed - wanted) * sign >= 0:
                continue  # this end is not what is in the way
            low, high = (needed, row.high) if end == "low" else (row.low, needed)
            loosened = replace(limit, low=low, high=high, sums=(replace(row, low=low, high=high),))
            change = abs(needed - wanted) / max(abs(wanted), 1.0)
            return self._way_out(limit, loosened, needed, f"way_{limit.kind}_{end}", change, wanted)
        return None

    def _part(self, limit: ListLimit, others: Sequence[ListLimit], own: ListLimit) -> Way | None:
        assert limit.low is not None  # noqa: S101 (a part has one)
        wanted, (row,) = int(limit.low), limit.sums

        def fewer(by: int) -> tuple[ListLimit, ListLimit]:
            low = wanted - by
            return replace(limit, low=low, sums=(replace(row, low=low),)), smaller_part(own, limit, by)

        step = self._least(wanted, lambda at: [*others, *fewer(at + 1)])
        if step is None:
            return None
        loosened, rest = fewer(step + 1)
        needed = wanted - step - 1
        way = self._way_out(limit, loosened, needed, "way_quota_low", (step + 1) / wanted, wanted)
        return replace(way, own=(own, rest))

    def _outside(self, limit: ListLimit, others: Sequence[ListLimit]) -> Way | None:
        assert limit.keeps is not None  # noqa: S101 (asked for such limits only)
        outside = (~limit.keeps).astype(np.float64)
        found = self._solved(others, -outside)
        if found.chosen is None:
            return None
        needed = int(outside[list(found.chosen)].sum())
        if needed == len(found.chosen):
            return self._way_out(limit, None, needed, "way_drop", 1.0)
        row = SumLimit(limit.words, outside, None, needed)
        loosened = replace(limit, keeps=None, sums=(row,))
        return self._way_out(limit, loosened, needed, "way_items", needed / len(found.chosen))

    def _range(self, limit: ListLimit, others: Sequence[ListLimit]) -> Way | None:
        assert limit.column is not None  # noqa: S101 (a range has one)
        numbers = self._catalogue.frame[limit.column].to_numpy().astype(np.float64)
        below = 0.0 if limit.low is None else limit.low - numbers
        above = 0.0 if limit.high is None else numbers - limit.high
        excess = np.maximum(np.maximum(below, above), 0.0)
        excess = np.where(np.isfinite(numbers), excess, np.inf)
        steps = np.unique(excess[np.isfinite(excess) & np.isfinite(self._pool.scores)])

        def wider(by: float) -> ListLimit:
            return replace(limit, keeps=excess <= by)

        step = self._least(len(steps), lambda at: [*others, wider(float(steps[at]))])
        if step is None:
            return None
        loosened = wider(float(steps[step]))
        chosen = self._solved([*others, loosened]).chosen or ()
        far = [item for item in chosen if excess[item] == steps[step]]
        end = "low" if far and limit.low is not None and numbers[far[0]] < limit.low else "high"
        needed = float(numbers[far[0]]) if far else float(steps[step])
        spread = float(np.nanstd(numbers)) or 1.0
        return self._way_out(limit, loosened, needed, f"way_range_{end}", float(steps[step]) / spread, getattr(limit, end))  # fmt: skip

    def _each(self, limit: ListLimit, others: Sequence[ListLimit]) -> Way | None:
        assert limit.high is not None  # noqa: S101 (of each value there is only a greatest number)
        wanted = int(limit.high)
        most = max((int(other.high) for other in others if other.kind == "count" and other.high), default=100)

        def up_to(high: int) -> ListLimit:
            rows = tuple(replace(row, high=high) for row in limit.sums)
            return replace(limit, high=high, sums=rows)

        step = self._least(max(most - wanted, 0), lambda at: [*others, up_to(wanted + 1 + at)])
        if step is None:
            return None
        needed = wanted + 1 + step
        change = (needed - wanted) / max(wanted, 1)
        return self._way_out(limit, up_to(needed), needed, "way_quota_high", change, wanted)

    def _alike(self, limit: ListLimit, others: Sequence[ListLimit]) -> Way | None:
        assert limit.high is not None  # noqa: S101 (likeness has a greatest value)
        steps = np.arange(np.floor(limit.high * 100) + 1, 101) / 100

        def at_most(at: int) -> list[ListLimit]:
            return [*others, replace(limit, high=float(steps[at]))]

        step = self._least(len(steps), at_most)
        if step is None:
            return None
        needed = float(steps[step])
        return self._way_out(limit, replace(limit, high=needed), needed, "way_alike", needed - limit.high, limit.high)  # fmt: skip

    def _least(self, steps: int, limits: Callable[[int], list[ListLimit]]) -> int | None:
        """The first step at which there is a list, by bisection: wider limits keep every list."""
        if not steps or self._solved(limits(steps - 1)).chosen is None:
            return None
        low, high = 0, steps - 1
        while low < high:
            middle = (low + high) // 2
            if self._solved(limits(middle)).chosen is None:
                low = middle + 1
            else:
                high = middle
        return low


def _own(limits: Sequence[ListLimit]) -> ListLimit | None:
    """The limit that gives each part items of its own, if there is one."""
    return next((limit for limit in limits if limit.kind == "parts"), None)
