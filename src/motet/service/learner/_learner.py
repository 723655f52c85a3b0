"""The learner: decides when to train, lets a process of its own do it, and takes back what does worse."""

from __future__ import annotations

import logging
import math
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from motet.data import NEGATIVE_EVENTS
from motet.errors import StoreUnavailableError
from motet.service.learner._watch import Success, fell, success_of, watch_canary
from motet.service.store import UPDATE, Store, Training, has_ended, this_process

__all__ = [
    "EMPTY",
    "Learner",
    "LearnerSettings",
    "ask_for_training",
    "learner_status",
    "models_home",
    "out_of_model",
]

EMPTY: Final = "plain-lists"
"""Name of the directory of the empty bundle, and the beginning of its name among the models."""

_log: Final = logging.getLogger("motet.service.learner")
_ASKED: Final = "learner.asked"
_SETTINGS: Final = "learner.settings"
_HELD_S: Final = 30.0
_END_S: Final = 10.0
_MOST_REST: Final = 2.0**6
_SHARE_JUDGED: Final = 0.1
_MOST_AFTER: Final = 2_000
_MORE: Final = 1.5
_SCORE_RESTS: Final = 10
_LOOK_S: Final = 10.0
_CANARY_S: Final = 10.0
_SHARE_AFTER_UPDATE: Final = 0.25  # of the events of an update, on which it is judged
_TRY_AGAIN_S: Final = 86_400.0  # after a first model that was not good enough, without a schedule


@dataclass(frozen=True, slots=True)
class LearnerSettings:
    """When the learner trains, and when it takes a model back.

    Attributes:
        every_s: Time between two trainings on a schedule, in seconds; 0 for no schedule.
        events: New events after which it trains in full; 0 for never.
        update_events: New events after which the active model learns from them, without being trained in full; 0 for
            never. A quarter as many more are waited for, on which what it becomes is judged.
        growth: It trains again when there are so many times as many events as the last training learnt from, > 1.
        first_events: Events before the first training.
        first_users: Users with events of two different items before the first training.
        rest_s: Shortest time between two trainings, in seconds; after failures twice as long each time.
        limit_s: Longest time of a training, in seconds; one that takes longer is ended.
        poll_s: How often the store is looked at, in seconds.
        watch_s: How often the success of the active model is computed, in seconds.
        horizon_s: How soon after a list an event must come to count as its success, in seconds.
        watched: Most lists of each model that are compared; a fall needs at least half as many of both.
        fall: Smallest relative fall of the success that takes a model back.
        canary: Share of the users whom a new model answers before it is activated; 0 for none. It is up to the process
            of a training to begin with it; see :class:`motet.service.learner.RunSettings`.
        canary_s: How long, in seconds.
    """

    every_s: float = 86_400.0
    events: int = 0
    update_events: int = 0
    growth: float = 2.0
    first_events: int = 1_000
    first_users: int = 20
    rest_s: float = 30.0
    limit_s: float = 3_600.0
    poll_s: float = 1.0
    watch_s: float = 60.0
    horizon_s: float = 600.0
    watched: int = 400
    fall: float = 0.1
    canary: float = 0.1
    canary_s: float = 900.0


def models_home(store: Store, given: Path | None = None) -> Path:
    """The directory of the models that a service trains.

    Args:
        store: Its store.
        given: Named by the operator.

    Returns:
        What was named; else ``NAME-models`` beside an SQLite store, and ``motet-models`` here for PostgreSQL.
    """
    if given is not None:
        return given.absolute()
    if store.path is None:
        return Path("motet-models").absolute()
    return store.path.absolute().with_name(f"{store.path.stem}-models")


def ask_for_training(store: Store, cause: str, **why: Any) -> None:
    """Ask for a training: the learner of the store begins it when it has rested.

    Args:
        store: The store.
        cause: ``asked``, ``drift`` or ``score``.
        **why: Plain values to be shown.
    """
    store.values.put(_ASKED, {"cause": cause, "time": datetime.now(UTC).isoformat(), **why})


