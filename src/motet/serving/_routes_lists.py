"""Routes about shown lists and about everything at once: satisfaction, export, import."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, Strict, model_validator
from starlette.responses import Response, StreamingResponse

from motet.errors import RequestError
from motet.recommend import RequestPart
from motet.serving._bodies import BodyRoute
from motet.serving._context import PROBLEMS, Context
from motet.serving._faults import NotFoundError
from motet.serving._methods import refuse_other_methods
from motet.serving._paths import Name
from motet.serving._stats_answer import DaySatisfaction
from motet.serving._wire import Done
from motet.store import Answer

__all__ = ["list_routes"]

What = Literal["events", "users", "items"]
_BLOCK = 2**16
_MOST_IMPORT_BYTES = 2**34
_IMPORT_S = 3_600.0


class AnswerIn(RequestPart):
    """What somebody says of a list that was shown."""

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
    """What an import did."""

    rows: int
    new: int


def list_routes(context: Context) -> APIRouter:
    """Routes about shown lists and about everything at once."""
    engine, store = context.engine, context.engine.store
    routes = APIRouter(prefix="/v1", route_class=BodyRoute, responses=PROBLEMS)

    @routes.post("/lists/{list_id}/satisfaction", response_model=Done, tags=["satisfaction"])
    async def satisfaction(list_id: Name, body: AnswerIn) -> Response:
        """Say how satisfied somebody is with a list; the last answer counts."""

        def call() -> Done:
            engine.shown_log.flush(2.0)  # the list may have been shown a moment ago
            if not store.satisfaction.put(Answer(list_id, body.stars, body.answers)):
                raise NotFoundError(f"there is no list {list_id[:80]!r}", "name the list_id of an answer")
            return Done()

        return await context.answer("write", call)

    @routes.get("/satisfaction", response_model=list[DaySatisfaction], tags=["satisfaction"])
    async def by_day(days: Annotated[int, Query(ge=1, le=366)] = 30) -> Response:
        """Answers and their mean by day and scenario."""
        return await context.answer("fast", lambda: context.stats.satisfaction(days))

    @routes.get("/export/{what}", response_class=StreamingResponse, tags=["export"])
    async def export(what: What, format: Literal["jsonl", "parquet"] = "jsonl") -> Response:
        """Everything of a kind, as lines of JSON or as a Parquet file."""
        name = f"{what}.{format}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if format == "jsonl":
            lines = store.export_lines(what)
            return StreamingResponse(_blocks(lines), media_type="application/x-ndjson", headers=headers)
        place = tempfile.TemporaryDirectory(prefix="motet-export-")
        path = Path(place.name) / name
        await context.work.run("long", lambda: store.export_file(what, path), limit_s=_IMPORT_S)
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
        """Take in what an export gave, as a stream; twice is once. Deleted users do not come back."""
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
                done = store.import_file(what, path)
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
