"""Shared parts of the Gorse routes: access checks, the engine adapter, plain-text errors, route registration."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_core import to_json
from starlette.routing import Match
from starlette.types import Scope

from motet.errors import BundleError, MotetError, StoreUnavailableError
from motet.service.api import METHODS, BodyRoute, Kind, Work, note_cause, whole_id
from motet.service.engine import Engine, NoModelError, NotFoundError, public_problem
from motet.service.gorse._ranks import Ranks
from motet.service.store import Event, Feedback, Item, KeyStore

__all__ = [
    "MOST",
    "Adder",
    "Count",
    "GorseRoute",
    "Id",
    "Needs",
    "Offset",
    "Words",
    "problem_of",
    "require_write",
]


def require_write(request: Request, keys: KeyStore) -> None:
    """Refuse a read-only key for a request that also writes.

    Raises:
        HTTPException: 403.
    """
    if not keys.any():
        return
    secret = (
        request.headers.get("x-api-key") or request.headers.get("authorization", "").partition(" ")[2].strip()
    )
    key = keys.verify(secret)
    if key is None or not key.scopes & {"write", "admin"}:
        raise HTTPException(403, "the key does not allow to write back: it needs the scope write")


# -- the engine adapter -------------------------------------------------------------------------


class Needs:
    """The engine, as Gorse's routes use it.

    Args:
        engine: The engine.

    Attributes:
        store: The store.
        items: The live catalogue.
        users: Users.
        ranks: Lists.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.store, self.items, self.users = engine.store, engine.items, engine.users
        self.ranks = Ranks(engine)

    @property
    def has_model(self) -> bool:
        """Whether a model is active."""
        return self._engine.model.is_there

    @property
    def is_ending(self) -> bool:
        """Whether the process is shutting down."""
        return self._engine.is_ending

    def ingest(
        self, rows: Sequence[Feedback], mode: Literal["add", "put"], ids: Sequence[str] | None
    ) -> None:
        """Store feedback; it counts from the next request on.

        Args:
            rows: The feedback.
            mode: Whether values are added, or overwrite.
            ids: An id for each, by which it counts once.

        Raises:
            DataError: If a value is not of its column's kind; nothing is stored then.
        """
        served, watch = self._engine.active, self._engine.watch
        events = [Event(one.type, one.user, one.item, one.value, one.time) for one in rows]
        try:
            served.check(events)
        except MotetError:
            watch.count("rejected", "event", len(events))
            raise
        write = self.store.feedback.add if mode == "add" else self.store.feedback.put
        write(rows, ids=ids, insert_missing=True)
        self._engine.note_ingest(served, events)
        self._engine.model.follow_now()

    def event_value(self, type: str, value: float) -> float:
        """The event value of feedback.

        In Gorse, 0 means that there is no value. For a type that is a task of the schema, 0 would be a negative label, so
        it becomes 1; so it does while nothing is trained yet and any type may be such a task.
        """
        if self._engine.model.is_plain:
            return value or 1.0
        meanings = self._engine.active.parts.live.history.reader.meanings
        return meanings.value_of_none(type) if value == 0 else value

    def item(self, id: str) -> Item | None:
        """A stored item, or one that is only in the bundle, in the form of the store."""
        found = self.store.items.get(id)
        return self._item_of_bundle(id) if found is None else found

    def item_page(self, n: int, after: str, words: str) -> tuple[list[Item], str]:
        """Items ordered by id, and the id after which the next page begins.

        Args:
            n: Most items, ≥ 1.
            after: The last id of the page before.
            words: Only items that contain this text; empty for all.
        """
        page = self.items.page(n, after, words)
        ids = [one.id for one in page.items]
        more = bool(page.cursor)
        if words:  # in stored items, labels and comments are searched too
            items = self.store.items
            matching = items.search(words, n + 1, items.after(after) if after else "")
            both = sorted({*ids, *(one.id for one in matching.rows)})
            ids, more = both[:n], more or len(both) > n
        stored = self.store.items.get_many(ids)
        found = [stored.get(id) or self._item_of_bundle(id) for id in ids]
        return [one for one in found if one is not None], ids[-1] if more else ""

    def here(self, id: str) -> bool:
        """Store an item that is only in the bundle; whether there is such an item."""
        if self.store.items.get(id) is None:
            found = self._item_of_bundle(id)
            if found is None:
                return False
            self.items.put([found])
        return True

    def edited(self) -> None:
        """Ingest what was stored, so that it counts from the next request on."""
        self._engine.model.follow_now()

    def _item_of_bundle(self, id: str) -> Item | None:
        live = self._engine.active.parts.live
        row = live.items.recorded(id)
        if row is None:
            return None
        catalogue = live.items.catalogue
        row.pop(live.items.key, None)
        title = row.pop(catalogue.title, None) if catalogue.title is not None else None
        tags = row.pop(catalogue.tags[0], None) if catalogue.tags else None
        labels = {name: value for name, value in row.items() if _is_plain(value)}
        categories = tuple(dict.fromkeys(str(tag) for tag in tags or () if tag))
        return Item(id, live.items.hidden(id), categories, None, labels or None, str(title or "")[:2000])

    def forget_user(self, id: str) -> bool:
        """Delete everything of a user; whether there was anything."""
        known = self._engine.active.is_of_bundle(id)
        return self._engine.delete_user(id) or known


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return abs(value) < float("inf")
    return isinstance(value, bool | int | str) or (isinstance(value, list) and all(map(_is_plain, value)))


