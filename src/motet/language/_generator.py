"""What a text generator is: prompts in, texts out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from motet.assets import Progress

__all__ = ["Ending", "Generation", "GenerationSettings", "Generator", "Prompt"]

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
