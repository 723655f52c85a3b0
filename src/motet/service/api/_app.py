"""The service as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

import motet
from motet.service.api._authenticator import Authenticator
from motet.service.api._context import Context
from motet.service.api._docs import describe_whole, docs_routes
from motet.service.api._middleware import RequestMiddleware
from motet.service.api._problems import install_problems
from motet.service.api._routes_answers import answer_routes, list_routes
from motet.service.api._routes_experiments import experiment_routes
from motet.service.api._routes_operate import health_routes, operate_routes
from motet.service.api._routes_records import event_routes, identity_routes, record_routes
from motet.service.api._routes_surveys import survey_routes
from motet.service.api._stats import Stats
from motet.service.api._traces import Traces
from motet.service.api._work import Work
from motet.service.api._workers import SharedState
from motet.service.engine import Engine, HttpSettings, ModelRegistry
from motet.service.gorse import gorse_router

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["build_app"]

_ABOUT = (
    "Recommendations with every behaviour predicted, objectives chosen per request, and reasons. "
    "Errors are problem details (RFC 9457). Keys go into `X-API-Key` or `Authorization: Bearer`."
)


def build_app(
    engine: Engine,
    settings: HttpSettings | None = None,
    *,
    models: ModelRegistry | None = None,
    traces: TracerProvider | None = None,
    shared: SharedState | None = None,
) -> FastAPI:
    """The application of an engine.

    Args:
        engine: The engine; its model may be activated later.
        settings: Limits.
        models: The model registry of the engine; created by default.
        traces: Receives the spans of requests; closed with the application.
        shared: What this process has in common with other workers of the same service.
    """
    settings = settings or HttpSettings()
    refresh: Callable[[], object] | None = None
    if shared is not None:
        engine.model.when_stored = shared.notify

        def refresh() -> None:
            if shared.changed():
                engine.model.follow_others()

    work = Work(settings.workers, settings.waiting, settings.request_s, refresh=refresh)
    authenticator = Authenticator(engine.store.keys, settings, shared)
    models = models or ModelRegistry(engine)
    stats = Stats(engine, work, 1 if shared is None else shared.count)
    if shared is not None:  # any worker may be asked for the metrics of all
        engine.model.followers.append(lambda: engine.watch.set_gauges(stats.gauges()))
    context = Context(engine, work, settings, models, authenticator, stats)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        work.close()
        if traces is not None:
            traces.shutdown()

    app = FastAPI(
        title="motet",
        version=motet.__version__,
        description=_ABOUT,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    install_problems(app)
    describe_whole(app)
    for part in (
        event_routes(context),
        answer_routes(context),
        identity_routes(context),
        record_routes(context),
        list_routes(context),
        operate_routes(context),
        experiment_routes(context),
        survey_routes(context),
        health_routes(context),
        gorse_router(engine, work),
        docs_routes(app),
    ):
        # not include_router, which would wrap each route once more: slower to build, and each request is matched twice
        app.router.routes.extend(part.routes)
    if traces is not None:
        app.add_middleware(Traces, provider=traces)
    app.add_middleware(
        RequestMiddleware,
        authenticator=authenticator,
        watch=engine.watch,
        settings=settings,
        work=work,
        is_ending=lambda: engine.is_ending,
    )
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "X-API-Key",
                "X-API-Version",
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "X-Request-Id",
                "traceparent",
                "tracestate",
            ],
            expose_headers=["X-Request-Id", "Retry-After"],
        )
    return app
