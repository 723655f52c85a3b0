"""Routes that answer: recommend, ask, lists, rank, similar, explain, describe, profile, history."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from motet.assist import ListAnswer
from motet.errors import RequestError
from motet.recommend import AnyFilter, read_filter
from motet.schema import Language
from motet.serving._answers import (
    AskAnswer,
    Described,
    Explained,
    HistoryAnswer,
    Profiled,
    RankAnswer,
    RecommendAnswer,
    SimilarAnswer,
)
from motet.serving._ask_for import AskRequest, ListRequest, RankRequest, RecommendRequest, Tone
from motet.serving._bodies import BodyRoute
from motet.serving._context import PROBLEMS, Context
from motet.serving._faults import NotFoundError
from motet.serving._methods import refuse_other_methods
from motet.serving._paths import ItemId, UserId

__all__ = ["answer_routes"]

Id = Annotated[str, Query(min_length=1, max_length=512)]


def answer_routes(context: Context) -> APIRouter:
    """Routes that answer; to be added before those that take whole items and users, whose ids may hold slashes."""
    engine = context.engine
    routes = APIRouter(prefix="/v1", route_class=BodyRoute, responses=PROBLEMS, tags=["answers"])

    @routes.post("/recommend", response_model=RecommendAnswer)
    async def recommend(request: RecommendRequest) -> Response:
        """The best items for a user, or for the session that the request describes."""
        # who waits for reasons keeps nobody waiting who wants a list
        return await context.answer("fast" if request.explain else "model", lambda: engine.recommend(request))

    @routes.post("/ask", response_model=AskAnswer)
    async def ask(request: AskRequest) -> Response:
        """Items for a request in words, or for what follows on the one before."""
        return await context.answer("slow", lambda: engine.words.ask(request))

    @routes.post("/lists", response_model=ListAnswer)
    async def make_list(request: ListRequest) -> Response:
        """The best list that keeps every limit of a request, or which limits cannot be kept."""
        limit_s = context.settings.request_s + 2 * request.seconds
        return await context.answer("slow", lambda: engine.words.make_list(request), limit_s=limit_s)

    @routes.post("/rank", response_model=RankAnswer)
    async def rank(request: RankRequest) -> Response:
        """Given candidates in order, with the predictions of every task."""
        return await context.answer("model", lambda: engine.rank(request))

    @routes.get("/items/{id:path}/similar", response_model=SimilarAnswer)
    async def similar(
        id: ItemId,
        k: Annotated[int, Query(ge=1, le=200)] = 10,
        filter: Annotated[
            str | None, Query(max_length=10_000, description="As in recommend, as JSON.")
        ] = None,
    ) -> Response:
        """Items like another, by all that can compare them."""
        wanted = _filter(filter)

        def call() -> SimilarAnswer:
            if not engine.items.exists(id):
                raise NotFoundError(f"there is no item {id[:80]!r}", "name an item of the catalogue")
            return engine.similar(id, k, wanted=wanted)

        return await context.answer("fast", call)

    @routes.get("/items/{id:path}/description", response_model=Described)
    async def describe(id: ItemId, language: Language = "en") -> Response:
        """What an item is, from the catalogue and the knowledge graph alone."""

        def call() -> Described:
            if not engine.items.exists(id):
                raise NotFoundError(f"there is no item {id[:80]!r}", "name an item of the catalogue")
            return engine.words.describe(id, language=language)

        return await context.answer("slow", call)

    @routes.get("/explain", response_model=Explained)
    async def explain(user: Id, item: Id, language: Language = "en", tone: Tone = "plain") -> Response:
        """Why an item is, or is not, for a user: the reason, and everything found that it rests on."""

        def call() -> Explained:
            if not engine.items.exists(item):
                raise NotFoundError(f"there is no item {item[:80]!r}", "name an item of the catalogue")
            return engine.words.explain(user, item, language=language, tone=tone)

        return await context.answer("slow", call)

    @routes.get("/users/{id:path}/profile", response_model=Profiled)
    async def profile(id: UserId, language: Language = "en") -> Response:
        """What a user likes and avoids: what it rests on, and how sure."""
        return await context.answer("slow", lambda: engine.words.profile(id, language=language))

    @routes.get("/users/{id:path}/history", response_model=HistoryAnswer, tags=["users"])
    async def history(
        id: UserId,
        n: Annotated[int, Query(ge=1, le=1000, description="Most events.")] = 20,
        cursor: Annotated[
            str, Query(max_length=512, description="From the page before; empty for the first.")
        ] = "",
    ) -> Response:
        """What a user did, newest first: what was told while serving, then what the model was trained with."""
        return await context.answer("fast", lambda: engine.users.history(id, n, cursor))

    refuse_other_methods(routes)
    return routes


def _filter(text: str | None) -> AnyFilter | None:
    if not text:
        return None
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise RequestError("the filter is no JSON", 'write {"field": ..., "op": ..., "value": ...}') from None
    if not isinstance(content, dict):
        raise RequestError("the filter is no object", 'write {"field": ..., "op": ..., "value": ...}')
    return read_filter(content)
