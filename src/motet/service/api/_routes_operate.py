"""Routes for operators: models, keys, health, statistics."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, Strict
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from motet.recommend import RequestPart
from motet.service.api._bodies import BodyRoute
from motet.service.api._context import PROBLEMS, Context, Name, refuse_other_methods
from motet.service.api._stats import StatsAnswer, Timeline
from motet.service.api._wire import Done
from motet.service.engine import (
    NO_MODEL,
    ConflictError,
    Engine,
    ModelView,
    NotFoundError,
    SchemaView,
    hide_places,
    schema_view,
)
from motet.service.learner import ask_for_training, learner_status
from motet.service.store import Job, JobKind, Key, Training, TrainingState

__all__ = ["health_routes", "operate_routes"]

_LOADING_S = 600.0


class LoadIn(RequestPart):
    """The bundle to load."""

    path: str = Field(min_length=1, max_length=4096, description="Its directory on the service's machine.")
    activate: Annotated[bool, Strict()] = Field(False, description="Whether to activate it after the check.")


class NameView(BaseModel):
    """A model version and its state."""

    name: str
    state: Literal["active", "loaded"]


class KeyIn(RequestPart):
    """A key to be made."""

    name: str = Field("", max_length=512, description="A name for the key, such as its owner.")
    scopes: tuple[Literal["read", "write", "admin"], ...] = Field(min_length=1, max_length=3, fail_fast=True)


class KeyView(BaseModel):
    """A key, without its secret."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created: datetime
    revoked: datetime | None

    @classmethod
    def of(cls, key: Key) -> KeyView:
        """A key of the store."""
        return cls(
            id=key.id,
            name=key.name,
            scopes=tuple(sorted(key.scopes)),
            created=key.created,
            revoked=key.revoked,
        )


class NewKey(KeyView):
    """A new key; it is shown only once."""

    key: str


class TrainingView(BaseModel):
    """A training of the learner."""

    number: int = Field(description="From 1.")
    state: TrainingState
    cause: str = Field(description="first, growth, schedule, events, drift, score or asked.")
    until: int = Field(description="Place of the last event that it learns from.")
    judged_until: int = Field(description="Place of the last event that it is judged on.")
    began: datetime
    changed: datetime
    base: str | None = Field(description="The model that was active when it began.")
    model: str | None = Field(description="What was trained.")
    details: dict[str, Any] = Field(
        description="Rows, scores, the reason where it is not active, and what was counted in its canary: of the `new` "
        "model and the `active` one lists, failed ones, the time of nine of ten, and what they led to."
    )


class WaitView(BaseModel):
    """What the next training in full waits for: enough events and users, or a time."""

    first: bool = Field(description="Whether nothing was ever trained here.")
    events: int | None = Field(description="Further events; null where no number of events begins one.")
    users: int | None = Field(
        description="Further users with events of two items, before the first training."
    )
    at: datetime | None = Field(
        description="When it begins with fewer events, if any are new; null for never."
    )


class LearnerView(BaseModel):
    """The learner of a store."""

    runs: bool = Field(description="Whether a learner is at work on the store.")
    now: str = Field(description="The step of the training under way, or waiting.")
    events: int
    last_event: int = Field(description="Place of the last event.")
    learnt_until: int = Field(description="Place of the last event that the active model learnt from.")
    events_since: int = Field(description="Events after that.")
    users_deleted_since: int = Field(
        description="Users deleted since, on whose events its weights still rest."
    )
    next: datetime | None = Field(description="When the next training is due on the schedule.")
    waits_for: WaitView | None = Field(
        description="What the next training waits for; null while one is under way, or where no learner ever was."
    )
    settings: dict[str, Any]
    trainings: list[TrainingView] = Field(description="The latest first.")


class Asked(BaseModel):
    """A training was asked for."""

    runs: bool = Field(description="Whether a learner is there to do it.")


