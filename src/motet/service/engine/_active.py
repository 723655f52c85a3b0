"""The active model, the golden requests that a model must answer before it is activated, and its canary before that."""

from __future__ import annotations

import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

import numpy as np

from motet.errors import BundleError, MotetError, StoreUnavailableError
from motet.recommend import Query, Ranked
from motet.schema import Schema
from motet.service.engine._served import ServedModel
from motet.service.engine._settings import EngineSettings, OpenModel
from motet.service.engine._types import NO_MODEL, NoModelError
from motet.service.experiments import TrafficSplit, assign
from motet.service.monitor import ListFigures, Shadow
from motet.service.store import Store, Training, this_process

__all__ = ["ActiveModel", "LiveCanary", "check_golden"]

_USERS: Final = 8
_K: Final = 10
_SLACK: Final = 1e-3


def check_golden(served: ServedModel) -> None:
    """Check a model with golden requests; this also warms it up.

    Some known users and an unknown one must get full lists of distinct items with finite predictions within the
    ranges of the tasks; the items must be rankable, comparable and explainable.

    Raises:
        BundleError: Names the request that was answered wrongly, and how.
    """
    try:
        _check(served)
    except (BundleError, StoreUnavailableError):  # the latter is no fault of the bundle
        raise
    except MotetError as error:
        raise BundleError(f"a golden request failed: {error.problem}", error.cure) from None
    except Exception as error:
        raise BundleError(
            f"a golden request failed ({type(error).__name__}: {str(error)[:200]})", "train again"
        ) from error


def _check(served: ServedModel) -> None:
    live = served.parts.live
    if served.bundle.is_empty:  # there is no model to check, and perhaps no item yet
        return
    if not live.items.now.shown.any():
        raise BundleError("the bundle has no items that may be shown", "train with items")
    users = served.bundle.data.user_ids
    some = [str(users[at]) for at in np.unique(np.linspace(0, len(users) - 1, _USERS).astype(int)).tolist()] if len(users) else []  # fmt: skip
    for user in [*some, None]:
        who = "an unknown user" if user is None else "a user of the bundle"
        ranked = live.recommend(Query(user=user, k=_K))
        _check_list(ranked, min(_K, _left_for(served, user)), served.schema, who)
    items = [one.item for one in ranked.items]
    again = live.rank(Query(user=some[0] if some else None), items)
    if again.unknown or len(again.items) != len(items):
        raise BundleError("ranking leaves out items that were recommended", "train again")
    _check_predictions([one.predictions for one in again.items], served.schema, "ranked items")
    live.similar(items[0], _K)
    known = [item for item in items if served.is_item_of_bundle(item)]
    if some and known:
        reasons = served.parts.explainer.reason(some[0], known)
        if len(reasons) != len(known):
            raise BundleError(f"{len(known)} items were given {len(reasons)} reasons", "train again")
        if not any(reason.text for reason in reasons):
            raise BundleError("no item was given a reason", "train with a catalogue or with more events")


def _left_for(served: ServedModel, user: str | None) -> int:
    """Number of items that a user has not seen; at least 1, since seen items are recommended again if none is left."""
    live = served.parts.live
    now = live.items.now
    seen = live.history.of(user, now).seen if user is not None else np.zeros(0, np.int32)
    unseen = now.shown.copy()
    unseen[now.now(seen)] = False
    return max(1, int(np.count_nonzero(unseen)))


def _check_list(ranked: Ranked, fewest: int, schema: Schema, who: str) -> None:
    if "model" in ranked.left_out:
        raise BundleError(f"for {who} the model {ranked.left_out['model']}", "train again")
    items = [one.item for one in ranked.items]
    if len(items) < fewest:
        raise BundleError(f"{who} was recommended {len(items)} items instead of {fewest}", "train again")
    if len(set(items)) != len(items):
        raise BundleError(f"{who} was recommended an item twice", "train again")
    if not all(math.isfinite(one.value) for one in ranked.items):
        raise BundleError(f"for {who} an item has a value that is not a number", "train again")
    _check_predictions([one.predictions for one in ranked.items], schema, f"for {who}")


def _check_predictions(found: Sequence[Mapping[str, Any]], schema: Schema, where: str) -> None:
    for predictions in found:
        for name, value in predictions.items():
            task = schema.tasks[name]
            if not isinstance(value, float | int):
                continue
            low, high = task.bounds or (-math.inf, math.inf)
            if not math.isfinite(value) or not low - _SLACK <= value <= high + _SLACK:
                raise BundleError(
                    f"{where}: '{name}' is predicted as {value}, which is not a number from {low:g} to {high:g}",
                    "train again",
                )


