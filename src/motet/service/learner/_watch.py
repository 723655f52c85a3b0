"""How well a model does while it serves: what becomes of the lists that were shown."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from motet.data import NEGATIVE_EVENTS
from motet.service.experiments import sequential_radius
from motet.service.monitor import ListFigures
from motet.service.store import Event, Shown, Store, Training

__all__ = [
    "Success",
    "activate_trained",
    "canary_details",
    "fell",
    "success_of",
    "users_fell",
    "watch_canary",
]

_log: Final = logging.getLogger("motet.service.learner")
_LATEST_EVENTS: Final = 200
_PLANNED: Final = 200  # users of a new model, at which its test is sharpest


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


def success_of(store: Store, model: str, *, most: int, horizon_s: float) -> Success:
    """What became of the latest lists of a model.

    A list is a hit where its user had an event with one of its items within the horizon after it was shown, other
    than one that turns the item down or has no value above 0.

    Args:
        store: The store.
        model: Name of the model.
        most: Lists, the latest ones.
        horizon_s: Time in which an event counts, in seconds; younger lists are left out.
    """
    return _total(_successes_of(store, model, most=most, horizon_s=horizon_s).values())


def _successes_of(
    store: Store, model: str, *, most: int, horizon_s: float, since: datetime | None = None
) -> dict[str, Success]:
    horizon = timedelta(seconds=horizon_s)
    shown = store.learner.shown_by(model, datetime.now(UTC) - horizon, most, since)
    by_user: dict[str, list[Shown]] = defaultdict(list)
    for one in shown:
        if one.user is not None:
            by_user[one.user].append(one)
    found: dict[str, Success] = {}
    for user, own in by_user.items():
        lists = hits = 0
        events = [one for one in store.events.of_user(user, _LATEST_EVENTS) if _counts(one)]
        oldest = events[-1].time if len(events) == _LATEST_EVENTS else None
        for one in own:
            if oldest is not None and one.time < oldest:  # its events may be beyond those read
                continue
            lists += 1
            hits += _is_hit(one, events, horizon)
        if lists:
            found[user] = Success(lists, hits)
    return found


def _total(some: Iterable[Success]) -> Success:
    """All lists and hits of some."""
    every = list(some)
    return Success(sum(one.lists for one in every), sum(one.hits for one in every))


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


def users_fell(before: Collection[Success], after: Collection[Success], *, fewest: int, least: float) -> bool:
    """Whether the success of a model is below that of another beyond doubt, with users as the unit, at any look.

    A score test: with p the common rate and ψ_i = (hits_i − p lists_i) / mean lists of the variant, z is the difference of
    the rates by √(mean ψ² (1/n₁ + 1/n₂)). With one list a user it is that of :func:`fell`; and it holds also where no
    list of one model led to anything. z has to exceed the radius of an always-valid interval, see
    :func:`motet.service.experiments.sequential_radius`.

    Args:
        before: Of each user of the model before.
        after: Of each user of the model now.
        fewest: Users that both need.
        least: Smallest relative fall that matters.

    Example:
        >>> good, bad = [Success(2, 1)] * 90 + [Success(2, 0)] * 60, [Success(2, 1)] * 20 + [Success(2, 0)] * 130
        >>> users_fell(good, bad, fewest=50, least=0.0), users_fell(good, good, fewest=50, least=0.0)
        (True, False)
    """
    whole = _total([*before, *after])
    if min(len(before), len(after)) < fewest or not whole.hits:
        return False
    first, second, rate = _total(before), _total(after), whole.rate
    if second.rate > (1 - least) * first.rate:
        return False
    squares = sum(
        sum((one.hits - rate * one.lists) ** 2 for one in some) / (arm.lists / len(some)) ** 2
        for some, arm in ((before, first), (after, second))
    )
    n, m = len(before), len(after)
    error = math.sqrt(squares / (n + m) * (1 / n + 1 / m))
    return error > 0 and (first.rate - second.rate) / error > float(sequential_radius(m / _PLANNED))


def _counts(event: Event) -> bool:
    return event.value > 0 and event.type not in NEGATIVE_EVENTS


def _is_hit(shown: Shown, events: Sequence[Event], horizon: timedelta) -> bool:
    items = {one.item for one in shown.items}
    return any(
        one.list_id == shown.id or (one.item in items and shown.time <= one.time <= shown.time + horizon)
        for one in events
    )


# -- a canary: a model answers a share of the users, and then all of them or nobody ------------

_MOST: Final = 1_000  # lists of each model whose success is compared, the latest ones: a query for each user
_USERS: Final = 50  # with a list of the new model that is old enough, which it waits for
_PATIENCE: Final = 4.0  # times as long as asked for it waits for them
_HORIZON: Final = 3.0  # part of the canary in which an event must follow a list
_LISTS: Final = 20  # before errors are compared
_LISTS_TIMED: Final = 50
_LEAST: Final = 0.01  # relative fall of the whole lists
_Z: Final = 4.0  # lists of one user fail together, and it is looked at again and again
_SLOWER: Final = 2.0
_SLACK_MS: Final = 50.0  # a model that was just opened has kept no answers yet


def canary_details(share: float, for_s: float, against: str) -> dict[str, Any]:
    """What a training says of its canary when that begins.

    Args:
        share: Of the users.
        for_s: How long it takes, in seconds.
        against: Name of the active model.
    """
    began = datetime.now(UTC).isoformat()
    return {"share": share, "for_s": for_s, "began": began, "watched_s": 0.0, "against": against}


@dataclass(frozen=True, slots=True)
class _Arm:
    figures: ListFigures
    users: Mapping[str, Success]

    def plain(self) -> dict[str, Any]:
        success = _total(self.users.values())
        return {
            "lists": self.figures.lists,
            "failed": self.figures.failed,
            "p90_ms": round(self.figures.p90_ms(), 1),
            "users": len(self.users),
            "judged": success.lists,
            "hits": success.hits,
        }


def watch_canary(
    store: Store, training: Training, passed_s: float, *, horizon_s: float, least: float
) -> None:
    """Look at a canary: activate its model, drop it, or go on.

    It is dropped as soon as more of its lists fail, nine of ten take longer, or fewer of them lead to something than
    those of the active model meanwhile, each beyond doubt; and activated when its time has passed without that. Where it
    has few users, it waits up to four times as long.

    Args:
        store: The store.
        training: The training.
        passed_s: Time since the last look of this process, in seconds: that in which nobody looked does not count.
        horizon_s: How soon after a list an event must come to count, in seconds, at most.
        least: Smallest relative fall of the success that matters.
    """
    canary, model = dict(training.details["canary"]), str(training.model)
    active = store.models.in_state("active")
    if active is not None and active.name == model:
        activate_trained(store, training)  # an operator did not want to wait
        return
    if active is None or active.name != canary["against"]:
        _drop(store, training, "", "another model was activated during its canary", canary)
        return
    version = next((one for one in store.models.all() if one.name == model), None)
    if version is None or version.state == "refused":
        reason = "it is gone" if version is None else version.reason
        _drop(store, training, "", f"a service refused it: {reason}", canary)
        return
    counted = store.learner.figures(training.number)
    began = datetime.fromisoformat(canary["began"])
    horizon_s = min(horizon_s, float(canary["for_s"]) / _HORIZON)
    new, now = (
        _Arm(
            ListFigures.sum_of(one[role] for one in counted),
            _successes_of(store, name, most=_MOST, horizon_s=horizon_s, since=began),
        )
        for role, name in (("new", model), ("active", active.name))
    )
    watched_s = float(canary["watched_s"]) + passed_s
    canary |= {"watched_s": round(watched_s, 3), "new": new.plain(), "active": now.plain()}
    kind, reason = _problem(new, now, least)
    if kind:
        _drop(store, training, kind, reason, canary)
    elif watched_s >= canary["for_s"] and (
        len(new.users) >= _USERS or watched_s >= _PATIENCE * canary["for_s"]
    ):
        if store.learner.change(training.number, "activating", before="canary", canary=canary):
            activate_trained(store, training)
    else:
        store.learner.change(training.number, "canary", before="canary", canary=canary)


def activate_trained(store: Store, training: Training) -> None:
    """Make the model of a training the active one; services that follow the store load and serve it."""
    name = str(training.model)
    known = {one.name: one for one in store.models.all()}
    if name in known and known[name].state == "loaded":  # else it was done already, or undone by somebody
        store.models.activate(name)
    for other in store.learner.latest(100):
        if other.state == "active" and other.number != training.number:
            store.learner.change(other.number, "replaced")
    store.learner.change(training.number, "active")


def _problem(new: _Arm, now: _Arm, least: float) -> tuple[str, str]:
    """What is worse with the new model, as a word and in words; empty where nothing is."""
    whole = [Success(one.lists, one.lists - one.failed) for one in (now.figures, new.figures)]
    if fell(whole[0], whole[1], fewest=_LISTS, least=_LEAST, z=_Z):
        return "failed", (
            f"of {new.figures.lists} lists of its canary {1 - whole[1].rate:.1%} failed or lacked something, of "
            f"{now.figures.lists} of the active model {1 - whole[0].rate:.1%}"
        )
    slow, usual = new.figures.p90_ms(), now.figures.p90_ms()
    is_known = min(new.figures.lists, now.figures.lists) >= _LISTS_TIMED
    if is_known and slow > _SLOWER * usual + _SLACK_MS:
        return "slow", (
            f"nine of ten lists of its canary took up to {slow:.0f} ms, of the active model {usual:.0f} ms"
        )
    if users_fell(list(now.users.values()), list(new.users.values()), fewest=_USERS, least=least):
        after, before = _total(new.users.values()), _total(now.users.values())
        return "success", (
            f"of {after.lists} lists of its canary {after.rate:.1%} led to an event, of {before.lists} of the active "
            f"model {before.rate:.1%}"
        )
    return "", ""


def _drop(store: Store, training: Training, kind: str, reason: str, canary: Mapping[str, Any]) -> None:
    found = {**canary, "problem": kind}
    if store.learner.change(training.number, "kept", before="canary", reason=reason[:1000], canary=found):
        _log.warning("training %d is not activated: %s", training.number, reason)