# -- routes: with and without a slash at the end, errors as plain text ---------------------------

MOST: Final = 10_000
"""Most rows of a page, and most ranks of a list; a request may name more but gets no more."""

_PLAIN: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}
    for status, description in {
        400: "The request is wrong.",
        401: "The key is missing or wrong.",
        403: "The key does not allow this.",
        404: "There is no such resource.",
        408: "The body took too long to arrive.",
        413: "The body is too large.",
        415: "The content is not JSON.",
        422: "The request is wrong.",
        429: "Too many requests.",
        503: "Not possible now; the same request may be sent again.",
    }.items()
}
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])


def _default(fallback: int) -> Any:
    """An empty number is the default, as where Go reads it."""
    return BeforeValidator(lambda value: fallback if value == "" else value)


Count = Annotated[int, _default(10), Query(ge=0, description="How many")]
"""Number of rows."""

Offset = Annotated[int, _default(0), Query(ge=0, description="How many to skip")]
"""Number of rows to skip."""


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("there is a NUL character in it")
    return text


Words = Annotated[str, AfterValidator(_no_nul)]
"""A text in the address without NUL characters."""

Id = Annotated[Words, BeforeValidator(whole_id), Path(min_length=1, max_length=512)]
"""An id in the address, without a slash."""


class GorseRoute(BodyRoute):
    """A route with and without a slash at its end, whose errors are answered as plain text."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it is the route of a request."""
        path = scope["path"]
        return super().matches({**scope, "path": path[:-1]} if path.endswith("/") else scope)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with errors answered as plain text."""
        handler = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handler(request)
            except (MotetError, HTTPException, RequestValidationError, ValidationError) as error:
                note_cause(request.scope, error)
                status, text, headers = problem_of(error)
                return PlainTextResponse(text.encode("utf-8", "replace"), status, headers)

        return handled


def problem_of(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers of an error.

    Example:
        >>> problem_of(NotFoundError("user 1000 not found"))[:2]
        (404, 'user 1000 not found')
    """
    if isinstance(error, RequestValidationError | ValidationError):
        return 400, _first_fault(error), {}
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail), dict(error.headers or {})
    if isinstance(error, NotFoundError):
        return 404, error.problem, {}
    if isinstance(error, StoreUnavailableError | BundleError | NoModelError):
        return 503, public_problem(error), {"Retry-After": "1"}
    if isinstance(error, MotetError):
        return 400, public_problem(error), {}
    raise error


