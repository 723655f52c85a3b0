"""The model that answers, kept up with the store."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from weakref import WeakSet

from motet.errors import StoreUnavailableError
from motet.serving._faults import NoModelError
from motet.serving._parts import OpenModel
from motet.serving._served import ServedModel
from motet.serving._settings import EngineSettings
from motet.serving._shadow import Shadow
from motet.store import Store

__all__ = ["ActiveModel"]

_log: Final = logging.getLogger("motet.serving")


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
