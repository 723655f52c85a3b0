"""Who visits: language, theme, key, and what the address says."""

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
    """A form that no page of ours sent."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of one visitor.

    Attributes:
        path: Of the page, with what is not plain in it encoded.
        said: What the address or the form says, in order; a name may come often.
        language: ``en`` or ``zh``.
        theme: ``light``, ``dark``, or empty: as the system has it.
        key: The visitor's, if there is one.
        is_part: Whether only the part of a page that changes is wanted.
        is_secure: Whether the visitor's browser speaks HTTPS, to this service or to a proxy before it.
        address: Where it came from.
    """

    path: str
    said: tuple[tuple[str, str], ...] = ()
    language: str = "en"
    theme: str = ""
    key: str | None = field(default=None, repr=False)
    is_part: bool = False
    is_secure: bool = False
    address: str = field(default="", repr=False)

    def one(self, name: str, default: str = "") -> str:
        """The last value of a name."""
        return next((value for known, value in reversed(self.said) if known == name), default)

    def all(self, name: str) -> list[str]:
        """Every value of a name that is not empty."""
        return [value for known, value in self.said if known == name and value]

    def has(self, name: str) -> bool:
        """Whether a name is said, even if nothing is said of it."""
        return any(known == name for known, _ in self.said)

    @property
    def id(self) -> str:
        """What the page is about: all of its path behind the first part."""
        return unquote(self.path.lstrip("/").partition("/")[2])

    def t(self, key: str, /, *, count: int | None = None, **values: object) -> str:
        """A message in the visitor's language."""
        return say(key, self.language, count=count, **values)

    def here(self, **changes: str | None) -> str:
        """The address of this page, with some things said otherwise, or not at all.

        Example:
            >>> Visit("/", (("user", "1"), ("lang", "en"))).here(lang="zh")
            '/?user=1&lang=zh'
        """
        kept = [(name, value) for name, value in self.said if name not in changes]
        kept += [(name, value) for name, value in changes.items() if value is not None]
        return f"{self.path}?{urlencode(kept)}" if kept else self.path


def visit_of(request: Request, form: tuple[tuple[str, str], ...] | None = None) -> Visit:
    """Who asks for what.

    Args:
        request: As it came.
        form: What its body says; the address is read where left out.
    """
    said = form if form is not None else tuple(request.query_params.multi_items()[:_MOST_FIELDS])
    wanted = (
        request.query_params.get("lang") or dict(said).get("lang") or request.cookies.get(COOKIE_LANGUAGE)
    )
    theme = request.cookies.get(COOKIE_THEME, "")
    return Visit(
        path=_path(request),
        said=said,
        language=wanted if wanted in LANGUAGES else _accepted(request.headers),
        theme=theme if theme in ("light", "dark") else "",
        key=request.cookies.get(COOKIE_KEY),
        is_part="x-part" in request.headers,
        # behind a proxy only the browser knows; what it says of a form is right, or the form is refused
        is_secure="https" in (request.url.scheme, request.headers.get("origin", "").partition("://")[0]),
        address=request.client.host if request.client else "",
    )


def _path(request: Request) -> str:
    """The path as the browser wrote it: decoded, an id with a percent sign could not be told from another."""
    raw = request.scope.get("raw_path")
    return raw.partition(b"?")[0].decode("ascii", "replace") if raw else quote(request.scope["path"])


async def read_form(request: Request) -> tuple[tuple[str, str], ...]:
    """The fields of a form that one of our own pages sent.

    A browser tells where a form comes from; one of another site is refused, since it would act with the
    visitor's key, or through the visitor's machine where no key is needed.

    Raises:
        Refused: If it comes from elsewhere, is too large, or is no form.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site is None and not origin:
        raise PageRefused("the form does not say where it comes from")
    if site != "same-origin" if site else urlsplit(str(origin)).netloc != request.headers.get("host"):
        raise PageRefused("the form comes from another site")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/x-www-form-urlencoded"):
        raise PageRefused("this is no form")
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


def _pairs(said: object) -> tuple[tuple[str, str], ...]:
    """Names and values, as our script sends a form."""
    if not isinstance(said, list) or len(said) > _MOST_FIELDS:
        raise ValueError("no list of fields")
    pairs = []
    for one in said:
        match one:
            case [str(name), str(value)]:
                f"{name}{value}".encode()  # half a character cannot be sent on
                pairs.append((name, value))
            case _:
                raise ValueError("no field")
    return tuple(pairs)


def _accepted(headers: Mapping[str, str]) -> str:
    """The first of the browser's languages that we speak."""
    for part in headers.get("accept-language", "").split(","):
        code = part.split(";")[0].strip().lower()[:2]
        if code in LANGUAGES:
            return code
    return "en"
