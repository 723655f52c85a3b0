from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motet.errors import LanguageError
from motet.language import VectorCache

WIDTH = 8

# Fills a cache with batches of 50 texts, says after each commit how far it is, and never ends by itself.
FILL = """
import sys
from pathlib import Path
import numpy as np
from motet.language import VectorCache

cache, start = VectorCache(Path(sys.argv[1])), int(sys.argv[2])
for batch in range(int(sys.argv[3])):
    numbers = range(start + 50 * batch, start + 50 * (batch + 1))
    vectors = np.array([[number] * 8 for number in numbers], np.float32)
    cache.put("key", [f"text {number}" for number in numbers], vectors)
    print(numbers[-1] + 1, flush=True)
"""


def texts_of(numbers: range) -> list[str]:
    return [f"text {number}" for number in numbers]


def vectors_of(numbers: range) -> NDArray[np.float32]:
    return np.array([[number] * WIDTH for number in numbers], np.float32)


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(tmp_path / "vectors")


def segments(cache: VectorCache) -> list[Path]:
    return sorted(cache.folder.rglob("*.vectors"))


def fill(cache: VectorCache, start: int, batches: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FILL, str(cache.folder), str(start), str(batches)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_what_was_put_is_found_exactly_by_another_process_of_the_same_key(cache: VectorCache) -> None:
    rng = np.random.default_rng(0)
    texts = ["", "a", "电影", "x" * 100_000, "\ud800", "a\0"]
    vectors = rng.standard_normal((6, 5)).astype(np.float32)
    cache.put("key", texts, vectors)
    found, known = VectorCache(cache.folder).get("key", [*reversed(texts), "unknown"])
    np.testing.assert_array_equal(found, vectors[::-1])
    assert known.tolist() == [True] * 6 + [False]
    assert not VectorCache(cache.folder).get("other", texts)[1].any()


def test_the_newest_of_two_vectors_counts(cache: VectorCache) -> None:
    cache.put("key", ["a", "b"], np.ones((2, 3), np.float32))
    cache.put("key", ["b"], np.zeros((1, 3), np.float32))
    np.testing.assert_array_equal(cache.get("key", ["a", "b"])[0], [[1, 1, 1], [0, 0, 0]])


def test_killed_in_the_middle_loses_nothing_that_was_committed(cache: VectorCache) -> None:
    with fill(cache, 0, 1_000_000) as process:
        assert process.stdout is not None
        for _ in range(150):  # beyond the first merge of segments
            reported = int(process.stdout.readline())
        time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        reported = max([reported, *(int(line) for line in process.stdout.read().split() if line.isdigit())])
    found, known = cache.get("key", texts_of(range(reported)))
    assert known.all()
    np.testing.assert_array_equal(found, vectors_of(range(reported)))


def test_two_processes_at_once(cache: VectorCache) -> None:
    processes = [fill(cache, start, 100) for start in (0, 2500, 100_000)]
    for process in processes:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    for numbers in (range(7500), range(100_000, 105_000)):
        found, known = cache.get("key", texts_of(numbers))
        assert known.all()
        np.testing.assert_array_equal(found, vectors_of(numbers))


@pytest.mark.parametrize("from_end", [1, 4 * WIDTH * 60 + 2])
def test_a_flipped_bit_costs_one_row_which_can_be_put_again(cache: VectorCache, from_end: int) -> None:
    numbers = range(100)
    cache.put("key", texts_of(numbers), vectors_of(numbers))
    (path,) = segments(cache)
    content = bytearray(path.read_bytes())
    content[-from_end] ^= 0x10
    path.write_bytes(content)
    found, known = VectorCache(cache.folder).get("key", texts_of(numbers))
    assert known.sum() == 99
    np.testing.assert_array_equal(found, vectors_of(numbers)[known])
    lost = [text for text, there in zip(texts_of(numbers), known, strict=True) if not there]
    cache.put("key", lost, vectors_of(numbers)[~known])
    np.testing.assert_array_equal(
        VectorCache(cache.folder).get("key", texts_of(numbers))[0], vectors_of(numbers)
    )


@pytest.mark.parametrize("place", [0, 9, 17, 30, 60, 100 * 32 + 60])
def test_a_damaged_head_costs_its_segment_only(cache: VectorCache, place: int) -> None:
    for start in (0, 100):
        numbers = range(start, start + 100)
        cache.put("key", texts_of(numbers), vectors_of(numbers))
    path = segments(cache)[0]
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)
    found, known = VectorCache(cache.folder).get("key", texts_of(range(200)))
    assert known.tolist() == [False] * 100 + [True] * 100
    np.testing.assert_array_equal(found, vectors_of(range(100, 200)))


@pytest.mark.parametrize("cut", [1, 4 * WIDTH * 40, 4 * WIDTH * 100, 4 * WIDTH * 100 + 5000])
def test_a_torn_tail_costs_the_rows_in_it(cache: VectorCache, cut: int) -> None:
    numbers = range(100)
    cache.put("key", texts_of(numbers), vectors_of(numbers))
    (path,) = segments(cache)
    path.write_bytes(path.read_bytes()[:-cut])
    found, known = VectorCache(cache.folder).get("key", texts_of(numbers))
    assert known.sum() == max(0, 100 - -(-cut // (4 * WIDTH)))
    np.testing.assert_array_equal(found.reshape(-1, WIDTH), vectors_of(numbers)[known])


def test_many_commits_become_few_files(cache: VectorCache) -> None:
    for number in range(200):
        cache.put("key", [f"text {number}"], vectors_of(range(number, number + 1)))
    assert len(segments(cache)) <= 64
    np.testing.assert_array_equal(cache.get("key", texts_of(range(200)))[0], vectors_of(range(200)))


def test_a_cache_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LanguageError, match="cannot be written"):
        VectorCache(tmp_path / "file").put("key", ["a"], np.zeros((1, 2), np.float32))


def test_looking_up_20_000_texts_takes_well_under_a_second(cache: VectorCache) -> None:
    texts = [f"a review of some length, number {number}, " * 5 for number in range(20_000)]
    vectors = np.random.default_rng(0).standard_normal((20_000, 384)).astype(np.float32)
    for start in range(0, 20_000, 1000):
        cache.put("key", texts[start : start + 1000], vectors[start : start + 1000])
    start_s = time.process_time()
    found, known = VectorCache(cache.folder).get("key", texts)
    assert time.process_time() - start_s < 1.0
    assert known.all()
    np.testing.assert_array_equal(found, vectors)
