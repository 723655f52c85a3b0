from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motet.assistant.explain import Claim, Explainer, Mention, check_sentence, verify
from motet.assistant.understand import TONES
from motet.schema import LANGUAGES
from motet.training import Bundle

World = dict[str, pl.DataFrame]
Unmet = Callable[[str, int], list[str]]


def found(explainer: Explainer, user: str, item: str, kind: str) -> list[Claim]:
    return [claim for claim in explainer.explain(user, item).evidence if claim.kind == kind]


def test_the_planted_taste_is_found_with_the_right_counts(
    explainer: Explainer, unmet: Unmet, world: World
) -> None:
    events, items = world["events"], world["items"]
    item = next(i for i in unmet("u0", 0) if int(i[1:]) % 6)
    liked = events.filter((pl.col("user") == "u0") & (pl.col("like") == 1)).join(items, on="item")
    space = liked.filter(pl.col("genres").str.contains("Space"))
    claim = next(c for c in found(explainer, "u0", item, "tags") if len(c.mentions) == 1)
    assert claim.mentions == (Mention("tag", "Space", "genres"),)
    assert claim.number("found") == len(space)
    assert claim.number("of") == len(liked)
    assert claim.number("times") == math.floor(10 * len(space) / len(liked) * 3) / 10
    assert set(claim.support.rows) <= {int(i[1:]) for i in space["item"]}
    assert claim is explainer.explain("u0", item).reason.claims[0] or claim.strength > 0.5
    rated = next(c for c in found(explainer, "u0", item, "rate") if len(c.mentions) == 1)
    assert rated.polarity
    assert rated.number("found") == rated.number("of") == len(space)


def test_what_the_user_never_likes_is_said_against_the_item(explainer: Explainer, unmet: Unmet) -> None:
    item = unmet("u0", 1)[0]
    against = [c for c in found(explainer, "u0", item, "rate") if not c.polarity]
    assert any(c.mentions == (Mention("tag", "Love", "genres"),) for c in against)
    assert all(c.number("found") <= 0.35 * c.number("of") for c in against)
    text = explainer.explain("u0", item).reason.text
    assert re.search(r"(only \d+|none) of the \d+ love films", text)
    assert all(claim.polarity for reason in explainer.reason("u0", [item]) for claim in reason.claims)


def test_others_are_counted_without_the_user(explainer: Explainer, unmet: Unmet, world: World) -> None:
    item = unmet("u0", 0)[0]
    likes = world["events"].filter((pl.col("like") == 1) & (pl.col("user") != "u0"))
    here = set(likes.filter(pl.col("item") == item)["user"])
    claims = found(explainer, "u0", item, "others")
    assert claims
    for claim in claims:
        crowd = set(likes.filter(pl.col("item") == claim.mentions[0].key)["user"])
        assert claim.number("of") == len(crowd)
        assert claim.number("found") == len(crowd & here) >= 5


def pairs(explainer: Explainer) -> Iterator[tuple[str, str]]:
    for user in ("u0", "u1", "u2", "u59", "nobody"):
        for item in ("i0", "i1", "i2", "i9", "i33"):
            yield user, item


@lru_cache
def everything(explainer: Explainer) -> list[Claim]:
    claims = [
        c for user, item in pairs(explainer) for c in explainer.explain(user, item, attribute=False).evidence
    ]
    return claims + [
        s.claim for _, item in pairs(explainer) for s in explainer.describe(item, opinions=True).sentences
    ]


def test_every_claim_is_true(explainer: Explainer) -> None:
    claims = everything(explainer)
    assert {claim.kind for claim in claims} >= {"tags", "rate", "others", "popular", "is", "similar"}
    assert [claim for claim in claims if not verify(claim, explainer.evidence)] == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pick=st.integers(0, 10**6), how=st.integers(0, 5), by=st.integers(1, 9))
