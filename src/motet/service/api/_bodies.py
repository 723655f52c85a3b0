"""Request bodies: size and shape are checked before parsing, and parsing stops at the first wrong element."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from json.decoder import JSONDecodeError
from typing import Annotated, Any, Final, NoReturn, get_args, get_origin, get_type_hints

import numpy as np
from annotated_types import MaxLen
from fastapi import HTTPException, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.types import Receive

from motet.service.api._work import Work
from motet.service.engine import no_full_collections

__all__ = [
    "LARGE_BYTES",
    "WORK",
    "BodyError",
    "BodyReader",
    "BodyRoute",
    "JsonShape",
    "is_small",
    "json_shape",
    "read_body",
]

LARGE_BYTES: Final = 2**16
"""A larger body is checked and parsed off the event loop."""

WORK: Final = "motet.work"
"""Key of the request scope that holds the thread pools for large bodies."""

_BLOCK: Final = 2**18
_QUOTE, _BACKSLASH, _COMMA, _COLON, _LOWER = 0x22, 0x5C, 0x2C, 0x3A, 0x20
_OPEN, _CLOSE = 0x7B, 0x7D  # of an object; of a list they are the same without the bit of lower case
_Places = NDArray[np.int64]
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_SCAN: Final = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class BodyError(Exception):
    """A refused body.

    Args:
        status: The HTTP status.
        detail: What is wrong.
        cure: What to do.
    """

    def __init__(self, status: int, detail: str, cure: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.cure = status, detail, cure


@dataclass(frozen=True, slots=True)
class JsonShape:
    """Size of a JSON text in values, which bounds the memory of parsing.

    Attributes:
        depth: Deepest nesting.
        containers: Lists and objects.
        strings: Strings, including member names.
        values: Elements of lists and members of objects; an empty container counts as one.
        members: Members of the largest object.
    """

    depth: int
    containers: int
    strings: int
    values: int
    members: int


def json_shape(body: bytes) -> JsonShape:
    """Count brackets, strings and commas of a JSON text in blocks: needs little memory and releases the GIL often.

    Example:
        >>> json_shape(b'{"a": [[1, 2], "]]]["]}')
        JsonShape(depth=3, containers=3, strings=2, values=5, members=1)
    """
    whole = np.frombuffer(body, np.uint8)
    depth = deepest = containers = quotes = commas = 0
    in_string = escaped = False
    members = _Members()
    for start in range(0, len(body), _BLOCK):
        block = whole[start : start + _BLOCK]
        is_quote = block == _QUOTE
        if escaped or body.find(b"\\", start, start + _BLOCK) >= 0:
            escaped = _drop_escaped(block, is_quote, escaped)
        inside = np.bitwise_xor.accumulate(is_quote.view(np.uint8)).view(bool)
        if in_string:
            inside = ~inside
        in_string = bool(inside[-1])
        outside = ~inside
        lower = block | _LOWER
        opens, closes = (lower == _OPEN) & outside, (lower == _CLOSE) & outside
        depths = np.cumsum(opens.view(np.int8) - closes.view(np.int8), dtype=np.int32)
        deepest = max(deepest, depth + int(depths.max()))
        members.add(np.flatnonzero((block == _COLON) & outside), np.flatnonzero(opens), depths + depth)
        depth += int(depths[-1])
        containers += int(np.count_nonzero(opens))
        quotes += int(np.count_nonzero(is_quote))
        commas += int(np.count_nonzero((block == _COMMA) & outside))
    return JsonShape(deepest, containers, (quotes + 1) // 2, commas + containers, members.most)


class _Members:
    """Counts the members of open objects, block by block."""

    def __init__(self) -> None:
        self.most = 0
        self._open: dict[int, int] = {}  # members so far of the open object at each depth

    def add(self, colons: _Places, opens: _Places, depths: NDArray[np.int32]) -> None:
        """Count a block.

        Args:
            colons: Positions of colons in the block.
            opens: Positions of opening brackets.
            depths: Depth after each byte.
        """
        at, begins = depths[colons], depths[opens]
        for depth in np.unique(np.concatenate([at, begins])).tolist():
            objects = np.searchsorted(opens[begins == depth], colons[at == depth])
            counts = np.bincount(objects, minlength=int(np.count_nonzero(begins == depth)) + 1)
            counts[0] += self._open.get(depth, 0)
            self.most = max(self.most, int(counts.max()))
            self._open[depth] = int(counts[-1])


def _drop_escaped(block: NDArray[np.uint8], is_quote: NDArray[np.bool_], escaped: bool) -> bool:
    """Clear quotes after an odd number of backslashes; returns whether the first byte of the next block is escaped."""
    if escaped:
        is_quote[0] = False
    slashes = np.flatnonzero(block == _BACKSLASH)
    if escaped and len(slashes) and slashes[0] == 0:
        slashes = slashes[1:]  # the previous block escapes it
    if not len(slashes):
        return False
    first = np.flatnonzero(np.diff(slashes, prepend=-2) != 1)
    lengths = np.diff(first, append=len(slashes))
    after = slashes[first] + lengths
    after = after[lengths % 2 == 1]
    is_quote[after[after < len(block)]] = False
    return bool(len(after)) and int(after[-1]) == len(block)


# the closing quote may be missing: a pattern that can fail would be tried again from every quote
_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def is_small(body: bytes, most_depth: int, most: int) -> bool:
    """Whether a JSON text cannot exceed limits, as it has too few bytes and brackets for them.

    Args:
        body: The text.
        most_depth: Most levels.
        most: Most of anything else.

    Example:
        >>> is_small(b'{"user": "ann"}', 10, 1000), is_small(b"[[[[]]]]", 3, 1000)
        (True, False)
    """
    return len(body) <= most and body.count(b"[") + body.count(b"{") <= most_depth


def json_depth(body: bytes) -> int:
    """Deepest nesting of brackets outside strings; faster than :func:`json_shape` for a short text.

    Example:
        >>> json_depth(b'{"a": [[1], "]]]["]}')
        3
    """
    brackets = _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS)
    if not brackets:
        return 0
    kinds = np.frombuffer(brackets, np.uint8)
    steps = np.where((kinds == ord("[")) | (kinds == ord("{")), 1, -1)
    return int(np.cumsum(steps).max(initial=0))


async def read_body(
    receive: Receive, *, declared_bytes: int | None, most_bytes: int, limit_s: float
) -> bytes | None:
    """Read the whole body; None if the client disconnected.

    Args:
        receive: The ASGI receive function.
        declared_bytes: Its length as declared by the client.
        most_bytes: Most bytes.
        limit_s: Time limit.

    Raises:
        BodyError: If it is too large or too slow.
    """
    large = BodyError(413, f"the body is larger than {most_bytes} bytes", "send it in several requests")
    if declared_bytes is not None and declared_bytes > most_bytes:
        raise large
    parts: list[bytes] = []
    total = 0
    try:
        async with asyncio.timeout(limit_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                part = message.get("body", b"")
                total += len(part)
                if total > most_bytes:
                    raise large
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise BodyError(408, f"the body took longer than {limit_s:g} s", "send it faster") from None


# -- parsing -----------------------------------------------------------------------------------


class _Text:
    """A JSON text with a reading position."""

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def is_next(self, sign: str) -> bool:
        """Skip white space; whether a token comes next."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match is not None else self.at
        return self.text.startswith(sign, self.at)

    def take(self, sign: str) -> bool:
        """Skip a token; whether it was there."""
        there = self.is_next(sign)
        self.at += there
        return there

    def value(self) -> Any:
        """Parse the next value."""
        self.is_next("")
        try:
            found, self.at = _SCAN(self.text, self.at)
        except StopIteration as end:
            self.at = end.value
            self.fail("Expecting value")
        return found

    def fail(self, problem: str) -> NoReturn:
        """Raise a JSON error at the present position."""
        raise JSONDecodeError(problem, self.text, self.at)


