"""Experiments through the service: created, applied to lists, counted, shown, stopped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from motet.errors import RequestError
from motet.service.experiments import credited, experiment_results, read_experiment
from motet.service.store import (
    Event,
    ExperimentRecord,
    ExposedUser,
    MixedList,
    Shown,
    ShownItem,
    Store,
    Taken,
)

DEFINITION: dict[str, Any] = {
    "key": "stars-first",
    "hypothesis": "ranking by stars makes more people like a film",
    "variants": [{"name": "as-it-is"}, {"name": "stars", "objective": {"weights": {"stars": 1.0}}}],
    "metric": {"name": "likers", "events": ["liked"]},
    "more_metrics": [{"name": "likes-per-list", "kind": "ratio", "events": ["liked"]}],
    "guardrails": [
        {"name": "hides", "events": ["hide"], "kind": "count", "higher_is_better": False, "margin": 0.2}
    ],
    "planned_users": 1000,
    "window_hours": 24,
}


def filled(
    store: Store,
    *,
    users: int = 1_000,
    effect: float = 0.0,
    share: float = 0.5,
    seed: int = 0,
    **changes: Any,
) -> ExperimentRecord:
    """An experiment that ran for a day, a week ago, with likes of its users before and after."""
    rng = np.random.default_rng(seed)
    settings = read_experiment({**DEFINITION, **changes})
    start = datetime.now(UTC) - timedelta(days=7)
    record = ExperimentRecord(settings.key, settings.model_dump(mode="json"), "running", started=start)
    assert store.experiments.create(record)
    names = [one.name for one in settings.variants]
    liking = rng.uniform(0, 0.4, users)
    before = [
        Event("liked", f"p{at}", "1", time=start - timedelta(hours=5))
        for at in range(users)
        if rng.random() < liking[at]
    ]
    store.events.add(before)
    seq = store.events.last()
    exposed, after, lists = [], [], []
    for at in range(users):
        arm = int(rng.random() >= share)
        began = start + timedelta(seconds=60 * at)
        exposed.append(ExposedUser(settings.key, f"p{at}", names[arm], seq, began))
        for again in range(2):
            lists.append(Shown((ShownItem("1"),), user=f"p{at}", time=began + timedelta(minutes=again)))
        if rng.random() < liking[at] + effect * arm:
            after.append(Event("liked", f"p{at}", "2", time=began + timedelta(minutes=5)))
        after.append(Event("liked", f"p{at}", "3", time=began + timedelta(hours=25)))  # after the window
    store.experiments.expose(exposed)
    store.events.add(after)
    store.shown.add(lists)
    return record


def test_the_earliest_exposure_counts_whichever_process_writes_it_first(store: Store) -> None:
    record = filled(store, users=1)
    (first,) = store.experiments.exposures(record.key)
    earlier = ExposedUser(record.key, first.user, "other", 0, first.time - timedelta(seconds=1))
    store.experiments.expose([earlier])
    store.experiments.expose([first])
    assert store.experiments.exposures(record.key) == [earlier]


def test_outcomes_are_counted_within_the_window_and_users_once(store: Store) -> None:
    record = filled(store, users=300)
    store.experiments.expose([ExposedUser(record.key, "p0", "stars", 0, datetime.now(UTC))])  # known already
    results = experiment_results(store, record, read_experiment(record.definition))
    assert results.users == 300
    assert results.progress == pytest.approx(0.3)
    counts = results.sample_ratio.counts
    assert sum(counts.values()) == 300
    (likers, per_list, hides) = results.metrics
    assert likers.baseline is not None
    assert 0.1 < likers.baseline < 0.3  # those after the window are in nobody's
    assert per_list.baseline == pytest.approx(likers.baseline / 2, abs=0.01)
    assert hides.effects[0].guardrail == "open"
    assert [one.users for one in results.timeline] == sorted(one.users for one in results.timeline)
    assert results.timeline[-1].users == 300


def test_an_effect_is_found_and_shown_over_time(store: Store) -> None:
    record = filled(store, users=1_000, effect=0.2)
    results = experiment_results(store, record, read_experiment(record.definition))
    (effect,) = results.metrics[0].effects
    assert effect.interval is not None
    assert effect.interval[0] > 0
    assert effect.interval[0] < 0.2 < effect.interval[1]
    assert effect.p is not None
    assert effect.p < 0.05
    assert effect.variance_saved > 0.005  # who liked before likes again
    assert results.decision.kind == "better_unguarded"
    low, middle, high = results.timeline[-1].intervals["stars"]
    assert (low, high) == pytest.approx(effect.interval)
    assert low < middle < high
    first = next(one.intervals["stars"] for one in results.timeline if one.intervals)
    assert first[2] - first[0] > high - low


def test_a_mismatch_hides_everything_else(store: Store) -> None:
    record = filled(store, users=1_000, share=0.7)
    results = experiment_results(store, record, read_experiment(record.definition))
    assert not results.sample_ratio.passed
    assert results.decision.kind == "mismatch"
    assert results.metrics == ()
    assert results.timeline == ()


def test_an_empty_experiment_has_results(store: Store) -> None:
    record = filled(store, users=0)
    results = experiment_results(store, record, read_experiment(record.definition))
    assert (results.users, results.decision.kind) == (0, "running")


def test_a_deleted_user_leaves_the_experiment(store: Store) -> None:
    record = filled(store, users=50)
    assert store.users.delete("p7")
    assert all(one.user != "p7" for one in store.experiments.exposures(record.key))
    store.experiments.expose(
        [ExposedUser(record.key, "p7", "stars", 0, datetime.now(UTC) - timedelta(hours=1))]
    )
    assert len(store.experiments.exposures(record.key)) == 49


MIXED: dict[str, Any] = {
    **{name: DEFINITION[name] for name in ("key", "hypothesis", "variants", "metric", "window_hours")},
    "kind": "interleaving",
    "planned_users": 200,
}


def mixed(store: Store, *, users: int = 200, liking: float = 0.5, coin: float = 0.5) -> ExperimentRecord:
    """An experiment whose users like an item of the second variant with some chance, else one of the first; synthetic."""
    rng = np.random.default_rng(1)
    settings = read_experiment(MIXED)
    start = datetime.now(UTC) - timedelta(days=7)
    record = ExperimentRecord(settings.key, settings.model_dump(mode="json"), "running", started=start)
    assert store.experiments.create(record)
    exposed, lists, events = [], [], []
    for at in range(users):
        began, first = start + timedelta(minutes=at), int(rng.random() >= coin)
        names = [f"{settings.key}:{settings.variants[one].name}" for one in (first, 1 - first)]
        items = tuple(ShownItem(str(k), variant=names[k % 2]) for k in range(4))
        exposed.append(ExposedUser(settings.key, f"p{at}", names[0].partition(":")[2], 0, began))
        lists.append(Shown(items, f"l{at}", user=f"p{at}", time=began))
        second = int(rng.random() < liking)
        item = str(int(second != first))  # what the variant placed
        late = began + timedelta(minutes=5)
        events.append(Event("liked", f"p{at}", item, time=late, list_id=f"l{at}" if at % 2 else None))
        events.append(Event("liked", f"p{at}", "9", time=late))  # it was not in the list
        events.append(Event("liked", f"p{at}", item, time=began + timedelta(hours=25)))  # after the window
    store.experiments.expose(exposed)
    store.shown.add([*lists, Shown((ShownItem("1"), ShownItem("0")), user="p0", time=start)])  # a plain one
    store.events.add(events)
    return record


def test_of_two_rankings_in_one_list_the_preferred_one_is_found(store: Store) -> None:
    record = mixed(store, liking=0.8)
    results = experiment_results(store, record, read_experiment(record.definition))
    assert results.mixed is not None
    assert (results.mixed.lists, results.mixed.ties) == (200, 0)
    won = results.mixed.wins["stars"]
    (metric,) = results.metrics
    (effect,) = metric.effects
    assert (metric.kind, effect.users) == ("interleaving", 200)
    assert (effect.value, metric.baseline) == pytest.approx((won / 200, 1 - won / 200))
    assert effect.difference == pytest.approx((2 * won - 200) / 200)
    assert effect.interval is not None
    assert 0 < effect.interval[0] < 0.6 < effect.interval[1]
    assert (results.decision.kind, results.decision.variants) == ("better", ("stars",))
    assert results.timeline[-1].intervals["stars"][1] == pytest.approx(effect.difference)
    assert sum(results.sample_ratio.counts.values()) == 200


def test_first_places_that_are_uneven_hide_the_preference(store: Store) -> None:
    record = mixed(store, liking=0.8, coin=0.8)
    results = experiment_results(store, record, read_experiment(record.definition))
    assert (results.decision.kind, results.metrics, results.mixed) == ("mismatch", (), None)


def test_an_event_is_credited_to_the_list_it_came_from() -> None:
    lists = [
        MixedList("ann", "l1", 10, {"x": "a", "y": "b"}),
        MixedList("ann", "l2", 20, {"x": "b"}),
        MixedList("bob", "l3", 15, {"x": "a"}),
    ]
    for event, at in (
        (Taken("ann", "x", None, 1.0, 15), 0),  # the latest before it
        (Taken("ann", "x", None, 1.0, 25), 1),
        (Taken("ann", "x", "l1", 1.0, 25), 0),  # the one that it names
        (Taken("ann", "y", None, 1.0, 25), 0),
        (Taken("ann", "x", "l3", 1.0, 25), None),  # another's
        (Taken("ann", "y", "l2", 1.0, 25), None),  # it is not in it
        (Taken("ann", "x", None, 1.0, 5), None),  # before all
        (Taken("eve", "x", None, 1.0, 25), None),
    ):
        assert credited(lists, [event]) == ([] if at is None else [(at, event)])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"variants": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}, "two variants"),
        ({"variants": [{"name": "a", "weight": 2.0}, {"name": "b"}]}, "equal weights"),
        ({"guardrails": DEFINITION["guardrails"]}, "no guardrails"),
        ({"metric": {"name": "x", "events": ["a"], "kind": "sum"}}, "share or count"),
        ({"metric": {"name": "x", "events": ["a"], "higher_is_better": False}}, "higher_is_better"),
        ({"kind": "team-draft"}, "kind"),
    ],
)
def test_wrong_definitions_of_mixed_lists_are_named(change: dict[str, Any], match: str) -> None:
    with pytest.raises(RequestError, match=match):
        read_experiment({**MIXED, **change})
    one, other = (
        read_experiment(MIXED),
        {**MIXED, "variants": [{"name": "a"}, {"name": "b", "explore": None}]},
    )
    assert one.clashes_with(read_experiment(other)) == "places of lists"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"key": "a b"}, "key"),
        ({"variants": [{"name": "only"}]}, "variants"),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, "two of the variants are called 'a'"),
        ({"metric": {"name": "x", "events": ["a"], "per": ["b"]}}, "per belongs to a ratio"),
        ({"planned_users": 5}, "planned_users"),
        ({"plannd_users": 500}, "did you mean 'planned_users'"),
        ({"namespace": {"name": "n", "start": 0.5, "end": 0.5}}, "namespace"),
        ({"coverage": 0.0}, "coverage"),
    ],
)
def test_wrong_definitions_are_named(change: dict[str, Any], match: str) -> None:
    with pytest.raises(RequestError, match=match):
        read_experiment({**DEFINITION, **change})


def test_clashes() -> None:
    one = read_experiment(DEFINITION)
    assert one.clashes_with(read_experiment({**DEFINITION, "key": "b"})) == "objective"
    other = {**DEFINITION, "variants": [{"name": "a"}, {"name": "b", "diversity": {"strength": 0.5}}]}
    assert one.clashes_with(read_experiment(other)) is None
    low, high = ({"name": "rows", "start": s, "end": s + 0.5} for s in (0.0, 0.5))
    parts = [read_experiment({**DEFINITION, "namespace": part}) for part in (low, high)]
    assert parts[0].clashes_with(parts[1]) is None
    assert parts[0].clashes_with(one) == "objective"
    places = [read_experiment({**DEFINITION, "scenarios": [name]}) for name in ("home", "search")]
    assert places[0].clashes_with(places[1]) is None
