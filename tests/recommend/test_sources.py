from __future__ import annotations

import time

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motet.data import Dataset
from motet.errors import DataError
from motet.models import build_model
from motet.recommend import LiveRecommender, Query, Recommender
from motet.recommend.live import AppendOnlyArray, Eligible
from motet.recommend.retrieve import (
    CandidateQuery,
    CandidateSource,
    DecayedLikes,
    LiveIndex,
    Ordered,
    Retriever,
    VectorIndex,
    _vector_index,
    best_of,
    together,
)
from motet.testing import hashed_words_for_tests
from motet.training import load_bundle, save_bundle


@pytest.fixture(scope="module")
def live(toy: Dataset, tmp_path_factory: pytest.TempPathFactory) -> LiveRecommender:
    place = tmp_path_factory.mktemp("sources") / "bundle"
    save_bundle(place, model=build_model(toy.schema, toy.encoder, seed=3).eval(), data=toy, metrics={})
    return LiveRecommender(Recommender(load_bundle(place), hashed_words_for_tests))


def ask_for(
    live: LiveRecommender, excluded: tuple[int, ...] = (), mask: NDArray[np.bool_] | None = None
) -> CandidateQuery:
    now = live.items.now
    eligible = Eligible(np.ones(len(now), bool) if mask is None else mask)
    return CandidateQuery(now, eligible, np.array(excluded, np.int64), None, np.array([3, 4], np.int64))


def test_every_source_keeps_to_what_may_come(live: LiveRecommender) -> None:
    mask = np.arange(len(live.items.now)) % 2 == 0
    now = live.items.now
    user = live._scorer.user_context(
        now, live.user_encoder.of("u1", 1, {}), live.history.of("u1", now), None, {}
    )
    ask = CandidateQuery(
        now, Eligible(mask), np.array([2, 8]), user.vector, np.array([3, 5]), "home", "night river"
    )
    given = 0
    for source in live.retriever.sources.values():
        assert isinstance(source, CandidateSource)
        for n in (1, 5, 100):
            rows, scores = source.candidates(ask, n)
            assert len(rows) == len(scores) <= n
            assert len(set(rows.tolist())) == len(rows)
            assert mask[rows].all()
            assert not {2, 8} & set(rows.tolist())
            assert (np.diff(scores) <= 0).all()
            given += len(rows)
    assert given


@pytest.mark.parametrize("approximate_from", [10**9, 1000], ids=["exact", "approximate"])
def test_searches_agree_with_the_definition(approximate_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    vectors, bias = rng.normal(size=(3000, 8)).astype(np.float32), rng.normal(size=3000).astype(np.float32)
    plain = VectorIndex(vectors, bias)
    monkeypatch.setattr(_vector_index, "FEW", 100)
    index = VectorIndex(
        vectors, bias, approximate_from=approximate_from, probes=10**6
    )  # every cell is looked at
    assert plain.kind == "numpy"
    assert index.kind == ("exact" if approximate_from > 3000 else "approximate")
    for share in (1.0, 0.5, 0.01):
        eligible = Eligible(rng.random(3000) < share)
        for _ in range(5):
            query = rng.normal(size=8).astype(np.float32)
            scores = np.where(eligible.mask, vectors @ query + bias, -np.inf)
            wanted = np.argsort(-scores, kind="stable")[: min(20, eligible.count)]
            for searched in (plain, index):
                rows, found = searched.search(query, 20, eligible)
                assert rows.tolist() == wanted.tolist()
                np.testing.assert_allclose(found, scores[wanted], atol=1e-4)


def test_without_faiss_the_search_is_exact_at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_vector_index, "FEW", 100)
    monkeypatch.setattr(_vector_index, "find_spec", lambda _: None)
    rng = np.random.default_rng(0)
    vectors, query = rng.normal(size=(500, 8)).astype(np.float32), rng.normal(size=8).astype(np.float32)
    index = VectorIndex(vectors, approximate_from=200)
    assert index.kind == "numpy"
    rows, _ = index.search(query, 7, Eligible(np.ones(500, bool)))
    assert rows.tolist() == np.argsort(-(vectors @ query), kind="stable")[:7].tolist()


