"""Golden requests: what a model must answer before anybody else may ask it."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

import numpy as np

from motet.errors import BundleError, MotetError, StoreUnavailableError
from motet.recommend import Query, Ranked
from motet.schema import Schema
from motet.service.engine._served import ServedModel
from motet.service.engine._settings import EngineSettings, OpenModel
from motet.service.engine._types import NoModelError
from motet.service.monitor import Shadow
from motet.service.store import Store

__all__ = ["ActiveModel", "check_golden"]

_USERS: Final = 8
_K: Final = 10
_SLACK: Final = 1e-3


def check_golden(served: ServedModel) -> None:
    """Ask a model what it must be able to answer; this warms it as well.

    Some known users and an unknown one get full lists of different items with finite predictions in their tasks'
    ranges, each item can be ranked and compared, and the lists can be given reasons.

    Raises:
        BundleError: Saying which request was answered wrongly, and how.
    """
    try:
        _check(served)
    except BundleError:
        raise
    except MotetError as error:
        raise BundleError(f"a golden request failed: {error.problem}", error.cure) from None
    except Exception as error:
        raise BundleError(
            f"a golden request failed ({type(error).__name__}: {str(error)[:200]})", "train anew"
        ) from error


def _check(served: ServedModel) -> None:
    live = served.parts.live
    if not live.items.now.shown.any():
        raise BundleError("the bundle has no items that may be shown", "train with items")
    users = served.bundle.data.user_ids
    some = [str(users[at]) for at in np.unique(np.linspace(0, len(users) - 1, _USERS).astype(int)).tolist()] if len(users) else []  # fmt: skip
    for user in [*some, None]:
        who = "nobody in particular" if user is None else "a user of the bundle"
        ranked = live.recommend(Query(user=user, k=_K))
        _look(ranked, min(_K, _left_for(served, user)), served.schema, who)
    items = [one.item for one in ranked.items]
    again = live.rank(Query(user=some[0] if some else None), items)
    if again.unknown or len(again.items) != len(items):
        raise BundleError("ranking leaves out items that were recommended", "train anew")
    _predictions([one.predictions for one in again.items], served.schema, "ranked items")
    live.similar(items[0], _K)
    known = [item for item in items if served.is_item_of_bundle(item)]
    if some and known:
        reasons = served.parts.explainer.reason(some[0], known)
        if len(reasons) != len(known):
            raise BundleError(f"{len(known)} items were given {len(reasons)} reasons", "train anew")
        if not any(reason.text for reason in reasons):
            raise BundleError("no item was given a reason", "train with a catalogue or with more events")


def _left_for(served: ServedModel, user: str | None) -> int:
    """How many items there are that a user had nothing to do with; 1 where there is none, as some are shown again."""
    live = served.parts.live
    now = live.items.now
    seen = live.history.of(user, now).seen if user is not None else np.zeros(0, np.int32)
    unseen = now.shown.copy()
    unseen[now.now(seen)] = False
    return max(1, int(np.count_nonzero(unseen)))


def _look(ranked: Ranked, fewest: int, schema: Schema, who: str) -> None:
    if "model" in ranked.left_out:
        raise BundleError(f"for {who} the model {ranked.left_out['model']}", "train anew")
    items = [one.item for one in ranked.items]
    if len(items) < fewest:
        raise BundleError(f"{who} was recommended {len(items)} items instead of {fewest}", "train anew")
    if len(set(items)) != len(items):
        raise BundleError(f"{who} was recommended an item twice", "train anew")
    if not all(math.isfinite(one.value) for one in ranked.items):
        raise BundleError(f"for {who} an item has a value that is no number", "train anew")
    _predictions([one.predictions for one in ranked.items], schema, f"for {who}")


def _predictions(found: Sequence[Mapping[str, Any]], schema: Schema, where: str) -> None:
    for predictions in found:
        for name, value in predictions.items():
            task = schema.tasks[name]
            if not isinstance(value, float | int):
                continue
            low, high = task.bounds or (-math.inf, math.inf)
            if not math.isfinite(value) or not low - _SLACK <= value <= high + _SLACK:
                raise BundleError(
                    f"{where}: '{name}' is predicted as {value}, which is no number from {low:g} to {high:g}",
                    "train anew",
                )


# The model that answers, kept up with the store.

_log: Final = logging.getLogger("motet.service.engine")


class ActiveModel:
    """One model answers at a time; another takes its place between two requests.

    Args:
        store: What it follows.
        open_model: Opens a bundle.
        settings: How often to look.
        shadow: Compares its predictions with outcomes, now and then.

    Attributes:
        when_untidy: Called where most rows of the live catalogue no longer count.
    """

    def __init__(self, store: Store, open_model: OpenModel, settings: EngineSettings, shadow: Shadow) -> None:
        self._store, self._open_model, self._settings, self._shadow = store, open_model, settings, shadow
        self._served: ServedModel | None = None
        self._opened: WeakSet[ServedModel] = WeakSet()
        self.when_untidy: Callable[[], object] | None = None
        self._stop = threading.Event()
        self._follower: threading.Thread | None = None

    @property
    def served(self) -> ServedModel:
        """The model.

        Raises:
            NoModelError: If none answers.
        """
        if self._served is None:
            raise NoModelError("no model is active", "load and activate one")
        return self._served

    @property
    def is_there(self) -> bool:
        """Whether one answers."""
        return self._served is not None

    @property
    def name(self) -> str | None:
        """Its name; None where there is none."""
        return self._served.name if self._served is not None else None

    def open(self, name: str, path: str | Path) -> ServedModel:
        """Open a bundle and bring it up to what the store holds; it answers nothing yet."""
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
        """Answer with a model from now on; requests under way end with the one before, which is returned."""
        served.catch_up()
        before, self._served = self._served, served
        served.catch_up()  # what came in between
        if self._follower is None:
            self._follower = threading.Thread(target=self._follow, name="motet-follow", daemon=True)
            self._follower.start()
        return before

    def follow_now(self) -> None:
        """Take into account what was stored; a store that cannot be read now is followed later."""
        served = self.served
        try:
            served.catch_up()
        except StoreUnavailableError:
            return
        if self._served is not served:
            self.follow_now()  # another model became active meanwhile

    def forget(self, user: str) -> None:
        """Let every model that is open know nothing of a user any more."""
        for served in list(self._opened):
            served.forget(user)

    def close(self) -> None:
        """Follow no more."""
        self._stop.set()
        if self._follower is not None:
            self._follower.join(10.0)

    def _follow(self) -> None:
        compared_s = time.monotonic()
        while not self._stop.wait(self._settings.follow_s):
            try:
                if self._served is not None:
                    self._served.catch_up()
                    if self.when_untidy is not None and self._served.is_untidy:
                        self.when_untidy()
                    if time.monotonic() - compared_s >= self._settings.shadow_s:
                        self._shadow.compute(self._served.schema)
                        compared_s = time.monotonic()
            except StoreUnavailableError:
                continue
            except Exception:
                _log.exception("following the store failed")
