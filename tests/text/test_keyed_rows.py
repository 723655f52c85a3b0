from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from motet.text.encode import RowsInMemory, RowsOnDisk, VectorCache
from motet.text.generate import Generation, GenerationCache, GenerationSettings, Prompt

DAMAGED = b"no database" * 1000


def test_memory_keeps_what_was_used_last() -> None:
    rows = RowsInMemory(2)
    rows.put([(b"a", b"1"), (b"b", b"2")])
    assert rows.get([b"a"]) == {b"a": b"1"}
    rows.put([(b"c", b"3")])
    assert rows.get([b"a", b"b", b"c"]) == {b"a": b"1", b"c": b"3"}
    rows.clear()
    assert rows.get([b"a", b"c"]) == {}


def test_caches_in_memory_write_nothing_and_can_forget(tmp_path: Path) -> None:
    settings, prompt = GenerationSettings(), Prompt("who am I?")
    vectors, answers = VectorCache(tmp_path, in_memory=8), GenerationCache(tmp_path, in_memory=8)
    vectors.put("key", ["a text"], np.ones((1, 3), np.float32))
    answers.put("model", settings, [(prompt, Generation("nobody", 3, 1, "stop", 0.1))])
    assert vectors.get("key", ["a text"])[1].all()
    assert not vectors.get("other", ["a text"])[1].any()
    (found,) = answers.get("model", [prompt], settings)
    assert found is not None
    assert (found.text, found.cached) == ("nobody", True)
    vectors.forget()
    answers.forget()
    assert not vectors.get("key", ["a text"])[1].any()
    assert answers.get("model", [prompt], settings) == [None]
    assert list(tmp_path.iterdir()) == []


def test_who_sees_the_damage_late_leaves_what_others_write_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes find the same damage; one has begun again, and is writing, before the other does."""
    path = tmp_path / "rows.sqlite"
    path.write_bytes(DAMAGED)
    first, late = RowsOnDisk(path), RowsOnDisk(path)
    after = late._after

    def when_the_first_is_done(damaged: Path) -> Path:
        if not (tmp_path / "rows.sqlite.1").exists():
            first.put([(b"a", b"1")])
        return after(damaged)

    newest = late._newest()
    monkeypatch.setattr(late, "_newest", lambda: newest)  # as it was before
    monkeypatch.setattr(late, "_after", when_the_first_is_done)
    late.put([(b"b", b"2")])
    with closing(sqlite3.connect(tmp_path / "rows.sqlite.1")) as writing:
        assert late.get([b"a", b"b"]) == {b"a": b"1", b"b": b"2"}
        with writing:
            writing.execute("INSERT INTO rows VALUES (x'00', 0, x'00')")
            journal = tmp_path / "rows.sqlite.1-journal"
            assert journal.exists()
            assert late.get([b"a", b"b"]) == {b"a": b"1", b"b": b"2"}
            assert journal.exists()
    assert first.get([b"a", b"b"]) == {b"a": b"1", b"b": b"2"}
    assert path.read_bytes() == DAMAGED
    (tmp_path / "rows.sqlite.1").write_bytes(DAMAGED)
    first.put([(b"c", b"3")])
    assert first.get([b"a", b"c"]) == {b"c": b"3"}
    path.unlink()
    assert first.get([b"a", b"c"]) == {b"c": b"3"}


def test_many_find_the_same_damage_and_nothing_that_they_put_is_lost(tmp_path: Path) -> None:
    for round in range(10):
        path = tmp_path / f"rows{round}.sqlite"
        path.write_bytes(DAMAGED)
        start = threading.Barrier(8)

        def put(number: int, path: Path = path, start: threading.Barrier = start) -> None:
            start.wait()
            RowsOnDisk(path).put([(bytes([number]), b"cells")])

        threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(RowsOnDisk(path).get([bytes([number]) for number in range(8)])) == 8
        assert not path.with_name(f"{path.name}.2").exists()
