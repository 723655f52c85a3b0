"""What every generator checks, before it asks and before it answers."""

from __future__ import annotations

from collections.abc import Sequence

from motet.errors import GenerationError
from motet.language._generator import GenerationSettings

__all__ = ["check_settings", "cut_at_stop", "out_of_time", "settled_length"]


def check_settings(settings: GenerationSettings) -> None:
    """Refuse settings that contradict themselves, and a call that has no time at all.

    Raises:
        GenerationError: If a number is out of its range, ``answer`` and ``choices`` come together,
            or the time limit is 0.
    """

    def refuse(problem: str, cure: str) -> None:
        raise GenerationError(f"GenerationSettings: {problem}", cure)

    if settings.max_tokens < 1:
        refuse(f"max_tokens is {settings.max_tokens}", "let it be at least 1")
    if not settings.temperature >= 0:
        refuse(f"temperature is {settings.temperature}", "let it be 0 or more")
    if settings.answer is not None and settings.choices:
        refuse("answer and choices are both given", "give one of them")
    if settings.choices and (len(set(settings.choices)) < len(settings.choices) or "" in settings.choices):
        refuse("choices holds an empty text or the same one twice", "give each choice once")
    if "" in settings.stop:
        refuse("stop holds an empty text, which ends every answer", "leave it out")
    if settings.time_limit_s is not None and settings.time_limit_s <= 0:
        raise out_of_time("the generator")


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
    for mark in stop:
        for size in range(min(len(mark) - 1, end), 0, -1):
            if text[:end].endswith(mark[:size]):
                end = min(end, end - size)
                break
    return end
