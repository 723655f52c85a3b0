from __future__ import annotations

from pathlib import Path

import numpy as np

from motet.language import Generation, GenerationCache, GenerationSettings, Prompt, VectorCache
from motet.language._keyed_rows import RowsInMemory


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
