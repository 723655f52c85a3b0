from __future__ import annotations

import time
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from motet.data import Catalogue
from motet.errors import RequestError
from motet.recommend import AllOf, AnyFilter, AnyOf, Compare, Fields, Not, Query, read_filter, read_query

FRAME = pl.DataFrame(
    {
        "id": ["1", "2", "3", "4", "5", "6"],
        "title": ["Heat", "Big Heat", None, "heatwave", "", "Alien (1979)"],
        "tags": [["crime"], ["crime", "noir"], [], None, ["sci-fi"], ["sci-fi", "crime"]],
        "brand": ["ace", None, "bolt", "ace", "crow", "bolt"],
        "year": [1995.0, 1953.0, None, 2022.0, 1995.0, 1979.0],
    }
)
CATALOGUE = Catalogue(FRAME, "title", ("tags",), ("brand",), ("year",), (), {}, {})
FIELDS = Fields.of(CATALOGUE)


def mask(content: AnyFilter) -> list[bool]:
    found = FIELDS.mask(content, FRAME)
    assert found.dtype == np.bool_
    return found.tolist()  # type: ignore[no-any-return]


def plain(part: AnyFilter, row: dict[str, Any]) -> bool:
    """What a filter means, written down once more without any engine."""
    if isinstance(part, AllOf):
        return all(plain(one, row) for one in part.all)
    if isinstance(part, AnyOf):
        return any(plain(one, row) for one in part.any)
    if isinstance(part, Not):
        return not plain(part.none, row)
    cell, value = row[part.field], part.value
    values = value if isinstance(value, tuple) else (value,)
    if part.op in ("ne", "not_in"):
        return not plain(Compare(field=part.field, op="in", value=values), row)
    if cell is None:
        return False
    if part.op in ("eq", "in", "has"):
        return bool(set(cell) & set(values)) if isinstance(cell, list) else cell in values
    if part.op == "contains":
        return str(values[0]).lower() in cell.lower()
    low, high = values[0], values[-1]
    found = {"lt": cell < low, "le": cell <= low, "gt": cell > low, "ge": cell >= low}
    return bool(found[part.op]) if part.op in found else bool(low <= cell <= high)


def depth(part: AnyFilter) -> int:
    inner = part.all if isinstance(part, AllOf) else part.any if isinstance(part, AnyOf) else ()
    inner = (part.none,) if isinstance(part, Not) else inner
    return 1 + max((depth(one) for one in inner), default=0)


def shallow(parts: st.SearchStrategy[AnyFilter]) -> st.SearchStrategy[AnyFilter]:
    """Those that can be part of another filter."""
    return parts.filter(lambda part: depth(part) < 8)


words = st.sampled_from(["crime", "noir", "sci-fi", "ace", "bolt", "Heat", "", "1", "nobody"])
years = st.sampled_from([1953, 1979.0, 1995, 2000.5, 2022])
compares = st.one_of(
    st.builds(Compare, field=st.just("year"), op=st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]), value=years),
    st.builds(
        lambda a, b: Compare(field="year", op="between", value=(min(a, b), max(a, b))), years, years
    ),
    st.builds(Compare, field=st.just("year"), op=st.sampled_from(["in", "not_in"]), value=st.tuples(years, years)),
    st.builds(Compare, field=st.sampled_from(["brand", "tags", "id", "title"]), op=st.sampled_from(["eq", "ne"]), value=words),
    st.builds(Compare, field=st.sampled_from(["brand", "tags", "id"]), op=st.sampled_from(["in", "not_in"]), value=st.lists(words, max_size=3).map(tuple)),
    st.builds(Compare, field=st.just("tags"), op=st.just("has"), value=words),
    st.builds(Compare, field=st.sampled_from(["title", "brand"]), op=st.just("contains"), value=words),
)  # fmt: skip
filters = st.recursive(
    compares,
    lambda inner: st.one_of(
        st.builds(lambda parts: AllOf(all=tuple(parts)), st.lists(shallow(inner), max_size=3)),
        st.builds(lambda parts: AnyOf(any=tuple(parts)), st.lists(shallow(inner), max_size=3)),
        st.builds(lambda part: Not.model_validate({"not": part}), shallow(inner)),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(filters)
def test_a_filter_lets_through_what_it_says(wanted: AnyFilter) -> None:
    assert mask(wanted) == [plain(wanted, row) for row in FRAME.iter_rows(named=True)]


@settings(max_examples=100, deadline=None)
@given(filters)
def test_json_out_and_in_again(wanted: AnyFilter) -> None:
    assert read_filter(wanted.model_dump(mode="json", by_alias=True)) == wanted


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=True) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["field", "op", "value", "all", "any", "not", "x"]), inner, max_size=3
            )
        ),
        max_leaves=10,
    )
)
def test_whatever_comes_is_a_filter_or_an_error_that_says_why(content: Any) -> None:
    error = refusal(content)
    assert error is None or (error.problem and error.cure)


def refusal(content: Any) -> RequestError | None:
    try:
        read_filter(content)
    except RequestError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"field": "yaer", "op": "eq", "value": 1}, "'yaer' is not known. Cure: did you mean 'year'?"),
        ({"field": "year", "op": "eq", "value": "1995"}, "holds numbers, not '1995'"),
        ({"field": "year", "op": "eq", "value": True}, "holds numbers, not True"),
        ({"field": "year", "op": "has", "value": 1}, "'has' does not fit the field 'year'"),
        ({"field": "brand", "op": "lt", "value": "a"}, "'lt' does not fit the field 'brand'"),
        ({"field": "year", "op": "in", "value": 1}, "takes a list"),
        ({"field": "year", "op": "between", "value": [3, 1]}, "a lowest and a highest value"),
        ({"field": "brand", "op": "eq", "value": 1.5}, "holds words, not 1.5"),
    ],
)
def test_what_does_not_fit_the_catalogue_is_named(content: dict[str, Any], match: str) -> None:
    with pytest.raises(RequestError, match=match.replace("?", r"\?")):
        FIELDS.mask(read_filter(content), FRAME)