_log: Final = logging.getLogger("motet.service.engine")


class ActiveModel:
    """Holds the active model, which follows the store; another is swapped in between two requests.

    Args:
        store: The store that it follows.
        open_model: Opens a bundle.
        settings: How often to read the store and to compare predictions.
        shadow: Compares predictions with outcomes at intervals.

    Attributes:
        when_untidy: Called if most rows of the live catalogue are outdated.
        when_stored: Called when this process has stored something that other processes have to follow.
        followers: Called as often as the store is read.
        beside: Further models that answer some requests, by name; they follow the store as well.
    """

    def __init__(self, store: Store, open_model: OpenModel, settings: EngineSettings, shadow: Shadow) -> None:
        self._store, self._open_model, self._settings, self._shadow = store, open_model, settings, shadow
        self._served: ServedModel | None = None
        self._opened: WeakSet[ServedModel] = WeakSet()
        self.when_untidy: Callable[[], object] | None = None
        self.when_stored: Callable[[], object] | None = None
        self.followers: list[Callable[[], object]] = []
        self.beside: dict[str, ServedModel] = {}
        self._stop = threading.Event()
        self._follower: threading.Thread | None = None

    @property
    def served(self) -> ServedModel:
        """The model.

        Raises:
            NoModelError: If no model is active.
        """
        if self._served is None:
            raise NoModelError("no model is active", "load and activate one")
        return self._served

    @property
    def trained(self) -> ServedModel:
        """The model, for what plain lists cannot do.

        Raises:
            NoModelError: If no model is active, or nothing was trained yet.
        """
        if self.served.bundle.is_empty:
            raise NoModelError(NO_MODEL, "record events until a model is trained, or load one")
        return self.served

    @property
    def is_plain(self) -> bool:
        """Whether lists come without a model, as in a service that began with nothing."""
        return self._served is not None and self._served.bundle.is_empty

    @property
    def is_there(self) -> bool:
        """Whether a model is active."""
        return self._served is not None

    @property
    def name(self) -> str | None:
        """Name of the active model; None if there is none."""
        return self._served.name if self._served is not None else None

    def open(self, name: str, path: str | Path) -> ServedModel:
        """Open a bundle and ingest what the store holds, without activating it."""
        served = ServedModel(
            name,
            Path(path),
            self._open_model,
            self._store,
            outcomes=self._shadow.outcomes,
            outdated_rows=self._settings.outdated_rows,
        )
        served.catch_up()
        served.settle()
        self._opened.add(served)
        return served

    def use(self, served: ServedModel) -> ServedModel | None:
        """Activate a model; running requests finish with the previous one, which is returned."""
        served.catch_up()
        before, self._served = self._served, served
        served.catch_up()  # events stored in between
        if self._follower is None:
            self._follower = threading.Thread(target=self._follow, name="motet-follow", daemon=True)
            self._follower.start()
        return before

    def use_beside(self, served: ServedModel) -> None:
        """Let a model answer requests that ask for it, beside the active one."""
        served.catch_up()
        self.beside = {**self.beside, served.name: served}

    def keep_beside(self, names: Collection[str]) -> None:
        """Drop models beside the active one, except some."""
        if self.beside.keys() - names:
            self.beside = {name: one for name, one in self.beside.items() if name in names}

    def follow_now(self) -> None:
        """Ingest what was stored here; if the store cannot be read now, this happens later."""
        self._notify()
        self._follow_stored()

    def follow_others(self) -> None:
        """Ingest what other processes have stored; other models are opened in the background, as that takes seconds."""
        if self._served is not None:
            self._follow_stored()

    def _notify(self) -> None:
        if self.when_stored is not None:
            self.when_stored()

    def _follow_stored(self) -> None:
        served = self.served
        try:
            served.catch_up()
            for one in self.beside.values():
                one.catch_up()
        except StoreUnavailableError:
            return
        if self._served is not served:
            self._follow_stored()  # another model became active meanwhile

    def forget(self, user: str) -> None:
        """Delete the live state of a user in every open model."""
        for served in list(self._opened):
            served.forget(user)
        self._notify()

    def close(self) -> None:
        """Stop following the store."""
        self._stop.set()
        if self._follower is not None:
            self._follower.join(10.0)

    def _follow(self) -> None:
        compared_s = time.monotonic()
        while not self._stop.wait(self._settings.follow_s):
            try:
                if self._served is not None:
                    for follow in self.followers:
                        follow()
                    self._served.catch_up()
                    for one in self.beside.values():
                        one.catch_up()
                    if self.when_untidy is not None and self._served.is_untidy:
                        self.when_untidy()
                    if time.monotonic() - compared_s >= self._settings.shadow_s:
                        self._shadow.compute(self._served.schema)
                        compared_s = time.monotonic()
            except StoreUnavailableError:
                continue
            except Exception:
                _log.exception("following the store failed")


