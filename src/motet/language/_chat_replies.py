"""What an OpenAI-compatible /chat/completions endpoint is asked, and what it says."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from motet.language._calls import Again
from motet.language._generator import Ending, GenerationSettings, Prompt
from motet.language._redact import redact

__all__ = [
    "Reply",
    "ask_for_schema",
    "bare_answer",
    "choice_of",
    "in_words",
    "pieces_of",
    "question",
    "read_reply",
]

_log: Final = logging.getLogger("motet.language")
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
    """The prompt with the form of the answer said in words, for endpoints that enforce none."""
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
