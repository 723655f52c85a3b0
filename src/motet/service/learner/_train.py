"""One training, from the events of the store to a model that is active or kept: in a process of its own."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from motet.errors import BundleError, MotetError, StoreUnavailableError, TrainingError
from motet.schema import Schema
from motet.service.engine import OpenModel, ServedModel, check_golden, version_name
from motet.service.learner._empty import write_empty_bundle
from motet.service.learner._judge import judge
from motet.service.learner._learner import EMPTY
from motet.service.learner._tables import infer_schema, keep_schema, write_tables
from motet.service.learner._watch import activate_trained, canary_details
from motet.service.store import ModelState, ModelVersion, Store, Training, TrainingState
from motet.training import WarmStart, load_data, only_run, read_manifest, train, untrainable_tasks
from motet.training.blending import check_plain
from motet.training.online import update_bundle

__all__ = ["RunSettings", "run_training"]

_log: Final = logging.getLogger("motet.service.learner")
_TRAINING_SHARE: Final = 0.7  # of the time of a run; the rest is for tables and the judgement
_PARENT_S: Final = 0.5
_LOCK_S: Final = 10.0
_KEPT: Final = 3
_MOST_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Limits of one training.

    Attributes:
        limit_s: Longest time, in seconds; the training itself gets seven tenths of it.
        tolerance: How much lower than that of the active model the NDCG@10 of a new one may be, absolute.
        judged: Most events that models are judged on.
        most_ms: Longest median time of a list, in milliseconds.
        changes: Settings of the schema to change, such as ``training.epochs=5``.
        canary: Share of the users whom a new model answers before it is activated, up to a half; 0 for none. A model
            that replaces plain lists has none, and updates, which come too often for it, neither.
        canary_s: How long, in seconds.
    """

    limit_s: float = 3_600.0
    tolerance: float = 0.01
    judged: int = 400
    most_ms: float = 500.0
    changes: tuple[str, ...] = ()
    canary: float = 0.0
    canary_s: float = 900.0


def run_training(
    store: Store, home: Path, number: int, open_model: OpenModel, settings: RunSettings | None = None
) -> Training:
    """Take a training on from where it is to its end.

    Tables are written up to the training's fixed last event, then a model is trained (from a checkpoint where there is
    one), or the one that was active learns from the events since, then it is judged beside the active one, and activated
    or kept; or it is to answer a share of the users first, and this ends there. Each step is recorded when it is complete, and each may be done again: a process that is killed at any
    moment loses at most the step it was in.

    Args:
        store: The store.
        home: Directory of the models.
        number: Of the training.
        open_model: Opens bundles as the service does.
        settings: Limits.

    Returns:
        The training as it ended, or with its canary under way. A mistake in the data or the schema makes it ``failed``, with the reason.

    Raises:
        StoreUnavailableError: If the store is gone; the training can go on later.
    """
    run = _Run(store, home, open_model, settings or RunSettings())
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home / f"training-{number}"):
        steps = {
            "exporting": run.export,
            "training": run.train,
            "judging": run.judge,
            "activating": run.activate,
        }
        while (training := _there(store, number)).state in steps:
            try:
                steps[training.state](training)
            except StoreUnavailableError:
                raise
            except Exception as error:
                _log.warning("training %d failed", number, exc_info=error)
                run.fail(training, error)
        run.tidy(training)
    return training