def test_a_changed_claim_is_false(explainer: Explainer, pick: int, how: int, by: int) -> None:
    claims = everything(explainer)
    claim = claims[pick % len(claims)]
    mutated = claim
    if how == 0 and claim.numbers:
        name, _ = claim.numbers[by % len(claim.numbers)]
        mutated = replace(claim, numbers=tuple((n, v + by if n == name else v) for n, v in claim.numbers))
    elif how == 1:
        mutated = replace(claim, polarity=not claim.polarity)
    elif how == 2 and claim.mentions:
        wrong = replace(claim.mentions[0], key=claim.mentions[0].key + "x")
        mutated = replace(claim, mentions=(wrong, *claim.mentions[1:]))
    elif how == 3:
        mutated = replace(claim, relation="directed_by")
    elif how == 4 and claim.numbers:
        mutated = replace(claim, numbers=claim.numbers[1:])
    elif how == 5 and claim.mentions:
        mutated = replace(claim, mentions=(Mention("tag", "Romance", "genres"),))
    if mutated != claim and not (how == 4 and claim.kind == "is"):
        assert not verify(mutated, explainer.evidence)


def test_claims_that_name_nothing_known_are_false(explainer: Explainer) -> None:
    claim = explainer.explain("u0", "i0").evidence[0]
    assert not verify(replace(claim, item=10_000), explainer.evidence)
    assert not verify(replace(claim, item=-1), explainer.evidence)
    assert not verify(replace(claim, user=10_000), explainer.evidence)
    assert not verify(replace(claim, mentions=(Mention("liked", "i1", row=10_000),)), explainer.evidence)


def test_no_number_about_others_is_said_of_fewer_than_five(explainer: Explainer) -> None:
    for claim in everything(explainer):
        if claim.kind in ("others", "peers", "popular"):
            assert claim.number("found") >= 5


@pytest.mark.parametrize("mention", [(), ("job",)])
def test_categories_of_users_are_said_only_where_the_schema_lets(
    rebuilt: Callable[..., Explainer],
    unmet: Unmet,
    planted: Bundle,
    words: dict[str, Any],
    mention: tuple[str, ...],
) -> None:
    explainer = rebuilt(explain={**words, "mention": mention})
    claims = found(explainer, "u0", unmet("u0", 0)[0], "peers")
    assert bool(claims) == bool(mention)
    assert all(verify(claim, explainer.evidence) for claim in claims)
    if mention:
        silent = Explainer(planted)
        assert not any(verify(claim, silent.evidence) for claim in claims)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(1, 10**6), user=st.integers(0, 59), item=st.integers(0, 59))
def test_in_any_world_what_is_found_holds_and_what_is_said_of_it_is_accepted(
    drawn: Callable[[int], Explainer], seed: int, user: int, item: int
) -> None:
    explainer = drawn(seed)
    found = list(explainer.explain(f"u{user}", f"i{item}", attribute=False).evidence)
    found += [one.claim for one in explainer.describe(f"i{item}", opinions=True).sentences]
    assert found
    for claim in found:
        assert verify(claim, explainer.evidence), claim
        assert 0 <= claim.strength <= 1
        for language in LANGUAGES:
            for tone in TONES:
                for sentence in explainer.said([claim], language, tone, seed=seed):
                    assert sentence.claim == claim
                    assert check_sentence(sentence.text, sentence, explainer.evidence) == ()
                    # a number that the claim does not hold is refused
                    assert check_sentence(f"{sentence.text} 987", sentence, explainer.evidence)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(1, 10**6), pick=st.integers(0, 10**6))
def test_in_any_world_the_history_of_one_user_is_no_evidence_for_another(
    drawn: Callable[[int], Explainer], seed: int, pick: int
) -> None:
    """A claim that leans on liked items does not hold for a user who liked none of them."""
    explainer = drawn(seed)
    mine, item = pick % 60, pick // 60 % 60
    claims = [
        claim
        for claim in explainer.explain(f"u{mine}", f"i{item}", attribute=False).evidence
        if claim.of("liked")
    ]
    for other in range(60):
        liked = set(explainer.evidence.taste(other).liked.tolist())
        for claim in claims:
            if liked.isdisjoint(mention.row for mention in claim.of("liked")):
                assert not verify(replace(claim, user=other), explainer.evidence)
