"""Reasons and attributions are about the score that is served: of the network and the plain members together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.assistant.explain import Attributor, Claim, Explainer, RecentInteractions, verify
from motet.data import Ragged
from motet.models.baselines import FoldedFactors, ItemPrior, ItemScores, ItemToItem, ItemVectors
from motet.recommend import Recommender
from motet.recommend.live import FOUND
from motet.schema import Schema
from motet.training import NETWORK, Bundle, RankingBlend, load_bundle, train

CIRCLES, SIZE = 4, 15
SCHEMA = """
name: circles
tables: {interactions: views.csv, items: items.csv}
keys: {user: user, item: item, time: at}
split: {by: user_time, train: 0.7, validation: 0.15}
features:
  user: {user: id, past: {kind: sequence, of: item, last: 10}}
  item: {item: id, colour: categorical}
tasks: {next: {kind: retrieval, positive: "true"}}
training: {epochs: 1, batch_size: 256, seed: 1}
model: {width: 8}
"""


@pytest.fixture(scope="module")
def circles(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Users who stay within one circle of items each, which neighbours know better than a network of one epoch."""
    place = tmp_path_factory.mktemp("circles")
    rng = np.random.default_rng(0)
    rows = []
    for user in range(120):
        items = rng.permutation(SIZE)[:11] + SIZE * (user % CIRCLES)
        rows += [(f"u{user}", f"i{item}", 1_700_000_000 + 60 * k) for k, item in enumerate(items)]
    pl.DataFrame(rows, ["user", "item", "at"], orient="row").write_csv(place / "views.csv")
    named = {"item": [f"i{k}" for k in range(CIRCLES * SIZE)]}
    pl.DataFrame({**named, "title": [f"Thing {k}" for k in range(CIRCLES * SIZE)], "colour": [("red", "blue")[k % 2] for k in range(CIRCLES * SIZE)]}).write_csv(place / "items.csv")  # fmt: skip
    (place / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    train(Schema.load(place / "schema.yaml"), place, place / "bundle")
    bundle = load_bundle(place / "bundle")
    assert bundle.blend is not None
    return bundle


@pytest.fixture(scope="module")
def explainer(circles: Bundle) -> Explainer:
    return Explainer(circles)


def blended_with(bundle: Bundle, weights: Mapping[str, float], members: Mapping[str, ItemScores]) -> Bundle:
    return replace(bundle, blend=RankingBlend(members, weights, np.ones(len(bundle.data.items), bool), {}))


def every_member(items: int) -> dict[str, ItemScores]:
    """Members of all kinds, with random weights."""
    rng = np.random.default_rng(3)
    weights = np.where(rng.random((items, items)) < 0.4, rng.normal(size=(items, items)), 0)
    vectors = rng.normal(size=(items, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return {
        "ease": ItemToItem(1.0, sp.csr_array(weights.astype(np.float32))),
        "item_knn": ItemToItem(0.8, sp.csr_array(np.abs(weights).astype(np.float32))),
        "als": FoldedFactors(1.0, vectors, 3.0, 0.1, vectors.T @ vectors),
        "text_neighbours": ItemVectors(0.9, vectors),
        "recent_popularity": ItemPrior(1.0, rng.random(items).astype(np.float32)),
    }


@pytest.fixture(scope="module")
def mixed(circles: Bundle) -> Explainer:
    members = every_member(len(circles.data.items))
    weights = {name: 0.3 + 0.2 * place for place, name in enumerate((NETWORK, *members))}
    return Explainer(blended_with(circles, weights, members))


def served(bundle: Bundle, user: int) -> NDArray[np.float32]:
    """What the recommender ranks by."""
    return Recommender(bundle).scores(str(bundle.data.user_ids[user]))


def without(bundle: Bundle, user: int, item: int) -> Bundle:
    """The bundle as if a user had never met an item."""

    def less(lists: Ragged) -> Ragged:
        at = np.repeat(np.arange(len(lists)), lists.lengths())
        kept = (at != user) | (lists.values != item)
        lengths = np.bincount(at[kept], minlength=len(lists)).astype(np.int64)
        return Ragged.from_lengths(lists.values[kept], lengths)

    histories = {}
    for name, history in bundle.data.histories.items():
        items = less(history.items)
        known = items.lengths().astype(np.int32)
        histories[name] = replace(history, items=items, known=known, train=known)
    return replace(bundle, data=replace(bundle.data, histories=histories), found=less(bundle.found))


def moved(explainer: Explainer, user: str, item: str) -> list[Claim]:
    found = explainer.explain(user, item, attribute=False).evidence
    return [claim for claim in found if claim.kind == "moved"]


@pytest.mark.parametrize("which", ["explainer", "mixed"])
def test_the_parts_add_up_to_the_score_that_is_served(which: str, request: pytest.FixtureRequest) -> None:
    explainer: Explainer = request.getfixturevalue(which)
    blend = explainer.bundle.blend
    assert blend is not None
    attributor = Attributor(explainer.evidence.probe, permutations=5)
    for user in (0, 7, 33):
        scores = served(explainer.bundle, user)
        for item in (0, 17, 44):
            found = attributor.attribute(user, item)
            assert found.gap < 1e-3
            assert found.score == pytest.approx(scores[item], abs=1e-3)
            plain = {name for name, _ in found.parts if name.startswith("plain: ")}
            assert plain == {f"plain: {name}" for name in blend.members}
            assert {name for name, _ in found.parts} == plain | set(attributor.groups)


def test_a_members_part_is_its_standardised_score(mixed: Explainer) -> None:
    blend = mixed.bundle.blend
    assert blend is not None
    parts = dict(Attributor(mixed.evidence.probe, permutations=2).attribute(5, 30).parts)
    had = mixed.bundle.found.take(np.array([5]))
    for name, member in blend.members.items():
        scores = member.scores(had)[0].astype(np.float64)
        wanted = blend.weights[name] * (scores[30] - scores.mean()) / scores.std()
        assert parts[f"plain: {name}"] == pytest.approx(wanted, abs=1e-4)


def test_many_histories_are_scored_as_each_is(mixed: Explainer) -> None:
    """Items that came later count for nothing, among those that were had and those that are scored."""
    ranking, size = mixed.recommender.ranking, len(mixed.bundle.data.items)
    assert ranking is not None
    rng = np.random.default_rng(1)
    lists = [[], [3], [size + 4], [7, 3, 7, size, 11], rng.integers(0, size, 140).tolist()]
    had = Ragged.from_lengths(
        np.concatenate(lists).astype(np.int32), np.array([len(one) for one in lists], np.int64)
    )
    items = np.array([size + 2, 0, 7, 59, size])
    width = mixed.recommender.precomputed_items().retrieval_arrays[0].shape[1]
    network = rng.normal(size=(len(lists), len(items))).astype(np.float32)
    queries = rng.normal(size=(len(lists), width)).astype(np.float32)
    found = sum(ranking.parts(network, queries, had, items).values())
    for scores, query, one, total in zip(network, queries, lists, found, strict=True):  # type: ignore[arg-type]
        wanted = ranking.of_user(scores, query, np.array(one, np.int32), items)
        np.testing.assert_allclose(total, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("which", ["explainer", "mixed"])
def test_without_the_items_named_the_served_score_falls_as_far_as_said(
    which: str, request: pytest.FixtureRequest
) -> None:
    explainer: Explainer = request.getfixturevalue(which)
    said = 0
    for user in (0, 1, 2):
        whole = served(explainer.bundle, user)
        for item in np.argsort(-whole)[:3].tolist():
            for claim in moved(explainer, f"u{user}", f"i{explainer.bundle.data.item_ids[item][1:]}"):
                assert verify(claim, explainer.evidence)
                liked = explainer.evidence.taste(user).without(item).liked.tolist()
                falls = {
                    row: float((whole - served(without(explainer.bundle, user, row), user))[item])
                    for row in liked
                }
                named = [mention.row for mention in claim.of("liked")]
                for row, weight in zip(named, claim.support.weights, strict=True):
                    assert falls[row] == pytest.approx(weight, abs=1e-3)
                    assert weight > 0
                assert (
                    min(falls[row] for row in named) >= max(falls[r] for r in liked if r not in named) - 1e-4
                )
                said += 1
    assert said >= 6


def test_a_claim_of_the_network_alone_is_refused_where_members_rank(circles: Bundle) -> None:
    """The items that the network leans on are not those that moved the score."""
    alone = Explainer(replace(circles, blend=None))
    members = every_member(len(circles.data.items))
    blended = Explainer(blended_with(circles, {NETWORK: 0.001, "ease": 1.0}, {"ease": members["ease"]}))
    claims = [c for user in range(6) for item in (0, 20, 50) for c in moved(alone, f"u{user}", f"i{item}")]
    assert len(claims) > 5
    assert all(verify(claim, alone.evidence) for claim in claims)
    assert not any(verify(claim, blended.evidence) for claim in claims)


def test_what_the_members_saw_is_named_where_the_network_has_almost_no_weight(circles: Bundle) -> None:
    """An item-item member that knows one thing: who had an item wants the next one."""
    size = len(circles.data.items)
    weights = sp.csr_array((np.ones(size, np.float32), (np.arange(size), (np.arange(size) + 1) % size)))
    bundle = blended_with(circles, {NETWORK: 0.001, "ease": 1.0}, {"ease": ItemToItem(1.0, weights)})
    explainer = Explainer(bundle)
    for user in (0, 1, 2, 3):
        liked = explainer.evidence.taste(user).liked.tolist()
        row = next(row for row in liked if (row + 1) % size not in liked)
        item = str(bundle.data.item_ids[(row + 1) % size])
        found = explainer.explain(f"u{user}", item, attribute=True)
        (claim,) = [claim for claim in found.evidence if claim.kind == "moved"]
        assert [mention.row for mention in claim.of("liked")] == [row]
        # that the network places others near to it has no part in the score
        assert all(row in {m.row for m in c.of("liked")} for c in found.evidence if c.kind == "near")
        assert all(verify(claim, explainer.evidence) for claim in found.evidence)
        assert found.attribution is not None
        name, part = found.attribution.parts[0]
        assert name == "plain: ease"
        assert part > 0.9 * (found.attribution.score - found.attribution.baseline)


def test_what_a_user_did_since_counts(mixed: Explainer) -> None:
    """Of a user that the bundle knows, and of one that it does not."""
    evidence, place = mixed.evidence, mixed._row_in_bundle
    new = np.array([20, 21, 22, 50])
    for user, row in (("u0", 0), ("visitor", -1)):
        old = evidence.history(row)
        histories = {
            name: np.concatenate([old.get(name, new[:0]), new]).astype(np.int32) for name in ("past", FOUND)
        }
        n = len(new)
        unknown = np.zeros(n, np.int64), np.ones(n), np.full(n, np.nan), np.zeros(n, bool)
        recent = RecentInteractions(new, *unknown, histories)
        live = mixed.on(evidence.with_recent(row, recent), place)
        before, after = (one.explain(user, "i5", attribute=True) for one in (mixed, live))
        assert before.attribution is not None
        assert after.attribution is not None
        assert after.attribution.gap < 1e-3
        assert abs(after.attribution.score - before.attribution.score) > 1e-3
        named = set()
        for item in range(30, 60):
            for claim in moved(live, user, f"i{item}"):
                assert verify(claim, live.evidence)
                assert not verify(claim, evidence) or row == 0
                named |= {mention.row for mention in claim.of("liked")}
        assert named & set(new.tolist())
        if row < 0:
            assert not any(moved(mixed, user, f"i{item}") for item in range(30, 40))
            assert named <= set(new.tolist())


def test_without_members_the_network_is_explained_alone(circles: Bundle) -> None:
    alone = Explainer(replace(circles, blend=None))
    assert set(alone.evidence.probe.history(0)) == {"past"}
    found = Attributor(alone.evidence.probe, permutations=2).attribute(0, 3)
    assert not any(name.startswith("plain") for name, _ in found.parts)
    assert found.score == pytest.approx(served(alone.bundle, 0)[3], abs=1e-4)


def test_live_events_count_where_no_task_says_what_is_liked(rebuilt: Callable[..., Explainer]) -> None:
    stars = {"stars": {"kind": "regression", "label": "like"}}
    evidence = rebuilt(tasks=stars, model={"width": 4}).evidence
    assert evidence.task is None
    new = np.array([4, 9])
    n = len(new)
    unknown = np.zeros(n, np.int64), np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, bool)
    taste = evidence.with_recent(-1, RecentInteractions(new, *unknown, {})).taste(-1)
    assert taste.liked.tolist() == taste.had.tolist() == [4, 9]


# -- tasks that are predicted by a blend ---------------------------------------------------------

HABITS = """
name: habits
tables: {interactions: use.csv}
keys: {user: user, item: app, time: at}
split: {by: user_time, train: 0.7, validation: 0.15}
features:
  user: {user: id, past: {kind: sequence, of: app, last: 5}}
  item: {app: id}
tasks: {used: {kind: binary, label: used, positive_weight: 2}}
training: {epochs: 1, batch_size: 512, seed: 1}
"""


@pytest.fixture(scope="module")
def habits(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """People with habits of their own, which counts of pairs say."""
    place = tmp_path_factory.mktemp("habits")
    rng = np.random.default_rng(0)
    n = 8000
    user, app = rng.integers(0, 60, n), rng.integers(0, 20, n)
    used = rng.random(n) < rng.random((60, 20))[user, app]
    columns = {"user": [f"u{k}" for k in user], "app": [f"a{k}" for k in app]}
    times = {"at": 1_700_000_000 + 60 * np.arange(n), "used": used.astype(int)}
    pl.DataFrame({**columns, **times}).write_csv(place / "use.csv")
    (place / "schema.yaml").write_text(HABITS, encoding="utf-8")
    train(Schema.load(place / "schema.yaml"), place, place / "bundle")
    bundle = load_bundle(place / "bundle")
    assert bundle.task_blend is not None
    assert bundle.blend is None
    return bundle


def test_a_blended_task_is_explained_as_it_is_predicted(habits: Bundle) -> None:
    explainer = Explainer(habits)
    blend = habits.task_blend
    assert blend is not None
    plain = {f"plain: {name}" for name in blend.members}
    for user in (0, 11):
        scores = served(habits, user)
        for item in (0, 5, 19):
            found = Attributor(explainer.evidence.probe, permutations=4).attribute(user, item)
            assert found.task == "used"
            assert found.score == pytest.approx(scores[item], abs=1e-4)
            assert found.gap < 1e-3
            assert plain <= {name for name, _ in found.parts}
    # a member that says what is usual moves nothing
    spread = [
        dict(Attributor(explainer.evidence.probe, permutations=1).attribute(u, 3).parts) for u in range(20)
    ]
    for name in plain:
        parts = [parts[name] for parts in spread]
        assert min(parts) < 0 < max(parts)


def test_a_reason_of_a_blended_task_moves_its_prediction(habits: Bundle) -> None:
    explainer, said = Explainer(habits), 0
    blend = habits.task_blend
    assert blend is not None
    weight = blend.weights["used"][NETWORK]
    alone = Explainer(replace(habits, task_blend=None))
    for user in (0, 1, 2):
        past = explainer.evidence.history(user)
        row = int(past["past"][-1])
        less = {name: rows[rows != row] for name, rows in past.items()}
        blended, network = (
            one.evidence.probe.with_histories(user, [3, 9], [past, less]) for one in (explainer, alone)
        )
        np.testing.assert_allclose(blended[0] - blended[1], weight * (network[0] - network[1]), atol=1e-4)
        np.testing.assert_allclose(blended[0], served(habits, user)[[3, 9]], atol=1e-4)
        for item in range(20):
            for claim in moved(explainer, f"u{user}", f"a{item}"):
                assert verify(claim, explainer.evidence)
                said += 1
    assert (said > 0) == (weight > 0)
