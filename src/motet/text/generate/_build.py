"""From settings to a generator, and generators that stop when a budget or a time ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

from motet.datasets import Progress
from motet.errors import GenerationError
from motet.schema import LanguageSettings
from motet.text.encode import one_in_use
from motet.text.generate._cache import CachedGenerator, GenerationCache
from motet.text.generate._endpoint import EndpointGenerator
from motet.text.generate._generator import Generation, GenerationSettings, Generator, Prompt, check_settings
from motet.text.generate._local import LocalGenerator

__all__ = ["BudgetedGenerator", "Estimate", "GenerationBudget", "build_generator"]

_MILLION: Final = 1_000_000
_AT_ONCE: Final = 32
_TURN_TOKENS: Final = 8  # what a chat form adds around a turn


@dataclass(frozen=True, slots=True)
class GenerationBudget:
    """What a generator may spend; None for no limit.

    Attributes:
        tokens: Tokens read and written.
        seconds: Seconds of generating; 0 for none at all.
        money: In the currency of the prices.
        price_read: For a million tokens read.
        price_written: For a million tokens written.
    """

    tokens: int | None = None
    seconds: float | None = None
    money: float | None = None
    price_read: float = 0.0
    price_written: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job would cost at the most.

    Attributes:
        prompts: Answers asked for.
        tokens_read: Tokens of the prompts.
        tokens_written: Most tokens of the answers.
        money: Of both, at the budget's prices.
        seconds: By the speed seen so far; None before the first answer.
        fits: Whether it is within what is left.
    """

    prompts: int
    tokens_read: int
    tokens_written: int
    money: float
    seconds: float | None
    fits: bool


