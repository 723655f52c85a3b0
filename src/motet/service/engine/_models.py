"""Model registry: versions are loaded next to the active one, checked, activated and rolled back."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from motet.errors import BundleError, MotetError, StoreUnavailableError
from motet.service.engine._active import check_golden
from motet.service.engine._engine import Engine
from motet.service.engine._memory import quiet_memory_again
from motet.service.engine._served import ServedModel
from motet.service.engine._types import ConflictError
from motet.service.store import ModelVersion
from motet.training import read_manifest

__all__ = ["ModelRegistry", "ModelView", "version_name"]

_log: Final = logging.getLogger("motet.service.engine")
_KEPT: Final = 3


class ModelView(BaseModel):
    """A model version."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="The bundle's directory and the beginning of its weights' hash.")
    path: str
    state: Literal["active", "previous", "loaded", "refused"]
    reason: str = Field(description="Why it was refused.")
    created: datetime
    in_memory: bool = Field(description="Whether it can be activated at once.")
    metrics: dict[str, Any] = Field(description="Plain numbers of its evaluation: score, per task, ranking.")


def version_name(path: Path) -> str:
    """The name of the version in a directory: the same weights have the same name.

    Raises:
        BundleError: If there is no bundle.
    """
    weights = read_manifest(path)["files"]["weights.safetensors"]["sha256"]
    return f"{path.name}-{str(weights)[:8]}"


