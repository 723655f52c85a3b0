from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from motet.errors import LanguageError
from motet.text.encode import VectorCache

WIDTH = 8

# Fills a cache with batches of 50 texts, says after each commit how far it is, and never ends by itself.
FILL = """
import sys
from pathlib import Path
import numpy as np
from motet.text.encode import VectorCache

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


def file_of(cache: VectorCache) -> Path:
    (path,) = cache.folder.glob("*.sqlite")
    return path


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
        for _ in range(150):
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


@pytest.mark.parametrize("place", [0.0, 0.001, 0.3, 0.5, 0.7, 0.999])
def test_a_flipped_bit_gives_no_wrong_vector_and_can_be_written_over(
    cache: VectorCache, place: float
) -> None:
    numbers = range(1000)
    cache.put("key", texts_of(numbers), vectors_of(numbers))
    content = bytearray(file_of(cache).read_bytes())
    content[int(place * len(content))] ^= 0x10
    file_of(cache).write_bytes(content)
    check_it_mends(cache, numbers)


@pytest.mark.parametrize("kept", [0, 1, 99, 5000, 40_000])
def test_a_torn_file_gives_no_wrong_vector_and_can_be_written_over(cache: VectorCache, kept: int) -> None:
    numbers = range(1000)
    cache.put("key", texts_of(numbers), vectors_of(numbers))
    file_of(cache).write_bytes(file_of(cache).read_bytes()[:kept])
    check_it_mends(cache, numbers)


def check_it_mends(cache: VectorCache, numbers: range) -> None:
    found, known = cache.get("key", texts_of(numbers))
    np.testing.assert_array_equal(found.reshape(-1, WIDTH), vectors_of(numbers)[known])
    cache.put("key", texts_of(numbers), vectors_of(numbers))
    found, known = cache.get("key", texts_of(numbers))
    if not known.all():  # the damage showed only now: the file is put aside, and the next write holds
        cache.put("key", texts_of(numbers), vectors_of(numbers))
        found, known = cache.get("key", texts_of(numbers))
    assert known.all()
    np.testing.assert_array_equal(found, vectors_of(numbers))


def test_a_flipped_bit_in_a_vector_costs_one_row(cache: VectorCache) -> None:
    numbers = range(100)
    cache.put("key", texts_of(numbers), vectors_of(numbers))
    content = bytearray(file_of(cache).read_bytes())
    content[content.index(vectors_of(range(42, 43)).tobytes()) + 3] ^= 0x10
    file_of(cache).write_bytes(content)
    found, known = cache.get("key", texts_of(numbers))
    assert np.flatnonzero(~known).tolist() == [42]
    np.testing.assert_array_equal(found, vectors_of(numbers)[known])


def test_many_commits_of_one_text_need_no_more_memory(cache: VectorCache) -> None:
    vector, process = np.ones((1, 384), np.float32), psutil.Process()

    def put(start: int) -> int:
        for number in range(start, start + 300):
            cache.put("key", [f"text {number}"], vector)
            assert cache.get("key", [f"text {number}"])[1].all()
        return int(process.memory_info().rss)

    before = put(0)
    assert put(300) - before < 4 * 2**20


def test_a_cache_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LanguageError, match="cannot be used"):
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
