"""Conflicts are true and minimal, and ways out are the least there are: beside trying every set."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.assistant import (
    ConflictExplainer,
    ItemRelations,
    Likeness,
    ListLimit,
    ListLimits,
    ListPool,
    Quota,
    limits_of,
    tag_matrix,
)
from motet.assistant.understand import Range, Request, Tag
from motet.data import Catalogue

N = 9


def world(seed: int) -> tuple[Catalogue, ListPool]:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "id": [f"i{i}" for i in range(N)],
            "kind": rng.choice(["tea", "jam", "soup"], N).tolist(),
            "price": np.round(rng.gamma(2, 5, N), 2).tolist(),
            "year": rng.integers(1990, 2000, N).astype(float).tolist(),
        }
    )
    catalogue = Catalogue(frame, None, (), ("kind",), ("price", "year"), (), {}, {})
    same = np.zeros((N, N), bool)
    same[0, 1] = same[1, 0] = True
    none = sp.csr_array((N, N))
    tags = tag_matrix(catalogue)
    unit = sp.csr_array(tags / np.maximum(np.sqrt(tags.sum(axis=1)), 1)[:, None])
    likeness = Likeness(np.zeros((N, 0), np.float32), unit)
    relations = ItemRelations(none, none, sp.csr_array(same), likeness)
    pool = ListPool(rng.normal(size=N), relations, ListLimits(), tags, ())
    return catalogue, pool


def keeps(limits: Sequence[ListLimit], chosen: Sequence[int], pool: ListPool) -> bool:
    """Whether a set keeps limits, looked at one by one."""
    for limit in limits:
        if limit.keeps is not None and not all(limit.keeps[item] for item in chosen):
            return False
        if not all(row.holds(chosen) for row in limit.sums):
            return False
        if limit.kind == "duplicates" and any(
            pool.relations.duplicates[a, b] for a, b in itertools.combinations(chosen, 2)
        ):
            return False
    return True


def there_is(limits: Sequence[ListLimit], pool: ListPool) -> bool:
    return any(
        keeps(limits, chosen, pool)
        for size in range(N + 1)
        for chosen in itertools.combinations(range(N), size)
    )


def asked(seed: int) -> tuple[Request, ListLimits]:
    rng = np.random.default_rng([seed, 1])
    kinds = ["tea", "jam", "soup"]
    request = Request(
        count=int(rng.integers(2, 6)),
        total=(Range(column="price", high=float(np.round(rng.uniform(5, 40), 2))),),
        ranges=(Range(column="year", low=float(rng.integers(1992, 2001))),) if rng.random() < 0.5 else (),
        must=(Tag(column="kind", value=kinds[rng.integers(3)]),) if rng.random() < 0.4 else (),
        without=("i2",) if rng.random() < 0.5 else (),
    )
    quotas = (Quota(column="kind", value=kinds[rng.integers(3)], low=2),) if rng.random() < 0.4 else ()
    each = (Quota(column="kind", high=1),) if rng.random() < 0.3 else ()
    return request, ListLimits(quotas=(*quotas, *each))


@settings(max_examples=35, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_conflict_is_true_and_minimal(seed: int) -> None:
    catalogue, pool = world(seed)
    request, wishes = asked(seed)
    limits, unmet = limits_of(request, wishes, catalogue, [3])
    assert not unmet
    if there_is(limits, pool):
        return
    explained = ConflictExplainer(pool, catalogue, "en", time.monotonic() + 60).explain(limits)
    assert explained.conflict.minimal
    blamed = [limit for limit in limits if limit.words in explained.conflict.limits]
    assert len(blamed) == len(explained.conflict.limits)
    assert not there_is(blamed, pool)
    for limit in blamed:
        assert there_is([other for other in blamed if other is not limit], pool)
    # every way that is listed helps, and what is not listed would not have helped
    listed = {way.limit for way in explained.conflict.ways}
    for limit in blamed:
        if limit.kind == "exclusion":
            assert limit.words not in listed
        elif limit.kind != "count":
            helps = there_is([other for other in limits if other is not limit], pool)
            # a limit of which the other end is in the way has no single number to loosen
            assert (limit.words in listed) == helps
    if explained.nearest is not None:
        assert there_is(explained.nearest, pool)
        for limit in limits:
            if limit.kind == "exclusion":
                assert limit in explained.nearest


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_way_out_is_the_least(seed: int) -> None:
    catalogue, pool = world(seed)
    request, wishes = asked(seed)
    limits, _ = limits_of(request, wishes, catalogue, [3])
    if there_is(limits, pool):
        return
    explained = ConflictExplainer(pool, catalogue, "en", time.monotonic() + 60).explain(limits)
    sets = [c for size in range(1, N + 1) for c in itertools.combinations(range(N), size)]
    for way in explained.conflict.ways:
        (limit,) = [limit for limit in limits if limit.words == way.limit]
        others = [other for other in limits if other is not limit]
        if limit.kind == "total":
            known = [*others, replace(limit, sums=())]
            prices = catalogue.frame["price"].to_list()
            least = min(sum(prices[i] for i in c) for c in sets if keeps(known, c, pool))
            assert way.needed == pytest.approx(least)
        elif limit.kind == "count":
            assert limit.high is not None
            most = max(len(c) for c in sets if keeps(others, c, pool) and len(c) <= limit.high)
            assert way.needed == most
        elif limit.kind == "tag" and way.needed is not None:
            assert limit.keeps is not None
            outside = min(sum(not limit.keeps[i] for i in c) for c in sets if keeps(others, c, pool))
            assert way.needed == outside
        elif limit.kind == "range":
            years = catalogue.frame["year"].to_list()
            latest = max(min(years[i] for i in c) for c in sets if keeps(others, c, pool))
            assert way.needed == latest