def learner_status(store: Store) -> dict[str, Any]:
    """What the learner of a store does, has done, and will do: plain values."""
    latest = store.learner.latest(50)
    last = store.events.last()
    learnt = next((one for one in latest if one.state == "active"), None)
    settings: Mapping[str, Any] = store.values.get(_SETTINGS) or {}
    newest = latest[0] if latest else None
    full = next(iter(store.learner.latest(1, full=True)), None)
    counted = next((one for one in latest if "events" in one.details), None)  # all are not counted each time
    known = int(counted.details["events"]) if counted is not None else 0
    every_s = float(settings.get("every_s") or 0.0)
    due = full.began + timedelta(seconds=every_s) if full is not None and every_s else None
    return {
        "runs": store.learner.owner() is not None,
        "now": newest.state if newest is not None and newest.is_open else "waiting",
        "events": known + store.learner.events_after(counted.until if counted is not None else 0),
        "last_event": last,
        "learnt_until": learnt.until if learnt is not None else 0,
        "events_since": store.learner.events_after(learnt.until if learnt is not None else 0),
        "users_deleted_since": _deletions_since(store, learnt),
        "next": due.isoformat() if due is not None else None,
        "waits_for": None
        if not settings or (newest is not None and newest.is_open)
        else _waits_for(store, settings),
        "settings": dict(settings),
        "trainings": [_plain(one) for one in latest],
    }


def _waits_for(store: Store, kept: Mapping[str, Any]) -> dict[str, Any]:
    """What the next training in full waits for; before the first one, all events are read for the number of users."""
    known = {one.name for one in fields(LearnerSettings)}
    settings = LearnerSettings(**{name: value for name, value in kept.items() if name in known})
    latest = store.learner.latest(20, full=True)
    began = latest[0].began if latest else None
    if not _has_trained(latest):
        missing = _events_for_first(latest, settings) - store.learner.events_after(0)
        users = settings.first_users - store.learner.users_with(2, without=NEGATIVE_EVENTS)
        again = began + timedelta(seconds=settings.every_s or _TRY_AGAIN_S) if began is not None else None
        return {
            "first": True,
            "events": max(0, missing),
            "users": max(0, users),
            "at": again.isoformat() if again is not None else None,
        }
    ways = (
        [] if not settings.events else [settings.events - store.learner.events_after(latest[0].judged_until)]
    )
    if learnt := int(latest[0].details.get("events", 0)):
        ways.append(math.ceil((settings.growth - 1) * learnt) - store.learner.events_after(latest[0].until))
    at = began + timedelta(seconds=settings.every_s) if began is not None and settings.every_s else None
    return {
        "first": False,
        "events": max(0, min(ways)) if ways else None,
        "users": None,
        "at": at.isoformat() if at is not None else None,
    }


def _has_trained(latest: Sequence[Training]) -> bool:
    return any(one.state in ("active", "replaced", "rolled_back") for one in latest)


def _events_for_first(latest: Sequence[Training], settings: LearnerSettings) -> int:
    """Events before a first training; where one was tried, with half as many more it may be another matter."""
    if not latest:
        return settings.first_events
    details = latest[0].details
    before = int(details.get("events", 0)) + int(details.get("judged", {}).get("events", 0))
    return max(settings.first_events, math.ceil(_MORE * before))


def out_of_model(store: Store) -> dict[str, Any] | None:
    """What a deletion that was just done means for the model: which training is the first without the user.

    Returns:
        ``training``, the number from which on the first full training is that, and ``by``, when it begins at the latest
        (null without a schedule); None where nothing was ever trained here.
    """
    latest, full = store.learner.latest(1), store.learner.latest(1, full=True)
    if not latest or not full:
        return None
    settings: Mapping[str, Any] = store.values.get(_SETTINGS) or {}
    every_s = float(settings.get("every_s") or 0.0)
    by = full[0].began + timedelta(seconds=every_s) if every_s else None
    return {
        "training": latest[0].number + 1,
        "by": None if by is None else max(by, datetime.now(UTC)).isoformat(),
    }


def _plain(one: Training) -> dict[str, Any]:
    found = asdict(one)
    return {
        **found,
        "began": one.began.isoformat(),
        "changed": one.changed.isoformat(),
        "details": dict(one.details),
    }


def _deletions_since(store: Store, training: Training | None) -> int:
    """Users who were deleted after the tables of a training were written."""
    if training is None:
        return 0
    details = training.details
    seq, n = int(details.get("changes_until", details.get("deletions", 0))), 0  # an earlier name
    while changes := store.changes.after(seq, 1000):
        n += sum(one.what == "user" and one.deleted for one in changes)
        seq = changes[-1].seq
    return n


@dataclass(slots=True)
class _Rest:
    """After failures the learner rests, twice as long each time."""

    failures: int = 0
    until_s: float = field(default=0.0)


