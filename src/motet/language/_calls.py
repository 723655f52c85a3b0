"""Calls to an OpenAI-compatible endpoint: what is tried again, when, and how often."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from motet.errors import LanguageError, MissingExtraError
from motet.language._offline import is_offline, refuse_if_offline

if TYPE_CHECKING:
    import httpx

__all__ = ["Again", "Calls", "OutOfTimeError", "Refused", "lines_of"]

T = TypeVar("T")

_WORTH_ANOTHER_TRY: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S: Final = 30.0
_LARGEST_REPLY_BYTES: Final = 256 * 2**20
_LARGEST_REFUSAL_BYTES: Final = 2000


class Again(Exception):  # noqa: N818 (it says what to do)
    """A reply that is worth another try; its text says what was wrong with it."""


class OutOfTimeError(LanguageError):
    """The time for the whole call ran out."""


class Refused(LanguageError):  # noqa: N818
    """The server refused, and another try would not change that.

    Args:
        problem: What was refused.
        cure: What to do about it.
        status: The HTTP status.
    """

    def __init__(self, problem: str, cure: str, status: int) -> None:
        super().__init__(problem, cure)
        self.status = status


@dataclass(frozen=True, slots=True)
class Calls:
    """How one address is called.

    A time-out, a lost connection, a reply that is not what it should be, and the statuses 408, 409,
    425, 429, 500, 502, 503 and 504 are tried again after 1, 2, 4 … times ``backoff_s``, or after what
    the server's Retry-After says.

    Attributes:
        address: Where to.
        key_variable: Environment variable whose content is sent as a bearer token.
        timeout_s: For connecting, and between two pieces of a reply.
        attempts: Tries a call, ≥ 1.
        backoff_s: First wait between tries.
        setting: Setting that holds the address, for errors.
        cure: Told a status that means refusal; what to do about it.
        extra: The extra of motet that brings httpx.
    """

    address: str
    key_variable: str
    timeout_s: float
    attempts: int
    backoff_s: float
    setting: str
    cure: Callable[[int], str]
    extra: str = "language"

    def client(self) -> httpx.Client:
        """A client for some calls.

        Raises:
            LanguageError: If offline mode forbids the address.
            MissingExtraError: If httpx is not installed.
        """
        try:
            import httpx  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("httpx", self.extra) from None
        refuse_if_offline(self.address)
        key = os.environ.get(self.key_variable, "").strip()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # Redirects stay unfollowed: a key must not travel to another host.
        # Offline, the environment's proxy stays unused: it would take even a call to this machine elsewhere.
        return httpx.Client(headers=headers, follow_redirects=False, trust_env=not is_offline())

    def ask(
        self, client: httpx.Client, body: Any, read: Callable[[Any], T], until_s: float | None = None
    ) -> T:
        """Post JSON, and read the JSON that comes back.

        Args:
            client: Of :meth:`client`.
            body: What is sent.
            read: Told the reply; raises :class:`Again` if it is worth another try.
            until_s: Time of the monotonic clock by which the reply must be there.

        Raises:
            LanguageError: If all tries failed, the server refused, or time ran out.
        """

        def take(reply: httpx.Response) -> Iterator[T]:
            yield read(json.loads(b"".join(_pieces(reply, until_s, _LARGEST_REPLY_BYTES))))

        (answer,) = self.stream(client, body, take, until_s)
        return answer

    def stream(
        self,
        client: httpx.Client,
        body: Any,
        read: Callable[[httpx.Response], Iterator[T]],
        until_s: float | None = None,
    ) -> Iterator[T]:
        """Post JSON, and give out parts of the reply as they come.

        Another try is made only before the first part: after it, it would be another reply.

        Args:
            client: Of :meth:`client`.
            body: What is sent.
            read: Told a reply whose head is there; its parts.
            until_s: Time of the monotonic clock by which all must be there.

        Raises:
            LanguageError: As :meth:`ask`, or if the reply broke off after its first part.
        """
        why = ""
        for attempt in range(self.attempts):
            wait_s = self.backoff_s * 2**attempt * random.uniform(0.75, 1.25)  # noqa: S311 (no secret)
            begun = False
            try:
                with self._posted(client, body, until_s) as reply:
                    if reply.is_success:
                        for part in read(reply):
                            begun = True
                            yield part
                        return
                    said = b"".join(_pieces(reply, until_s, _LARGEST_REFUSAL_BYTES, strict=False))
                    text = said.decode("utf-8", "replace").strip()[:200]
                    why = f"status {reply.status_code}: {text}"
                    if reply.status_code not in _WORTH_ANOTHER_TRY:
                        problem = f"{self.address} refused ({why})"
                        raise Refused(problem, self.cure(reply.status_code), reply.status_code)
                    wait_s = max(wait_s, _retry_after_s(reply))
            except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
                why = "the reply is not JSON"
            except Again as error:
                why = str(error)
            if begun:
                raise LanguageError(f"{self.address}: the answer broke off ({why})", "ask again")
            if attempt + 1 < self.attempts:
                self._wait(wait_s, until_s, why)
        raise LanguageError(
            f"{self.address} failed {self.attempts} times, at last with: {why}",
            f"check that the server runs and {self.setting} is its address; what was answered so far is kept",
        )

    @contextmanager
    def _posted(self, client: httpx.Client, body: Any, until_s: float | None) -> Iterator[httpx.Response]:
        """One try: the reply, its body unread; trouble of the connection becomes :class:`Again`."""
        import httpx  # noqa: PLC0415

        left_s = self._left_s(until_s)
        timeout_s = self.timeout_s if left_s is None else min(self.timeout_s, left_s)
        try:
            with client.stream("POST", self.address, json=body, timeout=timeout_s) as reply:
                yield reply
        except httpx.TimeoutException:
            self._left_s(until_s)
            raise Again(f"no reply within {timeout_s:g} s") from None
        except httpx.ConnectError as error:
            raise Again(_plainly(str(error))) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Again(f"{type(error).__name__}: {error}") from None

    def _wait(self, wait_s: float, until_s: float | None, why: str) -> None:
        left_s = None if until_s is None else until_s - time.monotonic()
        if left_s is not None and left_s <= wait_s:
            raise OutOfTimeError(
                f"{self.address}: {why}, and the time limit ran out before another try",
                f"check that the server runs and {self.setting} is its address, or allow more seconds",
            )
        time.sleep(wait_s)

    def _left_s(self, until_s: float | None) -> float | None:
        if until_s is None:
            return None
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise _out_of_time(self.address)
        return left_s


def lines_of(reply: httpx.Response, until_s: float | None) -> Iterator[str]:
    """Lines of a reply as they come, without their ends.

    Raises:
        OutOfTimeError: If time runs out before the end.
        Again: If the reply is not text, or far too long.
    """
    rest = b""
    for piece in _pieces(reply, until_s, _LARGEST_REPLY_BYTES):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield _decoded(line)
    if rest:
        yield _decoded(rest)


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8").removesuffix("\r")
    except UnicodeDecodeError:
        raise Again("the reply is not UTF-8") from None


def _pieces(
    reply: httpx.Response, until_s: float | None, most_bytes: int, strict: bool = True
) -> Iterator[bytes]:
    seen = 0
    for piece in reply.iter_bytes():
        # A server that sends a byte now and then never runs into the time-out between two pieces.
        if until_s is not None and time.monotonic() >= until_s:
            raise _out_of_time(str(reply.request.url))
        seen += len(piece)
        if seen > most_bytes:
            if strict:
                raise Again(f"the reply has more than {most_bytes:,} bytes")
            yield piece
            return
        yield piece


def _plainly(problem: str) -> str:
    """What a connection failed with, without the number of the error."""
    if "refused" in problem.lower() or "all connection attempts failed" in problem.lower():
        return "connection refused"
    return f"no connection ({problem})"


def _out_of_time(address: str) -> OutOfTimeError:
    return OutOfTimeError(
        f"{address}: the time limit ran out before an answer", "allow more seconds, or ask for less"
    )


def _retry_after_s(reply: httpx.Response) -> float:
    try:
        return min(max(float(reply.headers.get("Retry-After", "0")), 0.0), _LONGEST_WAIT_S)
    except ValueError:  # an HTTP date: our own back-off serves as well
        return 0.0
