"""Routes that ingest and show records: events, items, users."""

from __future__ import annotations

from typing import Annotated, Any, NoReturn, TypeVar

from fastapi import APIRouter, Query
from starlette.responses import Response

from motet.service.api._bodies import BodyRoute
from motet.service.api._context import PROBLEMS, Context, ItemId, Name, UserId, refuse_other_methods
from motet.service.api._wire import (
    Done,
    EventsIn,
    IdentityIn,
    ItemBody,
    ItemPatch,
    ItemsIn,
    Put,
    UserBody,
    UserDeleted,
    UserPatch,
    UsersIn,
)
from motet.service.engine import (
    EventsAnswer,
    IdentitiesView,
    ItemsPage,
    ItemView,
    NotFoundError,
    UsersPage,
    UserView,
)
from motet.service.learner import out_of_model
from motet.service.store import Item

__all__ = ["event_routes", "identity_routes", "record_routes"]

T = TypeVar("T")

Size = Annotated[int, Query(ge=1, le=1000, description="Most rows.")]
Cursor = Annotated[str, Query(max_length=512, description="From the page before; empty for the first.")]
Words = Annotated[str, Query(max_length=200, description="Only rows with this text.")]


def identity_routes(context: Context) -> APIRouter:
    """Routes of users' further ids; to be added before those that take whole users, whose ids may hold slashes."""
    engine = context.engine
    routes = APIRouter(prefix="/v1", route_class=BodyRoute, responses=PROBLEMS)

    @routes.get("/users/{id:path}/identities", response_model=IdentitiesView, tags=["users"])
    async def identities(id: UserId) -> Response:
        """Further ids of a user, each with the time of its linking."""
        return await context.answer("fast", lambda: engine.users.identities(id))

    @routes.post("/users/{id:path}/identities", response_model=IdentitiesView, tags=["users"])
    async def link(id: UserId, body: IdentityIn) -> Response:
        """Link a further id: what was and will be recorded under it is the user's, from the next request on."""

        def call() -> IdentitiesView:
            engine.users.link(id, body.identity)
            return engine.users.identities(id)

        return await context.answer("write", call)

    @routes.delete("/users/{id:path}/identities/{identity}", response_model=IdentitiesView, tags=["users"])
    async def unlink(id: UserId, identity: Name) -> Response:
        """Unlink an id: it is a user of its own again, with all that was recorded under it."""

        def call() -> IdentitiesView:
            if not engine.users.unlink(id, identity):
                raise NotFoundError(
                    f"{identity[:80]!r} is no identity of the user {id[:80]!r}",
                    "see /v1/users/…/identities for those that are",
                )
            return engine.users.identities(id)

        return await context.answer("write", call)

    refuse_other_methods(routes)
    return routes


def event_routes(context: Context) -> APIRouter:
    """The route that ingests events; the most frequent of all, so it is to be added first: routes are tried in order."""
    engine = context.engine
    routes = APIRouter(prefix="/v1", route_class=BodyRoute, responses=PROBLEMS)

    @routes.post("/events", response_model=EventsAnswer, tags=["events"])
    async def add_events(body: EventsIn) -> Response:
        """Store events; they are on disk before the answer, and in the features of the next request."""
        return await context.answer("write", lambda: engine.add_events([one.event() for one in body.events]))

    refuse_other_methods(routes)
    return routes