class BudgetedGenerator:
    """A generator that stops when its budget ends.

    A call that could cost more tokens or money than are left is refused before anything is asked;
    time is watched while it runs. A call that failed counts as if it had cost the most it could.
    Calls from several threads share the budget. Put a cache around it, not inside: what is known
    does not reach the budget then.

    Args:
        generator: Writes the answers.
        budget: What it may spend in all its calls.

    Raises:
        GenerationError: If a limit or a price is negative, or money is limited without a price.
    """

    def __init__(self, generator: Generator, budget: GenerationBudget) -> None:
        amounts = (budget.tokens, budget.seconds, budget.money, budget.price_read, budget.price_written)
        if any(amount is not None and not amount >= 0 for amount in amounts):
            raise GenerationError(f"{budget} holds a negative amount", "let every amount be 0 or more")
        if budget.money is not None and not budget.price_read + budget.price_written:
            raise GenerationError(
                "a budget of money needs a price", "give price_read and price_written, for a million tokens"
            )
        self._generator = generator
        self.budget = budget
        self.tokens_read = 0
        self.tokens_written = 0
        self.seconds = 0.0
        self._lock = Lock()

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self._generator.name

    @property
    def settings_key(self) -> str:
        """Key of the generator inside."""
        return self._generator.settings_key

    @property
    def money(self) -> float:
        """Spent so far."""
        return self._money(self.tokens_read, self.tokens_written)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, as the generator inside counts them."""
        return self._generator.count_tokens(text)

    def estimate(
        self, prompts: Sequence[Prompt], settings: GenerationSettings = GenerationSettings()
    ) -> Estimate:
        """What a job would cost at the most, if nothing of it is cached; nothing is generated.

        Args:
            prompts: What would be asked.
            settings: How.
        """
        read = sum(self._tokens_of(prompt) for prompt in prompts)
        longest = max((self.count_tokens(choice) for choice in settings.choices), default=settings.max_tokens)
        written = len(prompts) * longest
        money, seconds = self._money(read, written), None
        if self.tokens_written and self.seconds:
            seconds = written * self.seconds / self.tokens_written
        fits = self._why_not(read, written) is None and self._seconds_left() >= (seconds or 0.0)
        return Estimate(len(prompts), read, written, money, seconds, fits and self._seconds_left() > 0)

    def generate(
        self,
        prompts: Sequence[Prompt],
        settings: GenerationSettings = GenerationSettings(),
        progress: Progress | None = None,
    ) -> list[Generation]:
        """Answer prompts; see :meth:`motet.text.generate.Generator.generate`.

        Raises:
            GenerationError: If the budget has ended or would not do; what was asked before it ended
                has been paid.
        """
        check_settings(settings)
        self._require(prompts, settings)
        answers: list[Generation] = []
        for start in range(0, len(prompts), _AT_ONCE):
            some = prompts[start : start + _AT_ONCE]
            began_s = time.monotonic()
            try:
                written = self._generator.generate(some, self._within(settings))
            except GenerationError:
                self._pay_for_nothing(some, settings)
                raise
            finally:
                with self._lock:
                    self.seconds += time.monotonic() - began_s
            with self._lock:
                self.tokens_read += sum(a.prompt_tokens for a in written if not a.cached)
                self.tokens_written += sum(a.tokens for a in written if not a.cached)
            answers += written
            if progress is not None:
                progress("writing", len(answers), len(prompts))
        return answers

    def stream(self, prompt: Prompt, settings: GenerationSettings = GenerationSettings()) -> Iterator[str]:
        """Answer one prompt piece by piece; see :meth:`motet.text.generate.Generator.stream`."""
        check_settings(settings)
        self._require([prompt], settings)
        began_s, text = time.monotonic(), ""
        try:
            for piece in self._generator.stream(prompt, self._within(settings)):
                text += piece
                yield piece
        finally:
            with self._lock:
                self.seconds += time.monotonic() - began_s
                self.tokens_read += self._tokens_of(prompt)
                self.tokens_written += self.count_tokens(text)

    def _pay_for_nothing(self, prompts: Sequence[Prompt], settings: GenerationSettings) -> None:
        """A call that failed may have cost as much as one that did not; its cost is unknown."""
        if self.budget.tokens is None and self.budget.money is None:
            return
        estimate = self.estimate(prompts, settings)
        with self._lock:
            self.tokens_read += estimate.tokens_read
            self.tokens_written += estimate.tokens_written

    def _require(self, prompts: Sequence[Prompt], settings: GenerationSettings) -> None:
        self._within(settings)  # before anything is counted: counting may load a tokenizer
        if self.budget.tokens is None and self.budget.money is None:
            return
        estimate = self.estimate(prompts, settings)
        why = self._why_not(estimate.tokens_read, estimate.tokens_written)
        if why is not None:
            raise GenerationError(
                f"the budget of {self.name} does not do: {why}", "raise it, or ask for less"
            )

    def _within(self, settings: GenerationSettings) -> GenerationSettings:
        left_s = self._seconds_left()
        if left_s <= 0:
            raise GenerationError(
                f"the budget of {self.name} has ended: {self.seconds:.1f} of {self.budget.seconds:g} s are spent",
                "raise it (seconds)",
            )
        if left_s == float("inf"):
            return settings
        limit_s = left_s if settings.time_limit_s is None else min(left_s, settings.time_limit_s)
        return replace(settings, time_limit_s=limit_s)

    def _seconds_left(self) -> float:
        return float("inf") if self.budget.seconds is None else self.budget.seconds - self.seconds

    def _why_not(self, read: int, written: int) -> str | None:
        spent, more = self.tokens_read + self.tokens_written, read + written
        if self.budget.tokens is not None and spent + more > self.budget.tokens:
            return f"up to {more:,} tokens are asked for and {self.budget.tokens - spent:,} are left"
        money = self._money(read, written)
        if self.budget.money is not None and self.money + money > self.budget.money:
            return f"up to {money:.4f} would be spent and {self.budget.money - self.money:.4f} is left"
        return None

    def _money(self, read: int, written: int) -> float:
        return (read * self.budget.price_read + written * self.budget.price_written) / _MILLION

    def _tokens_of(self, prompt: Prompt) -> int:
        turns = [prompt.system, prompt.user, *(turn for example in prompt.examples for turn in example)]
        return sum(self.count_tokens(turn) + _TURN_TOKENS for turn in turns)


_NONE: Final = "none"


def build_generator(settings: LanguageSettings, cache: GenerationCache | None = None) -> Generator | None:
    """Build the generator that the settings name, with a cache around it.

    Args:
        settings: The ``language:`` part of a schema.
        cache: Where answers are kept; one in motet's cache by default.

    Returns:
        A generator that loads nothing before its first call, and of which no call takes longer than
        ``generator_seconds``; None where the settings say ``none``. Equal ones share what they load.

    Raises:
        GenerationError: If the endpoint's address is none.

    Example:
        >>> build_generator(LanguageSettings(generator="none")) is None
        True
    """
    if settings.generator == _NONE:
        return None
    inside: Generator
    if settings.generator_backend == "endpoint":
        inside = EndpointGenerator(settings.generator, settings.generator_endpoint or "")
    else:
        inside = one_in_use(LocalGenerator(settings.generator), settings.generator)
    return _Timed(CachedGenerator(inside, cache), settings.generator_seconds)


class _Timed:
    """A generator of which no call takes longer than a time."""

    def __init__(self, generator: Generator, seconds: float) -> None:
        self._generator = generator
        self._seconds = seconds

    @property
    def name(self) -> str:
        return self._generator.name

    @property
    def settings_key(self) -> str:
        return self._generator.settings_key

    def count_tokens(self, text: str) -> int:
        return self._generator.count_tokens(text)

    def generate(
        self,
        prompts: Sequence[Prompt],
        settings: GenerationSettings = GenerationSettings(),
        progress: Progress | None = None,
    ) -> list[Generation]:
        return self._generator.generate(prompts, self._limited(settings), progress)

    def stream(self, prompt: Prompt, settings: GenerationSettings = GenerationSettings()) -> Iterator[str]:
        return self._generator.stream(prompt, self._limited(settings))

    def _limited(self, settings: GenerationSettings) -> GenerationSettings:
        given = settings.time_limit_s
        return replace(settings, time_limit_s=self._seconds if given is None else min(given, self._seconds))
