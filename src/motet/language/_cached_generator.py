"""A generator that asks every question once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from motet.assets import Progress
from motet.language._answers import check_settings, out_of_time, why_wrong
from motet.language._generation_cache import GenerationCache
from motet.language._generator import Generation, GenerationSettings, Generator, Prompt

__all__ = ["CachedGenerator"]

_KEPT_EVERY: Final = 64


class CachedGenerator:
    """Looks answers up, and has the others written; a run that finds all of them loads no model.

    Answers are kept every 64 prompts, so a crash costs at most those. With a temperature, the first
    answer drawn is the answer from then on.

    Args:
        generator: Writes what is not known.
        cache: Where answers are kept; one in motet's cache by default.
    """

    def __init__(self, generator: Generator, cache: GenerationCache | None = None) -> None:
        self._generator = generator
        self._cache = cache or GenerationCache()

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self._generator.name

    @property
    def settings_key(self) -> str:
        """Key of the generator inside."""
        return self._generator.settings_key

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, as the generator inside counts them."""
        return self._generator.count_tokens(text)

    def generate(
        self,
        prompts: Sequence[Prompt],
        settings: GenerationSettings = GenerationSettings(),
        progress: Progress | None = None,
    ) -> list[Generation]:
        """Answer prompts; see :meth:`motet.language.Generator.generate`. Equal ones are asked once."""
        check_settings(settings)
        until_s = None if settings.time_limit_s is None else time.monotonic() + settings.time_limit_s
        key = self._generator.settings_key if prompts else ""
        answers = dict(zip(prompts, self._known(key, prompts, settings), strict=True))
        missing = [prompt for prompt, answer in answers.items() if answer is None]
        for start in range(0, len(missing), _KEPT_EVERY):
            some = missing[start : start + _KEPT_EVERY]
            written = self._generator.generate(some, self._rest(settings, until_s))
            self._cache.put(key, settings, list(zip(some, written, strict=True)))
            answers.update(zip(some, written, strict=True))
            if progress is not None:
                done = len(answers) - len(missing) + start + len(some)
                progress("writing", done, len(answers))
        return [answer for prompt in prompts if (answer := answers[prompt]) is not None]

    def stream(self, prompt: Prompt, settings: GenerationSettings = GenerationSettings()) -> Iterator[str]:
        """Answer one prompt piece by piece; see :meth:`motet.language.Generator.stream`.

        A known answer comes in one piece. A streamed one is not kept: why it ended is not known.
        """
        check_settings(settings)
        (known,) = self._known(self._generator.settings_key, [prompt], settings)
        if known is not None:
            yield known.text
            return
        yield from self._generator.stream(prompt, settings)

    def _known(
        self, key: str, prompts: Sequence[Prompt], settings: GenerationSettings
    ) -> list[Generation | None]:
        # Whoever can write the file could write an answer that was never allowed.
        return [
            None if found is None or why_wrong(found.text, settings) is not None else found
            for found in self._cache.get(key, prompts, settings)
        ]

    def _rest(self, settings: GenerationSettings, until_s: float | None) -> GenerationSettings:
        if until_s is None:
            return settings
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise out_of_time(self.name)
        return replace(settings, time_limit_s=left_s)