@dataclass(frozen=True, slots=True)
class _Elements:
    """Type and maximal number of the elements of a list."""

    each: TypeAdapter[Any]
    most: int | None


class BodyReader:
    """Parses and validates a body, and stops at the first wrong element.

    The elements of lists in a large body are parsed and validated one by one: nothing after a wrong one is parsed, and
    other threads can run in between.

    Args:
        kind: The type of the body.
    """

    def __init__(self, kind: Any) -> None:
        self._whole: TypeAdapter[Any] = TypeAdapter(kind)
        plain, *about = get_args(kind) if get_origin(kind) is Annotated else (kind,)
        self._root = _elements(plain, about)
        self._names: set[str] | None = None
        self._lists: dict[str, _Elements] = {}
        if isinstance(plain, type) and issubclass(plain, BaseModel):
            fields = {field.alias or name: field for name, field in plain.model_fields.items()}
            found = {name: _elements(field.annotation, field.metadata) for name, field in fields.items()}
            self._lists = {name: one for name, one in found.items() if one is not None}
            if plain.model_config.get("extra") == "forbid":
                self._names = {*fields, *getattr(plain, "old_names", ())}

    def read(self, body: bytes) -> Any:
        """Parse and validate a body.

        Raises:
            RequestValidationError: If it is not JSON or not of the type.
            HTTPException: If it is not UTF-8, or holds a number that is too long.
        """
        try:
            content = self._content(body)
        except JSONDecodeError as error:
            raise _refused("json_invalid", (error.pos,), "JSON decode error", error=error.msg) from None
        except (ValueError, RecursionError):  # not UTF-8, or a number of thousands of digits
            raise HTTPException(400, "There was an error parsing the body") from None
        return _checked(self._whole, content, ())

    def _content(self, body: bytes) -> Any:
        if len(body) <= LARGE_BYTES:
            return json.loads(body)
        text = _Text(body.decode(json.detect_encoding(body), "surrogatepass"))
        if self._root is not None and text.is_next("["):
            found: Any = _list(text, self._root, ())
        elif self._names is not None and text.is_next("{"):
            found = self._object(text, self._names)
        else:
            found = text.value()
        if not text.is_next("") or text.at != len(text.text):
            text.fail("Extra data")
        return found

    def _object(self, text: _Text, names: set[str]) -> dict[str, Any]:
        """Parse the members of an object one by one, up to the first unknown name."""
        found: dict[str, Any] = {}
        text.take("{")
        if text.take("}"):
            return found
        while True:
            if not text.is_next('"'):
                text.fail("Expecting property name enclosed in double quotes")
            name = text.value()
            if name not in names:
                raise _refused("extra_forbidden", (name,), "Extra inputs are not permitted")
            if not text.take(":"):
                text.fail("Expecting ':' delimiter")
            elements = self._lists.get(name)
            is_list = elements is not None and text.is_next("[")
            found[name] = _list(text, elements, (name,)) if elements and is_list else text.value()
            if text.take("}"):
                return found
            if not text.take(","):
                text.fail("Expecting ',' delimiter")


