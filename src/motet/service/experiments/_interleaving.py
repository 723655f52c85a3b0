"""Interleaving: one list of two rankings, and which of them its users prefer.

Legend: L lists, U users.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motet.errors import DataError
from motet.service.experiments._effects import UserTotals
from motet.service.experiments._sequential import sequential_p, sequential_radius
from motet.service.store import MixedList, Taken

__all__ = ["Preference", "credited", "interleaving_preference", "team_draft"]


def team_draft(
    first: Sequence[str], second: Sequence[str], k: int, rng: np.random.Generator
) -> tuple[list[str], list[int]]:
    """Merge two rankings into one list: team draft (Radlinski, Kurup & Joachims 2008, algorithm 2).

    Teams take turns in pairs; a coin says who begins each pair, and a team takes its best item that is not taken. An
    item at the same place in both rankings is in either team equally often, so that equal rankings gain equally.

    Args:
        first: Item ids of one ranking, best first, each once.
        second: Of the other.
        k: Most items.
        rng: Randomness; seeded by the list's id, the same list comes out again.

    Returns:
        The items, and of each the ranking that placed it, 0 or 1.

    Example:
        >>> team_draft(["a", "b", "c"], ["b", "a", "d"], 4, np.random.default_rng(1))
        (['a', 'b', 'd', 'c'], [0, 1, 1, 0])
    """
    rankings, at = (first, second), [0, 0]
    items: list[str] = []
    teams: list[int] = []
    taken: set[str] = set()
    while len(items) < k:
        starts = int(rng.integers(2))
        before = len(items)
        for team in (starts, 1 - starts):
            ranking = rankings[team]
            while at[team] < len(ranking) and ranking[at[team]] in taken:
                at[team] += 1
            if at[team] < len(ranking) and len(items) < k:
                items.append(ranking[at[team]])
                teams.append(team)
                taken.add(ranking[at[team]])
        if len(items) == before:
            break
    return items, teams


def credited(lists: Sequence[MixedList], taken: Sequence[Taken]) -> list[tuple[int, Taken]]:
    """Which list each event came from: the one that it names, or else the latest before it that showed its item.

    Args:
        lists: In order of time.
        taken: Events.

    Returns:
        Places in ``lists`` with their events; an event that came from none is left out.
    """
    by_id = {one.id: at for at, one in enumerate(lists)}
    showed: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, one in enumerate(lists):
        for item in one.placed:
            showed[one.user, item].append(at)
    found = []
    for event in taken:
        at = by_id.get(event.list_id or "", -1)
        if at < 0 or lists[at].user != event.user or event.item not in lists[at].placed:
            own = showed.get((event.user, event.item), [])
            place = bisect_right(own, event.time_us, key=lambda at: lists[at].time_us)
            at = own[place - 1] if place and not event.list_id else -1
        if at >= 0:
            found.append((at, event))
    return found


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of two rankings users prefer.

    Attributes:
        value: From −1, always the first, to 1, always the second; 0 where neither or nothing is known.
        interval: Always-valid; None where there are too few users.
        p: Always-valid p-value of no preference; None likewise.
        lists: Lists with any credit.
        users: Users with such a list.
        wins: Lists in which the first, neither, and the second had more credit.
    """

    value: float
    interval: tuple[float, float] | None
    p: float | None
    lists: int
    users: int
    wins: tuple[int, int, int]


def interleaving_preference(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    users: NDArray[np.generic],
    fraction: float,
    level: float = 0.95,
) -> Preference:
    """Count, over lists with any credit, how much more often the second ranking won than the first.

    (wins_second − wins_first) / (wins_first + ties + wins_second): twice Δ_AB of Chapelle et al. (2012). A
    win is of a list, its error over users by the delta method, since lists of one user are alike.

    Args:
        first: Credit, such as clicks, of the first ranking's items in each list, shape [L].
        second: Of the second's.
        users: User of each list, shape [L].
        fraction: Share of the planned users that are in, above 0.
        level: Coverage over all looks together.
    """
    if not first.shape == second.shape == users.shape or first.ndim != 1:
        raise DataError(
            f"credits of shapes {first.shape} and {second.shape} do not fit users of shape {users.shape}",
            "give one value a list",
        )
    some = (first > 0) | (second > 0)
    sign = np.sign(second[some] - first[some]).astype(np.float64)
    wins = (int((sign < 0).sum()), int((sign == 0).sum()), int((sign > 0).sum()))
    lists = len(sign)
    if not lists:
        return Preference(0.0, None, None, 0, 0, wins)
    group = np.unique(users[some], return_inverse=True)[1]
    totals = UserTotals(np.bincount(group, sign).astype(np.float64), np.bincount(group).astype(np.float64))
    u = totals.users
    if u < 2:
        return Preference(totals.value, None, None, lists, u, wins)
    influence = totals.influence()
    error = float(np.sqrt(influence @ influence / (u * (u - 1))))
    if u < 50 or not error:
        return Preference(totals.value, None, None, lists, u, wins)
    half = float(sequential_radius(fraction, level)) * error
    p = float(sequential_p(totals.value / error, fraction, level))
    interval = max(-1.0, totals.value - half), min(1.0, totals.value + half)  # what it can be at all
    return Preference(totals.value, interval, p, lists, u, wins)
