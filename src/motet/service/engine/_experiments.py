"""Experiments that run: which variant a request gets, and the record of who got it first."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Generic, TypeVar

import numpy as np

from motet.errors import MotetError, RequestError, StoreUnavailableError
from motet.recommend import Query, Ranked
from motet.service.engine._active import ActiveModel, LiveCanary
from motet.service.engine._served import ServedModel
from motet.service.engine._types import ConflictError, NotFoundError
from motet.service.experiments import (
    ExperimentResults,
    ExperimentSettings,
    TrafficSplit,
    VariantSettings,
    assign,
    experiment_results,
    read_experiment,
    running_clash,
    team_draft,
)
from motet.service.store import ExperimentRecord, ExposedUser, Store

__all__ = ["LiveExperiments", "VariantRequest"]

_log: Final = logging.getLogger("motet.service.engine")
_MOST_KNOWN: Final = 200_000
_MOST_WAITING: Final = 20_000
_AT_ONCE: Final = 500
_AGAIN_S: Final = 60.0

Q = TypeVar("Q", bound=Query)


@dataclass(frozen=True, slots=True)
class VariantRequest(Generic[Q]):
    """A request as the experiments of its user change it.

    Attributes:
        request: The changed request.
        served: The model that answers it.
        variants: The experiments that the user is in, each with the name of the variant.
        mixed: Key of the experiment whose two rankings make the list; empty where there is none.
        rankings: The two variants of it, each with its request and its model; the first is that of the request above.
    """

    request: Q
    served: ServedModel
    variants: tuple[tuple[str, str], ...]
    mixed: str = ""
    rankings: tuple[tuple[str, Q, ServedModel], ...] = ()

    @property
    def model(self) -> str:
        """Name of the model; of a list of two models both, so that it counts as a list of neither."""
        models = dict.fromkeys([self.served.name, *(served.name for _, _, served in self.rankings)])
        return " + ".join(one[:250] for one in models) if len(models) > 1 else self.served.name


@dataclass(frozen=True, slots=True)
class _Running:
    settings: ExperimentSettings
    traffic: TrafficSplit


class LiveExperiments:
    """The experiments of a service: created, started, applied to requests, stopped.

    All of it is in the store. Every process reads it once a second, so that all agree within a second.

    Args:
        store: Holds experiments and exposures.
        model: The active model.

    Attributes:
        open_model: Opens a version by its name and keeps it; set by the registry of models.
        lost: Exposures that were not written because too many waited.
        problems: Of running experiments that are not applied here, why.
        canary: A new model that answers a share of the users, where no experiment names their model.
    """

    def __init__(self, store: Store, model: ActiveModel) -> None:
        self._store, self._model = store, model
        self.canary = LiveCanary(store, model)
        self.open_model: Callable[[str], ServedModel] | None = None
        self.lost = 0
        self.problems: dict[str, str] = {}
        self._running: tuple[_Running, ...] = ()
        self._checked: dict[tuple[str, str], str] = {}
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._waiting: deque[ExposedUser] = deque()
        self._lock, self._refreshing = threading.Lock(), threading.Lock()
        self._is_writing = False
        self._writer = ThreadPoolExecutor(1, "motet-exposures")
        self._opener = ThreadPoolExecutor(1, "motet-variants")
        self._opening: set[str] = set()
        self._failed_s: dict[str, float] = {}

    # -- operation -----------------------------------------------------------------------------

    def create(self, settings: ExperimentSettings) -> ExperimentRecord:
        """Write an experiment as a draft.

        Raises:
            ConflictError: If there is one of that name.
            RequestError: If the model cannot serve one of the variants.
        """
        self._check(settings)
        record = ExperimentRecord(settings.key, settings.model_dump(mode="json", exclude_none=True))
        if not self._store.experiments.create(record):
            raise ConflictError(f"there is an experiment '{settings.key}'", "choose another key")
        return record

    def start(self, key: str) -> ExperimentRecord:
        """Start a draft.

        Raises:
            NotFoundError: If there is no such experiment.
            ConflictError: If it is no draft, or changes for the same users what another one changes.
            RequestError: If the model cannot serve one of its variants.
        """
        record = self.get(key)
        settings = read_experiment(record.definition)
        if record.state != "draft":
            raise ConflictError(f"the experiment '{key}' is {record.state}", "create another one")
        clash = running_clash(self._store, settings)
        if clash is not None:
            raise ConflictError(*clash)
        self._check(settings)
        if not self._store.experiments.move(key, "draft", "running"):
            raise ConflictError(f"the experiment '{key}' is no draft any more", "see its state")
        self.refresh()
        return self.get(key)

    def stop(self, key: str, reason: str = "") -> ExperimentRecord:
        """Stop a running experiment; its users get what all others get.

        Raises:
            NotFoundError: If there is no such experiment.
            ConflictError: If it does not run.
        """
        self.flush()
        if not self._store.experiments.move(key, "running", "stopped", reason):
            raise ConflictError(f"the experiment '{key}' is {self.get(key).state}", "start it first")
        self.refresh()
        return self.get(key)

    def delete(self, key: str) -> None:
        """Delete an experiment that does not run, with its exposures.

        Raises:
            NotFoundError: If there is no such experiment.
            ConflictError: If it runs.
        """
        record = self.get(key)
        if not self._store.experiments.delete(key):
            raise ConflictError(f"the experiment '{record.key}' is running", "stop it first")

    def get(self, key: str) -> ExperimentRecord:
        """An experiment.

        Raises:
            NotFoundError: If there is no such experiment.
        """
        found = self._store.experiments.get(key)
        if found is None:
            raise NotFoundError(f"there is no experiment {key[:80]!r}", "see /v1/experiments")
        return found

    def results(self, key: str) -> ExperimentResults | None:
        """What an experiment says so far; None for a draft.

        Raises:
            NotFoundError: If there is no such experiment.
        """
        record = self.get(key)
        if record.state == "draft":
            return None
        self.flush()
        return experiment_results(self._store, record, read_experiment(record.definition))

    def refresh(self) -> None:
        """Read from the store which experiments run, and open the models that they need."""
        with self._refreshing:
            records = self._store.experiments.all("running")
            running, problems = [], {}
            models: set[str] = set()
            for record in sorted(records, key=lambda one: (one.started or one.created, one.key)):
                try:
                    settings = read_experiment(record.definition)
                    models |= {one.model for one in settings.variants if one.model}
                    problem = self._problem(settings)
                except MotetError as error:
                    problem = error.problem
                if problem:
                    problems[record.key] = problem
                    if self.problems.get(record.key) != problem:
                        _log.warning("the experiment %s is not applied: %s", record.key, problem)
                else:
                    running.append(_Running(settings, settings.traffic))
            self._running, self.problems = tuple(running), problems
            new = self.canary.refresh()
            if new is not None:
                models.add(new)
                if self._model.is_there and self._served(new) is None:
                    self._open_later(new)
            self._model.keep_beside(models | self._opening)

    # -- requests ------------------------------------------------------------------------------

    def apply(self, request: Q, user: str | None, served: ServedModel) -> VariantRequest[Q]:
        """Change a request as the experiments of its user say.

        Args:
            request: The request.
            user: Its user; who is not known is in no experiment.
            served: The model that answers it otherwise.
        """
        variants: list[tuple[str, str]] = []
        is_named, mixed = False, None
        user = self._store.identities.resolve(user) if user is not None else None
        for one in self._running if user is not None else ():
            settings = one.settings
            if settings.scenarios and request.scenario not in settings.scenarios:
                continue
            found = assign(one.traffic, user)
            if found is None:
                continue
            if settings.kind == "interleaving":
                mixed = settings
                continue
            variant = settings.variants[found.variation]
            if variant.model is not None:
                beside = self._served(variant.model)
                if beside is None:  # it is being opened again: neither changed nor counted
                    continue
                served, is_named = beside, True
            request = _changed(request, variant)
            variants.append((settings.key, variant.name))
        if not is_named:
            served = self.canary.served(user, served)
        applied = VariantRequest(request, served, tuple(variants))
        return applied if mixed is None else self._mixed(applied, mixed)

    def _mixed(self, applied: VariantRequest[Q], settings: ExperimentSettings) -> VariantRequest[Q]:
        """A request that is answered by the rankings of two variants."""
        models = [self._served(one.model) if one.model else applied.served for one in settings.variants]
        rankings = tuple(
            (one.name, _changed(applied.request, one), served)
            for one, served in zip(settings.variants, models, strict=True)
            if served is not None
        )
        if len(rankings) < 2:  # a model is being opened again
            return applied
        (_, request, served), _ = rankings
        return VariantRequest(request, served, applied.variants, settings.key, rankings)

    def ranked(
        self, user: str | None, applied: VariantRequest[Q], rank: Callable[[ServedModel, Q], Ranked]
    ) -> tuple[Ranked, VariantRequest[Q], dict[str, str]]:
        """Make the list of a request; of two rankings where an experiment says so.

        These are merged above everything that keeps answers, so that each is kept as the plain list that it is, and their
        mixture never. The coins follow from experiment, user and the first items of both: the same in each process, for
        each length of the list, until one of the rankings begins with another item.

        Args:
            user: The user.
            applied: What :meth:`apply` answered.
            rank: Makes the list of one model and request.

        Returns:
            The list; the request with the variant that placed its first item, which is what is exposed; and what placed
            each item, see :class:`motet.service.store.ShownItem`. Where a ranking is empty or failed, the first
            variant's alone.
        """
        lists, rankings = list[Ranked](), list[tuple[str, Q, ServedModel]]()
        for name, request, served in applied.rankings or (("", applied.request, applied.served),):

            def make(model: ServedModel, request: Q = request) -> Ranked:
                return rank(model, request)

            found, by = self.canary.answered(user, served, make)
            lists.append(found)
            rankings.append((name, request, by))
        first = lists[0]
        applied = replace(applied, served=rankings[0][2])
        if len(lists) < 2 or user is None:
            return first, applied, {}
        applied = replace(applied, rankings=tuple(rankings))
        if not all(one.items and "list" not in one.left_out for one in lists):
            return first, replace(applied, mixed="", rankings=()), {}
        own = self._store.identities.resolve(user)
        said = "\0".join([applied.mixed, own, *(one.items[0].item for one in lists)])
        seed = hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        orders = [[item.item for item in one.items] for one in lists]
        rng = np.random.default_rng(int.from_bytes(seed))
        items, teams = team_draft(orders[0], orders[1], applied.request.k, rng)
        of = [{item.item: item for item in one.items} for one in lists]
        names = [f"{applied.mixed}:{name}" for name, _, _ in applied.rankings]
        ranked = replace(
            first,
            items=tuple(
                of[team][item]._replace(rank=at)
                for at, (item, team) in enumerate(zip(items, teams, strict=True), 1)
            ),
            left_out={**lists[1].left_out, **first.left_out},
            timings_ms={
                name: ms + lists[1].timings_ms.get(name, 0.0) for name, ms in first.timings_ms.items()
            },
        )
        variant = (applied.mixed, applied.rankings[teams[0]][0])
        return (
            ranked,
            replace(applied, variants=(*applied.variants, variant)),
            {item: names[team] for item, team in zip(items, teams, strict=True)},
        )

    def expose(self, user: str | None, applied: VariantRequest[Q], began: datetime) -> None:
        """Record that a user got variants, the first time in each experiment; never waits.

        Args:
            user: The user.
            applied: What :meth:`apply` answered.
            began: When the request began.
        """
        if user is None or not applied.variants:
            return
        seq, user = applied.served.seq, self._store.identities.resolve(user)
        with self._lock:
            for key, variant in applied.variants:
                if (key, user) in self._known:
                    self._known.move_to_end((key, user))
                    continue
                if len(self._waiting) >= _MOST_WAITING:
                    self.lost += 1
                    continue
                self._known[key, user] = None
                self._waiting.append(ExposedUser(key, user, variant, seq, began))
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
            if not self._waiting or self._is_writing:
                return
            self._is_writing = True
        try:
            self._writer.submit(self._write)
        except RuntimeError:  # the service is closing
            self._is_writing = False

    def forget(self, user: str) -> None:
        """Forget that a deleted user was exposed."""
        with self._lock:
            for pair in [pair for pair in self._known if pair[1] == user]:
                del self._known[pair]

    def flush(self) -> None:
        """Wait until the exposures so far are written."""
        self._writer.submit(lambda: None).result()

    def close(self) -> None:
        """Write what waits, and stop."""
        self._writer.shutdown(wait=True)
        self._opener.shutdown(wait=False, cancel_futures=True)

    def _write(self) -> None:
        while True:
            with self._lock:
                rows = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
                if not rows:
                    self._is_writing = False
                    return
            try:
                self._store.experiments.expose(rows)
            except StoreUnavailableError:
                with self._lock:  # the next list of each user is their first, as far as anybody can know
                    for one in rows:
                        self._known.pop((one.experiment, one.user), None)
            except MotetError:
                _log.warning("exposures were not written", exc_info=True)
                self.lost += len(rows)

    # -- checks --------------------------------------------------------------------------------

    def _served(self, name: str) -> ServedModel | None:
        if self._model.name == name:
            return self._model.served
        return self._model.beside.get(name)

    def _check(self, settings: ExperimentSettings) -> None:
        for variant in settings.variants:
            served = self._model.served
            if variant.model is not None:
                if all(one.name != variant.model or one.state == "refused" for one in self._store.models.all()):  # fmt: skip
                    raise RequestError(
                        f"the variant '{variant.name}' names the model '{variant.model}', which is not there",
                        "load it first; /v1/models lists them",
                    )
                served = self._open(variant.model)
            _try(served, variant)

    def _problem(self, settings: ExperimentSettings) -> str:
        """Why an experiment cannot be applied now; empty if it can."""
        if not self._model.is_there:
            return "no model is active"
        for variant in settings.variants:
            served: ServedModel | None = self._model.served
            if variant.model is not None:
                served = self._served(variant.model)
                if served is None:
                    self._open_later(variant.model)
                    return f"the model '{variant.model}' is being opened"
            assert served is not None  # noqa: S101 (for the type alone)
            at = (variant.model_dump_json(), served.name)
            if at not in self._checked:
                try:
                    _try(served, variant)
                    self._checked[at] = ""
                except MotetError as error:
                    self._checked[at] = error.problem
            if self._checked[at]:
                return self._checked[at]
        return ""

    def _open(self, name: str) -> ServedModel:
        found = self._served(name)
        if found is not None:
            return found
        if self.open_model is None:
            raise RequestError(f"the model '{name}' cannot be opened here", "serve with a registry of models")
        return self.open_model(name)

    def _open_later(self, name: str) -> None:
        since_s = time.monotonic() - self._failed_s.get(name, -math.inf)
        if name in self._opening or self.open_model is None or since_s < _AGAIN_S:
            return
        self._opening.add(name)

        def work() -> None:
            try:
                self._open(name)
            except MotetError as error:
                self._failed_s[name] = time.monotonic()
                _log.warning("the model %s of an experiment cannot be opened: %s", name, error.problem)
            finally:
                self._opening.discard(name)

        self._opener.submit(work)


def _changed(request: Q, variant: VariantSettings) -> Q:
    update = {name: value for name, value in variant.changes.items() if name != "model"}
    if variant.rules:
        update["rules"] = (*request.rules, *variant.rules)
    return request.model_copy(update=update) if update else request


def _try(served: ServedModel, variant: VariantSettings) -> None:
    """Make a list as the variant says.

    Raises:
        RequestError: If that cannot be done.
    """
    try:
        served.parts.live.recommend(_changed(Query(k=2), variant))
    except MotetError as error:
        raise RequestError(
            f"the variant '{variant.name}' cannot be served: {error.problem}", error.cure
        ) from None