def _list(text: _Text, elements: _Elements, where: tuple[str, ...]) -> list[Any]:
    found: list[Any] = []
    text.take("[")
    if text.take("]"):
        return found
    while True:
        if len(found) == elements.most:
            raise _refused("too_long", where, f"There may be at most {elements.most} of them")
        found.append(_checked(elements.each, text.value(), (*where, len(found))))
        if text.take("]"):
            return found
        if not text.take(","):
            text.fail("Expecting ',' delimiter")


def _elements(kind: Any, about: Sequence[Any]) -> _Elements | None:
    """Elements of a list type; None if it is not a list."""
    most = next((one.max_length for one in about if isinstance(one, MaxLen)), None)
    parts = get_args(kind)
    if get_origin(kind) is list or (get_origin(kind) is tuple and parts[1:] == (Ellipsis,)):
        return _Elements(TypeAdapter(parts[0]), most)
    return None


def _checked(kind: TypeAdapter[Any], content: Any, where: tuple[str | int, ...]) -> Any:
    try:
        return kind.validate_python(content)
    except ValidationError as error:
        raise RequestValidationError(
            [{**one, "loc": ("body", *where, *one["loc"])} for one in error.errors(include_url=False)]
        ) from None


def _refused(kind: str, where: tuple[str | int, ...], problem: str, **about: str) -> RequestValidationError:
    fault = {"type": kind, "loc": ("body", *where), "msg": problem, "input": None, "ctx": about}
    return RequestValidationError([fault])


class _ReadRequest(Request):
    """A request whose body was parsed already."""

    def __init__(self, request: Request, content: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._content = content

    async def body(self) -> bytes:
        """A placeholder: the body was parsed already."""
        return b"{}"

    async def json(self) -> Any:
        """The parsed body."""
        return self._content


class BodyRoute(APIRoute):
    """A route whose body is parsed by :class:`BodyReader`, off the event loop if it is large."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, which receives the parsed body."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler
        about = self.body_field.field_info
        reader = BodyReader(Annotated[(about.annotation, *about.metadata)] if about.metadata else about.annotation)  # fmt: skip
        alone = _takes_body_alone(self.dependant) and get_type_hints(self.endpoint).get("return") is Response

        async def read(request: Request) -> Response:
            body = await request.body()
            if not body:
                return await handler(request)
            if len(body) <= LARGE_BYTES:
                content = reader.read(body)
                if alone:  # nothing is left for the framework to find out
                    answer: Response = await self.endpoint(content)
                    return answer
                return await handler(_ReadRequest(request, content))
            work: Work | None = request.scope.get(WORK)
            call = partial(reader.read, body)
            with no_full_collections():
                content = await (work.run("body", call) if work is not None else asyncio.to_thread(call))
                return await handler(_ReadRequest(request, content))

        return read


def _takes_body_alone(dependant: Dependant) -> bool:
    """Whether a route's function has one parameter, its body."""
    others = dependant.path_params, dependant.query_params, dependant.header_params, dependant.cookie_params
    named = dependant.request_param_name, dependant.response_param_name, dependant.background_tasks_param_name
    return len(dependant.body_params) == 1 and not any((*others, *named, dependant.dependencies))
