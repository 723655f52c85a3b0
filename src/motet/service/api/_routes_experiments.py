"""Routes of experiments: create, list, results, start, stop, delete."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from motet.recommend import RequestPart
from motet.service.api._bodies import BodyRoute
from motet.service.api._context import PROBLEMS, Context, Name, refuse_other_methods
from motet.service.api._wire import Done
from motet.service.experiments import ExperimentResults, ExperimentSettings, read_experiment
from motet.service.store import ExperimentRecord

__all__ = ["experiment_routes"]


class ExperimentLine(BaseModel):
    """An experiment, without its results."""

    key: str
    state: Literal["draft", "running", "stopped"]
    created: datetime
    started: datetime | None
    stopped: datetime | None
    reason: str = Field(description="Why it was stopped.")
    users: dict[str, int] = Field(description="Exposed users by variant.")
    problem: str = Field(
        description="Why a running experiment is not applied by this process; usually empty."
    )
    settings: ExperimentSettings


class ExperimentView(ExperimentLine):
    """An experiment with its results."""

    results: ExperimentResults | None = Field(description="None for a draft.")


class StopIn(RequestPart):
    """Why an experiment is stopped."""

    reason: str = Field("", max_length=2_000)


def experiment_routes(context: Context) -> APIRouter:
    """Routes of experiments."""
    engine = context.engine
    experiments = engine.experiments
    routes = APIRouter(prefix="/v1/experiments", route_class=BodyRoute, responses=PROBLEMS, tags=["experiments"])  # fmt: skip

    def line(record: ExperimentRecord) -> ExperimentLine:
        settings = read_experiment(record.definition)
        counts = engine.store.experiments.counts(record.key) if record.state != "draft" else {}
        return ExperimentLine(
            key=record.key,
            state=record.state,
            created=record.created,
            started=record.started,
            stopped=record.stopped,
            reason=record.reason,
            users={one.name: counts.get(one.name, 0) for one in settings.variants},
            problem=experiments.problems.get(record.key, "") if record.state == "running" else "",
            settings=settings,
        )

    @routes.get("", response_model=list[ExperimentLine])
    async def every() -> Response:
        """All experiments, oldest first."""
        return await context.answer(
            "fast", lambda: [line(one).model_dump(mode="json") for one in engine.store.experiments.all()]
        )

    @routes.post("", response_model=ExperimentLine, status_code=201)
    async def create(body: ExperimentSettings) -> Response:
        """Create an experiment as a draft; every variant is tried with one list."""
        return await context.answer("slow", lambda: line(experiments.create(body)), status=201)

    @routes.get("/{key}", response_model=ExperimentView)
    async def show(key: Name) -> Response:
        """An experiment with what it says so far; its intervals hold however often one looks."""

        def call() -> ExperimentView:
            results = experiments.results(key)
            return ExperimentView(**dict(line(experiments.get(key))), results=results)

        return await context.answer("slow", call)

    @routes.post("/{key}/start", response_model=ExperimentLine)
    async def start(key: Name) -> Response:
        """Start a draft: from now on its users get their variants."""
        return await context.answer("slow", lambda: line(experiments.start(key)))

    @routes.post("/{key}/stop", response_model=ExperimentLine)
    async def stop(key: Name, body: StopIn | None = None) -> Response:
        """Stop an experiment: all users get what the service gives without it."""
        reason = body.reason if body is not None else ""
        return await context.answer("slow", lambda: line(experiments.stop(key, reason)))

    @routes.delete("/{key}", response_model=Done)
    async def delete(key: Name) -> Response:
        """Delete an experiment that does not run, with its exposures."""

        def call() -> Done:
            experiments.delete(key)
            return Done()

        return await context.answer("write", call)

    refuse_other_methods(routes)
    return routes
