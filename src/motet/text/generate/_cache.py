"""Answers kept under a hash of prompt, settings and model, and the caches of a service."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from motet.datasets import Progress, cache_root
from motet.errors import GenerationError
from motet.text.encode import KeyedRows, RowsInMemory, RowsOnDisk, VectorCache
from motet.text.generate._generator import (
    Generation,
    GenerationSettings,
    Generator,
    Prompt,
    check_settings,
    out_of_time,
    why_wrong,
)

__all__ = ["CachedGenerator", "GenerationCache", "PrivateCaches", "generation_key"]

_NAME: Final = "generations-2.sqlite"


def generation_key(settings_key: str, prompt: Prompt, settings: GenerationSettings) -> bytes:
    """What an answer depends on, hashed; the time limit is no part of it.

    Args:
        settings_key: Key of the generator.
        prompt: What was asked.
        settings: How.
    """
    how = {name: value for name, value in asdict(settings).items() if name != "time_limit_s"}
    if settings.temperature == 0:
        del how["seed"]
    # Not sorted: the order of a schema's properties is the order of the answer's.
    content = json.dumps([settings_key, asdict(prompt), how], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()


class GenerationCache:
    """Answers, for any number of generators, threads and processes.

    Args:
        folder: Where it is; a place in motet's cache by default. It need not exist yet.
        in_memory: Keep this many answers in memory instead, and none on disk; 0 for the disk.

    Example:
        >>> import tempfile
        >>> cache = GenerationCache(Path(tempfile.mkdtemp()))
        >>> settings = GenerationSettings()
        >>> cache.put("model", settings, [(Prompt("hello"), Generation("hi", 5, 1, "stop", 0.1))])
        >>> [found and found.text for found in cache.get("model", [Prompt("bye"), Prompt("hello")], settings)]
        [None, 'hi']
    """

    def __init__(self, folder: Path | None = None, *, in_memory: int = 0) -> None:
        self.folder = folder or cache_root() / "generations"
        self._memory = RowsInMemory(in_memory) if in_memory else None
        self._rows: KeyedRows = self._memory or RowsOnDisk(self.folder / _NAME, GenerationError)

    def get(
        self, settings_key: str, prompts: Sequence[Prompt], settings: GenerationSettings
    ) -> list[Generation | None]:
        """Look answers up.

        Args:
            settings_key: Key of the generator.
            prompts: n prompts.
            settings: How they are asked.

        Returns:
            n answers, marked as cached; None for one that is not known.

        Raises:
            GenerationError: If the cache cannot be read.
        """
        keys = [generation_key(settings_key, prompt, settings) for prompt in prompts]
        found = self._rows.get(keys)
        return [_answer(found[key]) if key in found else None for key in keys]

    def put(
        self,
        settings_key: str,
        settings: GenerationSettings,
        answers: Sequence[tuple[Prompt, Generation]],
    ) -> None:
        """Keep answers, but for those that ran out of time; on disk, they survive a crash when this returns.

        Args:
            settings_key: Key of the generator.
            settings: How they were asked.
            answers: (prompt, answer) each.

        Raises:
            GenerationError: If the cache cannot be written.
        """
        self._rows.put(
            [
                (generation_key(settings_key, prompt, settings), _cells(answer))
                for prompt, answer in answers
                if answer.ended != "time"
            ]
        )

    def forget(self) -> None:
        """Let go of all that is in memory."""
        if self._memory is not None:
            self._memory.clear()


def _cells(answer: Generation) -> bytes:
    return json.dumps([answer.text, answer.prompt_tokens, answer.tokens, answer.ended]).encode()


def _answer(cells: bytes) -> Generation:
    text, prompt_tokens, tokens, ended = json.loads(cells)
    return Generation(text, prompt_tokens, tokens, ended, 0.0, cached=True)


class CachedGenerator:
    """Looks answers up, and has the others written; a run that finds all of them loads no model.

    Answers are kept every so many prompts, so a crash costs at most those. With a temperature, the first
    answer drawn is the answer from then on.

    Args:
        generator: Writes what is not known.
        cache: Where answers are kept; one in motet's cache by default.
        kept_every: Prompts that a crash may cost, ≥ 1.
    """

    def __init__(
        self, generator: Generator, cache: GenerationCache | None = None, *, kept_every: int = 64
    ) -> None:
        self._generator = generator
        self._cache = cache or GenerationCache()
        self._kept_every = kept_every

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
        """Answer prompts; see :meth:`motet.text.generate.Generator.generate`. Equal ones are asked once."""
        check_settings(settings)
        until_s = None if settings.time_limit_s is None else time.monotonic() + settings.time_limit_s
        key = self._generator.settings_key if prompts else ""
        answers = dict(zip(prompts, self._known(key, prompts, settings), strict=True))
        missing = [prompt for prompt, answer in answers.items() if answer is None]
        for start in range(0, len(missing), self._kept_every):
            some = missing[start : start + self._kept_every]
            written = self._generator.generate(some, self._rest(settings, until_s))
            self._cache.put(key, settings, list(zip(some, written, strict=True)))
            answers.update(zip(some, written, strict=True))
            if progress is not None:
                done = len(answers) - len(missing) + start + len(some)
                progress("writing", done, len(answers))
        return [answer for prompt in prompts if (answer := answers[prompt]) is not None]

    def stream(self, prompt: Prompt, settings: GenerationSettings = GenerationSettings()) -> Iterator[str]:
        """Answer one prompt piece by piece; see :meth:`motet.text.generate.Generator.stream`.

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


@dataclass(frozen=True, slots=True)
class PrivateCaches:
    """Caches of a service for the words of users and requests: in memory, the latest ones, until they are to be forgotten.

    Attributes:
        vectors: Of texts.
        answers: Of a language model.
    """

    vectors: VectorCache = field(default_factory=lambda: VectorCache(in_memory=16_384))
    answers: GenerationCache = field(default_factory=lambda: GenerationCache(in_memory=1024))

    def forget(self) -> None:
        """Let go of everything."""
        self.vectors.forget()
        self.answers.forget()
