"""A generator asked by somebody whose own answer does not depend on it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Final

from motet.errors import MotetError
from motet.language._generator import GenerationSettings, Generator, Prompt

__all__ = ["ask_generator"]

_GRACE_S: Final = 1.0
_LONGEST_PROBLEM: Final = 200


def ask_generator(
    generator: Generator, prompts: Sequence[Prompt], settings: GenerationSettings
) -> tuple[list[str], str]:
    """Ask a generator that may fail, hang, or answer something else than texts.

    Args:
        generator: Any; it is left alone where it takes longer than ``settings.time_limit_s``.
        prompts: n prompts.
        settings: How; with a time limit of 0, nothing is asked.

    Returns:
        n texts and "", or no texts and why in words.

    Example:
        >>> class Gone:
        ...     def generate(self, prompts, settings): raise OSError("no such file")
        >>> ask_generator(Gone(), [Prompt("Hello")], GenerationSettings(time_limit_s=5))
        ([], 'the language model failed (OSError: no such file)')
    """
    limit_s = settings.time_limit_s
    if limit_s is not None and limit_s <= 0:
        return [], "there was no time for a language model"
    answer: queue.SimpleQueue[tuple[list[str], str]] = queue.SimpleQueue()
    threading.Thread(
        target=lambda: answer.put(_texts(generator, prompts, settings)), name="generator", daemon=True
    ).start()
    try:
        return answer.get(timeout=None if limit_s is None else limit_s + _GRACE_S)
    except queue.Empty:
        return [], f"the language model did not answer within {limit_s:g} s"


def _texts(
    generator: Generator, prompts: Sequence[Prompt], settings: GenerationSettings
) -> tuple[list[str], str]:
    try:
        found = list(generator.generate(prompts, settings))
    except MotetError as error:
        return [], error.problem
    except Exception as error:  # whatever a generator does, who asked goes on
        return [], f"the language model failed ({type(error).__name__}: {str(error)[:_LONGEST_PROBLEM]})"
    if not all(isinstance(getattr(one, "text", None), str) for one in found):
        return [], "the language model answered something else than texts"
    if len(found) != len(prompts):
        return [], f"the language model gave {len(found)} answers to {len(prompts)} questions"
    return [one.text for one in found], ""
