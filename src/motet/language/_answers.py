"""What every generator checks, before it asks and before it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from motet.errors import GenerationError, MissingExtraError
from motet.language._generator import GenerationSettings

__all__ = ["check_settings", "cut_at_stop", "out_of_time", "settled_length", "why_wrong"]


def check_settings(settings: GenerationSettings) -> None:
    """Refuse settings that contradict themselves, and a call that has no time at all.

    Raises:
        GenerationError: If a number is out of its range, ``answer`` is no JSON schema or comes
            together with ``choices`` or ``stop``, or the time limit is 0.
        MissingExtraError: If ``answer`` is given and jsonschema is not installed.
    """

    def refuse(problem: str, cure: str) -> None:
        raise GenerationError(f"GenerationSettings: {problem}", cure)

    if settings.max_tokens < 1:
        refuse(f"max_tokens is {settings.max_tokens}", "let it be at least 1")
    if not 0 <= settings.temperature < float("inf"):
        refuse(f"temperature is {settings.temperature}", "let it be 0 or more")
    if settings.seed < 0:
        refuse(f"seed is {settings.seed}", "let it be 0 or more")
    if settings.answer is not None and settings.choices:
        refuse("answer and choices are both given", "give one of them")
    if settings.stop and (settings.answer is not None or settings.choices):
        refuse("stop would cut an answer that has to be whole", "leave it out")
    if len(set(settings.choices)) < len(settings.choices) or "" in settings.choices:
        refuse("choices holds an empty text or the same one twice", "give each choice once")
    if "" in settings.stop:
        refuse("stop holds an empty text, which ends every answer", "leave it out")
    if settings.answer is not None:
        _validator(settings.answer)
    if settings.time_limit_s is not None and not settings.time_limit_s > 0:
        raise out_of_time("the generator")


def why_wrong(text: str, settings: GenerationSettings) -> str | None:
    """Why a text is not an answer that the settings allow; None if it is one.

    Args:
        text: The whole answer.
        settings: With ``answer``, ``choices`` or neither.

    Example:
        >>> why_wrong("perhaps", GenerationSettings(choices=("yes", "no")))
        "it is 'perhaps', none of the choices"
    """
    if settings.choices:
        return None if text in settings.choices else f"it is {text[:80]!r}, none of the choices"
    if settings.answer is None:
        return None
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return f"it is not JSON ({error})"
    broken = next(_validator(settings.answer).iter_errors(value), None)
    if broken is None:
        return None
    return f"{broken.json_path} does not satisfy the schema: {broken.message[:160]}"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _validator(schema: Mapping[str, Any]) -> Any:
    try:
        from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415
        from referencing import Registry  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("jsonschema", "generate") from None
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise GenerationError(
            f"GenerationSettings.answer is not a JSON schema: {error.message[:160]}",
            "see json-schema.org, draft 2020-12",
        ) from error
    # An empty registry: a reference to elsewhere is not fetched.
    return Draft202012Validator(schema, registry=Registry())


def out_of_time(name: str) -> GenerationError:
    """The error of a call whose time ran out before an answer."""
    return GenerationError(
        f"{name}: the time limit ran out before an answer",
        "allow more seconds (language.generator_seconds), or fewer tokens",
    )


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """A text up to where the first of some others begins.

    Example:
        >>> cut_at_stop("one. two.", (".", "t"))
        'one'
    """
    return text[: min((at for at in (text.find(mark) for mark in stop) if at >= 0), default=len(text))]


def settled_length(text: str, stop: Sequence[str]) -> int:
    """How much of a growing text stays, whatever comes: no half character and no half stop text.

    Example:
        >>> settled_length("hello EN", ("END",))
        6
    """
    text = cut_at_stop(text, stop)
    end = len(text.rstrip("\ufffd"))
    halves = [size for mark in stop for size in range(1, len(mark)) if text[:end].endswith(mark[:size])]
    return end - max(halves, default=0)