def record_routes(context: Context) -> APIRouter:
    """Routes that ingest and show items and users."""
    engine = context.engine
    routes = APIRouter(prefix="/v1", route_class=BodyRoute, responses=PROBLEMS)

    @routes.get("/items", response_model=ItemsPage, tags=["items"])
    async def items(n: Size = 20, cursor: Cursor = "", q: Words = "") -> Response:
        """Some items of the live catalogue, ordered by id."""
        return await context.answer("fast", lambda: engine.items.page(n, cursor, q))

    @routes.post("/items", response_model=Put, tags=["items"])
    async def put_items(body: ItemsIn) -> Response:
        """Insert or replace items; they can be recommended from the next request on."""

        def call() -> Put:
            items = [one.item(one.id) for one in body.items]
            engine.items.check(items)
            new = sum(engine.items.put(items))
            return Put(new=new, replaced=len(items) - new)

        return await context.answer("write", call)

    @routes.get("/items/{id:path}", response_model=ItemView, tags=["items"])
    async def item(id: ItemId) -> Response:
        """An item of the live catalogue."""
        return await context.answer("fast", lambda: _there(engine.items.get(id), "item", id))

    @routes.put("/items/{id:path}", response_model=ItemView, tags=["items"])
    async def put_item(id: ItemId, body: ItemBody) -> Response:
        """Insert or replace an item."""

        def call() -> ItemView:
            engine.items.check([body.item(id)])
            engine.items.put([body.item(id)])
            return _there(engine.items.get(id), "item", id)

        return await context.answer("write", call)

    @routes.patch("/items/{id:path}", response_model=ItemView, tags=["items"])
    async def patch_item(id: ItemId, body: ItemPatch) -> Response:
        """Change some fields of an item."""

        def call() -> ItemView:
            engine.items.check([Item(id, fields=body.fields or {})])
            if not engine.items.patch(id, **body.changes()):
                _missing("item", id)
            return _there(engine.items.get(id), "item", id)

        return await context.answer("write", call)

    @routes.delete("/items/{id:path}", response_model=Done, tags=["items"])
    async def delete_item(id: ItemId) -> Response:
        """Delete an item from the catalogue."""

        def call() -> Done:
            if not engine.items.delete(id):
                _missing("item", id)
            return Done()

        return await context.answer("write", call)

    # -- users ---------------------------------------------------------------------------------

    @routes.get("/users", response_model=UsersPage, tags=["users"])
    async def users(n: Size = 20, cursor: Cursor = "", q: Words = "") -> Response:
        """Some users, ordered by id."""
        return await context.answer("fast", lambda: engine.users.page(n, cursor, q))

    @routes.post("/users", response_model=Put, tags=["users"])
    async def put_users(body: UsersIn) -> Response:
        """Insert or replace users."""

        def call() -> Put:
            new = sum(engine.users.put([one.user(one.id) for one in body.users]))
            return Put(new=new, replaced=len(body.users) - new)

        return await context.answer("write", call)

    @routes.get("/users/{id:path}", response_model=UserView, tags=["users"])
    async def user(id: UserId) -> Response:
        """A user."""
        return await context.answer("fast", lambda: _there(engine.users.get(id), "user", id))

    @routes.put("/users/{id:path}", response_model=UserView, tags=["users"])
    async def put_user(id: UserId, body: UserBody) -> Response:
        """Insert or replace a user."""

        def call() -> UserView:
            engine.users.put([body.user(id)])
            return _there(engine.users.get(id), "user", id)

        return await context.answer("write", call)

    @routes.patch("/users/{id:path}", response_model=UserView, tags=["users"])
    async def patch_user(id: UserId, body: UserPatch) -> Response:
        """Change some fields of a user."""

        def call() -> UserView:
            if not engine.users.patch(id, labels=body.labels, comment=body.comment):
                _missing("user", id)
            return _there(engine.users.get(id), "user", id)

        return await context.answer("write", call)

    @routes.delete(
        "/users/{id:path}", response_model=UserDeleted, response_model_exclude_none=True, tags=["users"]
    )
    async def delete_user(id: UserId) -> Response:
        """Delete everything of a user: row, events, history, lists, conversations and the state in the model.

        Where a learner trains on the store, the answer says which training is the first without the user.
        """

        def call() -> dict[str, Any]:
            known = engine.users.get(id) is not None
            if not engine.delete_user(id) and not known:
                _missing("user", id)
            receipt = out_of_model(engine.store)
            return {"done": True} if receipt is None else {"done": True, "out_of_model": receipt}

        return await context.answer("write", call)

    refuse_other_methods(routes)
    return routes


def _there(found: T | None, what: str, id: str) -> T:
    if found is None:
        _missing(what, id)
    return found


def _missing(what: str, id: str) -> NoReturn:
    raise NotFoundError(f"there is no {what} {id[:80]!r}", f"see /v1/{what}s for the known ones")