class ModelRegistry:
    """Loads, checks, activates and rolls back models.

    Args:
        engine: The engine, which answers with the active version.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine, self._store = engine, engine.store
        self._held: dict[str, ServedModel] = {}
        self._lock = threading.RLock()
        self._failed = ""
        engine.model.when_untidy = self.tidy
        engine.model.followers.append(self.follow)
        engine.experiments.open_model = self.use_beside

    def start(self, bundle: Path) -> str:
        """Activate the version that was active before; or the bundle, if the store does not know it yet.

        Returns:
            The name of the version.

        Raises:
            BundleError: If neither can be used.
        """
        active = self._store.models.in_state("active")
        name = version_name(bundle)
        known = {one.name for one in self._store.models.all()}
        if active is not None and name in known and active.name != name:
            try:
                self.load(Path(active.path), wanted=active.name)
                self.activate(active.name)
                return active.name
            except MotetError as error:
                _log.warning("the version that was active cannot be used: %s", error.problem)
        loaded = self.load(bundle)
        self.activate(loaded)
        return loaded

    def start_empty(self, bundle: Path) -> str:
        """Activate the version that was active before; the bundle of plain lists where there was none.

        Args:
            bundle: Of :func:`motet.service.learner.write_empty_bundle`.

        Returns:
            The name of the version.

        Raises:
            BundleError: If neither can be used.
        """
        for state in ("active", "previous"):
            found = self._store.models.in_state(state)
            if found is not None:
                try:
                    self.load(Path(found.path), wanted=found.name)
                    self.activate(found.name)
                    return found.name
                except MotetError as error:
                    _log.warning("the version that was %s cannot be used: %s", state, error.problem)
        loaded = self.load(bundle)
        self.activate(loaded)
        return loaded

    def follow(self) -> None:
        """Activate what another process made active in the store; one that cannot be used is tried once."""
        with self._lock:  # an activation under way here is not another process
            active = self._store.models.in_state("active")
            if active is None or active.name in (self._engine.model.name, self._failed):
                return
            try:
                self.load(Path(active.path), wanted=active.name)
            except StoreUnavailableError:
                raise
            except MotetError as error:
                self._failed = active.name
                _log.warning("the version that is active in the store cannot be used: %s", error.problem)
                return
            now = self._store.models.in_state("active")
            if now is not None and now.name == active.name:  # else the next call follows further
                self._engine.model.use(self._held[active.name])
                _log.info("another process made the model %s active", active.name)

    def load(self, path: Path, *, wanted: str | None = None) -> str:
        """Load a bundle next to the active one and check it, without activating it.

        Args:
            path: Its directory.
            wanted: The name it must have.

        Returns:
            Its name.

        Raises:
            BundleError: Why it was refused; the list of models says so too.
        """
        path = path.absolute()
        try:
            name = version_name(path)
        except (KeyError, TypeError, ValueError, OSError):
            raise BundleError(
                f"{str(path)[:200]} has no manifest that can be read",
                "copy the bundle again, or name where it is",
            ) from None
        if wanted is not None and name != wanted:
            raise BundleError(f"{path} holds another model now ({name})", "load that one")
        with self._lock:
            if name in self._held:
                return name
            self._drop_others()
            try:
                served = self._engine.model.open(name, path)
                check_golden(served)
            except StoreUnavailableError:
                raise  # nothing is wrong with the bundle
            except Exception as error:
                problem = error.problem if isinstance(error, MotetError) else f"it fails to load ({type(error).__name__}: {str(error)[:200]})"  # fmt: skip
                self._store.models.put(ModelVersion(name, str(path), "refused", problem))
                cure = (
                    error.cure if isinstance(error, MotetError) else "copy the bundle again, or train again"
                )
                raise BundleError(f"the bundle {path.name} was refused: {problem}", cure) from error
            self._held[name] = served
            quiet_memory_again()
            if all(one.name != name or one.state == "refused" for one in self._store.models.all()):
                self._store.models.put(ModelVersion(name, str(path)))
            return name

    def activate(self, name: str) -> None:
        """Activate a version; running requests finish with the previous one.

        Raises:
            BundleError: If there is no such version, or its bundle can no longer be used.
        """
        version = self._version(name)
        with self._lock:  # no other load may drop it in between
            if name not in self._held:
                self.load(Path(version.path), wanted=name)
            self._store.models.activate(name)
            self._engine.model.use(self._held[name])

    def use_beside(self, name: str) -> ServedModel:
        """Let a version answer requests of an experiment, beside the active one.

        Raises:
            BundleError: If there is no such version, or its bundle can no longer be used.
        """
        version = self._version(name)
        with self._lock:
            if name not in self._held:
                self.load(Path(version.path), wanted=name)
            served = self._held[name]
            self._engine.model.use_beside(served)
        return served

    def roll_back(self) -> str:
        """Activate the previous version, or end a canary, whose model is not active yet; returns the name of the active one.

        Raises:
            ConflictError: If there is none.
        """
        if self._engine.model.name is not None and self._engine.experiments.canary.end(
            "an operator ended its canary"
        ):
            return self._engine.model.name
        previous = self._store.models.in_state("previous")
        if previous is None:
            raise ConflictError("no version was active before", "activate another by its name")
        self.activate(previous.name)
        return previous.name

    def tidy(self) -> None:
        """Open the active version again, which drops the outdated rows of its live catalogue."""
        with self._lock:
            served = self._engine.model.served
            served.settle()  # if it cannot be opened, it is tried again after as many further rows
            try:
                if version_name(served.path) != served.name:
                    raise BundleError(f"{served.path} holds another model now", "load that one")
                fresh = self._engine.model.open(served.name, served.path)
            except Exception as error:
                _log.warning(
                    "the live catalogue cannot be tidied: %s", getattr(error, "problem", type(error).__name__)
                )
                return
            self._held[served.name] = fresh
            self._engine.model.use(fresh)
            _log.info("the live catalogue was tidied")
        quiet_memory_again()

    def all(self) -> list[ModelView]:
        """Every version, newest first."""
        views = []
        for one in self._store.models.all():
            held = self._held.get(one.name)
            metrics = (
                dict(held.bundle.metrics) if held is not None else _read_metrics(Path(one.path), one.name)
            )
            views.append(
                ModelView(
                    name=one.name,
                    path=one.path,
                    state=one.state,
                    reason=one.reason,
                    created=one.created,
                    in_memory=held is not None,
                    metrics=_plain(metrics),
                )
            )
        return views

    def metrics(self, name: str) -> Mapping[str, Any]:
        """Metrics of a version.

        Raises:
            BundleError: If there is no such version.
        """
        version = self._version(name)
        held = self._held.get(name)
        return held.bundle.metrics if held is not None else _read_metrics(Path(version.path), name)

    def report(self, name: str) -> str | None:
        """The report of a version as HTML; None where it has none.

        Raises:
            BundleError: If there is no such version.
        """
        path = Path(self._version(name).path) / "report.html"
        try:
            return path.read_text(encoding="utf-8")
        except OSError:
            return None

    def _version(self, name: str) -> ModelVersion:
        for one in self._store.models.all():
            if one.name == name:
                return one
        raise BundleError(f"there is no model {name[:80]!r}", "load it first")

    def _drop_others(self) -> None:
        """Drop versions until one more fits: the active, the previous, those of experiments and the one that is loaded now are kept."""
        kept = {one.name for state in ("active", "previous") if (one := self._store.models.in_state(state))}
        kept |= self._engine.model.beside.keys()
        before = len(self._held)
        for name in list(self._held):
            if len(self._held) >= _KEPT and name not in kept:
                del self._held[name]
        if len(self._held) < before:
            quiet_memory_again()  # a model is in cycles, and stays until it is in a collection again


def _read_metrics(path: Path, name: str) -> dict[str, Any]:
    try:
        if version_name(path) != name:
            return {}
        found = json.loads((path / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, MotetError, KeyError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The scalar metrics of an evaluation."""

    def numbers(found: Any) -> dict[str, float]:
        return {k: v for k, v in found.items() if isinstance(v, int | float) and not isinstance(v, bool)}

    tasks = metrics.get("tasks")
    ranking = metrics.get("ranking")
    return {
        "score": metrics.get("score"),
        "tasks": {name: numbers(found) for name, found in tasks.items()} if isinstance(tasks, dict) else {},
        "ranking": numbers(ranking) if isinstance(ranking, dict) else {},
    }