def test_rows_that_came_later_are_searched_too(
    live: LiveRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motet.recommend.retrieve import _vector_index as _live_index  # noqa: PLC0415

    pytest.importorskip("faiss")
    monkeypatch.setattr(_vector_index, "FEW", 10)
    monkeypatch.setattr(_live_index, "FEW", 10)
    monkeypatch.setattr(_live_index, "_FEW_LATE", 2)
    rng = np.random.default_rng(0)
    n = len(live.items.now)
    vectors = rng.normal(size=(n, 6)).astype(np.float32)
    index = LiveIndex(vectors[: n - 5])
    ask = ask_for(live, excluded=(1,))
    for _ in range(50):
        query = rng.normal(size=6).astype(np.float32)
        order = [row for row in np.argsort(-(vectors @ query)).tolist() if row != 1][:4]
        assert index.search(query, 4, ask, vectors)[0].tolist() == order
        time.sleep(0.002)
        if len(index._index) == n:  # rebuilt meanwhile
            break
    assert len(index._index) == n


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1e7)), max_size=40), st.floats(10, 1e6))
def test_decayed_likes_order_items_as_the_definition_does(
    events: list[tuple[int, float]], half_life_s: float
) -> None:
    first, later = events[: len(events) // 2], events[len(events) // 2 :]

    def columns(some: list[tuple[int, float]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return np.array([r for r, _ in some], np.int64), np.array([t for _, t in some], np.float64)

    likes = DecayedLikes(*columns(first), 10, half_life_s=half_life_s)
    for one in later:
        likes.add(*columns([one]))
    now_s = max((t for _, t in events), default=0.0)
    expected = np.zeros(10)
    for row, at_s in events:
        expected[row] += 2.0 ** max((at_s - now_s) / half_life_s, -900.0)
    found = np.where(np.isfinite(likes.order.scores), likes.order.scores, 0.0)
    scale = 2.0 ** max(min((likes._landmark_s - now_s) / half_life_s, 900.0), -900.0)
    np.testing.assert_allclose(found * scale, expected, rtol=1e-6, atol=1e-9)


def test_the_head_of_an_order_is_right_and_what_lies_behind_is_found(
    live: LiveRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motet.recommend.retrieve import _popular as _ordered  # noqa: PLC0415

    monkeypatch.setattr(_ordered, "_HEAD", 4)
    monkeypatch.setattr(_ordered, "_SORT_EVERY_S", -1.0)
    n = len(live.items.now)
    rng = np.random.default_rng(0)
    scores = rng.random(n)
    order = Ordered(scores)
    for _ in range(30):
        rows = rng.choice(n, 2, replace=False)
        gains = rng.random(2)
        scores[rows] += gains
        order.add(rows.astype(np.int64), gains)
        wanted = np.argsort(-scores)
        assert order.head.tolist() == wanted[:4].tolist()
        assert order.best(ask_for(live), 9)[0].tolist() == wanted[:9].tolist()
        mask = np.zeros(n, bool)
        mask[wanted[6:9]] = True
        assert order.best(ask_for(live, mask=mask), 2)[0].tolist() == wanted[6:8].tolist()


def test_what_is_liked_together() -> None:
    rng = np.random.default_rng(0)
    likes = (rng.random((30, 12)) < 0.3).astype(np.float32)
    lists, cosines = together(sp.csc_array(likes), 3)
    norm = np.linalg.norm(likes, axis=0)
    cosine = (likes.T @ likes) / np.maximum(np.outer(norm, norm), 1e-9)
    np.fill_diagonal(cosine, 0)
    for item in range(12):
        at = slice(lists.offsets[item], lists.offsets[item + 1])
        wanted = np.sort(cosine[item])[::-1][:3]
        np.testing.assert_allclose(cosines[at], wanted[wanted > 0], atol=1e-5)


class _Source:
    def __init__(self, name: str, rows: list[int], *, inline: bool = True, wait_s: float = 0.0) -> None:
        self.name, self.inline, self._rows, self._wait_s = name, inline, rows, wait_s
        self.calls = 0

    def candidates(self, ask: CandidateQuery, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        self.calls += 1
        time.sleep(self._wait_s)
        if not self._rows:
            raise ValueError("the file is gone")
        rows = np.array(self._rows[:n], np.int64)
        return rows, np.ones(len(rows), np.float32)


def test_sources_that_fail_are_left_out_and_named(live: LiveRecommender) -> None:
    retriever = Retriever(
        [_Source("good", [1, 2, 3]), _Source("broken", []), _Source("wild", [4, 99, -1, 1])]
    )
    found = retriever.retrieve(ask_for(live, excluded=(2,)), 12)
    assert found.rows.tolist() == [1, 3, 4]
    assert found.left_out == {"broken": "failed (ValueError: the file is gone)"}
    assert found.sources_of(1) == ("good", "wild")


def test_sources_that_are_late_are_left_out_and_not_piled_up(live: LiveRecommender) -> None:
    slow = _Source("slow", [5], inline=False, wait_s=0.5)
    retriever = Retriever([slow, _Source("good", [1])])
    began_s = time.perf_counter()
    for _ in range(6):
        found = retriever.retrieve(ask_for(live), 5, budget_s=0.03)
        assert found.rows.tolist() == [1]
        assert "slow" in found.left_out
    assert time.perf_counter() - began_s < 0.45
    assert slow.calls == 2
    time.sleep(0.6)
    assert retriever.retrieve(ask_for(live), 5, budget_s=5.0).rows.tolist() == [5, 1]
    retriever.close()


def test_quotas_share_the_candidates(live: LiveRecommender) -> None:
    sources = [_Source("a", list(range(20))), _Source("b", list(range(10, 30)))]
    found = Retriever(sources, {"a": 3.0}).retrieve(ask_for(live), 12)
    assert {name: len(rows) for name, rows in found.found.items()} == {"a": 9, "b": 3}
    with pytest.raises(DataError, match="'aa' is not known"):
        Retriever(sources, {"aa": 1.0})
    with pytest.raises(DataError, match="above 0"):
        Retriever(sources, {"a": 0.0})
    with pytest.raises(DataError, match="same name"):
        Retriever([sources[0], sources[0]])


def test_a_list_is_given_even_where_the_model_fails(
    live: LiveRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(live._scorer, "score", fail)
    answer = live.recommend(Query(user="u1", k=4))
    assert len(answer.items) == 4
    assert answer.left_out["model"] == "failed (RuntimeError: out of memory)"
    assert not answer.items[0].predictions


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 3).map(lambda x: round(x, 1)), max_size=60), st.integers(1, 10))
def test_the_best_are_those_of_a_full_sort(scores: list[float], n: int) -> None:
    rows = np.arange(len(scores))[::-1].copy()
    values = np.array(scores, np.float32)
    found, kept = best_of(rows, values, n)
    order = sorted(range(len(scores)), key=lambda at: (-values[at], rows[at]))[:n]
    assert found.tolist() == rows[order].tolist()
    assert kept.tolist() == values[order].tolist()


def test_views_of_grown_arrays_never_change() -> None:
    append_only = AppendOnlyArray(np.arange(3))
    views = []
    for k in range(50):
        append_only.append(np.array([k, k]))
        views.append((append_only.view, append_only.view.copy()))
    assert all((view == copy).all() for view, copy in views)