def test_sizes_are_limited() -> None:
    deep: dict[str, Any] = {"field": "year", "op": "eq", "value": 1}
    for _ in range(8):
        deep = {"not": deep}
    with pytest.raises(RequestError, match="deeper than 8"):
        read_filter(deep)
    one = {"field": "year", "op": "eq", "value": 1}
    with pytest.raises(RequestError, match="more than 100 parts"):
        read_filter({"all": [{"any": [one] * 60}, {"any": [one] * 60}]})
    with pytest.raises(RequestError, match="wrong at"):
        read_filter({"field": "id", "op": "in", "value": ["x"] * 1001})
    deepest: Any = one
    for _ in range(5000):
        deepest = {"any": [deepest]}
    with pytest.raises(RequestError, match="deeper"):
        read_filter(deepest)


def test_numbers_ask_for_ids_too() -> None:
    assert mask(read_filter({"field": "id", "op": "in", "value": [1, 2.0, "3"]})) == [True] * 3 + [False] * 3
    assert np.sum(mask(read_filter({"all": []}))) == 6
    assert not any(mask(read_filter({"any": []})))


def test_sizes_are_limited_wherever_a_filter_is_read() -> None:
    """A body of a request is made a query without being read as a filter before."""
    one = {"field": "year", "op": "eq", "value": 1}
    deep: Any = one
    for _ in range(8):
        deep = {"not": deep}
    many = {"all": [{"any": [one] * 60}, {"any": [one] * 60}]}
    long = {"any": [{"field": "id", "op": "in", "value": ["x" * 100] * 400}] * 2}
    for wrong, limit in ((deep, "deeper than 8"), (many, "more than 100 parts"), (long, "65,536 characters")):
        for said in (
            {"filter": wrong},
            {"rules": [{"kind": "bury", "where": wrong}]},
            {"rules": [{"kind": "boost", "where": wrong, "by": 1}]},
        ):
            with pytest.raises(ValidationError, match=limit):
                Query.model_validate(said)
            with pytest.raises(RequestError, match=limit):
                read_query(said)
    with pytest.raises(RequestError, match="more than 300 parts"):
        read_query({"rules": [{"kind": "bury", "where": {"any": [one] * 90}}] * 4})
    with pytest.raises(ValidationError, match="deeper than 8"):
        Not.model_validate({"not": read_filter(deep["not"])})


@pytest.mark.parametrize("field", ["year", "id"])
@pytest.mark.parametrize("value", [10**400, [1, -(10**400)]], ids=["one", "of a list"])
def test_a_number_that_no_column_can_hold_is_refused(field: str, value: object) -> None:
    wanted = {"field": field, "op": "in" if isinstance(value, list) else "eq", "value": value}
    with pytest.raises(RequestError, match="a number that is too large"):
        read_filter(wanted)
    with pytest.raises(ValidationError, match="a number that is too large"):
        Compare.model_validate(wanted)
    assert refusal({"field": field, "op": "eq", "value": 2**1000}) is None


LARGEST: dict[str, Any] = {
    "numbers": {"any": [{"field": "year", "op": "in", "value": list(range(k, k + 80))} for k in range(99)]},
    "all numbers at once": {"field": "year", "op": "in", "value": list(range(1000))},
    "tags": {"any": [{"field": "tags", "op": "in", "value": [f"w{k}{j}" for j in range(60)]} for k in range(99)]},
    "all tags at once": {"field": "tags", "op": "in", "value": [f"w{j}" for j in range(1000)]},
    "words": {"any": [{"field": "id", "op": "in", "value": [f"{k}{j}" for j in range(60)]} for k in range(99)]},
    "texts": {"any": [{"field": "title", "op": "contains", "value": f"{k}" * 200} for k in range(99)]},
    "deep": {"all": [{"any": [{"not": {"all": [{"field": "year", "op": "ge", "value": k}]}}]} for k in range(24)]},
}  # fmt: skip


@pytest.mark.parametrize("largest", LARGEST)
def test_the_largest_filters_take_no_time(largest: str) -> None:
    """Chains of comparisons took seconds for a filter that is allowed."""
    n = 2000
    frame = pl.DataFrame(
        {
            "id": [str(k) for k in range(n)],
            "title": [f"the story of {k} and of the {k % 97}" for k in range(n)],
            "tags": [[f"w{k % 300}", f"w{k % 7}", "all"] for k in range(n)],
            "brand": ["ace"] * n,
            "year": [1900.0 + k % 120 for k in range(n)],
        }
    )
    wanted, times_s = read_filter(LARGEST[largest]), []
    for _ in range(3):
        began_s = time.process_time()  # what others do on the machine does not count
        FIELDS.mask(wanted, frame)
        times_s.append(time.process_time() - began_s)
    assert min(times_s) < 0.15


@pytest.mark.parametrize(
    "content",
    [
        {"all": [{}] * 1_000_000},
        {"field": "id", "op": "in", "value": [1] * 1_000_000},
        {"all": [[]] * 1_000_000},
    ],
)
def test_what_is_far_too_large_is_refused_at_once(content: dict[str, Any]) -> None:
    began_s = time.perf_counter()
    with pytest.raises(RequestError, match="is of more than"):
        read_filter(content)
    assert time.perf_counter() - began_s < 0.2
