"""OpenAI-compatible endpoints: how one is called, and vectors from one."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from motet.datasets import OFFLINE_VARIABLE, Progress, is_offline
from motet.errors import LanguageError, MissingExtraError
from motet.text.safety import clean_text, redact

if TYPE_CHECKING:
    import httpx
    from tenacity import Retrying

__all__ = [
    "KEY_VARIABLE",
    "Again",
    "Calls",
    "EndpointEncoder",
    "OutOfTimeError",
    "RefusedCallError",
    "is_offline",
    "refuse_if_offline",
]


def refuse_if_offline(url: str, name: str = "") -> None:
    """Refuse an address outside this machine while offline mode is on.

    Only ``localhost`` and addresses written as loopback addresses count as this machine: no name is
    looked up, because looking a name up is a network call.

    Args:
        url: The address that is about to be called.
        name: What the error calls it; the address itself when left out.

    Raises:
        LanguageError: If ``MOTET_OFFLINE`` is set and the address is none of this machine. A user
            name, a password or a query in the address are not repeated.

    Example:
        >>> refuse_if_offline("http://127.0.0.1:8000/v1")
    """
    if is_offline() and not _is_loopback(_host(url)):
        raise LanguageError(
            f"{OFFLINE_VARIABLE} is set, so {name or _without_secrets(url)} is not called",
            f"use an address of this machine, or unset {OFFLINE_VARIABLE}",
        )


def _host(url: str) -> str:
    if "\\" in url or not url.isprintable() or " " in url:  # readers of addresses disagree about these
        return ""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # half a bracket, for example: its host is unknown
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    inner = getattr(address, "ipv4_mapped", None)
    return bool((inner or address).is_loopback)


def _without_secrets(url: str) -> str:
    before, mark, rest = url.partition("://")
    return (before + mark + rest.split("?")[0].split("#")[0].rpartition("@")[2])[:200]


T = TypeVar("T")

_log: Final = logging.getLogger("motet.text")
_WORTH_ANOTHER_TRY: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S: Final = 30.0
_LARGEST_REPLY_BYTES: Final = 256 * 2**20
_LARGEST_REFUSAL_BYTES: Final = 2000


class Again(Exception):  # noqa: N818 (it says what to do)
    """A reply that is worth another try.

    Args:
        why: What was wrong with it; nothing of the reply's own text.
        after_s: How long the server wants to be left alone.
    """

    def __init__(self, why: str, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.after_s = after_s


class OutOfTimeError(LanguageError):
    """The time for the whole call ran out."""


class RefusedCallError(LanguageError):
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
    the server's Retry-After says. Errors name the setting, never the address or what the server said: whoever
    asks a service must not learn them. Both are in the log ``motet.text`` at level INFO.

    Attributes:
        address: Where to.
        key_variable: Environment variable whose content is sent as a bearer token.
        timeout_s: For connecting, and between two pieces of a reply.
        attempts: Tries a call, ≥ 1.
        backoff_s: First wait between tries.
        setting: Setting that holds the address, for errors.
        cure: From a status that means refusal to what to do about it.
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

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"the endpoint of {self.setting}"

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
        refuse_if_offline(self.address, self.name)
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
            read: Given the reply; raises :class:`Again` if it is worth another try.
            until_s: Time of the monotonic clock by which the reply must be there.

        Raises:
            LanguageError: If all tries failed, the server refused, or time ran out.
        """

        def take(reply: httpx.Response) -> Iterator[T]:
            content = b"".join(self._pieces(reply, until_s, _LARGEST_REPLY_BYTES))
            try:
                value = json.loads(content)
            except (ValueError, RecursionError):
                raise Again("the reply is not JSON") from None
            yield read(value)

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
            read: Given a reply whose head is there; its parts.
            until_s: Time of the monotonic clock by which all must be there.

        Raises:
            LanguageError: As :meth:`ask`, or if the reply broke off after its first part.
        """
        from tenacity import RetryError  # noqa: PLC0415

        try:
            for attempt in self._tries(until_s):
                with attempt:
                    begun = False
                    try:
                        with self._posted(client, body, until_s) as reply:
                            for part in read(reply):
                                begun = True
                                yield part
                    except Again as error:
                        if begun:
                            raise LanguageError(
                                f"{self.name}: the answer broke off ({error})", "ask again"
                            ) from None
                        raise
        except RetryError as error:
            self._give_up(error.last_attempt.attempt_number, str(error.last_attempt.exception()))

    def lines(self, reply: httpx.Response, until_s: float | None) -> Iterator[str]:
        """Lines of a reply as they come, without their ends.

        Raises:
            OutOfTimeError: If time runs out before the end.
            Again: If the reply is not text, or far too long.
        """
        rest = b""
        for piece in self._pieces(reply, until_s, _LARGEST_REPLY_BYTES):
            *whole, rest = (rest + piece).split(b"\n")
            yield from map(_decoded, whole)
        if rest:
            yield _decoded(rest)

    def _tries(self, until_s: float | None) -> Retrying:
        from tenacity import (  # noqa: PLC0415
            RetryCallState,
            Retrying,
            retry_if_exception_type,
            stop_after_attempt,
            stop_before_delay,
            wait_exponential,
            wait_random,
        )

        growing = wait_exponential(self.backoff_s, _LONGEST_WAIT_S) + wait_random(0, self.backoff_s / 4)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome is not None else None
            return max(growing(state), error.after_s if isinstance(error, Again) else 0.0)

        stop = stop_after_attempt(self.attempts)
        left_s = self._left_s(until_s)
        return Retrying(
            stop=stop if left_s is None else stop | stop_before_delay(left_s),
            wait=wait,
            retry=retry_if_exception_type(Again),
        )

    @contextmanager
    def _posted(self, client: httpx.Client, body: Any, until_s: float | None) -> Iterator[httpx.Response]:
        """One try: a good reply, its body unread; trouble of the connection becomes :class:`Again`."""
        import httpx  # noqa: PLC0415

        left_s = self._left_s(until_s)
        timeout_s = self.timeout_s if left_s is None else min(self.timeout_s, left_s)
        try:
            with client.stream("POST", self.address, json=body, timeout=timeout_s) as reply:
                if not reply.is_success:
                    self._refused(reply, until_s)
                yield reply
        except httpx.TimeoutException:
            self._left_s(until_s)
            raise Again(f"no reply within {timeout_s:g} s") from None
        except httpx.ConnectError as error:
            _log.info("%s: no connection (%s)", self.address, error)
            plain = str(error).lower()
            refused = "refused" in plain or "all connection attempts failed" in plain
            raise Again("connection refused" if refused else "no connection") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Again(f"the connection broke ({type(error).__name__})") from None

    def _refused(self, reply: httpx.Response, until_s: float | None) -> None:
        said = b"".join(self._pieces(reply, until_s, _LARGEST_REFUSAL_BYTES, strict=False))
        text = redact(said.decode("utf-8", "replace").strip()[:500])
        _log.info("%s answered with status %d: %s", self.address, reply.status_code, text)
        why = f"status {reply.status_code}"
        if reply.status_code not in _WORTH_ANOTHER_TRY:
            raise RefusedCallError(
                f"{self.name} refused ({why})", self.cure(reply.status_code), reply.status_code
            )
        raise Again(why, _retry_after_s(reply))

    def _give_up(self, tries: int, why: str) -> None:
        check = f"check that the server runs and {self.setting} is its address"
        if tries < self.attempts:
            raise OutOfTimeError(
                f"{self.name}: {why}, and the time limit ran out before another try",
                f"{check}, or allow more seconds",
            )
        raise LanguageError(
            f"{self.name} failed {self.attempts} times, at last with: {why}",
            f"{check}; the log 'motet.text' at level INFO holds what it said",
        )

    def _left_s(self, until_s: float | None) -> float | None:
        if until_s is None:
            return None
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise OutOfTimeError(
                f"{self.name}: the time limit ran out before an answer", "allow more seconds, or ask for less"
            )
        return left_s

    def _pieces(
        self, reply: httpx.Response, until_s: float | None, most_bytes: int, strict: bool = True
    ) -> Iterator[bytes]:
        seen = 0
        for piece in reply.iter_bytes():
            self._left_s(until_s)  # a server that sends a byte now and then never runs into the time-out
            seen += len(piece)
            if seen > most_bytes and strict:
                raise Again(f"the reply has more than {most_bytes:,} bytes")
            yield piece
            if seen > most_bytes:
                return


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8").removesuffix("\r")
    except UnicodeDecodeError:
        raise Again("the reply is not UTF-8") from None


def _retry_after_s(reply: httpx.Response) -> float:
    try:
        return min(max(float(reply.headers.get("Retry-After", "0")), 0.0), _LONGEST_WAIT_S)
    except ValueError:  # an HTTP date: our own back-off serves as well
        return 0.0


KEY_VARIABLE: Final = "MOTET_EMBEDDINGS_KEY"
_CHARACTERS_PER_TOKEN: Final = 4


class EndpointEncoder:
    """Asks ``POST {endpoint}/embeddings`` with the model's name and a list of texts.

    A time-out, a lost connection, a reply that is not JSON, and the statuses 408, 409, 425, 429,
    500, 502, 503 and 504 are tried again after 1, 2, 4 … times ``backoff_s``, or after what the
    server's Retry-After says. A key in the environment variable ``MOTET_EMBEDDINGS_KEY`` is sent
    as a bearer token and appears nowhere else.

    Personal data in texts is replaced by placeholders before they are sent (:func:`motet.text.safety.redact`),
    and with ``MOTET_OFFLINE=1`` nothing but an address of this machine is called.

    Args:
        model: Name of the model at the endpoint.
        endpoint: Base address, ``http://…/v1``.
        max_tokens: Texts are cut at four characters a token: the endpoint's own tokens are unknown.
        batch_size: Texts a call.
        timeout_s: For connecting, and between two pieces of a reply.
        attempts: Tries a call, ≥ 1.
        backoff_s: First wait between tries.

    Raises:
        LanguageError: If the address is none.
        MissingExtraError: On the first use, if a package of the extra is not installed.
    """

    def __init__(
        self,
        model: str,
        endpoint: str,
        *,
        max_tokens: int = 512,
        batch_size: int = 64,
        timeout_s: float = 30.0,
        attempts: int = 5,
        backoff_s: float = 0.5,
    ) -> None:
        if not endpoint.startswith(("http://", "https://")):
            raise LanguageError(
                f"language.endpoint: {endpoint!r} is not an http address", "write it as http://HOST:PORT/v1"
            )
        self.name = model
        self._address = endpoint.rstrip("/") + "/embeddings"
        self._calls = Calls(
            self._address, KEY_VARIABLE, timeout_s, attempts, backoff_s, "language.endpoint", self._cure
        )
        self._longest = _CHARACTERS_PER_TOKEN * max_tokens
        self._batch_size = batch_size
        key = f"endpoint-2\0{self._address}\0{model}\0{self._longest}"
        self.settings_key = hashlib.sha256(key.encode()).hexdigest()

    @cached_property
    def width(self) -> int:
        """Length of a vector; asked of the endpoint with one word."""
        with self._calls.client() as client:
            return len(self._ask(client, ["width"])[0])

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Encode texts; see :meth:`motet.text.encode.TextEncoder.encode`."""
        cleaned = [redact(clean_text(text, self._longest)) for text in texts]
        filled = [row for row, text in enumerate(cleaned) if text]
        vectors = np.zeros((len(texts), self.width), np.float32)
        if not filled:
            return vectors
        with self._calls.client() as client:
            for start in range(0, len(filled), self._batch_size):
                rows = filled[start : start + self._batch_size]
                found = self._ask(client, [cleaned[row] for row in rows])
                if found.shape[1] != self.width:
                    raise self._broken(
                        f"it sent vectors of {found.shape[1]} numbers after some of {self.width}"
                    )
                vectors[rows] = found
                if progress is not None:
                    progress("encoding text", start + len(rows), len(filled))
        return vectors

    def _ask(self, client: httpx.Client, texts: list[str]) -> NDArray[np.float32]:
        body = {"model": self.name, "input": texts}
        return self._calls.ask(client, body, lambda reply: self._read(reply, len(texts)))

    def _read(self, reply: Any, count: int) -> NDArray[np.float32]:
        try:
            entries = sorted(reply["data"], key=lambda entry: int(entry["index"]))
            indices = [int(entry["index"]) for entry in entries]
            rows = [entry["embedding"] for entry in entries]
        except (KeyError, TypeError, ValueError) as error:
            raise self._broken("it has no data[].index and data[].embedding") from error
        if indices != list(range(count)):
            raise self._broken(f"it holds {len(rows)} vectors for {count} texts")
        try:
            vectors = np.asarray(rows, np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            raise self._broken("its vectors differ in length or are not numbers") from error
        if vectors.ndim != 2 or not vectors.shape[1]:
            raise self._broken("its vectors are not lists of numbers")
        if not np.isfinite(vectors).all():
            raise self._broken("it holds a number that is not finite")
        return vectors

    def _broken(self, why: str) -> LanguageError:
        return LanguageError(
            f"the reply of {self._calls.name} is not an embeddings reply: {why}",
            "check that language.endpoint is the base address of an OpenAI-compatible server",
        )

    def _cure(self, status: int) -> str:
        if status in (401, 403):
            return f"set the environment variable {KEY_VARIABLE} to a key that the server accepts"
        if status == 404:
            return "check language.endpoint (it ends in /v1 on most servers) and language.encoder"
        return (
            "check language.encoder, language.max_tokens and language.batch_size against the server's limits"
        )