class JobView(BaseModel):
    """A long operation, of any process of the store."""

    kind: JobKind | Literal["training"]
    what: str = Field(
        description="A kind of record, the name of a model, or the number of a training.", examples=["events"]
    )
    state: Literal["running", "done", "failed", "ended"] = Field(
        description="Ended: its process ended before it did."
    )
    began: datetime
    ended: datetime | None
    reason: str = Field(description="Why it failed.")
    details: dict[str, Any] = Field(description="What came of it.", examples=[{"rows": 120, "new": 118}])

    @classmethod
    def of(cls, job: Job) -> JobView:
        """A job of the store, without paths in its reason."""
        return cls(
            kind=job.kind,
            what=job.what,
            state=job.state,
            began=job.began,
            ended=job.ended,
            reason=hide_places(job.reason),
            details=job.details,
        )

    @classmethod
    def of_training(cls, one: Training, runs: bool) -> JobView:
        """A training; what is under way while no learner runs was broken off, and goes on with the next learner."""
        details = {
            "outcome": one.state,
            "cause": one.cause,
            "model": one.model,
            "events": one.details.get("events"),
        }
        failed = one.state == "failed"
        unfinished: Literal["running", "ended"] = "running" if runs else "ended"
        return cls(
            kind="training",
            what=str(one.number),
            state=unfinished if one.is_open else "failed" if failed else "done",
            began=one.began,
            ended=one.ended,
            reason=hide_places(str(one.details.get("reason", ""))) if failed else "",
            details=details,
        )


class Health(BaseModel):
    """Whether the service is up."""

    live: bool
    ready: bool
    model: str | None = None
    message: str | None = Field(None, description="Said while there is no model yet.")


def operate_routes(context: Context) -> APIRouter:
    """Routes for operators."""
    engine, models, authenticator = context.engine, context.models, context.authenticator
    routes = APIRouter(prefix="/v1", route_class=BodyRoute, responses=PROBLEMS)

    @routes.get("/schema", response_model=SchemaView, tags=["operate"])
    async def schema() -> Response:
        """What the active model was trained for: tasks, scenarios, fields to filter by."""
        return await context.answer("fast", lambda: schema_view(engine.active))

    @routes.get("/models", response_model=list[ModelView], tags=["models"])
    async def all_models() -> Response:
        """Every version, newest first."""
        return await context.answer("fast", lambda: [one.model_dump(mode="json") for one in models.all()])

    @routes.post("/models", response_model=NameView, tags=["models"], status_code=201)
    async def load(body: LoadIn) -> Response:
        """Load a bundle next to the active one, and check it with golden requests."""

        def call() -> NameView:
            with engine.store.jobs.record("load", Path(body.path).name) as job:
                job["name"] = name = models.load(Path(body.path))
                if body.activate:
                    models.activate(name)
            return NameView(name=name, state="active" if body.activate else "loaded")

        return await context.answer("long", call, status=201, limit_s=_LOADING_S)

    @routes.post("/models/rollback", response_model=NameView, tags=["models"])
    async def roll_back() -> Response:
        """Activate the previous version; while a new model answers a share of the users, end that instead."""

        def call() -> NameView:
            with engine.store.jobs.record("roll_back", "") as job:
                job["name"] = name = models.roll_back()
            return NameView(name=name, state="active")

        return await context.answer("long", call, limit_s=_LOADING_S)

    @routes.post("/models/{name}/activate", response_model=NameView, tags=["models"])
    async def activate(name: Name) -> Response:
        """Activate a version; no request fails during the switch."""

        def call() -> NameView:
            _known(name)
            with engine.store.jobs.record("activate", name):
                models.activate(name)
            return NameView(name=name, state="active")

        return await context.answer("long", call, limit_s=_LOADING_S)

    @routes.get("/models/{name}/report", response_class=HTMLResponse, tags=["models"])
    async def report(name: Name) -> Response:
        """The evaluation report of a version."""

        def call() -> str:
            _known(name)
            found = models.report(name)
            if found is None:
                raise NotFoundError(f"the model {name[:80]!r} has no report", "make it with motet report")
            return found

        return HTMLResponse(await context.work.run("fast", call))

    @routes.get("/models/{name}/metrics", response_model=dict[str, Any], tags=["models"])
    async def metrics(name: Name) -> Response:
        """All metrics of a version."""

        def call() -> dict[str, Any]:
            _known(name)
            return dict(models.metrics(name))

        return await context.answer("fast", call)

    # -- learner -------------------------------------------------------------------------------

    @routes.get("/learner", response_model=LearnerView, tags=["learner"])
    async def learner() -> Response:
        """What the learner of the store does, its trainings with their outcomes, and when the next one is due."""
        return await context.answer("fast", lambda: learner_status(engine.store))

    @routes.post("/learner/train", response_model=Asked, tags=["learner"], status_code=202)
    async def train() -> Response:
        """Ask for a training; the learner of the store begins it when it is not at work."""

        def call() -> Asked:
            ask_for_training(engine.store, "asked")
            return Asked(runs=engine.store.learner.owner() is not None)

        return await context.answer("write", call, status=202)

    # -- keys ----------------------------------------------------------------------------------

    @routes.get("/keys", response_model=list[KeyView], tags=["keys"])
    async def keys() -> Response:
        """All keys, without their secrets."""
        return await context.answer(
            "fast", lambda: [KeyView.of(one).model_dump(mode="json") for one in engine.store.keys.all()]
        )

    @routes.post("/keys", response_model=NewKey, tags=["keys"], status_code=201)
    async def make_key(body: KeyIn) -> Response:
        """Create a key; it is shown only this once. After the first one, every request needs a key."""

        def call() -> NewKey:
            if "admin" not in body.scopes and not engine.store.keys.any():
                raise ConflictError(
                    "the first key must have the scope admin",
                    "add admin: otherwise no other key could be created",
                )
            key, kept = engine.store.keys.create(set(body.scopes), body.name)
            return NewKey(key=key, **KeyView.of(kept).model_dump())

        answer = await context.answer("write", call, status=201)
        authenticator.forget()
        return answer

    @routes.delete("/keys/{id}", response_model=Done, tags=["keys"])
    async def revoke(id: Name) -> Response:
        """Revoke a key."""

        def call() -> Done:
            working = [one for one in engine.store.keys.all() if one.revoked is None]
            admins = [one.id for one in working if "admin" in one.scopes]
            if admins == [id]:
                raise ConflictError("this is the last key with the scope admin", "make another one first")
            if not engine.store.keys.revoke(id):
                raise NotFoundError(f"there is no key {id[:40]!r} that works", "see /v1/keys")
            return Done()

        answer = await context.answer("write", call)
        authenticator.forget()
        return answer

    @routes.get("/stats", response_model=StatsAnswer, tags=["operate"])
    async def stats(minutes: Annotated[int, Query(ge=1, le=1440)] = 60) -> Response:
        """Traffic, times, errors, feedback, drift, quality and shadow evaluation."""
        return await context.answer("slow", lambda: context.stats.summary(minutes))

    @routes.get("/stats/timeline", response_model=Timeline, tags=["operate"])
    async def timeline(minutes: Annotated[int, Query(ge=1, le=43_200)] = 60) -> Response:
        """Requests, errors by cause, latency, events and lists over time, in at most a hundred steps."""
        return await context.answer("slow", lambda: context.stats.timeline(minutes))

    @routes.get("/jobs", response_model=list[JobView], tags=["operate"])
    async def jobs(n: Annotated[int, Query(ge=1, le=100)] = 20) -> Response:
        """The latest imports, exports, changes of models and trainings, newest first; ``/v1/learner`` says more."""

        def call() -> list[dict[str, Any]]:
            learner = engine.store.learner
            runs = learner.owner() is not None
            found = [JobView.of(one) for one in engine.store.jobs.latest(n)]
            found += [JobView.of_training(one, runs) for one in learner.latest(n)]
            found.sort(key=lambda one: one.began, reverse=True)
            return [one.model_dump(mode="json") for one in found[:n]]

        return await context.answer("fast", call)

    def _known(name: str) -> None:
        if all(one.name != name for one in engine.store.models.all()):
            raise NotFoundError(f"there is no model {name[:80]!r}", "see /v1/models")

    refuse_other_methods(routes)
    return routes