def _first_fault(error: RequestValidationError | ValidationError) -> str:
    first = error.errors()[0]
    place, *path = first["loc"] or ("request",)
    name = ".".join(str(part) for part in path)
    if place == "query" and first["type"] == "int_parsing":
        return f'strconv.Atoi: parsing "{str(first["input"])[:64]}": invalid syntax'
    if first["type"] == "string_pattern_mismatch":
        return f"{name} contains a slash or a NUL character"
    if first["type"] == "json_invalid":
        return "the body is not JSON"
    return f"{name or place}: {first['msg']}"[:500]


class Adder:
    """Adds routes.

    Args:
        router: Where to.
        work: Does the work off the event loop; threads of the framework where it is left out.
    """

    def __init__(self, router: APIRouter, work: Work | None) -> None:
        self._router, self._work = router, work
        self._methods: dict[str, set[str]] = {}

    def refuse_other_methods(self) -> None:
        """Answer a method that a path does not have with 405 and those that it has; call it after adding all routes."""
        for path, methods in self._methods.items():
            others = sorted(METHODS - methods)
            self._router.add_api_route(path, _refusal(methods), methods=others, include_in_schema=False)

    def get(self, path: str, summary: str, **options: Any) -> Callable[[_Endpoint], _Endpoint]:
        """Add a read route."""
        return self._add("GET", path, summary, "fast", **options)

    def get_ranked(self, path: str, summary: str) -> Callable[[_Endpoint], _Endpoint]:
        """Add a read route that uses the model."""
        return self._add("GET", path, summary, "model")

    def post_ranked(self, path: str, summary: str) -> Callable[[_Endpoint], _Endpoint]:
        """Add a route with a body that uses the model."""
        return self._add("POST", path, summary, "model")

    def post(self, path: str, summary: str) -> Callable[[_Endpoint], _Endpoint]:
        """Add a route that inserts records."""
        return self._add("POST", path, summary, "write")

    def put(self, path: str, summary: str) -> Callable[[_Endpoint], _Endpoint]:
        """Add a route that replaces records."""
        return self._add("PUT", path, summary, "write")

    def patch(self, path: str, summary: str) -> Callable[[_Endpoint], _Endpoint]:
        """Add a route that changes records."""
        return self._add("PATCH", path, summary, "write")

    def delete(self, path: str, summary: str) -> Callable[[_Endpoint], _Endpoint]:
        """Add a route that deletes records."""
        return self._add("DELETE", path, summary, "write")

    def _add(
        self, method: str, path: str, summary: str, kind: Kind, **options: Any
    ) -> Callable[[_Endpoint], _Endpoint]:
        def added(endpoint: _Endpoint) -> _Endpoint:
            slug = re.sub(r"\W+", "_", path).strip("_")
            name = f"gorse_{method.lower()}_{slug}"
            shared = {
                "methods": [method],
                "name": name,
                "operation_id": name,
                "summary": summary,
                "responses": _PLAIN,
                **options,
            }
            worked = self._worked(endpoint, kind)
            self._methods.setdefault(path, set()).add(method)
            self._router.add_api_route(path, worked, **shared)
            return endpoint

        return added

    def _worked(self, endpoint: Callable[..., Any], kind: Kind) -> Callable[..., Any]:
        work = self._work
        if work is None or inspect.iscoroutinefunction(endpoint):
            return endpoint

        @functools.wraps(endpoint)
        async def worked(**values: Any) -> Response:
            return await work.run(kind, lambda: _response(endpoint(**values)))

        return worked


def _refusal(methods: set[str]) -> Callable[[], Response]:
    allowed = ", ".join(sorted(methods))

    def refuse() -> Response:
        return PlainTextResponse("Method Not Allowed", 405, {"Allow": allowed})

    return refuse


def _response(answer: Any) -> Response:
    if isinstance(answer, Response):
        return answer
    return Response(to_json(answer, by_alias=True), media_type="application/json")