class Learner:
    """The learner of a store: one process at a time, whoever starts it.

    All that it knows is in the store, so it goes on after it was killed, with the same training up to the same event.

    Args:
        store: The store.
        home: Directory of the models.
        settings: When it trains.
        command: What starts a process that takes the training of a number to its end.
        environment: Of that process; that of this one when left out.
    """

    def __init__(
        self,
        store: Store,
        home: Path,
        settings: LearnerSettings,
        command: Callable[[int], Sequence[str]],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment, self._held_s = environment, -_HELD_S
        self._store, self._home, self._settings, self._command = store, home, settings, command
        self._owner = this_process()
        self._watched_s = 0.0
        self._looked = (0, 0.0)  # number of the training in its canary, and when
        self._rest = _Rest()

    def run(self, stop: threading.Event) -> None:
        """Train whenever it is time, until ``stop`` is set."""
        self._store.values.put(_SETTINGS, asdict(self._settings))
        said = ""
        try:
            while not stop.is_set():
                try:
                    holder = self._hold()
                    if holder not in (self._owner, said):
                        _log.info("another learner works on this store (%s); this one waits", holder)
                    said = holder
                    if holder == self._owner and self.step(stop):
                        continue
                except StoreUnavailableError as error:
                    _log.warning("the store is away: %s", error.problem)
                stop.wait(self._settings.poll_s)
        finally:
            self._release()

    def step(self, stop: threading.Event) -> bool:
        """Do what there is to do now; whether it was a training."""
        training = self._store.learner.open() or self._begin()
        if training is not None and training.state == "canary":
            self._watch_canary(training)
            return False
        if training is None:
            self._watch()
            return False
        self._train(training, stop)
        return True

    # -- when ----------------------------------------------------------------------------------

    def due(self) -> str | None:
        """Why a training is due now; None where none is."""
        settings, newest = self._settings, self._store.learner.latest(1)
        if time.monotonic() < self._rest.until_s:
            return None
        if newest and datetime.now(UTC) < newest[0].began + timedelta(seconds=settings.rest_s):
            return None
        cause = self._due_in_full()
        return UPDATE if cause is None and self._update_until() is not None else cause

    def _due_in_full(self) -> str | None:
        latest, settings = self._store.learner.latest(20, full=True), self._settings
        asked = self._store.values.get(_ASKED)
        if asked and (not latest or datetime.fromisoformat(asked["time"]) > latest[0].began):
            return str(asked["cause"]) if self._store.events.last() else None
        if not _has_trained(latest):
            return "first" if self._is_enough(latest) else None
        since = self._store.learner.events_after(latest[0].judged_until)
        if settings.events and since >= settings.events:
            return "events"
        learnt = int(latest[0].details.get("events", 0))
        if learnt and self._store.learner.events_after(latest[0].until) >= (settings.growth - 1) * learnt:
            return "growth"
        is_time = datetime.now(UTC) >= latest[0].began + timedelta(seconds=settings.every_s)
        if settings.every_s and is_time and (since or _deletions_since(self._store, latest[0])):
            return "schedule"
        return None

    def _update_until(self) -> int | None:
        """The last event that the active model is to learn from now: cut by number, after the last that it has learnt.

        What was not good enough is not tried again on the same events, but on as many more.
        """
        wanted, active = self._settings.update_events, self._store.models.in_state("active")
        learnt = self._store.learner.of_model(active.name) if wanted and active is not None else None
        if active is None or learnt is None or not learnt.details.get("updatable"):
            return None
        events = wanted * (1 + self._store.learner.updates_of(active.name))
        if self._store.learner.seq_after(learnt.until, events + round(_SHARE_AFTER_UPDATE * wanted)) is None:
            return None
        return self._store.learner.seq_after(learnt.until, events)

    def _is_enough(self, latest: Sequence[Training]) -> bool:
        events, settings = self._store.learner.events_after(0), self._settings
        if events < settings.first_events:
            return False
        if latest and events < _events_for_first(latest, settings):
            again_s = settings.every_s or _TRY_AGAIN_S
            if datetime.now(UTC) < latest[0].began + timedelta(seconds=again_s):
                return False
        if self._store.learner.users_with(2, without=NEGATIVE_EVENTS) >= settings.first_users:
            return True
        self._rest.until_s = time.monotonic() + _LOOK_S  # all events are read for this
        return False

    def _begin(self) -> Training | None:
        cause = self.due()
        if cause is None:
            return None
        last = self._store.events.last()
        events = self._store.learner.events_after(0)
        after = min(_MOST_AFTER, int(_SHARE_JUDGED * events))  # the latest are for the judgement
        active = self._store.models.in_state("active")
        until = self._update_until() if cause == UPDATE else self._store.learner.seq_before_last(after)
        until = until or last
        _log.info("a training begins (%s), up to event %d", cause, until)
        return self._store.learner.begin(cause, until, last, active.name if active is not None else None)

    # -- a training ------------------------------------------------------------------------------

    def _train(self, training: Training, stop: threading.Event) -> None:
        began_s = time.monotonic()
        process = subprocess.Popen(self._command(training.number), env=self._environment)  # noqa: S603 (our own program)
        try:
            while process.poll() is None:
                if stop.wait(min(1.0, self._settings.poll_s)):
                    return
                self._hold()
                if time.monotonic() - began_s > self._settings.limit_s:
                    self._end(process)
                    reason = f"it took longer than {self._settings.limit_s:g} s"
                    self._store.learner.change(training.number, "failed", reason=reason)
        finally:
            self._end(process)
        found = self._store.learner.get(training.number)
        if (
            found is not None and found.is_open and found.state != "canary"
        ):  # the process ended before its training did
            self._rest.failures += 1
            _log.warning("the process of training %d ended with %s", training.number, process.returncode)
            if self._rest.failures >= 3:
                reason = f"its process ended three times, last with {process.returncode}: out of memory?"
                self._store.learner.change(training.number, "failed", reason=reason)
        elif found is not None and found.state == "failed":
            self._rest.failures += 1
        else:
            self._rest.failures = 0
        if self._rest.failures:
            pause_s = self._settings.rest_s * min(_MOST_REST, 2.0 ** (self._rest.failures - 1))
            self._rest.until_s = time.monotonic() + pause_s
        if found is not None:
            _log.info("training %d: %s %s", found.number, found.state, found.details.get("reason", ""))

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # -- taking back -----------------------------------------------------------------------------

    def _watch(self) -> None:
        """Compare what becomes of the lists of the active model with those of the one before."""
        if time.monotonic() - self._watched_s < self._settings.watch_s:
            return
        self._watched_s = time.monotonic()
        store, settings = self._store, self._settings
        latest = store.learner.latest(20)
        training = next((one for one in latest if one.state == "active"), None)
        active, previous = store.models.in_state("active"), store.models.in_state("previous")
        if training is not None and active is None:
            self._take_back_refused(training)
        if training is None or active is None or active.name != training.model:
            return
        fewest, known = settings.watched // 2, dict(training.details.get("success") or {})
        now = success_of(store, active.name, most=settings.watched, horizon_s=settings.horizon_s)
        found = {**known, "now": asdict(now)}
        then = None
        if previous is not None and previous.name == training.base:
            then = success_of(store, previous.name, most=settings.watched, horizon_s=settings.horizon_s)
            found["before"] = asdict(then)
        if "first" not in known and now.lists >= settings.watched:
            found["first"] = asdict(now)
        if found != known:
            store.learner.change(training.number, "active", success=found)
        if then is not None and fell(then, now, fewest=fewest, least=settings.fall):
            reason = (
                f"of {now.lists} lists {now.rate:.1%} led to an event, of {then.lists} of the model before "
                f"{then.rate:.1%}"
            )
            _log.warning("training %d is rolled back: %s", training.number, reason)
            store.models.activate(str(training.base))
            store.learner.change(training.number, "rolled_back", reason=reason)
            return
        first = Success(**known["first"]) if "first" in known else None
        rested = datetime.now(UTC) >= latest[0].began + timedelta(seconds=_SCORE_RESTS * settings.rest_s)
        if first is not None and rested and fell(first, now, fewest=fewest, least=settings.fall):
            ask_for_training(store, "score", first=round(first.rate, 4), now=round(now.rate, 4))

    def _watch_canary(self, training: Training) -> None:
        settings, (number, looked_s), now_s = self._settings, self._looked, time.monotonic()
        passed_s = now_s - looked_s if number == training.number else 0.0
        if number == training.number and passed_s < min(settings.watch_s, _CANARY_S):
            return
        self._looked = (training.number, now_s)
        watch_canary(self._store, training, passed_s, horizon_s=settings.horizon_s, least=settings.fall)

    def _take_back_refused(self, training: Training) -> None:
        """Where a service could not serve a new model, the one before is active again."""
        versions = {one.name: one for one in self._store.models.all()}
        refused, base = versions.get(str(training.model)), versions.get(str(training.base))
        if refused is None or refused.state != "refused":
            return
        if base is not None and base.state != "refused":
            self._store.models.activate(base.name)
        reason = f"a service refused it: {refused.reason}"
        self._store.learner.change(training.number, "rolled_back", reason=reason[:1000])

    # -- one at a time ---------------------------------------------------------------------------

    def _hold(self) -> str:
        if time.monotonic() - self._held_s < _HELD_S / 3:
            return self._owner
        holder = self._store.learner.hold(self._owner, _HELD_S)
        if holder != self._owner and has_ended(holder):
            holder = self._store.learner.hold(self._owner, _HELD_S, instead_of=holder)
        if holder == self._owner:
            self._held_s = time.monotonic()
        return holder

    def _release(self) -> None:
        try:
            self._store.learner.release(self._owner)
        except StoreUnavailableError:
            return  # it ends by itself
