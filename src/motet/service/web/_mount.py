"""Adds the web pages to the application of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from motet.messages import LANGUAGES, say
from motet.service.web._client import REPORT_HEADERS, Api, ApiError, Caller, page_headers, path
from motet.service.web._detail import (
    found_users,
    item_page,
    items_page,
    send_item_rating,
    user_page,
    users_page,
)
from motet.service.web._experiments import experiment_page, experiments_page, send_experiment
from motet.service.web._operate import judge, operate
from motet.service.web._shop import send_action, shop
from motet.service.web._shown import (
    Pictures,
    bars,
    facts,
    field_name,
    initials,
    labels_shown,
    name_of,
    number,
    price,
    task_label,
    task_name,
    value_name,
    voice_of,
)
from motet.service.web._visit import COOKIE_KEY, COOKIE_LANGUAGE, PageRefused, Visit, read_form, visit_of

__all__ = ["mount"]

_HERE = Path(__file__).parent
_YEAR_S = 365 * 86_400
_PARTS = frozenset({"operate", "problem", "shop", "thanks"})  # templates of which a part can be exchanged
Show = Callable[[Visit, Caller], Awaitable[dict[str, Any]]]


def mount(
    app: Starlette,
    base_url: str,
    key: str | None = None,
    *,
    relay: str = "",
    pictures: Path | None = None,
    picture_sites: Sequence[str] = (),
) -> None:
    """Add the pages to an application.

    They are ``/``, ``/item/{id}``, ``/user/{id}``, ``/operate``, ``/users``, ``/items``, ``/judge``, ``/experiments`` and
    ``/experiment/{key}``; their files and forms are under ``/pages``. All their data comes from the public API.

    Args:
        app: The application; a FastAPI one keeps its own description free of the pages.
        base_url: Address of the API, such as ``http://127.0.0.1:8000``.
        key: Key for all calls of the pages, for any visitor, so access to them must be restricted otherwise; without
            it a visitor has to enter a key if the service needs one.
        relay: The secret of the same name in the settings of the service, so that each visitor has a separate rate
            limit; without it all share one.
        pictures: Folder of picture files that the catalogue names; only ``.avif``, ``.gif``, ``.jpeg``, ``.jpg``, ``.png``
            and ``.webp`` are served.
        picture_sites: Other sites that pictures of items may be loaded from, such as ``https://images.example.com``.

    Raises:
        RequestError: If the folder is none, or a site is not one.
    """
    for language in LANGUAGES:  # a catalogue that cannot be read fails here, and no visitor waits for it
        say("skip", language)
    site = Site(Api(base_url, key, relay), Pictures(pictures, tuple(picture_sites)))
    for where, handler, method in site.routes():
        app.add_route(where, handler, methods=[method], include_in_schema=False)
    app.mount("/pages/static", StaticFiles(directory=_HERE / "static"), name="pages-static")
    if pictures is not None:
        app.mount("/pages/pictures", _PictureFiles(directory=pictures), name="pages-pictures")
    before = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(inner: Any) -> AsyncIterator[Any]:
        async with before(inner) as state:
            try:
                yield state
            finally:
                await site.api.close()

    app.router.lifespan_context = lifespan


_PICTURE_FILES = frozenset({".avif", ".gif", ".jpeg", ".jpg", ".png", ".webp"})


class _PictureFiles(StaticFiles):
    """Files of pictures; drawings with scripts (SVG) and everything else is not there."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if Path(path).suffix.lower() not in _PICTURE_FILES:
            raise HTTPException(404)
        answer = await super().get_response(path, scope)
        answer.headers["Content-Security-Policy"] = "default-src 'none'"
        answer.headers["Cache-Control"] = "private, max-age=3600"
        return answer


