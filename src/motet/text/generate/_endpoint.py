"""Texts from an OpenAI-compatible /chat/completions endpoint."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from motet.datasets import Progress
from motet.errors import GenerationError, LanguageError
from motet.text.encode import Again, Calls, RefusedCallError
from motet.text.generate._generator import (
    Ending,
    Generation,
    GenerationSettings,
    Prompt,
    check_settings,
    cut_at_stop,
    settled_length,
    why_wrong,
)
from motet.text.safety import redact

if TYPE_CHECKING:
    import httpx

__all__ = [
    "LLM_KEY_VARIABLE",
    "EndpointGenerator",
    "Reply",
    "ask_for_schema",
    "bare_answer",
    "choice_of",
    "in_words",
    "pieces_of",
    "question",
    "read_reply",
]

_log: Final = logging.getLogger("motet.text")
_CHOICE: Final = "answer"
_THOUGHT: Final = re.compile(r"\A.*</think>", re.DOTALL)
_FENCED: Final = re.compile(r"```[^\S\n]*\w{0,20}\s(.*?)```", re.DOTALL)
_MOST_STOPS: Final = 4


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply.

    Attributes:
        text: What the model wrote.
        ended: ``stop`` or ``length``.
        prompt_tokens: As the endpoint counted them; None where it did not.
        tokens: As the endpoint counted them; None where it did not.
    """

    text: str
    ended: Ending
    prompt_tokens: int | None
    tokens: int | None


def question(
    model: str, prompt: Prompt, settings: GenerationSettings, *, corrections: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """The body of a call; personal data in any text is replaced before it is in it.

    Args:
        model: Name of the model at the endpoint.
        prompt: What is asked.
        settings: How.
        corrections: (wrong answer, what was wrong with it) of earlier tries.
    """
    turns = [{"role": "system", "content": prompt.system}] if prompt.system else []
    for asked, answered in prompt.examples:
        turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    turns.append({"role": "user", "content": prompt.user})
    for wrong, why in corrections:
        turns += [{"role": "assistant", "content": wrong}, {"role": "user", "content": why}]
    body: dict[str, Any] = {
        "model": model,
        "messages": [{**turn, "content": redact(_whole(turn["content"]))} for turn in turns],
        "max_tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "seed": settings.seed,
    }
    if settings.stop:
        body["stop"] = list(settings.stop[:_MOST_STOPS])  # the rest is cut here
    return body


def ask_for_schema(body: dict[str, Any], settings: GenerationSettings) -> dict[str, Any]:
    """The same, with ``response_format``: the endpoint is to constrain the answer itself."""
    schema = settings.answer
    if settings.choices:
        only = {"type": "string", "enum": list(settings.choices)}
        schema = {
            "type": "object",
            "properties": {_CHOICE: only},
            "required": [_CHOICE],
            "additionalProperties": False,
        }
    if schema is None:
        return body
    wanted = {"name": "answer", "schema": schema, "strict": True}
    return {**body, "response_format": {"type": "json_schema", "json_schema": wanted}}


def in_words(prompt: Prompt, settings: GenerationSettings) -> Prompt:
    """The prompt with the form of the answer as text, for endpoints that enforce none."""
    if settings.choices:
        rule = "Answer with one of these and nothing else: " + json.dumps(
            settings.choices, ensure_ascii=False
        )
    elif settings.answer is not None:
        schema = json.dumps(settings.answer, ensure_ascii=False)
        rule = f"Answer with JSON and nothing else, by this JSON schema: {schema}"
    else:
        return prompt
    return Prompt(prompt.user, f"{prompt.system}\n\n{rule}".strip(), prompt.examples)


def bare_answer(text: str) -> str:
    r"""The JSON or the choice in an answer: without the thoughts before it and the code fence around it.

    Text that is JSON already stays as it is, whatever its strings hold.

    Example:
        >>> bare_answer('<think>A city?</think>\n```json\n{"city": "Paris"}\n```')
        '{"city": "Paris"}'
    """
    if _is_json(text):
        return text
    said = _THOUGHT.sub("", text).strip()
    fenced = _FENCED.search(said)
    return said if fenced is None or _is_json(said) else fenced[1].strip()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def choice_of(text: str, choices: Sequence[str]) -> str | None:
    """The choice that an answer means: bare, in quotes, or in the JSON that was asked for; None for none.

    Example:
        >>> choice_of('{"answer": "yes"}', ("yes", "no")), choice_of(" No. ", ("yes", "no")), choice_of("maybe", ("yes",))
        ('yes', 'no', None)
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if isinstance(value, dict):
        value = value.get(_CHOICE)
    if not isinstance(value, str):
        return None
    if value in choices:
        return value
    bare = value.strip().strip("\"'`.").strip().casefold()
    same = [choice for choice in choices if choice.strip().casefold() == bare]
    return same[0] if len(same) == 1 else None


def read_reply(content: Any) -> Reply:
    """Read a whole reply.

    Raises:
        Again: If it is none, is empty, or was stopped by a filter.
    """
    try:
        first = content["choices"][0]
        text, reason = first["message"]["content"], first.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Again("the reply has no choices[0].message.content") from None
    if text is not None and not isinstance(text, str):
        raise Again("choices[0].message.content is no text")
    return _finished(_whole(text or ""), reason, content.get("usage"))


def _whole(text: str) -> str:
    """Text without halves of surrogate pairs, which JSON can say and nothing can write."""
    return text.encode("utf-8", "replace").decode()


def _finished(text: str, reason: Any, usage: Any) -> Reply:
    if reason == "content_filter":
        raise Again("the endpoint's filter withheld the answer")
    if not text.strip():
        raise Again("the answer is empty")
    ended: Ending = "length" if reason == "length" else "stop"
    return Reply(text, ended, _count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def pieces_of(lines: Iterator[str]) -> Iterator[str]:
    """Pieces of a streamed answer (server-sent events), as they come.

    Raises:
        Again: If a piece cannot be read, the stream breaks off, or the answer is empty.
    """
    text, reason, done = "", None, False
    for line in lines:
        if not line.startswith("data:"):  # comments, names of events, blank lines
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            done = True
            break
        try:
            content = json.loads(data)
            choices = content.get("choices") or []
            if content.get("error"):
                _log.info("the endpoint reported in a stream: %s", redact(str(content["error"])[:500]))
                raise Again("the endpoint reported an error")
            piece = choices[0].get("delta", {}).get("content") if choices else None
            reason = (choices[0].get("finish_reason") if choices else None) or reason
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            raise Again("a piece of the stream is not what it should be") from None
        if piece is not None and not isinstance(piece, str):
            raise Again("a piece of the stream is no text")
        if piece:
            text += piece
            yield _whole(piece)
    if not done and reason is None:
        raise Again("the stream broke off")
    _finished(text, reason, None)


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
    one that refuses gets the form as text in the prompt. Either way the answer is checked here, a wrong one
    is asked for once more, and a second wrong one is an error.

    Personal data in prompts is replaced by placeholders before they are sent (:func:`motet.text.safety.redact`),
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
        """Answer prompts; see :meth:`motet.text.generate.Generator.generate`."""
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
        """Answer one prompt piece by piece; see :meth:`motet.text.generate.Generator.stream`.

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
