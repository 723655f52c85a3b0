"""Texts from an OpenAI-compatible endpoint."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from motet.assets import Progress
from motet.errors import GenerationError, LanguageError
from motet.language._answers import check_settings, cut_at_stop, settled_length, why_wrong
from motet.language._calls import Calls, RefusedCallError
from motet.language._chat_replies import (
    Reply,
    ask_for_schema,
    bare_answer,
    choice_of,
    in_words,
    pieces_of,
    question,
    read_reply,
)
from motet.language._generator import Generation, GenerationSettings, Prompt

if TYPE_CHECKING:
    import httpx

__all__ = ["LLM_KEY_VARIABLE", "EndpointGenerator"]

LLM_KEY_VARIABLE: Final = "MOTET_LLM_KEY"
_VERSION: Final = "chat-1"
_NO_SUCH_FORMAT: Final = frozenset({400, 404, 415, 422, 501})
_BYTES_PER_TOKEN: Final = 4


class EndpointGenerator:
    """Asks ``POST {endpoint}/chat/completions``.

    A time-out, a lost connection, a reply that is not JSON or has no answer in it, and the statuses
    408, 409, 425, 429, 500, 502, 503 and 504 are tried again after 1, 2, 4 … times ``backoff_s``, or
    after what the server's Retry-After says. A key in the environment variable ``MOTET_LLM_KEY`` is
    sent as a bearer token and appears nowhere else.

    With ``answer`` or ``choices``, the endpoint is asked to constrain the answer (``response_format``);
    one that refuses that is told the form in words. Either way the answer is checked here, a wrong one
    is asked for once more, and a second wrong one is an error.

    Personal data in prompts is replaced by placeholders before they are sent (:func:`motet.language.redact`),
    and with ``MOTET_OFFLINE=1`` nothing but an address of this machine is called.

    Args:
        model: Name of the model at the endpoint.
        endpoint: Base address, ``http://…/v1``.
        timeout_s: For connecting, and between two pieces of a reply.
        attempts: Tries a call, ≥ 1.
        backoff_s: First wait between tries.
        parallel: Calls at the same time, ≥ 1.

    Raises:
        GenerationError: If the address is none.
    """

    def __init__(
        self,
        model: str,
        endpoint: str,
        *,
        timeout_s: float = 60.0,
        attempts: int = 5,
        backoff_s: float = 0.5,
        parallel: int = 4,
    ) -> None:
        if not endpoint.startswith(("http://", "https://")):
            raise GenerationError(
                f"language.generator_endpoint: {endpoint!r} is not an http address",
                "write it as http://HOST:PORT/v1",
            )
        self.name = model
        self._calls = Calls(
            endpoint.rstrip("/") + "/chat/completions",
            LLM_KEY_VARIABLE,
            timeout_s,
            attempts,
            backoff_s,
            "language.generator_endpoint",
            _cure,
            "generate",
        )
        self._parallel = parallel
        self._takes_schemas = True
        key = f"{_VERSION}\0{self._calls.address}\0{model}"
        self.settings_key = hashlib.sha256(key.encode()).hexdigest()

    def count_tokens(self, text: str) -> int:
        """An estimate: four bytes a token, and one for each character of a script without spaces."""
        plain = sum(character < "\u2e80" for character in text)
        return -(-plain // _BYTES_PER_TOKEN) + len(text) - plain

    def generate(
        self,
        prompts: Sequence[Prompt],
        settings: GenerationSettings = GenerationSettings(),
        progress: Progress | None = None,
    ) -> list[Generation]:
        """Answer prompts; see :meth:`motet.language.Generator.generate`."""
        check_settings(settings)
        if not prompts:
            return []
        until_s = None if settings.time_limit_s is None else time.monotonic() + settings.time_limit_s
        answers: list[Generation | None] = [None] * len(prompts)
        with (
            _as_generation_error(),
            self._calls.client() as client,
            ThreadPoolExecutor(min(self._parallel, len(prompts))) as pool,
        ):
            jobs = {
                pool.submit(self._answer, client, prompt, settings, until_s): row
                for row, prompt in enumerate(prompts)
            }
            try:
                for done, job in enumerate(as_completed(jobs), 1):
                    answers[jobs[job]] = job.result()
                    if progress is not None:
                        progress("asking the endpoint", done, len(prompts))
            except BaseException:  # the calls that have not begun are not made
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [answer for answer in answers if answer is not None]

    def stream(self, prompt: Prompt, settings: GenerationSettings = GenerationSettings()) -> Iterator[str]:
        """Answer one prompt piece by piece; see :meth:`motet.language.Generator.stream`.

        An answer that must be one of ``choices``, or fit ``answer``, comes in one piece: before it is
        whole it cannot be checked.
        """
        if settings.choices or settings.answer is not None:
            yield self.generate([prompt], settings)[0].text
            return
        check_settings(settings)
        until_s = None if settings.time_limit_s is None else time.monotonic() + settings.time_limit_s
        body = {**question(self.name, prompt, settings), "stream": True}
        with _as_generation_error(), self._calls.client() as client:
            yield from _settled(
                self._calls.stream(
                    client, body, lambda reply: pieces_of(self._calls.lines(reply, until_s)), until_s
                ),
                settings.stop,
            )

    def _answer(
        self, client: httpx.Client, prompt: Prompt, settings: GenerationSettings, until_s: float | None
    ) -> Generation:
        began_s = time.monotonic()
        read, written = 0, 0
        formed = bool(settings.choices) or settings.answer is not None
        corrections: list[tuple[str, str]] = []
        wrong: str | None = None
        for _ in range(2):
            reply = self._ask(client, prompt, settings, corrections, until_s)
            read += self._counted(reply.prompt_tokens, prompt)
            written += self.count_tokens(reply.text) if reply.tokens is None else reply.tokens
            text = cut_at_stop(reply.text, settings.stop)
            if formed:
                text = bare_answer(text)
            if settings.choices:
                text = choice_of(text, settings.choices) or text
            wrong = why_wrong(text, settings)
            if wrong is None:
                return Generation(text, read, written, reply.ended, time.monotonic() - began_s)
            corrections = [(text, f"That is not what was asked for: {wrong}. Answer again.")]
        raise GenerationError(
            f"{self.name} answered wrongly twice: {wrong}",
            "use a model that follows the form of an answer, or allow more tokens (max_tokens)",
        )

    def _ask(
        self,
        client: httpx.Client,
        prompt: Prompt,
        settings: GenerationSettings,
        corrections: Sequence[tuple[str, str]],
        until_s: float | None,
    ) -> Reply:
        formed = bool(settings.choices) or settings.answer is not None
        plain = question(self.name, in_words(prompt, settings), settings, corrections=corrections)
        if formed and self._takes_schemas:
            try:
                return self._calls.ask(client, ask_for_schema(plain, settings), read_reply, until_s)
            except RefusedCallError as error:
                if error.status not in _NO_SUCH_FORMAT:
                    raise
            reply = self._calls.ask(client, plain, read_reply, until_s)
            self._takes_schemas = False  # it was the format that was refused: without it there is an answer
            return reply
        return self._calls.ask(client, plain, read_reply, until_s)

    def _counted(self, counted: int | None, prompt: Prompt) -> int:
        if counted is not None:
            return counted
        turns = [prompt.system, prompt.user, *(turn for example in prompt.examples for turn in example)]
        return sum(self.count_tokens(turn) for turn in turns)


def _settled(pieces: Iterator[str], stop: Sequence[str]) -> Iterator[str]:
    """The pieces up to the first stop text, of which nothing is shown."""
    if not stop:
        yield from pieces
        return
    text, shown = "", 0
    for piece in pieces:
        text += piece
        sure = settled_length(text, stop)
        if sure > shown:
            yield text[shown:sure]
            shown = sure
    rest = cut_at_stop(text, stop)[shown:]
    if rest:
        yield rest


@contextmanager
def _as_generation_error() -> Iterator[None]:
    try:
        yield
    except GenerationError:
        raise
    except LanguageError as error:
        raise GenerationError(error.problem, error.cure) from error


def _cure(status: int) -> str:
    if status in (401, 403):
        return f"set the environment variable {LLM_KEY_VARIABLE} to a key that the server accepts"
    if status == 404:
        return "check language.generator_endpoint (it ends in /v1 on most servers) and language.generator"
    return "check language.generator and the settings of the call against the server's limits"
