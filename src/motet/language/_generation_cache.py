"""Answers kept under a hash of prompt, settings and model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from motet.assets import cache_root
from motet.errors import GenerationError
from motet.language._generator import Generation, GenerationSettings, Prompt
from motet.language._keyed_rows import KeyedRows, RowsInMemory, RowsOnDisk

__all__ = ["GenerationCache", "generation_key"]

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
        folder: Where it lies; a place in motet's cache by default. It need not exist yet.
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
