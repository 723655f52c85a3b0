"""Bodies are counted as they come, looked at before anybody parses them, and read up to the first thing that is wrong."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from json.decoder import JSONDecodeError
from typing import Annotated, Any, Final, NoReturn, get_args, get_origin

import numpy as np
from annotated_types import MaxLen
from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.types import Receive

from motet.service.api._work import Work

__all__ = [
    "LARGE_BYTES",
    "WORK",
    "BodyError",
    "BodyReader",
    "BodyRoute",
    "JsonShape",
    "json_shape",
    "read_body",
]

LARGE_BYTES: Final = 2**16
"""A larger body is looked at and read off the event loop."""

WORK: Final = "motet.work"
"""Where a request holds the threads that large bodies are read by."""

_BLOCK: Final = 2**18
_QUOTE, _BACKSLASH, _COMMA, _COLON, _LOWER = 0x22, 0x5C, 0x2C, 0x3A, 0x20
_OPEN, _CLOSE = 0x7B, 0x7D  # of an object; of a list they are the same without the bit of lower case
_Places = NDArray[np.int64]
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_SCAN: Final = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class BodyError(Exception):
    """A body that is not taken.

    Args:
        status: As which HTTP status.
        detail: What is wrong.
        cure: What to do.
    """

    def __init__(self, status: int, detail: str, cure: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.cure = status, detail, cure


@dataclass(frozen=True, slots=True)
class JsonShape:
    """What a JSON text costs, whatever it says.

    Attributes:
        depth: Deepest nesting.
        containers: Lists and objects.
        strings: Texts, names of members included.
        values: Values of lists and members of objects; an empty one counts as one.
        members: Of the object that has most.
    """

    depth: int
    containers: int
    strings: int
    values: int
    members: int


def json_shape(body: bytes) -> JsonShape:
    """Count brackets, strings and commas of a JSON text, in blocks: little memory, and other threads have their turn.

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
    """Counts the members of the objects that are open, block by block."""

    def __init__(self) -> None:
        self.most = 0
        self._open: dict[int, int] = {}  # members so far of the object that is open at each depth

    def add(self, colons: _Places, opens: _Places, depths: NDArray[np.int32]) -> None:
        """Count on.

        Args:
            colons: Where they are in this block.
            opens: Where brackets open.
            depths: Behind each byte.
        """
        at, begins = depths[colons], depths[opens]
        for depth in np.unique(np.concatenate([at, begins])).tolist():
            objects = np.searchsorted(opens[begins == depth], colons[at == depth])
            counts = np.bincount(objects, minlength=int(np.count_nonzero(begins == depth)) + 1)
            counts[0] += self._open.get(depth, 0)
            self.most = max(self.most, int(counts.max()))
            self._open[depth] = int(counts[-1])


def _drop_escaped(block: NDArray[np.uint8], is_quote: NDArray[np.bool_], escaped: bool) -> bool:
    """Forget quotes behind an odd number of backslashes; whether the first byte of the next block is escaped."""
    if escaped:
        is_quote[0] = False
    slashes = np.flatnonzero(block == _BACKSLASH)
    if escaped and len(slashes) and slashes[0] == 0:
        slashes = slashes[1:]  # it is what the one before escapes
    if not len(slashes):
        return False
    first = np.flatnonzero(np.diff(slashes, prepend=-2) != 1)
    lengths = np.diff(first, append=len(slashes))
    behind = slashes[first] + lengths
    behind = behind[lengths % 2 == 1]
    is_quote[behind[behind < len(block)]] = False
    return bool(len(behind)) and int(behind[-1]) == len(block)


# the closing quote may be missing: a pattern that can fail would be tried again from every quote
_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def json_depth(body: bytes) -> int:
    """Deepest nesting of brackets outside of strings; of a short text faster than :func:`json_shape`.

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
    receive: Receive, *, told_bytes: int | None, most_bytes: int, limit_s: float
) -> bytes | None:
    """The whole body; None where the client went away.

    Args:
        receive: Where it comes from.
        told_bytes: Its length as the client told it.
        most_bytes: Most bytes.
        limit_s: Longest time for all of it.

    Raises:
        BodyError: If it is too large or too slow.
    """
    large = BodyError(413, f"the body is larger than {most_bytes} bytes", "send it in several requests")
    if told_bytes is not None and told_bytes > most_bytes:
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


# -- reading -----------------------------------------------------------------------------------


class _Text:
    """A JSON text, and how far it was read."""

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def is_next(self, sign: str) -> bool:
        """Whether a sign comes next, after white space, which is passed over."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match is not None else self.at
        return self.text.startswith(sign, self.at)

    def take(self, sign: str) -> bool:
        """Pass over a sign; whether it was there."""
        there = self.is_next(sign)
        self.at += there
        return there

    def value(self) -> Any:
        """Whatever comes next."""
        self.is_next("")
        try:
            found, self.at = _SCAN(self.text, self.at)
        except StopIteration as end:
            self.at = end.value
            self.fail("Expecting value")
        return found

    def fail(self, problem: str) -> NoReturn:
        """Say that this is no JSON."""
        raise JSONDecodeError(problem, self.text, self.at)


@dataclass(frozen=True, slots=True)
class _Elements:
    """What the elements of a list must be, and how many there may be."""

    each: TypeAdapter[Any]
    most: int | None


class BodyReader:
    """Makes of a body what an operation takes, and stops at the first element that is wrong.

    Elements of the lists of a large body are read and checked one by one: nothing is made of what comes after a wrong
    one, and other threads have their turn between two.

    Args:
        kind: What the operation takes, as a type.
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
                self._names = set(fields)

    def read(self, body: bytes) -> Any:
        """The body as the operation takes it.

        Raises:
            RequestValidationError: If it is no JSON, or something else.
            HTTPException: If it holds what cannot be held here.
        """
        try:
            content = self._content(body)
        except JSONDecodeError as error:
            raise _refused("json_invalid", (error.pos,), "JSON decode error", error=error.msg) from None
        except (ValueError, RecursionError):  # not in UTF-8, or a number of thousands of digits
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
        """The members of an object one by one; the first one that is not known is the last that is read."""
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
    """What a list is of; None where it is none."""
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
    said = {"type": kind, "loc": ("body", *where), "msg": problem, "input": None, "ctx": about}
    return RequestValidationError([said])


class _ReadRequest(Request):
    """A request whose body was read."""

    def __init__(self, request: Request, content: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._content = content

    async def body(self) -> bytes:
        """Some JSON: what it says was read."""
        return b"{}"

    async def json(self) -> Any:
        """What was made of the body."""
        return self._content


class BodyRoute(APIRoute):
    """A route whose body is read up to the first thing that is wrong, and off the event loop where it is large."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, which gets what was made of the body."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler
        about = self.body_field.field_info
        reader = BodyReader(Annotated[(about.annotation, *about.metadata)] if about.metadata else about.annotation)  # fmt: skip

        async def read(request: Request) -> Response:
            body = await request.body()
            if not body:
                return await handler(request)
            if len(body) <= LARGE_BYTES:
                content = reader.read(body)
            else:
                work: Work | None = request.scope.get(WORK)
                call = partial(reader.read, body)
                content = await (work.run("body", call) if work is not None else asyncio.to_thread(call))
            return await handler(_ReadRequest(request, content))

        return read
