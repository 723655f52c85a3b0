"""Relations: planted ones are found, chance is not taken for one, and what stands twice is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from motet import datasets
from motet.assistant import (
    Chance,
    ItemRelations,
    RelationSettings,
    duplicate_pairs,
    likeness_of,
    mine_relations,
    pair_counts,
    sessions,
)
from motet.data import Behaviour, Catalogue, Dataset, Ragged, behaviour_of, build_dataset
from motet.errors import RequestError
from motet.schema import Schema
from motet.testing import hashed_words_for_tests

ITEMS, PAIRS = 90, 12
DAY_US = 86_400_000_000


def planted_shop(build: Callable[..., Dataset], seed: int = 0) -> Dataset:
    """A synthetic shop: items 2p and 2p + 1 go together, items 30 + 2p and 31 + 2p stand in for each other.

    Who takes one of the first kind often takes the other; who looks at one of the second kind looks at
    both and takes one, and their texts are the same but for a word. Everything else is chance, with
    some items far more popular than others and some baskets far longer.
    """
    rng = np.random.default_rng(seed)
    popular = rng.lognormal(0, 0.8, ITEMS)
    rows = []
    for basket in range(1500):
        size = 1 + min(int(rng.geometric(0.4)), 8)
        took = set(rng.choice(ITEMS, size, replace=False, p=popular / popular.sum()).tolist())
        looked = set(took)
        for item in sorted(took):
            if item < 2 * PAIRS and rng.random() < 0.4:
                took.add(item ^ 1)
            if 30 <= item < 30 + 2 * PAIRS:
                took.discard(item ^ 1)
                looked.add(item ^ 1)
        at = basket % 5 * 30 * DAY_US + basket * 1000
        rows += [(f"u{basket // 5}", f"p{i:02}", (at + n) // 1000, int(i in took)) for n, i in enumerate(sorted(looked | took))]  # fmt: skip
    log = pl.DataFrame(rows, schema=["user", "item", "at", "buy"], orient="row")
    log = log.with_columns(pl.from_epoch("at", time_unit="ms"))
    words = [" ".join(f"w{w}" for w in rng.choice(400, 6, replace=False)) for _ in range(ITEMS)]
    for p in range(PAIRS):
        words[31 + 2 * p] = words[30 + 2 * p] + " new"
    items = pl.DataFrame({"item": [f"p{i:02}" for i in range(ITEMS)], "about": words})
    content: dict[str, Any] = {
        "name": "planted",
        "tables": {"interactions": "log.parquet", "items": "items.csv"},
        "keys": {"user": "user", "item": "item", "time": "at"},
        "features": {"user": {"user": "id"}, "item": {"item": "id", "text": {"kind": "text", "column": "about"}}},
        "tasks": {"buy": {"kind": "binary", "label": "buy"}},
        "split": {"by": "user_time"},
    }  # fmt: skip
    return build(content, {"log.parquet": log, "items.csv": items})


def rows_of(data: Dataset) -> NDArray[np.intp]:
    """Row of each item by its number."""
    known = {str(name): row for row, name in enumerate(data.item_ids)}
    return np.array([known[f"p{i:02}"] for i in range(ITEMS)])


def upper(matrix: sp.csr_array) -> set[tuple[int, int]]:
    a, b = matrix.nonzero()
    return {(int(i), int(j)) for i, j in zip(a, b, strict=True) if i < j}


def planted(rows: NDArray[np.intp], start: int) -> set[tuple[int, int]]:
    pairs = [(int(rows[start + 2 * p]), int(rows[start + 2 * p + 1])) for p in range(PAIRS)]
    return {(min(pair), max(pair)) for pair in pairs}


def partner(item: int, rows: NDArray[np.intp]) -> int:
    """The item that was planted beside an item."""
    return int(rows[int(np.flatnonzero(rows == item)[0]) ^ 1])


@pytest.fixture
def mined(build: Callable[..., Dataset]) -> tuple[ItemRelations, NDArray[np.intp]]:
    data = planted_shop(build)
    settings = RelationSettings(within_days=1, alike=0.7, same_text=0.9999)
    return mine_relations(data, behaviour_of(data), settings), rows_of(data)


def test_planted_complements_are_found_and_little_else(mined: tuple[ItemRelations, NDArray[np.intp]]) -> None:
    relations, rows = mined
    found, wanted = upper(relations.complements), planted(rows, 0)
    assert len(found & wanted) >= PAIRS - 1
    assert len(found - wanted) <= 3  # of some 4,000 pairs
    item, strength = relations.strongest(int(rows[0]), k=1)[0]
    assert item == rows[1]
    assert 0.3 < strength < 1


def test_planted_substitutes_are_found_and_are_no_complements(
    mined: tuple[ItemRelations, NDArray[np.intp]],
) -> None:
    relations, rows = mined
    found, wanted = upper(relations.substitutes), planted(rows, 30)
    assert wanted <= found  # the toy encoder has 12 dimensions: some texts are alike by chance
    first = [
        item
        for item in rows[30:54]
        if relations.strongest(int(item), "substitutes")[0][0] == partner(item, rows)
    ]
    assert len(first) >= 22  # of 24
    assert not upper(relations.complements) & wanted
    # looked at together and taken alternatively: more than half of the likeness
    likeness = relations.likeness.of_pairs(rows[30:31], rows[31:32])[0]
    assert relations.strongest(int(rows[30]), "substitutes")[0][1] > 0.5 * likeness
    with pytest.raises(RequestError, match="did you mean 'substitutes'"):
        relations.strongest(0, "substitute")


def test_relations_are_symmetric_and_the_same_twice(build: Callable[..., Dataset]) -> None:
    data = planted_shop(build, seed=3)
    one, two = (mine_relations(data, behaviour_of(data)) for _ in range(2))
    for name in ("complements", "substitutes", "duplicates"):
        a, b = getattr(one, name), getattr(two, name)
        assert (a != b).nnz == 0
        assert (a != a.T).nnz == 0
        assert a.diagonal().sum() == 0


def test_chance_is_not_taken_for_a_relation() -> None:
    """Long sessions and popular items alone: a lift over sessions finds pairs, this does not."""
    rng = np.random.default_rng(0)
    popular = rng.lognormal(0, 1, 60)
    sizes = np.concatenate([rng.integers(1, 4, 900), rng.integers(25, 35, 60)])
    taken = np.zeros((len(sizes), 60))
    for session, size in enumerate(sizes):
        taken[session, rng.choice(60, size, replace=False, p=popular / popular.sum())] = 1
    pairs = pair_counts(sp.csr_array(taken), support=3)
    assert pairs.significant(0.05, 60 * 59 // 2).sum() <= 3
    often = taken.sum(axis=0)
    lift = pairs.count * len(sizes) / (often[pairs.a] * often[pairs.b])
    assert np.median(lift) > 1.5  # what counting sessions would have seen


def test_chance_keeps_the_sums() -> None:
    rng = np.random.default_rng(1)
    taken = sp.csr_array((rng.random((300, 20)) < rng.random(20) * 0.4).astype(float))
    taken = taken[np.flatnonzero(np.diff(taken.indptr))]
    chance = Chance(taken)
    together = np.array(
        [[chance.expected(np.array([i]), np.array([j]))[0] for j in range(20)] for i in range(20)]
    )
    counts = (taken.T @ taken).toarray()
    off = ~np.eye(20, dtype=bool)
    assert together[off].sum() == pytest.approx(counts[off].sum(), rel=0.05)
    nothing = Chance(sp.csr_array((5, 3)))
    assert nothing.expected(np.array([0]), np.array([1]))[0] == 0


def test_sessions_are_cut_at_pauses() -> None:
    items = Ragged.from_lengths(np.array([0, 1, 2, 0, 1], np.int32), np.array([3, 0, 2]))
    time = np.array([0, 10, 100, 0, 5], np.int64)
    behaviour = Behaviour(items, time, np.zeros((5, 0), np.float32), ())
    cut = sessions(behaviour, 4, gap_us=20).toarray().astype(int).tolist()
    assert cut == [[1, 1, 0, 0], [0, 0, 1, 0], [1, 1, 0, 0]]
    assert sessions(behaviour, 4).shape == (2, 4)
    assert sessions(behaviour, 4, longest=2).toarray().sum(axis=1).tolist() == [2, 2]
    kept = np.array([True, False, False, False, False])
    assert sessions(behaviour, 4, kept=kept).toarray().tolist() == [[1, 0, 0, 0]]
    assert sessions(behaviour, 4, kept=np.zeros(5, bool)).shape == (0, 4)


def test_without_events_nothing_is_related(build: Callable[..., Dataset]) -> None:
    data = planted_shop(build)
    nothing = Behaviour(Ragged.empty(0), np.zeros(0, np.int64), np.zeros((0, 1), np.float32), ("buy",))
    relations = mine_relations(data, nothing)
    assert relations.complements.nnz == 0
    assert len(relations) == ITEMS


def test_an_unknown_task_is_named(build: Callable[..., Dataset]) -> None:
    data = planted_shop(build)
    with pytest.raises(RequestError, match="did you mean 'buy'"):
        mine_relations(data, behaviour_of(data), RelationSettings(taken="bui"))


def films(titles: list[str | None], years: list[float | None]) -> Catalogue:
    frame = pl.DataFrame({"id": [str(i) for i in range(len(titles))], "title": titles, "year": years})
    return Catalogue(frame, "title", (), (), ("year",), (), {}, {})


def test_the_same_title_in_another_year_is_another_thing(toy: Dataset) -> None:
    catalogue = films(["The Thing", "Thing, The!", "the thing", None, None, "..."], [1982.0, 1982.0, 2011.0, 1950.0, None, None])  # fmt: skip
    likeness = likeness_of(toy)
    nothing = type(likeness)(np.zeros((6, 0), np.float32), sp.csr_array((6, 1)))
    a, b = duplicate_pairs(catalogue, nothing, text_at_least=0.98)
    assert list(zip(a.tolist(), b.tolist(), strict=True)) == [(0, 1)]
    a, b = duplicate_pairs(films(["A b", "a B"], [None, 1999.0]), nothing, text_at_least=0.98)
    assert a.tolist() == [0]  # a year that is missing contradicts nothing


def test_the_eighteen_films_that_stand_twice() -> None:
    files = datasets.fetch("movielens-100k")
    data = build_dataset(Schema.load(files / "schema.yaml"), files, encode_text=hashed_words_for_tests)
    assert data.catalogue is not None
    likeness = likeness_of(data)
    titles_only = type(likeness)(np.zeros((len(data.items), 0), np.float32), likeness.tags)
    a, b = duplicate_pairs(data.catalogue, titles_only, text_at_least=0.98)
    assert len(a) == 18
    ids = data.catalogue.frame["id"]
    assert {"246", "268"} in [{ids[int(i)], ids[int(j)]} for i, j in zip(a, b, strict=True)]
