"""Whole lists from a real bundle: a small shop whose prices, tags and purchases are planted."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from motet.assistant import ItemRelations, ListAnswer, ListLimits, Quota, make_list, mine_relations
from motet.assistant.understand import Range, Request, Tag, TagQuota
from motet.data import build_dataset
from motet.errors import RequestError
from motet.models import build_model
from motet.recommend import Recommender
from motet.schema import Schema
from motet.testing import hashed_words_for_tests
from motet.training import load_bundle, save_bundle

KINDS = ["soup", "soup", "bread", "bread", "tea", "tea", "jam", "jam", "milk", "milk", "milk", "rice"]
PRICES: list[float | None] = [0.1, 0.2, 0.3, 0.7, 1.1, 2.25, 3.5, 4.0, 5.0, 6.0, None, 20.0]
TITLES = [f"{kind} {'abcdefghijkl'[i]}" for i, kind in enumerate(KINDS)]
TITLES[9] = "The Milk I"  # the same as item 8, "milk i"
SCORES = np.array([9, 8, 7, 6.5, 6, 5, 4, 3, 2.5, 2.4, 2.3, 1.0])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    place = tmp_path_factory.mktemp("shop")
    items = pl.DataFrame(
        {"item": [f"p{i}" for i in range(12)], "title": TITLES, "kind": KINDS, "price": PRICES}
    )
    items.write_csv(place / "items.csv")
    rows = [
        (f"u{u}", f"p{i}", 1_700_000_000 + 3600 * u + i, 1) for u in range(20) for i in (u % 12, (u + 3) % 12)
    ]
    pl.DataFrame(rows, schema=["user", "item", "at", "buy"], orient="row").write_csv(place / "x.csv")
    schema = Schema.parse(
        {
            "name": "shop",
            "tables": {"interactions": "x.csv", "items": "items.csv"},
            "keys": {"user": "user", "item": "item", "time": "at"},
            "features": {
                "user": {"user": "id"},
                "item": {"item": "id", "kind": "categorical", "price": "numeric"},
            },
            "tasks": {"buy": {"kind": "binary", "label": "buy"}},
            "split": {"by": "user_time"},
            "catalogue": {"title": "title", "columns": {"price": {"zh": "价格"}}, "words": {"soup": {"zh": ["汤"]}}},
        }
    )  # fmt: skip
    data = build_dataset(schema, place, encode_text=hashed_words_for_tests)
    save_bundle(place / "bundle", model=build_model(schema, data.encoder).eval(), data=data, metrics={})
    return Recommender(load_bundle(place / "bundle"), hashed_words_for_tests)


@pytest.fixture(scope="module")
def relations(shop: Recommender) -> ItemRelations:
    return mine_relations(shop.bundle.data, shop.bundle.behaviour)


class Ask:
    def __init__(self, shop: Recommender, relations: ItemRelations) -> None:
        self.shop, self.relations = shop, relations
        rows = [int(name[1:]) for name in shop.bundle.data.item_ids]
        self.scores: NDArray[np.float64] = SCORES[rows]

    def __call__(self, limits: ListLimits | None = None, user: str = "nobody", **parts: Any) -> ListAnswer:
        request = Request.model_validate(parts)
        answer = make_list(
            self.shop, user, request, self.relations, limits=limits or ListLimits(), scores=self.scores
        )
        json.dumps(answer.model_dump(mode="json"), allow_nan=False)
        return answer


@pytest.fixture
def ask(shop: Recommender, relations: ItemRelations) -> Ask:
    return Ask(shop, relations)


def ids(answer: ListAnswer | None) -> set[str]:
    assert answer is not None
    return {item.id for item in answer.items}


def under(price: float) -> dict[str, Any]:
    return {"total": (Range(column="price", high=price),)}


def test_the_best_items_come_where_nothing_is_asked(ask: Ask) -> None:
    answer = ask(ListLimits(variety=0))
    assert answer.status == "complete"
    assert [item.id for item in answer.items] == ["p0", "p1", "p2", "p3", "p4"]
    assert answer.items[0].value == 1.0
    assert answer.proven
    assert answer.gap == 0


def test_a_budget_is_kept_as_it_is_written(ask: Ask) -> None:
    # 0.1 + 0.2 is 0.30000000000000004 in floating point, and within a budget of 0.3 for people
    answer = ask(count=2, **under(0.3))
    assert ids(answer) == {"p0", "p1"}
    total = next(limit for limit in answer.limits if limit.kind == "total")
    assert (total.found, total.holds, total.words) == (0.3, True, "total price at most 0.3")
    assert answer.items[0].numbers == {"price": 0.1}


def test_a_budget_that_is_too_small_is_explained(ask: Ask) -> None:
    answer = ask(count=3, **under(0.5))
    assert answer.status == "infeasible"
    assert answer.items == ()
    assert answer.proven
    assert answer.conflict is not None
    assert answer.conflict.minimal
    assert answer.conflict.limits == ("total price at most 0.5", "3 items")
    needed = {way.kind: way.needed for way in answer.conflict.ways}
    assert needed == {"total": 0.6, "count": 2}
    assert "total price 0.6, the lowest possible, instead of at most 0.5" in answer.words
    assert ids(answer.nearest) == {"p0", "p1", "p2"}
    assert answer.nearest is not None
    assert answer.nearest.loosened == ("total price 0.6, the lowest possible, instead of at most 0.5",)


def test_it_speaks_chinese(ask: Ask) -> None:
    answer = ask(count=3, language="zh", must=(Tag(column="kind", value="soup"),), **under(5))
    assert answer.words.startswith("没有清单能同时满足：")
    assert "汤" in answer.words
    assert answer.conflict is not None
    assert set(answer.conflict.kinds) == {"tag", "count"}  # the budget is not to blame
    ok = ask(count=2, language="zh", **under(0.5))
    assert ok.words == "共2项，所有限制都已满足。"


def test_the_same_thing_never_comes_twice(ask: Ask) -> None:
    milk = (Tag(column="kind", value="milk"),)
    assert len(ids(ask(count=2, must=milk)) & {"p8", "p9"}) == 1
    answer = ask(count=3, must=milk)
    assert answer.status == "infeasible"
    assert answer.conflict is not None
    assert set(answer.conflict.kinds) == {"duplicates", "tag", "count"}
    assert ids(ask(ListLimits(duplicates=True), count=3, must=milk)) == {"p8", "p9", "p10"}


def test_items_without_the_number_are_not_counted_as_free(ask: Ask) -> None:
    answer = ask(count=1, must=(Tag(column="kind", value="milk"),), without=("p8", "p9"), **under(100))
    assert answer.status == "infeasible"
    assert ids(ask(count=1, must=(Tag(column="kind", value="milk"),), without=("p8", "p9"))) == {"p10"}


def test_a_limit_on_a_column_that_is_not_there_is_said(ask: Ask) -> None:
    answer = ask(count=2, total=(Range(column="weight", high=1),), ranges=(Range(column="year", low=1990),))
    assert answer.status == "complete"
    assert len(answer.unmet) == 2
    assert all(f"'{column}'" in answer.words for column in ("weight", "year"))
    assert "no column" in ask(ListLimits(quotas=(Quota(column="brand", high=1),)), count=1).unmet[0]


def test_quotas(ask: Ask) -> None:
    one_each = ListLimits(quotas=(Quota(column="kind", high=1),))
    answer = ask(one_each, count=5)
    assert len({KINDS[int(name[1:])] for name in ids(answer)}) == 5
    least = ListLimits(quotas=(Quota(column="kind", value="jam", low=2),))
    assert {"p6", "p7"} <= ids(ask(least, count=3))
    both = ask(least, count=3, must_not=(Tag(column="kind", value="jam"),))
    assert both.conflict is not None
    assert set(both.conflict.kinds) == {"quota", "exclusion"}
    assert {way.kind for way in both.conflict.ways} == {"quota"}  # what was excluded never comes back
    assert not ids(both.nearest) & {"p6", "p7"}
    seven = ask(one_each, count=7)
    assert seven.conflict is not None
    assert set(seven.conflict.kinds) == {"each", "count"}


def test_at_most_takes_fewer(ask: Ask) -> None:
    jam = (Tag(column="kind", value="jam"),)
    assert ask(ListLimits(count=5), must=jam).status == "complete"
    assert ids(ask(ListLimits(count=5), must=jam)) == {"p6", "p7"}
    assert ask(count=5, must=jam).status == "infeasible"
    assert ids(ask(ListLimits(exact=False), count=5, must=jam)) == {"p6", "p7"}


def test_an_empty_catalogue_after_the_limits(ask: Ask) -> None:
    gone = tuple(Tag(column="kind", value=kind) for kind in set(KINDS))
    answer = ask(must_not=gone)
    assert answer.status == "infeasible"
    assert answer.nearest is None
    assert "No item is left" in answer.words


def test_two_conflicts_at_once_still_give_a_nearest_list(ask: Ask) -> None:
    wants = ListLimits(
        quotas=(Quota(column="kind", value="soup", low=3), Quota(column="kind", value="jam", low=3))
    )
    answer = ask(wants, count=6)
    assert answer.status == "infeasible"
    assert answer.conflict is not None
    assert answer.conflict.ways == ()
    assert answer.nearest is not None
    assert len(answer.nearest.loosened) == 2
    assert "Loosening one of them alone does not help" in answer.words


def test_what_the_user_has_had_does_not_come(ask: Ask, shop: Recommender) -> None:
    had = {str(shop.bundle.data.item_ids[int(row)]) for row in shop.seen("u0")}
    assert had
    assert not ids(ask(count=5, user="u0")) & had
    assert ids(ask(ListLimits(seen=True, variety=0), count=5, user="u0")) == {"p0", "p1", "p2", "p3", "p4"}
    cold = make_list(shop, "never seen", Request(count=3), ask.relations)
    assert cold.status == "complete"
    assert len(cold.items) == 3


def test_a_range_says_how_much_wider_it_must_be(ask: Ask) -> None:
    answer = ask(count=3, ranges=(Range(column="price", low=4.5),))
    assert answer.conflict is not None
    ways = {way.kind: way for way in answer.conflict.ways}
    assert ways["range"].needed == 4.0  # 5 or 6 (the same thing), 20, and 4
    assert "price from 4 instead of 4.5" in answer.words
    assert ids(answer.nearest) >= {"p7", "p11"}


def test_what_goes_together_comes_together(shop: Recommender, ask: Ask, relations: ItemRelations) -> None:
    rows = {str(name): row for row, name in enumerate(shop.bundle.data.item_ids)}
    matrix = relations.complements.tolil()
    for a, b in itertools.permutations(("p5", "p6", "p11"), 2):
        matrix[rows[a], rows[b]] = 0.9
    planted = ItemRelations(matrix.tocsr(), relations.substitutes, relations.duplicates, relations.likeness)
    answer = make_list(
        shop, "nobody", Request(count=3), planted, limits=ListLimits(together=3), scores=ask.scores
    )
    assert ids(answer) == {"p5", "p6", "p11"}
    assert all(len(item.goes_with) == 2 for item in answer.items)
    beside = ListLimits(together=3, beside=("p11",))
    answer = make_list(shop, "nobody", Request(count=2), planted, limits=beside, scores=ask.scores)
    assert ids(answer) == {"p5", "p6"}
    with pytest.raises(RequestError, match="'p99' is not in the catalogue"):
        ask(ListLimits(beside=("p99",)))


def test_a_list_can_be_kept_from_being_all_alike(ask: Ask) -> None:
    answer = ask(ListLimits(alike=0.5), count=4)
    assert answer.status == "complete"
    report = next(limit for limit in answer.limits if limit.kind == "alike")
    assert report.holds
    assert report.found <= 0.5
    soups = ask(ListLimits(alike=0.1), count=2, must=(Tag(column="kind", value="soup"),))
    assert soups.conflict is not None
    assert "alike" in soups.conflict.kinds


def test_every_answer_is_plain_values(ask: Ask) -> None:
    answer = ask(count=3, **under(0.5))
    again = ListAnswer.model_validate_json(answer.model_dump_json())
    assert again == answer
    assert isinstance(json.loads(answer.model_dump_json())["conflict"]["ways"], list)


def test_two_limits_of_one_sum_are_kept_together(ask: Ask) -> None:
    both = (Range(column="price", high=12), Range(column="price", low=13))
    answer = ask(total=both)
    assert answer.status == "infeasible"
    assert answer.conflict is not None
    assert {"total price at most 12", "total price at least 13"} <= set(answer.conflict.limits)
    ranges = (Range(column="price", high=1), Range(column="price", low=3))
    answer = ask(count=1, ranges=ranges)
    assert answer.status == "infeasible"
    assert answer.conflict is not None
    assert {"price at most 1", "price at least 3"} <= set(answer.conflict.limits)


def test_what_the_catalogue_cannot_tell_is_not_said_to_be_kept(ask: Ask) -> None:
    answer = ask(count=2, unmet=("weight ≤ 3",))
    assert answer.words == (
        "2 items; every limit that the catalogue can decide is kept. "
        "The catalogue does not say enough to keep: weight ≤ 3."
    )
    assert ask(count=2).words == "2 items; every limit is kept."


def test_parts_of_a_request_are_solved_with_items_of_their_own(shop: Recommender) -> None:
    def part(value: str, low: int) -> TagQuota:
        return TagQuota(tags=(Tag(column="kind", value=value),), low=low)

    request = Request(count=3, quotas=(part("soup", 1), part("tea", 2)))
    answer = make_list(shop, "u0", request, limits=ListLimits(seen=True), scores=SCORES)
    kinds = sorted(KINDS[int(item.id[1:])] for item in answer.items)
    assert (answer.status, answer.method, kinds) == ("complete", "exact", ["soup", "tea", "tea"])
    assert "at least 2 × tea" in [limit.words for limit in answer.limits]

    many = Request(count=5, quotas=(part("soup", 1), part("tea", 4)))
    answer = make_list(shop, "u0", many, limits=ListLimits(seen=True), scores=SCORES)
    assert answer.conflict is not None
    assert answer.conflict.limits == ("at least 4 × tea",)
    assert [way.words for way in answer.conflict.ways] == ["'at least 4 × tea' lowered to 2"]
    assert answer.nearest is not None
    assert len(answer.nearest.items) == 5
    assert "'at least 4 × tea' lowered to 2" in [limit.words for limit in answer.nearest.limits]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_limits_that_contradict_each_other_are_named(shop: Recommender, language: str) -> None:
    ranges = (Range(column="price", high=1), Range(column="price", low=5))
    request = Request(ranges=ranges, count=2, language=language)
    answer = make_list(shop, "u0", request, limits=ListLimits(seen=True), scores=SCORES)
    assert answer.status == "infeasible"
    assert answer.conflict is not None
    assert answer.conflict.kinds[:2] == ("range", "range")
    assert all(words in answer.words for words in answer.conflict.limits)
