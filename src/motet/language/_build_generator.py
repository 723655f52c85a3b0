"""From settings to a generator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from motet.assets import Progress
from motet.language._cached_generator import CachedGenerator
from motet.language._endpoint_generator import EndpointGenerator
from motet.language._generation_cache import GenerationCache
from motet.language._generator import Generation, GenerationSettings, Generator, Prompt
from motet.language._in_use import one_in_use
from motet.language._local_generator import LocalGenerator
from motet.schema import LanguageSettings

__all__ = ["build_generator"]

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
