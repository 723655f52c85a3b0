"""Vectors from an OpenAI-compatible endpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.errors import LanguageError
from motet.language._calls import Calls
from motet.language._protocol import Progress
from motet.language._redact import redact
from motet.language._text import clean_text

if TYPE_CHECKING:
    import httpx

__all__ = ["KEY_VARIABLE", "EndpointEncoder"]

KEY_VARIABLE: Final = "MOTET_EMBEDDINGS_KEY"
_CHARACTERS_PER_TOKEN: Final = 4


class EndpointEncoder:
    """Asks ``POST {endpoint}/embeddings`` with the model's name and a list of texts.

    A time-out, a lost connection, a reply that is not JSON, and the statuses 408, 409, 425, 429,
    500, 502, 503 and 504 are tried again after 1, 2, 4 … times ``backoff_s``, or after what the
    server's Retry-After says. A key in the environment variable ``MOTET_EMBEDDINGS_KEY`` is sent
    as a bearer token and appears nowhere else.

    Personal data in texts is replaced by placeholders before they are sent (:func:`motet.language.redact`),
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
        """Encode texts; see :meth:`motet.language.TextEncoder.encode`."""
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
