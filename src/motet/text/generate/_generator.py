"""What a text generator is, what every generator checks, and how to ask one that may fail."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from motet.datasets import Progress
from motet.errors import GenerationError, MissingExtraError, MotetError

__all__ = [
    "Ending",
    "Generation",
    "GenerationSettings",
    "Generator",
    "Prompt",
    "ask_generator",
    "check_settings",
    "cut_at_stop",
    "out_of_time",
    "settled_length",
    "why_wrong",
]

Ending = Literal["stop", "length", "time"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question to a language model.

    Attributes:
        user: What is asked.
        system: How it should be answered; empty for nothing.
        examples: Earlier turns, (asked, answered) each.
    """

    user: str
    system: str = ""
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How texts are generated.

    Attributes:
        max_tokens: Longest answer, ≥ 1.
        temperature: 0 for the likeliest token each time.
        seed: Of sampling, where ``temperature`` is above 0.
        stop: Texts that end an answer; they are not part of it.
        answer: JSON schema that the answer must satisfy; an answer that does not is never returned.
        choices: The only answers allowed, each the whole of it; not together with ``answer``.
        time_limit_s: Seconds for the whole call; 0 for no time at all, None for no limit.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    answer: dict[str, Any] | None = field(default=None, hash=False)
    choices: tuple[str, ...] = ()
    time_limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer of a language model.

    Attributes:
        text: The answer; with ``answer`` or ``choices``, one that satisfies them.
        prompt_tokens: Tokens read.
        tokens: Tokens written.
        ended: Because the model stopped, at ``max_tokens`` (length), or at the time limit (time).
        elapsed_s: Seconds it took; of a batch, each answer's share.
        cached: Whether it was kept from an earlier call.
    """

    text: str
    prompt_tokens: int
    tokens: int
    ended: Ending
    elapsed_s: float
    cached: bool = False


class Generator(Protocol):
    """Writes texts.

    At temperature 0, the answer to a prompt depends on that prompt and the settings alone, never on
    its neighbours in a call.

    Attributes:
        name: What a person calls it.
        settings_key: Hash of everything about the model that changes its output; equal keys may
            share a cache.
    """

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    @property
    def settings_key(self) -> str:
        """Hash of everything about the model that changes the output."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of a text; an estimate where only the endpoint knows."""
        ...

    def generate(
        self,
        prompts: Sequence[Prompt],
        settings: GenerationSettings = GenerationSettings(),
        progress: Progress | None = None,
    ) -> list[Generation]:
        """Answer prompts.

        Args:
            prompts: n prompts.
            settings: The same for all.
            progress: Called with what is going on, the answers done, and the answers in all.

        Returns:
            n answers, in the order of the prompts.

        Raises:
            GenerationError: If the model cannot be loaded, the endpoint fails, time or budget run
                out before an answer, or no answer satisfies ``answer`` or ``choices``. Nothing is
                returned then: an answer is right or it is none.
        """
        ...

    def stream(self, prompt: Prompt, settings: GenerationSettings = GenerationSettings()) -> Iterator[str]:
        """Answer one prompt piece by piece; the pieces put together are the answer.

        Raises:
            GenerationError: As :meth:`generate`; pieces that came before it are no answer.
        """
        ...


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
