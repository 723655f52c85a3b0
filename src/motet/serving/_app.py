"""The service as an application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import motet
from motet.serving._context import Context
from motet.serving._engine import Engine
from motet.serving._problems import install_problems
from motet.serving._routes_answers import answer_routes
from motet.serving._routes_records import record_routes
from motet.serving._settings import HttpSettings
from motet.serving._work import Work

__all__ = ["build_app"]

_ABOUT = (
    "Recommendations with every behaviour predicted, objectives chosen per request, and reasons. "
    "Errors are problem details (RFC 9457). Keys go into `X-API-Key` or `Authorization: Bearer`."
)


def build_app(engine: Engine, settings: HttpSettings | None = None) -> FastAPI:
    """The application that answers from an engine.

    Args:
        engine: With an active model, now or soon.
        settings: Limits.
    """
    settings = settings or HttpSettings()
    work = Work(settings.workers, settings.waiting, settings.request_s)
    context = Context(engine, work, settings)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        work.close()

    app = FastAPI(title="motet", version=motet.__version__, description=_ABOUT, lifespan=life, redoc_url=None)
    app.state.context = context
    install_problems(app)
    app.include_router(answer_routes(context))
    app.include_router(record_routes(context))
    return app