def _health(engine: Engine, ready: bool) -> dict[str, Any]:
    found = {"live": True, "ready": ready, "model": engine.model.name}
    return {**found, "message": NO_MODEL} if engine.model.is_plain else found


def health_routes(context: Context) -> APIRouter:
    """Health routes and Prometheus metrics."""
    engine = context.engine
    routes = APIRouter()

    @routes.get("/v1/health/live", response_model=Health, tags=["health"])
    async def live() -> Response:
        """Whether the process answers."""
        return JSONResponse(_health(engine, engine.model.is_there))

    @routes.get(
        "/v1/health/ready", response_model=Health, responses={503: {"model": Health}}, tags=["health"]
    )
    async def ready() -> Response:
        """Whether a model is active and the store can be read."""
        try:
            there = await asyncio.wait_for(asyncio.to_thread(lambda: engine.is_ready), 5.0)
        except TimeoutError:
            there = False
        health = _health(engine, there)
        return JSONResponse(health) if there else JSONResponse(health, 503, {"Retry-After": "1"})

    @routes.get("/metrics", response_class=PlainTextResponse, responses=PROBLEMS, tags=["health"])
    async def prometheus() -> Response:
        """All metrics in the Prometheus text format."""
        content = await context.work.run("fast", context.stats.prometheus)
        return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")

    refuse_other_methods(routes)
    return routes
