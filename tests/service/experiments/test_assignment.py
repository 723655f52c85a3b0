"""Assignment: GrowthBook's published cases where they are at hand, and properties that hold without them."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from motet.errors import RequestError
from motet.service.experiments import (
    Namespace,
    TrafficSplit,
    assign,
    bucket_hash,
    bucket_ranges,
    choose_variation,
    equal_weights,
    in_namespace,
    sample_ratio,
)

PLACES = (os.environ.get("MOTET_DATA_DIR", ""), Path(__file__).parents[4] / "shared" / "data")


@pytest.fixture(scope="module")
def cases() -> dict[str, Any]:
    for place in PLACES:
        path = Path(place) / "growthbook" / "cases.json"
        if str(place) and path.is_file():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
    pytest.skip("GrowthBook's cases are not at hand: MOTET_DATA_DIR/growthbook/cases.json")


def test_the_published_hashes(cases: dict[str, Any]) -> None:
    assert len(cases["hash"]) == 15
    for seed, value, version, expected in cases["hash"]:
        assert bucket_hash(seed, value, version) == expected


def test_the_published_ranges_weights_and_choices(cases: dict[str, Any]) -> None:
    for name, (variations, coverage, weights), expected in cases["getBucketRange"]:
        found = bucket_ranges(variations, coverage, weights)
        for one, other in zip(found, expected, strict=True):
            assert one == pytest.approx(tuple(other)), name
    for variations, expected in cases["getEqualWeights"]:
        assert equal_weights(variations) == pytest.approx(expected, abs=1e-8)
    for name, bucket, ranges, expected in cases["chooseVariation"]:
        assert choose_variation(bucket, [tuple(one) for one in ranges]) == expected, name
    for name, user, (namespace, start, end), expected in cases["inNamespace"]:
        assert in_namespace(user, Namespace(namespace, start, end)) is expected, name


# What motet's experiments do not have, and the SDKs of GrowthBook do: targeting, forcing, filters, prerequisites.
_ELSEWHERE = {"force", "condition", "parentConditions", "filters", "active"}
_CONTEXT = {"attributes"}


def traffic_of(experiment: dict[str, Any], key: str) -> TrafficSplit:
    count = len(experiment["variations"])
    namespace, ranges = experiment.get("namespace"), experiment.get("ranges")
    return TrafficSplit(
        key=key,
        variations=tuple(str(at) for at in range(count)),
        weights=tuple(experiment["weights"]) if "weights" in experiment else None,
        coverage=experiment.get("coverage", 1.0),
        seed=experiment.get("seed"),
        namespace=Namespace(*namespace) if namespace else None,
        ranges=tuple((low, high) for low, high in ranges) if ranges else None,
        hash_version=experiment.get("hashVersion", 1),
        version=experiment.get("bucketVersion", 0),
        oldest=experiment.get("minBucketVersion", 0),
    )


def test_the_published_runs(cases: dict[str, Any]) -> None:
    count = 0
    for name, context, experiment, value, is_in, _ in cases["run"]:
        if _ELSEWHERE & experiment.keys() or context.keys() - _CONTEXT:
            continue
        user = context.get("attributes", {}).get(experiment.get("hashAttribute", "id"))
        found = assign(traffic_of(experiment, experiment["key"]), user)
        assert (found is not None) is is_in, name
        assert experiment["variations"][found.variation if found is not None else 0] == value, name
        count += 1
    assert count == 53


def test_the_published_sticky_buckets(cases: dict[str, Any]) -> None:
    count = 0
    for name, context, documents, feature, expected, _ in cases["stickyBucket"]:
        (rule,) = context["features"][feature]["rules"]
        known = [] if rule.get("disableStickyBucketing") else documents
        attributes = context["attributes"]

        def id_of(attribute: str, attributes: dict[str, str] = attributes) -> str | None:
            value = attributes.get(attribute)
            return f"{attribute}||{value}" if value else None

        remembered = {f"{one['attributeName']}||{one['attributeValue']}": one["assignments"] for one in known}
        traffic = traffic_of(rule, rule.get("key", feature))
        own, other = rule["hashAttribute"], rule.get("fallbackAttribute")
        found = assign(traffic, id_of(own), fallback=id_of(other), remembered=remembered)
        if expected is None:
            assert found is None, name
        elif expected["stickyBucketUsed"]:
            assert found is not None, name
            assert (found.variation, found.remembered) == (expected["variationId"], True), name
        else:
            # ids carry their attribute above, so the bucket is compared without it
            value = attributes.get(own) or attributes[other]
            plain = assign(traffic, value)
            assert plain is not None, name
            assert (plain.variation, plain.bucket) == (expected["variationId"], expected["bucket"]), name
        count += 1
    assert count == 9


@pytest.mark.parametrize(
    ("seed", "value", "expected"),
    [
        ("", "", 0.2305),
        ("films", "ann", 0.6905),
        ("films", "ben", 0.4999),
        ("new-ranking", "user-1", 0.1847),
        ("new-ranking", "user-2", 0.2652),
        ("实验", "用户", 0.292),
    ],
)
def test_hashes_stay_as_they_are(seed: str, value: str, expected: float) -> None:
    assert bucket_hash(seed, value) == expected


def test_more_traffic_moves_nobody() -> None:
    small = TrafficSplit("x", ("a", "b"), weights=(0.3, 0.7), coverage=0.2)
    large = TrafficSplit("x", ("a", "b"), weights=(0.3, 0.7), coverage=0.8)
    before = {str(user): assign(small, str(user)) for user in range(2_000)}
    taken = 0
    for user, found in before.items():
        if found is not None:
            taken += 1
            after = assign(large, user)
            assert after is not None
            assert after.variation == found.variation
    assert 330 < taken < 470


def test_shares_are_kept_and_experiments_do_not_depend_on_each_other() -> None:
    first, second = (TrafficSplit(key, ("a", "b", "c"), weights=(0.5, 0.3, 0.2)) for key in ("one", "two"))
    pairs: Counter[tuple[int, int]] = Counter()
    for user in range(6_000):
        one, two = assign(first, f"u{user}"), assign(second, f"u{user}")
        assert one is not None
        assert two is not None
        pairs[one.variation, two.variation] += 1
    expected = [a * b for a in first.shares for b in second.shares]
    counts = [pairs[a, b] for a in range(3) for b in range(3)]
    assert sample_ratio(counts, expected).passed


def test_namespaces_part_users() -> None:
    early, late = Namespace("rows", 0.0, 0.4), Namespace("rows", 0.4, 1.0)
    for user in range(300):
        assert in_namespace(str(user), early) != in_namespace(str(user), late)
    with pytest.raises(RequestError, match="namespace"):
        Namespace("rows", 0.5, 0.4)


def test_a_variant_is_kept_though_the_traffic_changes() -> None:
    closed = TrafficSplit("x", ("a", "b"), coverage=0.0, namespace=Namespace("rows", 0.0, 0.0))
    assert assign(closed, "ann") is None
    kept = assign(closed, "ann", remembered={"ann": {"x__0": "b"}})
    assert kept is not None
    assert (kept.variation, kept.remembered) == (1, True)
    gone = assign(closed, "ann", remembered={"ann": {"x__0": "a variation of before"}})
    assert gone is None
    assert assign(closed, None) is None
    assert assign(TrafficSplit("x", ("a",)), "ann") is None
    assert assign(TrafficSplit("x", ("a", "b"), hash_version=3), "ann") is None