class _Run:
    def __init__(self, store: Store, home: Path, open_model: OpenModel, settings: RunSettings) -> None:
        self.store, self.home, self.open_model, self.settings = store, home, open_model, settings

    def export(self, training: Training) -> None:
        """Write tables and schema; the place in the log of changes is read first, so that none is missed."""
        changes, place = self.store.changes.last(), self._place(training)
        shutil.rmtree(place, ignore_errors=True)
        tables = write_tables(self.store, training.until, place, numbered=training.is_update)
        sizes = {name: getattr(tables, name) for name in ("rows", "events", "users", "items")}
        if training.is_update:
            before = self._before(training).details
            names = ("tasks", "edited", "changes_until", "deletions", "updatable")
            kept = {name: before[name] for name in names if name in before}
            self.store.learner.change(training.number, "training", **sizes, **kept)
            return
        inferred, notes = infer_schema(tables, place)
        schema, is_edited = keep_schema(inferred, notes, self.home / "schema.yaml")
        if not is_edited:
            schema = _trainable(schema, place)
        part = place / "schema.yaml.new"
        part.write_text(schema.to_yaml(), encoding="utf-8")
        part.replace(place / "schema.yaml")
        self.store.learner.change(
            training.number,
            "training",
            **sizes,
            tasks=list(schema.tasks),
            edited=is_edited,
            changes_until=changes,
            updatable=not check_plain(schema) and schema.keys.time is not None,
        )

    def train(self, training: Training) -> None:
        """Train, or go on from a checkpoint; a bundle that is complete is not trained again."""
        place, out = self._place(training), self._bundle(training)
        began_s = time.monotonic()
        if not (out / "manifest.json").is_file():
            there = place / ("interactions.parquet" if training.is_update else "schema.yaml")
            if not there.is_file():  # removed by hand: from the beginning
                self.store.learner.change(training.number, "exporting")
                return
            if training.is_update:
                self._update(place, out, training)
            else:
                limit_s = max(1.0, _TRAINING_SHARE * self.settings.limit_s)
                changes = [f"training.time_limit_s={limit_s:g}", *self.settings.changes]
                schema = Schema.load(place / "schema.yaml", changes)
                self._train(schema, place, out, training)
        started = training.is_update or read_manifest(out).get("start")
        self.store.learner.change(
            training.number,
            "judging",
            model=version_name(out),
            train_s=round(time.monotonic() - began_s, 1),
            started_from=training.base if started else None,
        )

    def _update(self, place: Path, out: Path, training: Training) -> None:
        """Let the model that was active learn from the events since; killed within, it begins with that model again."""
        base = next(one for one in self.store.models.all() if one.name == training.base)
        update_bundle(base.path, place, out, after=self._before(training).until, overwrite=True)

    def _before(self, training: Training) -> Training:
        """The training that the base of an update comes from."""
        found = self.store.learner.of_model(str(training.base))
        if found is None:
            raise TrainingError(
                f"update {training.number} is of a model that was not trained here", "ask for a training"
            )
        return found

    def _train(self, schema: Schema, place: Path, out: Path, training: Training) -> None:
        base = next((one for one in self.store.models.all() if one.name == training.base), None)
        if base is not None and not Path(base.path).name.startswith(EMPTY):
            try:
                train(schema, place, out, start=WarmStart(base.path), resume=True)
            except MotetError as error:  # of another shape: it begins with drawn weights
                _log.info("training %d does not begin with %s: %s", training.number, base.name, error.problem)
            else:
                return
        train(schema, place, out, resume=True)

    def judge(self, training: Training) -> None:
        """Judge the new model beside the active one: on golden requests, and on the events after its tables."""
        new = self._open(self._bundle(training), training)
        try:
            check_golden(new)
        except BundleError as error:
            self._keep(training, "refused", error.problem)
            return
        active = self._active(training)
        found = judge(
            new,
            active,
            self.store,
            training.judged_until,
            most=self.settings.judged,
            tolerance=self.settings.tolerance,
            most_ms=self.settings.most_ms,
        )
        details: dict[str, Any] = {"judged": found.plain(), "judged_against": active.name}
        if found.problem:
            self._keep(training, "loaded", found.problem, **details)
            return
        share = min(self.settings.canary, _MOST_SHARE)
        state: TrainingState = "activating"
        if share > 0 and not training.is_update and not active.bundle.is_empty:
            self._register(training)  # services find it there
            details["canary"] = canary_details(share, self.settings.canary_s, active.name)
            state = "canary"
        self.store.learner.change(training.number, state, reason="", **details)

    def _keep(self, training: Training, state: ModelState, reason: str, **details: Any) -> None:
        """Leave the active model as it is; a person may look at the new one, and load or activate it."""
        place = str(self._bundle(training).absolute())
        self.store.models.put(ModelVersion(str(training.model), place, state, reason[:1000]))
        self.store.learner.change(training.number, "kept", reason=reason, **details)

    def activate(self, training: Training) -> None:
        """Make the new model the active one; services that follow the store load and serve it."""
        self._register(training)
        activate_trained(self.store, training)

    def _register(self, training: Training) -> None:
        name = str(training.model)
        if all(one.name != name for one in self.store.models.all()):
            self.store.models.put(ModelVersion(name, str(self._bundle(training).absolute())))

    def fail(self, training: Training, error: Exception) -> None:
        """Record why a training failed."""
        reason = str(error) if isinstance(error, MotetError) else f"{type(error).__name__}: {error}"
        self.store.learner.change(training.number, "failed", reason=reason[:1000])

    def tidy(self, training: Training) -> None:
        """Remove the tables, which hold events of users, and bundles of earlier trainings that nothing needs."""
        shutil.rmtree(self._place(training), ignore_errors=True)
        keep = {one.path for one in self.store.models.all() if one.state in ("active", "previous")}
        keep |= {str(self._bundle(training).absolute())}
        for other in self.store.learner.latest(100)[_KEPT:]:
            out = self._bundle(other)
            if str(out.absolute()) not in keep and not other.is_open:
                shutil.rmtree(out, ignore_errors=True)

    def _open(self, path: Path, training: Training) -> ServedModel:
        served = ServedModel(version_name(path), path, self.open_model, self.store)
        served.catch_up(until=training.until)
        return served

    def _active(self, training: Training) -> ServedModel:
        """The model that is active now; plain lists where none is."""
        found = self.store.models.in_state("active")
        if found is not None:
            try:
                return self._open(Path(found.path), training)
            except MotetError as error:
                _log.warning("the active model %s cannot be opened: %s", found.name, error.problem)
        return self._open(write_empty_bundle(self.home / EMPTY), training)

    def _place(self, training: Training) -> Path:
        return self.home / f"training-{training.number}"

    def _bundle(self, training: Training) -> Path:
        return self.home / f"learned-{training.number}"


def _there(store: Store, number: int) -> Training:
    found = store.learner.get(number)
    if found is None:
        raise MotetError(f"there is no training {number}", "see motet learn status")
    return found


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the lock of a training; an earlier process that was killed may hold it for a moment still."""
    until_s = time.monotonic() + _LOCK_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(only_run(place))
                break
            except TrainingError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(_PARENT_S / 2)
        yield


def _trainable(schema: Schema, place: Path) -> Schema:
    """An inferred schema without the tasks that cannot be learnt yet, such as of a type of event that only just came up."""
    out = untrainable_tasks(load_data(schema, place).data, schema)
    kept = {name: task for name, task in schema.tasks.items() if name not in out}
    return schema.model_copy(update={"tasks": kept}) if kept and out else schema