class Site:
    """The pages.

    Args:
        api: Client of the API.
        pictures: Where pictures of items may come from.
    """

    def __init__(self, api: Api, pictures: Pictures | None = None) -> None:
        self.api = api
        found = pictures or Pictures()
        self._headers = page_headers(found.sites)
        self._words = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._words.filters["title_of"] = lambda item, titles: titles.get(item, item)
        self._words.globals |= {
            "bars": bars, "facts": facts, "name_of": name_of, "number": number, "path": path, "price": price,
            "initials": initials, "voice_of": voice_of,
            "picture": lambda item, schema: found.source((item.get("fields") or {}).get(schema.get("image"))),
            "field_name": field_name, "labels_shown": labels_shown, "task_label": task_label, "task_name": task_name, "value_name": value_name, "urlencode": urlencode,
        }  # fmt: skip

    def routes(self) -> list[tuple[str, Callable[[Request], Awaitable[Response]], str]]:
        """Path, handler and method of each route."""
        return [
            ("/", self._page("shop", shop), "GET"),
            ("/item/{id:path}", self._page("item", item_page), "GET"),
            ("/user/{id:path}", self._page("user", user_page), "GET"),
            ("/operate", self._page("operate", operate), "GET"),
            ("/users", self._page("users", users_page), "GET"),
            ("/items", self._page("items", items_page), "GET"),
            ("/pages/found-users", self._found_users, "GET"),
            ("/judge", self._page("judge", judge), "GET"),
            ("/experiments", self._page("experiments", experiments_page), "GET"),
            ("/experiment/{id:path}", self._page("experiment", experiment_page), "GET"),
            ("/pages/report/{name:path}", self._report, "GET"),
            ("/pages/act", self._form(self._act), "POST"),
            ("/pages/rate", self._form(self._rate), "POST"),
            ("/pages/answer", self._form(self._answer), "POST"),
            ("/pages/rate-item", self._form(self._rate_item), "POST"),
            ("/pages/model", self._form(self._model), "POST"),
            ("/pages/experiment", self._form(self._experiment), "POST"),
            ("/pages/key", self._key_page, "GET"),
            ("/pages/key", self._form(self._key), "POST"),
        ]

    def _render(
        self, visit: Visit, template: str, content: dict[str, Any], status: int = 200, page: str = ""
    ) -> HTMLResponse:
        name = f"{template}_part.html" if visit.is_part and template in _PARTS else f"{template}.html"
        text = self._words.get_template(name).render(
            visit=visit, t=visit.t, lang=visit.language, page=page or template, **content
        )
        answer = HTMLResponse(text, status, headers=dict(self._headers))
        if visit.one("lang") == visit.language:
            answer.set_cookie(COOKIE_LANGUAGE, visit.language, max_age=_YEAR_S, samesite="lax", httponly=True)
        return answer

    def _page(self, template: str, show: Show) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            visit = visit_of(request)
            try:
                return self._render(visit, template, await show(visit, self._caller(visit)))
            except ApiError as error:
                return self._failed(visit, error, template)

        return handler

    def _failed(self, visit: Visit, error: ApiError, page: str) -> Response:
        wants_key = error.status in (401, 403) and not self.api.has_key
        refused = error.detail if error.status == 403 else ""
        if error.status == 401 and (visit.key or visit.path == "/pages/key"):
            refused = visit.t("key_wrong")
        content = {"error": error, "wants_key": wants_key, "refused": refused}
        return self._render(visit, "problem", content, error.status, page)

    def _caller(self, visit: Visit) -> Caller:
        return self.api.caller(visit.key, visit.address, visit.language)

    def _form(
        self, do: Callable[[Visit, Caller], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            visit = visit_of(request)
            try:
                visit = visit_of(request, await read_form(request))
                return await do(visit, self._caller(visit))
            except PageRefused:
                return self._failed(visit, ApiError(400, visit.t("elsewhere")), "shop")
            except ApiError as error:
                return self._failed(visit, error, "shop")

        return handler

    async def _act(self, visit: Visit, caller: Caller) -> Response:
        visit, message = await send_action(visit, caller)
        if visit.is_part:
            return self._render(visit, "shop", await shop(visit, caller, message))
        return _go(visit, visit.here())

    async def _rate(self, visit: Visit, caller: Caller) -> Response:
        stars = visit.one("stars")
        if stars not in ("1", "2", "3", "4", "5"):
            raise ApiError(422, visit.t("bad_stars"))
        await caller.post(path("v1", "lists", visit.one("list_id"), "satisfaction"), {"stars": int(stars)})
        if visit.is_part:
            return self._render(visit, "thanks", {})
        return _go(visit, Visit("/", visit.fields).here(stars=None, list_id=None))

    async def _answer(self, visit: Visit, caller: Caller) -> Response:
        value = visit.one("answer")
        if not value.isascii() or not value.isdigit() or len(value) > 2:
            raise ApiError(422, visit.t("bad_answer"))
        await caller.post(path("v1", "questions", visit.one("q"), "answer"), {"value": int(value)})
        if visit.is_part:
            return self._render(visit, "thanks", {})
        return _go(visit, Visit("/", visit.fields).here(answer=None, q=None, list_id=None))

    async def _rate_item(self, visit: Visit, caller: Caller) -> Response:
        return _go(visit, await send_item_rating(visit, caller))

    async def _model(self, visit: Visit, caller: Caller) -> Response:
        kind, _, name = visit.one("do").partition(":")
        if kind == "activate":
            await caller.post(path("v1", "models", name, "activate"))
        elif kind == "rollback":
            await caller.post("/v1/models/rollback")
        elif kind == "train":
            await caller.post("/v1/learner/train")
        elif kind == "load":
            await caller.post("/v1/models", {"path": visit.one("path").strip()})
        else:
            raise ApiError(422, visit.t("bad_act", act=kind[:20]))
        caller.forget_schema()
        return _go(visit, "/operate?" + urlencode({"done": kind}))

    async def _experiment(self, visit: Visit, caller: Caller) -> Response:
        return _go(visit, await send_experiment(visit, caller))

    async def _found_users(self, request: Request) -> Response:
        visit = visit_of(request)
        found = await found_users(visit, self._caller(visit))
        return JSONResponse(found, headers=dict(self._headers))

    async def _key_page(self, request: Request) -> Response:
        content = {"error": None, "wants_key": True, "refused": ""}
        return self._render(visit_of(request), "problem", content)

    async def _key(self, visit: Visit, caller: Caller) -> Response:
        answer = _go(visit, "/")
        if visit.has("out"):
            answer.delete_cookie(COOKIE_KEY)
            return answer
        key = visit.one("key").strip()
        if not key.isascii() or not key.isprintable() or not 0 < len(key) <= 500:
            raise ApiError(401, visit.t("key_wrong"))
        await self.api.caller(key, visit.address, visit.language).get("/v1/schema")
        answer.set_cookie(COOKIE_KEY, key, samesite="strict", httponly=True, secure=visit.is_secure)
        return answer

    async def _report(self, request: Request) -> Response:
        visit = visit_of(request)
        try:
            where = path("v1", "models", visit.id.removeprefix("report/"), "report")
            found = await self._caller(visit).raw("GET", where)
        except ApiError as error:
            return self._failed(visit, error, "judge")
        return HTMLResponse(found.content, headers=dict(REPORT_HEADERS))


def _go(visit: Visit, where: str) -> Response:
    """Go to a page: by a header for the script, by a redirect without it."""
    if visit.is_part:
        return Response(status_code=204, headers={**page_headers(), "X-Go": where})
    return RedirectResponse(where, 303)
