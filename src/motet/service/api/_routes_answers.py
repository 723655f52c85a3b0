"""Routes that answer: recommend, ask, lists, rank, similar, explain, describe, profile, history."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, Strict, model_validator
from starlette.responses import Response, StreamingResponse

from motet.assistant import ListAnswer
from motet.errors import RequestError
from motet.recommend import AnyFilter, RequestPart, read_filter
from motet.schema import Language
from motet.service.api._bodies import BodyRoute
from motet.service.api._context import PROBLEMS, Context, ItemId, Name, UserId, refuse_other_methods
from motet.service.api._stats import DaySatisfaction
from motet.service.api._wire import Done
from motet.service.engine import (
    AskAnswer,
    AskRequest,
    Described,
    Explained,
    HistoryAnswer,
    ListRequest,
    NotFoundError,
    Profiled,
    RankAnswer,
    RankRequest,
    RecommendAnswer,
    RecommendRequest,
    SimilarAnswer,
    Tone,
)
from motet.service.store import SurveyAnswer

__all__ = ["answer_routes", "list_routes"]

Id = Annotated[str, Query(min_length=1, max_length=512)]


def answer_routes(context: Context) -> APIRouter:
    """Routes that answer; to be added before those that take whole items and users, whose ids may hold slashes."""
    engine = context.engine
    routes = APIRouter(prefix="/v1", route_class=BodyRoute, responses=PROBLEMS, tags=["answers"])

    @routes.post("/recommend", response_model=RecommendAnswer)
    async def recommend(request: RecommendRequest) -> Response:
        """The best items for a user, or for the session that the request describes."""
        # slow requests with reasons must not delay plain lists
        return await context.answer("fast" if request.explain else "model", lambda: engine.recommend(request))

    @routes.post("/ask", response_model=AskAnswer)
    async def ask(request: AskRequest) -> Response:
        """Items for a request in words, or for the next turn of a conversation."""
        return await context.answer("slow", lambda: engine.language.ask(request))

    @routes.post("/lists", response_model=ListAnswer)
    async def make_list(request: ListRequest) -> Response:
        """The best list that keeps every limit of a request, or which limits cannot be kept."""
        limit_s = context.settings.request_s + 2 * request.seconds
        return await context.answer("slow", lambda: engine.language.make_list(request), limit_s=limit_s)

    @routes.post("/rank", response_model=RankAnswer)
    async def rank(request: RankRequest) -> Response:
        """Rank given candidates, with the predictions of every task."""
        return await context.answer("model", lambda: engine.rank(request))

    @routes.get("/items/{id:path}/similar", response_model=SimilarAnswer)
    async def similar(
        id: ItemId,
        k: Annotated[int, Query(ge=1, le=200)] = 10,
        filter: Annotated[
            str | None, Query(max_length=10_000, description="As in recommend, as JSON.")
        ] = None,
    ) -> Response:
        """Items similar to another, by all similarity sources."""
        wanted = _filter(filter)

        def call() -> SimilarAnswer:
            if not engine.items.exists(id):
                raise NotFoundError(f"there is no item {id[:80]!r}", "name an item of the catalogue")
            return engine.similar(id, k, wanted=wanted)

        return await context.answer("fast", call)

    @routes.get("/items/{id:path}/description", response_model=Described)
    async def describe(id: ItemId, language: Language = "en") -> Response:
        """Describe an item from the catalogue and the knowledge graph alone."""

        def call() -> Described:
            if not engine.items.exists(id):
                raise NotFoundError(f"there is no item {id[:80]!r}", "name an item of the catalogue")
            return engine.language.describe(id, language=language)

        return await context.answer("slow", call)

    @routes.get("/explain", response_model=Explained)
    async def explain(user: Id, item: Id, language: Language = "en", tone: Tone = "plain") -> Response:
        """Why an item fits a user or does not: the reason and all evidence for it."""

        def call() -> Explained:
            if not engine.items.exists(item):
                raise NotFoundError(f"there is no item {item[:80]!r}", "name an item of the catalogue")
            return engine.language.explain(user, item, language=language, tone=tone)

        return await context.answer("slow", call)

    @routes.get("/users/{id:path}/profile", response_model=Profiled)
    async def profile(id: UserId, language: Language = "en") -> Response:
        """What a user likes and avoids, with evidence and confidence."""
        return await context.answer("slow", lambda: engine.language.profile(id, language=language))

    @routes.get("/users/{id:path}/history", response_model=HistoryAnswer, tags=["users"])
    async def history(
        id: UserId,
        n: Annotated[int, Query(ge=1, le=1000, description="Most events.")] = 20,
        cursor: Annotated[
            str, Query(max_length=512, description="From the page before; empty for the first.")
        ] = "",
    ) -> Response:
        """Events of a user, newest first: those ingested while serving, then those of the training data."""
        return await context.answer("fast", lambda: engine.users.history(id, n, cursor))

    refuse_other_methods(routes)
    return routes


def _filter(text: str | None) -> AnyFilter | None:
    if not text:
        return None
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise RequestError(
            "the filter is not JSON", 'write {"field": ..., "op": ..., "value": ...}'
        ) from None
    if not isinstance(content, dict):
        raise RequestError("the filter is not an object", 'write {"field": ..., "op": ..., "value": ...}')
    return read_filter(content)


# -- satisfaction, export, import ----------------------------------------------------------------

What = Literal["events", "users", "items", "identities", "answers"]
_BLOCK = 2**16
_MOST_IMPORT_BYTES = 2**34
_IMPORT_S = 3_600.0


class AnswerIn(RequestPart):
    """Satisfaction with a recommended list."""

    stars: Annotated[int, Strict()] | None = Field(
        None, ge=1, le=5, description="From 1, not at all satisfied, to 5."
    )
    answers: dict[str, Any] | None = Field(
        None, max_length=100, description="Answers of a survey by question."
    )

    @model_validator(mode="after")
    def _says_something(self) -> AnswerIn:
        if self.stars is None and self.answers is None:
            raise ValueError("give stars or answers")
        return self


class ImportedView(BaseModel):
    """The result of an import."""

    rows: int
    new: int


def list_routes(context: Context) -> APIRouter:
    """Routes for satisfaction, export and import."""
    engine, store = context.engine, context.engine.store
    routes = APIRouter(prefix="/v1", route_class=BodyRoute, responses=PROBLEMS)

    @routes.post("/lists/{list_id}/satisfaction", response_model=Done, tags=["satisfaction"])
    async def satisfaction(list_id: Name, body: AnswerIn) -> Response:
        """Record the satisfaction with a list; the last answer counts."""

        def call() -> Done:
            engine.shown_log.flush(2.0)  # the list may still be queued for the log
            if not store.satisfaction.put(SurveyAnswer(list_id, body.stars, body.answers)):
                raise NotFoundError(f"there is no list {list_id[:80]!r}", "name the list_id of an answer")
            return Done()

        return await context.answer("write", call)

    @routes.get("/satisfaction", response_model=list[DaySatisfaction], tags=["satisfaction"])
    async def by_day(days: Annotated[int, Query(ge=1, le=366)] = 30) -> Response:
        """Answers and their mean by day and scenario."""
        return await context.answer("fast", lambda: context.stats.satisfaction(days))

    @routes.get("/export/{what}", response_class=StreamingResponse, tags=["export"])
    async def export(what: What, format: Literal["jsonl", "parquet"] = "jsonl") -> Response:
        """All records of a kind as JSON lines or as a Parquet file."""
        name = f"{what}.{format}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if format == "jsonl":
            lines = store.export_lines(what)
            return StreamingResponse(_blocks(lines), media_type="application/x-ndjson", headers=headers)
        place = tempfile.TemporaryDirectory(prefix="motet-export-")
        path = Path(place.name) / name

        def call() -> None:
            with store.jobs.record("export", what) as job:
                job["rows"] = store.export_file(what, path)

        await context.work.run("long", call, limit_s=_IMPORT_S)
        media = "application/vnd.apache.parquet"
        return StreamingResponse(_file(path, place), media_type=media, headers=headers)

    @routes.post(
        "/import/{what}",
        response_model=ImportedView,
        tags=["export"],
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/x-ndjson": {"schema": {"type": "string"}},
                    "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
                },
            }
        },
    )
    async def import_(what: What, request: Request) -> Response:
        """Import an export as a stream; repeating it changes nothing, and deleted users stay deleted."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        ending = {"application/x-ndjson": ".jsonl", "application/vnd.apache.parquet": ".parquet"}.get(kind)
        if ending is None:
            raise RequestError(
                f"the content is {kind[:80]!a}", "send application/x-ndjson or application/vnd.apache.parquet"
            )
        with tempfile.TemporaryDirectory(prefix="motet-import-") as place:
            path = Path(place) / f"{what}{ending}"
            await _save(request, path)

            def call() -> ImportedView:
                with store.jobs.record("import", what) as job:
                    done = store.import_file(what, path)
                    job.update(rows=done.rows, new=done.new)
                engine.model.follow_now()
                return ImportedView(rows=done.rows, new=done.new)

            return await context.answer("long", call, limit_s=_IMPORT_S)

    refuse_other_methods(routes)
    return routes


async def _blocks(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Lines in blocks, read off the event loop."""

    def block() -> bytes:
        parts: list[bytes] = []
        size = 0
        for line in lines:
            parts.append(line)
            size += len(line)
            if size >= _BLOCK:
                break
        return b"".join(parts)

    while some := await asyncio.to_thread(block):
        yield some


async def _file(path: Path, place: tempfile.TemporaryDirectory[str]) -> AsyncIterator[bytes]:
    with contextlib.closing(path.open("rb")) as file, place:
        while some := await asyncio.to_thread(file.read, _BLOCK):
            yield some


async def _save(request: Request, path: Path) -> None:
    total = 0
    with contextlib.closing(path.open("wb")) as file:
        async for part in request.stream():
            total += len(part)
            if total > _MOST_IMPORT_BYTES:
                raise RequestError("the import is too large", "send it in several parts")
            await asyncio.to_thread(file.write, part)
