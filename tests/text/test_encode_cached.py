from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motet.datasets import Progress
from motet.errors import LanguageError
from motet.text.encode import CTranslate2Encoder, TextEncoder, VectorCache, encode_cached


class Counted:
    """An encoder that notes what it is asked, and can stop after some texts."""

    def __init__(self, encoder: TextEncoder, stop_after: int | None = None) -> None:
        self._encoder = encoder
        self._stop_after = stop_after
        self.asked: list[str] = []
        self.name = encoder.name
        self.settings_key = encoder.settings_key
        self.width = encoder.width

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        if self._stop_after is not None and len(self.asked) >= self._stop_after:
            raise KeyboardInterrupt
        self.asked += texts
        return self._encoder.encode(texts, progress)


class Lengths:
    """Encodes a text as its length: exact, and fast enough for thousands of texts."""

    name = "lengths"
    settings_key = "lengths"
    width = 2

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        if progress is not None:
            progress("encoding text", len(texts), len(texts))
        return np.array([[len(text), 1] for text in texts], np.float32)


class Broken(Lengths):
    def __init__(self, result: NDArray[np.float32]) -> None:
        self._result = result

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        return self._result


def test_a_second_run_asks_nothing(
    fast_encoder: CTranslate2Encoder, sentences: list[str], tmp_path: Path
) -> None:
    encoder = Counted(fast_encoder)
    texts = [*sentences, "", *sentences[:10], "   "]
    first = encode_cached(encoder, texts, VectorCache(tmp_path))
    assert sorted(encoder.asked) == sorted(sentences)
    np.testing.assert_allclose(first, fast_encoder.encode(texts), atol=1e-6)
    assert not first[len(sentences)].any()
    assert not first[-1].any()

    encoder.asked.clear()
    second = encode_cached(encoder, texts, VectorCache(tmp_path))
    assert encoder.asked == []
    np.testing.assert_array_equal(second, first)

    encode_cached(encoder, [*texts, "a new one"], VectorCache(tmp_path))
    assert encoder.asked == ["a new one"]


def test_an_interruption_loses_at_most_the_last_batch(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(5000)]
    encoder = Counted(Lengths(), stop_after=3000)
    with pytest.raises(KeyboardInterrupt):
        encode_cached(encoder, texts, VectorCache(tmp_path))
    resumed = Counted(Lengths())
    vectors = encode_cached(resumed, texts, VectorCache(tmp_path))
    assert len(encoder.asked) >= 3000
    assert sorted(encoder.asked + resumed.asked) == sorted(texts)
    np.testing.assert_array_equal(vectors, Lengths().encode(texts))


def test_progress_starts_from_what_is_known(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(3000)]
    encode_cached(Lengths(), texts[:1000], VectorCache(tmp_path))
    seen: list[tuple[int, int]] = []
    encode_cached(Lengths(), texts, VectorCache(tmp_path), lambda _, done, total: seen.append((done, total)))
    assert seen == [(2024, 3000), (3000, 3000)]


def test_nothing_to_encode(tmp_path: Path) -> None:
    assert encode_cached(Lengths(), [], VectorCache(tmp_path)).shape == (0, 2)
    assert not encode_cached(Lengths(), ["", " "], VectorCache(tmp_path)).any()


@pytest.mark.parametrize("result", [np.zeros((1, 2)), np.zeros((2, 3)), np.full((2, 2), np.nan)])
def test_an_encoder_that_returns_nonsense_is_refused_and_nothing_is_kept(
    tmp_path: Path, result: NDArray[np.float32]
) -> None:
    with pytest.raises(LanguageError, match="returned an array of shape"):
        encode_cached(Broken(result.astype(np.float32)), ["a", "b"], VectorCache(tmp_path))
    assert not VectorCache(tmp_path).get("lengths", ["a", "b"])[1].any()


def test_without_a_cache_the_work_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("not a folder")
    texts = [f"text {number}" for number in range(3000)]
    for _ in range(2):
        vectors = encode_cached(Lengths(), texts, VectorCache(tmp_path / "file"))
        np.testing.assert_array_equal(vectors, Lengths().encode(texts))
    assert encode_cached(Lengths(), [], VectorCache(tmp_path / "file")).shape == (0, 2)
    (warning,) = [record for record in caplog.records if record.name == "motet.text"]
    assert "cannot be used" in warning.getMessage()
    assert "MOTET_CACHE" in warning.getMessage()


def test_a_cache_that_fails_in_the_middle_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"text {number}" for number in range(3000)]
    known = np.array([[9.0, 9.0]], np.float32)
    cache = VectorCache(tmp_path)
    cache.put("lengths", ["text 0"], known)
    (path,) = tmp_path.glob("*.sqlite")
    encoder, asked = Counted(Lengths()), []

    def full(*_: object) -> None:
        asked.append(1)
        raise LanguageError("no room")

    monkeypatch.setattr(cache, "put", full)
    vectors = encode_cached(encoder, texts, cache)
    np.testing.assert_array_equal(vectors, [known[0], *Lengths().encode(texts[1:])])
    assert len(asked) == 1
    path.unlink()
    path.mkdir()  # nothing can be read, and nothing written
    np.testing.assert_array_equal(
        encode_cached(Lengths(), texts, VectorCache(tmp_path)), Lengths().encode(texts)
    )


def test_an_encoder_that_fails_is_still_an_error(tmp_path: Path) -> None:
    class Down(Lengths):
        def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
            raise LanguageError("the endpoint is down")

    for folder in (tmp_path, tmp_path / "file" / "x"):
        (tmp_path / "file").write_text("not a folder")
        with pytest.raises(LanguageError, match="the endpoint is down"):
            encode_cached(Down(), ["a"], VectorCache(folder))
