"""How well a model does while it serves: what becomes of the lists that were shown."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from motet.data import NEGATIVE_EVENTS
from motet.service.store import Event, Shown, Store

__all__ = ["Success", "fell", "success_of"]

_LATEST_EVENTS: Final = 200


@dataclass(frozen=True, slots=True)
class Success:
    """How many lists of a model led to something.

    Attributes:
        lists: Lists that were shown to known users and are old enough to be judged.
        hits: Those of them of which the user took an item up soon after.
    """

    lists: int
    hits: int

    @property
    def rate(self) -> float:
        """Hits over lists, 0 to 1."""
        return self.hits / self.lists if self.lists else 0.0


def success_of(
    store: Store, model: str, *, most: int, horizon_s: float, now: datetime | None = None
) -> Success:
    """What became of the latest lists of a model.

    A list is a hit where its user had an event with one of its items within the horizon after it was shown, other
    than one that turns the item down or has no value above 0.

    Args:
        store: The store.
        model: Name of the model.
        most: Lists, the latest ones.
        horizon_s: Time in which an event counts, in seconds; younger lists are left out.
        now: The time, for tests.
    """
    now = now or datetime.now(UTC)
    horizon = timedelta(seconds=horizon_s)
    shown = store.learner.shown_by(model, now - horizon, most)
    by_user: dict[str, list[Shown]] = defaultdict(list)
    for one in shown:
        if one.user is not None:
            by_user[one.user].append(one)
    lists = hits = 0
    for user, own in by_user.items():
        events = [one for one in store.events.of_user(user, _LATEST_EVENTS) if _counts(one)]
        oldest = events[-1].time if len(events) == _LATEST_EVENTS else None
        for one in own:
            if oldest is not None and one.time < oldest:  # its events may be beyond those read
                continue
            lists += 1
            hits += _is_hit(one, events, horizon)
    return Success(lists, hits)


def fell(before: Success, after: Success, *, fewest: int, least: float, z: float = 2.33) -> bool:
    """Whether the success of a model is below that of another beyond doubt.

    z = (p₁ − p₂) / √(p(1 − p)(1/n₁ + 1/n₂)), the test of two shares with a common p (Fleiss 1981, ch. 2), one-sided.

    Args:
        before: Of the model before.
        after: Of the model now.
        fewest: Lists that both need.
        least: Smallest relative fall that matters.
        z: Quantile; 2.33 is one in a hundred.

    Example:
        >>> fell(Success(500, 100), Success(500, 40), fewest=200, least=0.1)
        True
        >>> fell(Success(500, 100), Success(500, 95), fewest=200, least=0.1)
        False
    """
    if min(before.lists, after.lists) < fewest or after.rate > (1 - least) * before.rate:
        return False
    p = (before.hits + after.hits) / (before.lists + after.lists)
    error = math.sqrt(p * (1 - p) * (1 / before.lists + 1 / after.lists))
    return error > 0 and (before.rate - after.rate) / error > z


def _counts(event: Event) -> bool:
    return event.value > 0 and event.type not in NEGATIVE_EVENTS


def _is_hit(shown: Shown, events: Sequence[Event], horizon: timedelta) -> bool:
    items = {one.item for one in shown.items}
    return any(
        one.list_id == shown.id or (one.item in items and shown.time <= one.time <= shown.time + horizon)
        for one in events
    )