# -- a canary ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Canary:
    number: int
    model: str
    traffic: TrafficSplit
    figures: dict[str, ListFigures] = field(
        default_factory=lambda: {"new": ListFigures(), "active": ListFigures()}
    )


class LiveCanary:
    """The canary of a service: which users the new model answers, and what is counted of it.

    All of it is in the store: a training in the state ``canary``. Every process reads it once a second. A user is
    assigned as by an experiment, so that all processes agree, before and after a restart. Who is not known is never in it.

    Args:
        store: Holds trainings and figures.
        model: The active model, and the new one beside it.
    """

    def __init__(self, store: Store, model: ActiveModel) -> None:
        self._store, self._model = store, model
        self._now: _Canary | None = None
        self._lock, self._reading = threading.Lock(), threading.Lock()
        self._written = 0
        self._process = f"{this_process()}.{uuid.uuid4().hex[:8]}"  # a process may hold several engines

    @property
    def name(self) -> str | None:
        """Name of the new model; None without a canary."""
        return self._now.model if self._now is not None else None

    def refresh(self) -> str | None:
        """Read from the store whether there is a canary, and write what was counted; the model that it needs."""
        with self._reading:
            training = self._store.learner.canary()
            if training is None or training.model is None:
                self._now = None
                return None
            now = self._now
            if now is None or now.number != training.number:
                self._now = now = _Canary(training.number, training.model, _traffic(training))
                self._written = 0
        self._write(now)
        return now.model

    def served(self, user: str | None, served: ServedModel) -> ServedModel:
        """The model that answers a user.

        Args:
            user: The user, not an identity of it.
            served: The model that answers otherwise.
        """
        now = self._now
        beside = self._model.beside.get(now.model) if now is not None else None
        if now is None or beside is None:  # it is being opened
            return served
        found = assign(now.traffic, user)
        return beside if found is not None and found.variation == 0 else served

    def answered(
        self, user: str | None, served: ServedModel, make: Callable[[ServedModel], Ranked]
    ) -> tuple[Ranked, ServedModel]:
        """Make a list, and count it where there is a canary: whether it is whole, and its time.

        What the new model refuses or fails at, the active one answers. Where that cannot do it either, the request is at
        fault, and nothing is counted.

        Args:
            user: The user; lists of nobody are not counted, as the new model makes none.
            served: The model that is to make it.
            make: Makes it with a model.

        Returns:
            The list, and the model that made it.
        """
        now, began_s = self._now, time.perf_counter()
        role = "" if now is None or user is None else self.role(served)
        by = served
        try:
            found = make(served)
        except Exception as error:
            if role != "new":
                if not isinstance(error, MotetError):
                    self._count(now, role, began_s, failed=True)
                raise
            by = self._model.served
            found = make(by)
        self._count(now, role, began_s, failed=by is not served or bool(found.left_out))
        return found, by

    def _count(self, now: _Canary | None, role: str, began_s: float, *, failed: bool) -> None:
        if now is not None and role in now.figures:
            with self._lock:
                now.figures[role].add((time.perf_counter() - began_s) * 1e3, failed=failed)

    def role(self, served: ServedModel) -> str:
        """Whether a model is the ``active`` one, the ``new`` one of a canary, or of an ``experiment``."""
        if served.name == self._model.name:
            return "active"
        return "new" if served.name == self.name else "experiment"

    def end(self, reason: str) -> bool:
        """End the canary without activating its model; whether there was one."""
        learner = self._store.learner
        with self._reading:  # what was read before is not taken up after it
            training = learner.canary()
            if training is None or not learner.change(
                training.number, "kept", before="canary", reason=reason
            ):
                return False
            self._now = None
        return True

    def _write(self, now: _Canary) -> None:
        with self._lock:
            plain: dict[str, Any] = {role: one.plain() for role, one in now.figures.items()}
        counted = sum(one["lists"] for one in plain.values())
        if counted != self._written:
            self._store.learner.put_figures(now.number, self._process, plain)
            self._written = counted


def _traffic(training: Training) -> TrafficSplit:
    share = min(max(float(training.details["canary"]["share"]), 0.0), 1.0)
    # other users for each canary: the seed is its key
    return TrafficSplit(f"canary-{training.number}", ("new", "active"), (share, 1 - share))
