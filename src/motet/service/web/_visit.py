"""One request of a visitor: language, theme, key and the fields of its address or form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from starlette.requests import Request

from motet.messages import LANGUAGES, say

__all__ = ["COOKIE_KEY", "COOKIE_LANGUAGE", "COOKIE_THEME", "PageRefused", "Visit", "read_form", "visit_of"]

COOKIE_KEY: Final = "motet_key"
COOKIE_LANGUAGE: Final = "motet_lang"
COOKIE_THEME: Final = "motet_theme"
_MOST_FORM_BYTES: Final = 100_000
_MOST_FIELDS: Final = 400


class PageRefused(Exception):  # noqa: N818 (what it is, not how it went)
    """A form that was not sent by a page of this service."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of one visitor.

    Attributes:
        path: Path of the page, percent-encoded.
        fields: Fields of the address or the form in order; a name may occur several times.
        language: ``en`` or ``zh``.
        theme: ``light``, ``dark``, or empty for that of the system.
        key: Key of the visitor, if there is one.
        is_part: Whether only the changing part of the page is requested.
        is_secure: Whether the visitor's browser speaks HTTPS, to this service or to a proxy in front of it.
        address: Address of the visitor.
    """

    path: str
    fields: tuple[tuple[str, str], ...] = ()
    language: str = "en"
    theme: str = ""
    key: str | None = field(default=None, repr=False)
    is_part: bool = False
    is_secure: bool = False
    address: str = field(default="", repr=False)

    def one(self, name: str, default: str = "") -> str:
        """The last value of a name."""
        return next((value for known, value in reversed(self.fields) if known == name), default)

    def all(self, name: str) -> list[str]:
        """Every value of a name that is not empty."""
        return [value for known, value in self.fields if known == name and value]

    def has(self, name: str) -> bool:
        """Whether there is a field of a name, even an empty one."""
        return any(known == name for known, _ in self.fields)

    @property
    def id(self) -> str:
        """The id in the path: everything after the first part."""
        return unquote(self.path.lstrip("/").partition("/")[2])

    def t(self, key: str, /, *, count: int | None = None, **values: object) -> str:
        """A message in the visitor's language."""
        return say(key, self.language, count=count, **values)

    def here(self, **changes: str | None) -> str:
        """The address of this page with some fields changed; None removes one.

        Example:
            >>> Visit("/", (("user", "1"), ("lang", "en"))).here(lang="zh")
            '/?user=1&lang=zh'
        """
        kept = [(name, value) for name, value in self.fields if name not in changes]
        kept += [(name, value) for name, value in changes.items() if value is not None]
        return f"{self.path}?{urlencode(kept)}" if kept else self.path


def visit_of(request: Request, form: tuple[tuple[str, str], ...] | None = None) -> Visit:
    """Read a request.

    Args:
        request: The request.
        form: Fields of its body; those of the address by default.
    """
    fields = form if form is not None else tuple(request.query_params.multi_items()[:_MOST_FIELDS])
    wanted = (
        request.query_params.get("lang") or dict(fields).get("lang") or request.cookies.get(COOKIE_LANGUAGE)
    )
    theme = request.cookies.get(COOKIE_THEME, "")
    return Visit(
        path=_path(request),
        fields=fields,
        language=wanted if wanted in LANGUAGES else _accepted(request.headers),
        theme=theme if theme in ("light", "dark") else "",
        key=request.cookies.get(COOKIE_KEY),
        is_part="x-part" in request.headers,
        # behind a proxy only the browser knows the scheme; the Origin of a form was checked before
        is_secure="https" in (request.url.scheme, request.headers.get("origin", "").partition("://")[0]),
        address=request.client.host if request.client else "",
    )


def _path(request: Request) -> str:
    """The raw path: decoding would make an id with a percent sign ambiguous."""
    raw = request.scope.get("raw_path")
    return raw.partition(b"?")[0].decode("ascii", "replace") if raw else quote(request.scope["path"])


async def read_form(request: Request) -> tuple[tuple[str, str], ...]:
    """The fields of a form that a page of this service sent.

    Forms of other sites are refused: they would act with the key of the visitor, or without keys through the machine of
    the visitor.

    Raises:
        PageRefused: If it comes from another site, is too large, or is not a form.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site is None and not origin:
        raise PageRefused("the form does not say where it comes from")
    if site != "same-origin" if site else urlsplit(str(origin)).netloc != request.headers.get("host"):
        raise PageRefused("the form comes from another site")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/x-www-form-urlencoded"):
        raise PageRefused("this is not a form")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_FORM_BYTES:
            raise PageRefused("the form is too large")
    try:
        if kind == "application/json":
            return _pairs(json.loads(body))
        return tuple(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except (ValueError, RecursionError):
        raise PageRefused("the form cannot be read") from None


def _pairs(content: object) -> tuple[tuple[str, str], ...]:
    """Names and values of a form that the script of the pages sent as JSON."""
    if not isinstance(content, list) or len(content) > _MOST_FIELDS:
        raise ValueError("not a list of fields")
    pairs = []
    for one in content:
        match one:
            case [str(name), str(value)]:
                f"{name}{value}".encode()  # a lone surrogate cannot be sent
                pairs.append((name, value))
            case _:
                raise ValueError("not a field")
    return tuple(pairs)


def _accepted(headers: Mapping[str, str]) -> str:
    """The first language of the browser that the pages have."""
    for part in headers.get("accept-language", "").split(","):
        code = part.split(";")[0].strip().lower()[:2]
        if code in LANGUAGES:
            return code
    return "en"
