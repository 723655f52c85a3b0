"""The engine: answers requests with the active model and the store."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from motet.errors import MotetError
from motet.recommend import AnyFilter, Query, Ranked, RankedItem, SimilarToItem
from motet.recommend.live import LiveEvent
from motet.service.engine._active import ActiveModel
from motet.service.engine._catalogue import CatalogueView, LiveCatalogue
from motet.service.engine._experiments import LiveExperiments, VariantRequest
from motet.service.engine._language import LanguageService
from motet.service.engine._live_context import LiveAnswerContext
from motet.service.engine._served import ServedModel
from motet.service.engine._settings import EngineSettings, OpenModel
from motet.service.engine._shown_log import Retention, ShownLog
from motet.service.engine._surveys import LiveSurveys
from motet.service.engine._types import (
    NO_MODEL,
    EventsAnswer,
    ItemAnswer,
    RankAnswer,
    RankedOne,
    RankRequest,
    RecommendAnswer,
    RecommendRequest,
    SimilarAnswer,
    SimilarOne,
    TraceStep,
)
from motet.service.engine._users import LiveUsers
from motet.service.monitor import Drift, Shadow, Watch
from motet.service.store import Event, Store

__all__ = ["Engine"]

_log: Final = logging.getLogger("motet.service.engine")
_FAILED: Final = re.compile(r"^(failed \(\w+): .*$", re.DOTALL)
_MOST_TYPES: Final = 50
_MOST_SHOWN: Final = 1_000


class Engine:
    """Answers requests with one active model, and keeps it up to date with the store.

    Thread-safe. Everything ingested is in the store before it is acknowledged, and in the features of the next
    request.

    Args:
        store: Holds users, items, events and the recommendation log.
        open_model: Opens a bundle.
        settings: Time limits and retention.

    Attributes:
        store: As given.
        model: The active model, and the switch to another.
        items: The live catalogue.
        users: Users and their histories.
        language: The language service.
        experiments: Experiments that run.
        surveys: Questions to users.
        shown_log: The recommendation log.
        watch: Request and event counters.
        drift: Compares the users of requests with those of the training data.
        shadow: Compares predictions with outcomes.
        is_ending: Whether the process is shutting down: it still answers, but is not ready.
    """

    def __init__(self, store: Store, open_model: OpenModel, settings: EngineSettings | None = None) -> None:
        self.store = store
        self.settings = settings or EngineSettings()
        self.shown_log = ShownLog(store, self.settings.shown_waiting)
        self.watch, self.drift, self.shadow = Watch(), Drift(), Shadow(store)
        self.model = ActiveModel(store, open_model, self.settings, self.shadow)
        self.items, self.users = LiveCatalogue(store, self.model), LiveUsers(store, self.model)
        self.language = LanguageService(store, self.model, self.shown_log)
        self.experiments = LiveExperiments(store, self.model)
        self.surveys = LiveSurveys(store, self.model, self.shown_log)
        self.model.followers.append(self.experiments.refresh)
        self._retention = Retention(store, self.settings.kept_days)
        self.is_ending = False
        self._types: set[str] = set()
        self._reasons = ThreadPoolExecutor(2, "motet-reasons")

    @property
    def active(self) -> ServedModel:
        """The active model.

        Raises:
            NoModelError: If no model is active.
        """
        return self.model.served

    @property
    def is_ready(self) -> bool:
        """Whether a model is active, the store can be read, and the process is not shutting down."""
        return not self.is_ending and self.model.is_there and self.store.can_read()

    def close(self) -> None:
        """Write the queued lists and stop; the store stays open."""
        self.model.close()
        self.experiments.close()
        self._retention.close()
        self.shown_log.close()
        self._reasons.shutdown(wait=False, cancel_futures=True)

    # -- queries -------------------------------------------------------------------------------

    def recommend(self, request: RecommendRequest) -> RecommendAnswer:
        """Recommend, with reasons if requested.

        Raises:
            RequestError: If the request names an unknown scenario, task or column.
            DataError: If a value of it is wrong.
        """
        began = datetime.now(UTC)
        applied = self.experiments.apply(request, request.user, self.active)
        notes: list[str] = []

        def rank(served: ServedModel, request: RecommendRequest) -> Ranked:
            found, more = self._ranked(served, self._query(served, request))
            notes.extend(one for one in more if one not in notes)
            return found

        ranked, applied, placed = self.experiments.ranked(request.user, applied, rank)
        request, served = applied.request, applied.served
        query = self._query(served, request)
        self.experiments.expose(request.user, applied, began)
        self.note_request(served, query, ranked)
        read = _read(applied, [item.item for item in ranked.items])
        reasons: dict[str, str] = {}
        timings = dict(ranked.timings_ms)
        if request.explain and ranked.items and not served.bundle.is_empty:
            began_s = time.perf_counter()
            reasons, more = self.reasons(
                served,
                request.user,
                [item.item for item in ranked.items],
                language=request.language,
                tone=request.tone,
                session=request.history,
            )
            notes += more
            timings["reasons"] = (time.perf_counter() - began_s) * 1e3
        items = tuple(
            _item(item, title, fields, reasons.get(item.item), request.trace)
            for item, (title, fields) in zip(ranked.items, read, strict=True)
        )
        objective = request.objective.weights if request.objective else served.schema.default_objective()
        list_id = self.shown_log.record(
            items,
            user=request.user,
            scenario=request.scenario,
            model=applied.model,
            began=began,
            placed=placed,
        )
        return RecommendAnswer(
            list_id=list_id,
            served_by=ranked.served_by,
            model=applied.model,
            scenario=request.scenario,
            objective=objective,
            items=items,
            notes=tuple(notes),
            timings_ms={name: round(ms, 3) for name, ms in timings.items()},
        )

    def rank(self, request: RankRequest) -> RankAnswer:
        """Rank given candidates.

        Raises:
            RequestError: If the request names an unknown scenario or task.
        """
        served, began = self.active, datetime.now(UTC)
        query = Query(
            user=served.known_as(request.user) if request.user is not None else None,
            history=request.history,
            scenario=request.scenario,
            objective=request.objective,
        )
        ranked = served.parts.live.rank(query, request.candidates)
        list_id = None
        if request.record:
            shown = [_item(one, "", {}, None, traced=False) for one in ranked.items[:_MOST_SHOWN]]
            list_id = self.shown_log.record(
                shown, user=request.user, scenario=request.scenario, model=served.name, began=began
            )
        return RankAnswer(
            list_id=list_id,
            model=served.name,
            items=tuple(RankedOne(one.item, one.rank, one.value, one.predictions) for one in ranked.items),
            unknown=ranked.unknown,
            timings_ms={name: round(ms, 3) for name, ms in ranked.timings_ms.items()},
        )

    def similar(self, item: str, k: int = 10, *, wanted: AnyFilter | None = None) -> SimilarAnswer:
        """Items like another.

        Raises:
            RequestError: If the item is not known.
        """
        served = self.active
        found: Sequence[SimilarToItem] = served.parts.live.similar(item, k, wanted=wanted)
        titles = CatalogueView(served).titles([one.item for one in found])
        return SimilarAnswer(
            items=tuple(
                SimilarOne(id=one.item, title=title, score=one.score, by=dict(one.by))
                for one, title in zip(found, titles, strict=True)
            )
        )

    def reasons(
        self,
        served: ServedModel,
        user: str | None,
        items: Sequence[str],
        *,
        language: str,
        tone: str,
        session: Sequence[LiveEvent | str] = (),
    ) -> tuple[dict[str, str], list[str]]:
        """Reasons by item, for those that have one, and notes on failures.

        Args:
            served: The model.
            user: The user; None for an unknown one.
            items: In the order of the list.
            language: ``en`` or ``zh``.
            tone: ``plain``, ``warm`` or ``brief``.
            session: Events of the user that the request holds.
        """
        who = served.known_as(user) if user is not None else LiveAnswerContext.no_user
        round = served.kept_reasons.round  # before the history is read: its user may be deleted meanwhile
        live = served.parts.live
        # a further event of the user makes another history, a changed item another catalogue
        history = live.history.of(who, live.items.now) if user is not None else None
        what = (user, id(history), live.items.now.version, tuple(items), language, tone)
        if not session and (kept := served.kept_reasons.get(what)) is not None:
            return kept, []
        done = [LiveEvent(item=one) if isinstance(one, str) else one for one in session]

        def work() -> dict[str, str]:
            context = LiveAnswerContext(served, user, done)
            there = [item for item in items if context.text.items.place(item) >= 0]
            found = context.explainer(who).reason(who, there, language=language, tone=tone)  # type: ignore[arg-type]
            return {reason.item: reason.text for reason in found if reason.text}

        task = self._reasons.submit(work)
        try:
            reasons = task.result(self.settings.reasons_s)
        except LateError:
            task.cancel()
            return {}, [f"reasons: not ready after {self.settings.reasons_s:g} s"]
        except Exception as error:
            _log.warning("reasons failed", exc_info=error)
            return {}, [f"reasons: failed ({type(error).__name__})"]
        if not session:
            served.kept_reasons.add(what, history, reasons, round)
        return reasons, []

    # -- ingestion -----------------------------------------------------------------------------

    def add_events(self, events: Sequence[Event]) -> EventsAnswer:
        """Store events; they count from the next request on.

        Raises:
            DataError: If a value is not of its column's kind; nothing is stored then.
            StoreError: If an event cannot be stored.
            StoreUnavailableError: If they may not be on disk; the same call may be sent again.
        """
        served = self.active
        try:
            served.check(events)
        except MotetError:
            self.watch.count("rejected", "event", len(events))
            raise
        new = self.store.events.add(events, insert_missing=self.settings.insert_missing)
        self.note_ingest(served, [one for one, is_new in zip(events, new, strict=True) if is_new])
        self.watch.count("repeated", "event", len(new) - sum(new))
        self.model.follow_now()
        accepted = sum(new)
        return EventsAnswer(accepted=accepted, repeated=len(new) - accepted, seq=self.active.seq)

    def delete_user(self, user: str) -> bool:
        """Delete everything of a user and its identities, in the store and in the live state.

        Returns:
            Whether there was anything in the store.
        """
        ids = self.store.identities.group(user)
        try:  # a queued list began before this deletion, and is not stored
            had = self.store.users.delete(user)
            if len(ids) > 1:
                self.store.identities.follow()
            return had
        finally:
            for one in ids:
                self.model.forget(one)
                self.experiments.forget(one)

    # -- stages --------------------------------------------------------------------------------

    def _query(self, served: ServedModel, request: RecommendRequest) -> Query:
        changes: dict[str, Any] = {}
        if request.user is not None and (known := served.known_as(request.user)) != request.user:
            changes["user"] = known
        own, given = self.settings.budget, request.budget
        changes["budget"] = own.model_copy(update=given.model_dump(exclude_none=True))
        return request.model_copy(update=changes)

    def note_request(self, served: ServedModel, query: Query, ranked: Ranked) -> None:
        """Count the source of a list and whether its user is known, and note the user for drift."""
        self.watch.count("served_by", ranked.served_by)
        self.watch.count("model", self.experiments.canary.role(served))
        live = served.parts.live
        row = -1 if query.user is None else live.history.row(query.user)
        person = live.user_encoder.of(query.user, row, query.user_features)
        known = "none" if query.user is None else "known" if row >= 0 or person.known else "unknown"
        self.watch.count("user", known)
        if person.known:
            self.drift.note(served, "user", person.table, 0)

    def note_ingest(self, served: ServedModel, events: Sequence[Event]) -> None:
        """Count new events and whether their items are known, and note the items for drift."""
        now = served.parts.live.items.now
        known = 0
        for one in events:
            if one.type not in self._types and len(self._types) < _MOST_TYPES:
                self._types.add(one.type)
            self.watch.count("event", one.type if one.type in self._types else "others")
            row = now.row(one.item)
            if row >= 0:
                known += 1
                self.drift.note(served, "item", now.view.table, row)
        self.watch.count("item", "known", known)
        self.watch.count("item", "unknown", len(events) - known)

    def _ranked(self, served: ServedModel, query: Query) -> tuple[Ranked, list[str]]:
        try:
            ranked = served.parts.live.recommend(query)
        except MotetError:
            raise
        except Exception as error:
            _log.exception("recommending failed; the list is by popularity")
            ranked = _by_popularity(served, query)
            return ranked, [f"recommending failed ({type(error).__name__}); these are popular items"]
        for what, why in ranked.left_out.items():
            if why != _public_reason(why):
                _log.warning("a list was made without %s: %s", what, why)
        notes = [NO_MODEL] if served.bundle.is_empty else []
        return ranked, [*notes, *(f"{what}: {_public_reason(why)}" for what, why in ranked.left_out.items())]


def _public_reason(why: str) -> str:
    """Why a stage was left out; of an error only its type, as its message may hold addresses, paths or user data."""
    return _FAILED.sub(r"\1)", why)


def _by_popularity(served: ServedModel, query: Query) -> Ranked:
    """The fallback if everything else fails: items with the most interactions."""
    live = served.parts.live
    now = live.items.now
    mask = now.shown if query.filter is None else live.items.eligible(now, query.filter).mask
    counts = np.zeros(len(now), np.int64)
    events = np.bincount(served.bundle.behaviour.items.values, minlength=len(served.bundle.data.items))
    counts[: len(events)] = events[: len(now)]
    out = set(query.exclude)
    order = np.argsort(-counts[now.origin], kind="stable")
    items: list[RankedItem] = []
    for row in order.tolist():
        if len(items) == query.k:
            break
        item = now.ids[row]
        if mask[row] and item not in out:
            one = RankedItem(item, int(now.origin[row]), len(items) + 1, float(counts[now.origin[row]]), {}, (), "popular", 1.0)  # fmt: skip
            items.append(one)
    by, why = "popular" if items else "nothing", {"list": "failed"}
    return Ranked(tuple(items), served_by=by, left_out=why, version=now.version)


def _read(
    applied: VariantRequest[RecommendRequest], items: Sequence[str]
) -> list[tuple[str, dict[str, Any]]]:
    """Titles and columns of items, of the first model that knows each."""
    first, *others = dict.fromkeys([applied.served, *(served for _, _, served in applied.rankings)])
    read = CatalogueView(first).read(items)
    for served in others:
        unknown = [at for at, item in enumerate(items) if first.parts.live.items.now.row(item) < 0]
        for at, found in zip(unknown, CatalogueView(served).read([items[at] for at in unknown]), strict=True):
            read[at] = found
    return read


def _item(
    item: RankedItem, title: str, fields: dict[str, Any], reason: str | None, traced: bool
) -> ItemAnswer:
    steps = tuple(TraceStep(step=s.name, before=s.before, after=s.after, why=s.reason) for s in item.steps)
    return ItemAnswer(
        id=item.item,
        title=title,
        rank=item.rank,
        value=item.value,
        predictions=dict(item.predictions),
        sources=item.sources,
        propensity=item.propensity,
        reason=reason,
        trace=steps if traced else None,
        fields=fields,
    )
