"""The service as an application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

import motet
from motet.serving._context import Context
from motet.serving._docs import docs_routes
from motet.serving._doorkeeper import Doorkeeper
from motet.serving._engine import Engine
from motet.serving._gorse._router import gorse_router
from motet.serving._guard import Guard
from motet.serving._models import ModelDesk
from motet.serving._openapi import describe_whole
from motet.serving._problems import install_problems
from motet.serving._routes_answers import answer_routes
from motet.serving._routes_lists import list_routes
from motet.serving._routes_operate import health_routes, operate_routes
from motet.serving._routes_records import record_routes
from motet.serving._settings import HttpSettings
from motet.serving._stats import Stats
from motet.serving._traces import Traces
from motet.serving._work import Work

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
    models: ModelDesk | None = None,
    traces: TracerProvider | None = None,
) -> FastAPI:
    """The application that answers from an engine.

    Args:
        engine: With an active model, now or soon.
        settings: Limits.
        models: Model versions of the engine; made where left out.
        traces: Where spans of requests go; closed with the application.
    """
    settings = settings or HttpSettings()
    work = Work(settings.workers, settings.waiting, settings.request_s)
    door = Doorkeeper(engine.store.keys, settings)
    models = models or ModelDesk(engine)
    context = Context(engine, work, settings, models, door, Stats(engine, work))

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
    app.include_router(answer_routes(context))
    app.include_router(record_routes(context))
    app.include_router(list_routes(context))
    app.include_router(operate_routes(context))
    app.include_router(health_routes(context))
    app.include_router(gorse_router(engine, work))
    app.include_router(docs_routes(app))
    if traces is not None:
        app.add_middleware(Traces, provider=traces)
    app.add_middleware(
        Guard, door=door, watch=engine.watch, settings=settings, work=work, is_ending=lambda: engine.is_ending
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
