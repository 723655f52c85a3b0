"""Answers kept on disk under a hash of prompt, settings and model."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final, TypeVar

from motet.assets import cache_root
from motet.errors import GenerationError
from motet.language._generator import Generation, GenerationSettings, Prompt

__all__ = ["GenerationCache", "generation_key"]

T = TypeVar("T")

_NAME: Final = "generations-1.sqlite"
_PATIENCE_S: Final = 30.0
_MOST_AT_ONCE: Final = 500
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, text TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,"
    " tokens INTEGER NOT NULL, ended TEXT NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID"
)


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
    """A persistent cache of answers, for any number of generators and processes.

    An SQLite database with a write-ahead log: what :meth:`put` has written survives a crash of the
    process, and many may read while one writes. A row that is not what was once written counts as
    unknown; a file that is no database is put aside and begun anew.

    Args:
        folder: Where it lies; a place in motet's cache by default. It need not exist yet.

    Example:
        >>> import tempfile
        >>> cache = GenerationCache(Path(tempfile.mkdtemp()))
        >>> settings = GenerationSettings()
        >>> cache.put("model", settings, [(Prompt("hello"), Generation("hi", 5, 1, "stop", 0.1))])
        >>> [found and found.text for found in cache.get("model", [Prompt("bye"), Prompt("hello")], settings)]
        [None, 'hi']
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_root() / "generations"

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
        if not keys or not (self.folder / _NAME).is_file():
            return [None] * len(prompts)

        def look(database: sqlite3.Connection) -> dict[bytes, Generation]:
            found = {}
            for start in range(0, len(keys), _MOST_AT_ONCE):
                some = keys[start : start + _MOST_AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT * FROM answers WHERE key IN ({marks})"  # noqa: S608 (question marks only)
                for key, text, prompt_tokens, tokens, ended, digest in database.execute(query, some):
                    if digest == _digest(key, text, prompt_tokens, tokens, ended):
                        found[key] = Generation(text, prompt_tokens, tokens, ended, 0.0, cached=True)
            return found

        known = self._with(look)
        return [known.get(key) for key in keys]

    def put(
        self,
        settings_key: str,
        settings: GenerationSettings,
        answers: Sequence[tuple[Prompt, Generation]],
    ) -> None:
        """Keep answers, but for those that ran out of time; when this returns they survive a crash.

        Args:
            settings_key: Key of the generator.
            settings: How they were asked.
            answers: (prompt, answer) each.

        Raises:
            GenerationError: If the cache cannot be written.
        """
        rows = []
        for prompt, answer in answers:
            if answer.ended == "time":
                continue
            key = generation_key(settings_key, prompt, settings)
            what = (answer.text, answer.prompt_tokens, answer.tokens, answer.ended)
            rows.append((key, *what, _digest(key, *what)))
        if not rows:
            return

        def keep(database: sqlite3.Connection) -> None:
            with database:
                database.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", rows)

        self._with(keep)

    def _with(self, act: Callable[[sqlite3.Connection], T]) -> T:
        try:
            try:
                with self._database() as database:
                    return act(database)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):  # locked, full, read-only: not damage
                    raise
                self._put_aside()
                with self._database() as database:
                    return act(database)
        except (OSError, sqlite3.Error) as error:
            raise GenerationError(
                f"the cache of answers {self.folder} cannot be used ({error})",
                "make room, or set MOTET_CACHE to a directory that can be written",
            ) from error

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        # Opened for each act: a connection must not cross a fork or a thread.
        self.folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.folder / _NAME, timeout=_PATIENCE_S)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute(_TABLE)
            yield database

    def _put_aside(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            path = self.folder / f"{_NAME}{suffix}"
            if path.exists():
                path.rename(path.with_name(f"{path.name}.damaged-{time.time_ns()}"))


def _digest(key: bytes, text: str, prompt_tokens: int, tokens: int, ended: str) -> bytes:
    said = json.dumps([text, prompt_tokens, tokens, ended]).encode()
    return hashlib.sha256(key + said).digest()
