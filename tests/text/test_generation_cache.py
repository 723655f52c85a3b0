from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from motet.errors import GenerationError
from motet.text.generate import (
    CachedGenerator,
    Generation,
    GenerationCache,
    GenerationSettings,
    LocalGenerator,
    Prompt,
)

PLAIN = GenerationSettings()
HI = Generation("hi 巴黎 🎻\n", 5, 2, "stop", 0.1)


@pytest.fixture
def cache(tmp_path: Path) -> GenerationCache:
    return GenerationCache(tmp_path / "answers")


def texts(found: list[Generation | None]) -> list[str | None]:
    return [None if one is None else one.text for one in found]


def test_what_was_put_is_got(cache: GenerationCache) -> None:
    assert cache.get("model", [Prompt("a")], PLAIN) == [None]
    cache.put("model", PLAIN, [(Prompt("a"), HI), (Prompt("b"), replace(HI, ended="length"))])
    found = GenerationCache(cache.folder).get("model", [Prompt("b"), Prompt("c"), Prompt("a")], PLAIN)
    assert found == [
        replace(HI, ended="length", elapsed_s=0.0, cached=True),
        None,
        replace(HI, elapsed_s=0.0, cached=True),
    ]


@pytest.mark.parametrize(
    ("prompt", "settings", "model"),
    [
        (Prompt("a", "system"), PLAIN, "model"),
        (Prompt("a", examples=(("x", "y"),)), PLAIN, "model"),
        (Prompt("a"), PLAIN, "other"),
        (Prompt("a"), replace(PLAIN, max_tokens=7), "model"),
        (Prompt("a"), replace(PLAIN, temperature=0.5), "model"),
        (Prompt("a"), replace(PLAIN, stop=("x",)), "model"),
        (Prompt("a"), replace(PLAIN, choices=("x",)), "model"),
        (Prompt("a"), replace(PLAIN, answer={"type": "string"}), "model"),
    ],
)
def test_everything_that_changes_an_answer_changes_its_place(
    cache: GenerationCache, prompt: Prompt, settings: GenerationSettings, model: str
) -> None:
    cache.put("model", PLAIN, [(Prompt("a"), HI)])
    assert cache.get(model, [prompt], settings) == [None]


def test_what_changes_nothing_does_not(cache: GenerationCache) -> None:
    cache.put("model", PLAIN, [(Prompt("a"), HI)])
    same = replace(PLAIN, seed=7, time_limit_s=3.0)  # without a temperature nothing is drawn
    assert texts(cache.get("model", [Prompt("a")], same)) == [HI.text]
    warm = replace(PLAIN, temperature=1.0)
    cache.put("model", warm, [(Prompt("a"), HI)])
    assert cache.get("model", [Prompt("a")], replace(warm, seed=7)) == [None]


def test_an_answer_that_ran_out_of_time_is_not_kept(cache: GenerationCache) -> None:
    cache.put("model", PLAIN, [(Prompt("a"), replace(HI, ended="time"))])
    assert cache.get("model", [Prompt("a")], PLAIN) == [None]


def test_a_changed_row_is_unknown(cache: GenerationCache) -> None:
    cache.put("model", PLAIN, [(Prompt("a"), HI), (Prompt("b"), HI)])
    (path,) = cache.folder.glob("*.sqlite")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE rows SET cells = 'lies' WHERE key = (SELECT min(key) FROM rows)")
    database.close()
    found = texts(cache.get("model", [Prompt("a"), Prompt("b")], PLAIN))
    assert sorted(map(str, found)) == ["None", HI.text]


@pytest.mark.parametrize("content", [b"", b"no database" * 1000, b"SQLite format 3\x00" + b"\x07" * 5000])
def test_a_damaged_file_is_begun_anew(cache: GenerationCache, content: bytes) -> None:
    cache.put("model", PLAIN, [(Prompt("a"), HI)])
    (path,) = cache.folder.glob("*.sqlite")
    path.write_bytes(content)
    assert cache.get("model", [Prompt("a")], PLAIN) == [None]
    cache.put("model", PLAIN, [(Prompt("a"), HI)])
    assert texts(cache.get("model", [Prompt("a")], PLAIN)) == [HI.text]


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(GenerationError, match="cannot be used"):
        GenerationCache(tmp_path / "file" / "x").put("model", PLAIN, [(Prompt("a"), HI)])


WRITER = """
import sys
from pathlib import Path
from motet.text.generate import *
cache = GenerationCache(Path(sys.argv[1]))
for i in range(int(sys.argv[3])):
    cache.put("model", GenerationSettings(), [(Prompt(f"{sys.argv[2]} {i}"), Generation(f"{i}", 1, 1, "stop", 0.0))])
    print(i, flush=True)
"""


def writer(cache: GenerationCache, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(cache.folder), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_write_at_once(cache: GenerationCache) -> None:
    writers = [writer(cache, name, 40) for name in ("one", "two")]
    for one in writers:
        one.communicate(timeout=120)
    assert [one.returncode for one in writers] == [0, 0]
    prompts = [Prompt(f"{name} {i}") for name in ("one", "two") for i in range(40)]
    assert texts(cache.get("model", prompts, PLAIN)) == [str(i) for i in range(40)] * 2


def test_what_was_put_survives_a_kill(cache: GenerationCache) -> None:
    with writer(cache, "one", 100_000) as one:
        assert one.stdout is not None
        last = [one.stdout.readline() for _ in range(20)][-1]
        os.kill(one.pid, signal.SIGKILL)
    prompts = [Prompt(f"one {i}") for i in range(int(last) + 1)]
    assert texts(cache.get("model", prompts, PLAIN)) == [str(i) for i in range(len(prompts))]


def test_a_known_answer_loads_no_model(cache: GenerationCache, local_generator: LocalGenerator) -> None:
    settings = GenerationSettings(max_tokens=6)
    asked = [Prompt("Say yes."), Prompt("Say no."), Prompt("Say yes.")]
    written = CachedGenerator(local_generator, cache).generate(asked, settings)
    fresh = LocalGenerator()
    found = CachedGenerator(fresh, cache).generate(asked, settings)
    assert [one.cached for one in found] == [True] * 3
    assert [one.text for one in found] == [one.text for one in written]
    assert "_decoder" not in vars(fresh)
    assert list(CachedGenerator(fresh, cache).stream(asked[0], settings)) == [written[0].text]


def test_an_answer_that_was_never_allowed_is_not_given(
    cache: GenerationCache, local_generator: LocalGenerator
) -> None:
    settings = GenerationSettings(choices=("yes", "no"))
    cache.put(local_generator.settings_key, settings, [(Prompt("Say yes."), replace(HI, text="perhaps"))])
    (answer,) = CachedGenerator(local_generator, cache).generate([Prompt("Say yes.")], settings)
    assert answer.text in settings.choices


def test_what_was_written_before_a_failure_is_kept(
    cache: GenerationCache, local_generator: LocalGenerator
) -> None:
    asked = [Prompt("Say yes."), Prompt("Say no."), Prompt("a b c " * 5000)]
    generator = CachedGenerator(local_generator, cache, kept_every=2)
    settings = GenerationSettings(max_tokens=2)
    with pytest.raises(GenerationError, match="too long"):
        generator.generate(asked, settings)
    found = cache.get(generator.settings_key, asked, settings)
    assert [one is not None for one in found] == [True, True, False]
