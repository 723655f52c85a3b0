"""One training, from the store to a model that is active or kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.service.learner.conftest import EDITED, FEW, Learned, begun, fill, open_parts, stream

from motet.recommend.live import FOUND
from motet.schema import Schema
from motet.service.engine import ServedModel
from motet.service.learner import Judgement, RunSettings, judge, run_training, write_empty_bundle
from motet.service.store import Event, Item, ModelVersion, Store, TrainingState
from motet.training import load_bundle


def test_a_model_that_is_better_is_activated_and_tables_are_removed(learned: Learned) -> None:
    store, home, done = learned
    assert done.details["judged_against"].startswith("plain-lists")
    assert done.details["edited"] is True
    active = store.models.in_state("active")
    assert active is not None
    assert active.name == done.model
    assert sorted(path.name for path in home.iterdir()) == ["learned-1", "plain-lists", "schema.yaml"]
    assert run_training(store, home, 1, open_parts) == done  # there is nothing more to do


@pytest.mark.usefixtures("url")
def test_the_inferred_schema_trains_too_and_the_next_begins_with_its_weights(
    store: Store, home: Path
) -> None:
    fill(store)
    small = ("training.epochs=1", "model.architecture=shared_bottom", "model.width=4", "model.members=[]")
    quick = RunSettings(tolerance=1.0, judged=5, changes=small)
    first = run_training(store, home, begun(store).number, open_parts, quick)
    assert (first.state, first.details.get("reason")) == ("active", "")
    assert first.details["started_from"] is None
    assert "like" in first.details["tasks"]
    second = run_training(store, home, begun(store, 0.9).number, open_parts, quick)
    assert second.state == "active"
    assert second.details["started_from"] == first.model
    assert [one.state for one in store.learner.latest()] == ["active", "replaced"]


def test_a_type_that_only_just_came_up_stops_no_training(store: Store, home: Path) -> None:
    events = stream()
    place = int(0.9 * len(events))  # the latest rows of the tables, of which none is a training row
    bought = [replace(events[place], type="buy", item=str(k), id=f"b{k}", user="u1") for k in range(3)]
    fill(store, [*events[:place], *bought, *events[place:]])
    small = ("training.epochs=1", "model.architecture=shared_bottom", "model.width=4", "model.members=[]")
    quick = RunSettings(tolerance=1.0, judged=5, changes=small)
    done = run_training(store, home, begun(store, 0.92).number, open_parts, quick)
    assert (done.state, done.details.get("reason")) == ("active", "")
    assert "like" in done.details["tasks"]
    assert "buy" not in done.details["tasks"]
    assert "buy" in Schema.load(home / "schema.yaml").tasks  # where people edit it, it stands


def test_a_model_that_is_worse_is_kept_with_the_reason(learned: Learned) -> None:
    store, home, _ = learned
    worse = EDITED.replace("like = 1", "like = 0")  # it looks for what is not liked
    (home / "schema.yaml").write_text(worse, encoding="utf-8")
    kept = run_training(store, home, begun(store).number, open_parts, RunSettings(tolerance=0.0, judged=40))
    assert kept.state == "kept"
    assert "lower by more than 0" in kept.details["reason"]
    versions = {one.name: one for one in store.models.all()}
    assert versions[str(kept.model)].state == "loaded"
    assert versions[str(kept.model)].reason == kept.details["reason"]
    assert store.models.in_state("active") != versions[str(kept.model)]


def test_what_is_wrong_is_the_reason_of_a_failure(store: Store, home: Path) -> None:
    fill(store)
    home.mkdir()
    (home / "schema.yaml").write_text(EDITED.replace("label: like", "label: love"), encoding="utf-8")
    failed = run_training(store, home, begun(store).number, open_parts)
    assert failed.state == "failed"
    assert "love" in failed.details["reason"]
    assert not (home / "training-1").exists()


def test_a_deleted_user_is_not_in_the_next_model(learned: Learned) -> None:
    store, home, first = learned
    assert "u5" in load_bundle(home / "learned-1").data.user_ids
    store.users.delete("u5")
    second = run_training(store, home, begun(store).number, open_parts, FEW)
    assert second.details["changes_until"] > first.details["changes_until"]
    assert second.details["users"] < first.details["users"]
    assert "u5" not in load_bundle(home / "learned-2").data.user_ids


@pytest.mark.parametrize("state", ["exporting", "training", "judging", "activating"])
def test_each_step_may_be_done_again(learned: Learned, state: TrainingState) -> None:
    """A process that is killed after a step, and before this is recorded, does it a second time."""
    store, home, done = learned
    store.learner.change(1, state)
    again = run_training(store, home, 1, open_parts, FEW)
    assert (again.state, again.model) == ("active", done.model)
    assert len(store.models.all()) == 1


def test_both_models_are_judged_on_the_same_events(learned: Learned) -> None:
    store, home, done = learned
    plain = write_empty_bundle(home / "plain-lists")

    def opened(path: Path) -> ServedModel:
        served = ServedModel("x", path, open_parts, store)
        served.catch_up(until=done.until)
        assert served.seq <= done.until
        return served

    def judged(new: Path, active: Path, most: int = 15, **settings: float) -> Judgement:
        return judge(opened(new), opened(active), store, done.judged_until, most=most, **settings)

    own = home / "learned-1"
    found, same = judged(own, plain), judged(own, own)
    assert same.ndcg == same.active_ndcg == found.ndcg
    assert (same.spread, same.problem) == (0.0, "")
    recorded, there = done.details["judged"], found.plain()
    assert (recorded["events"], recorded["ndcg"], recorded["active_ndcg"]) == (
        15,
        there["ndcg"],
        there["active_ndcg"],
    )
    assert "the limit is 0 ms" in judged(own, own, 1, most_ms=0.0).problem
    nothing = judged(own, own, 0)
    assert (nothing.events, nothing.ndcg, nothing.problem) == (0, 0.0, "")


def test_a_judgement_is_the_same_on_a_slow_machine(learned: Learned, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain lists compute neighbours from time to time while they serve: often here, and once only there."""
    store, home, done = learned
    plain = write_empty_bundle(home / "plain-lists")

    def opened(path: Path) -> ServedModel:
        served = ServedModel("x", path, open_parts, store)
        served.catch_up(until=done.until)
        return served

    found = []
    for every_s in (0.0, 1000.0):
        monkeypatch.setattr("motet.recommend.retrieve._personal._EVERY_S", every_s)
        judged = judge(opened(plain), opened(home / "learned-1"), store, done.judged_until, most=40)
        found.append((judged.events, judged.ndcg, judged.active_ndcg))
    assert found[0] == found[1]


def test_a_model_that_follows_up_to_an_event_reads_no_later_ones(
    learned: Learned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judgement tells each model of a few events at a time: what it reads grows with the events, not their square."""
    store, home, done = learned
    read, after = 0, store.events.after

    def counted(seq: int, most: int) -> list[Event]:
        nonlocal read
        found = after(seq, most)
        read += len(found)
        return found

    monkeypatch.setattr(store.events, "after", counted)
    served = ServedModel("x", home / "learned-1", open_parts, store)
    for until in range(10, done.until, 10):
        served.catch_up(until=until)
        assert served.seq == until
    assert read == served.seq


def test_an_operator_who_rolled_back_is_not_overruled(learned: Learned) -> None:
    store, home, done = learned
    store.models.put(ModelVersion("other", "/elsewhere"))
    store.models.activate("other")
    store.learner.change(1, "activating")
    run_training(store, home, 1, open_parts, FEW)
    active = store.models.in_state("active")
    assert active is not None
    assert active.name == "other" != done.model


def test_events_that_came_later_change_nothing(learned: Learned, tmp_path: Path) -> None:
    store, home, done = learned
    with Store(tmp_path / "other.sqlite") as other:
        fill(other, stream(0, done.judged_until))
        begun(other)
        other.events.add([Event("like", "u1", str(k), id=f"later {k}") for k in range(20)])
        place = tmp_path / "others"
        place.mkdir()
        (place / "schema.yaml").write_text(EDITED, encoding="utf-8")
        again = run_training(other, place, 1, open_parts, FEW)
    assert again.model == done.model  # of which the hash of the weights is a part
    one, two = load_bundle(home / "learned-1"), load_bundle(place / "learned-1")
    assert one.seen.values.tolist() == two.seen.values.tolist()
    assert one.data.item_ids.equals(two.data.item_ids)
    assert store.learner.latest(1)[0] == done


def test_events_count_for_plain_members_where_every_row_does(store: Store, home: Path) -> None:
    """A log of one type of event has no task of that name; its events are interactions all the same."""
    store.items.put([Item(str(k)) for k in range(8)])
    events = [Event("click", f"u{u}", str((u + k) % 8), id=f"{u} {k}") for u in range(20) for k in range(4)]
    store.events.add(events)
    home.mkdir()
    one_type = EDITED.replace("  like: {kind: binary, label: like}\n", "").replace("like = 1", '"true"')
    one_type = one_type.replace(", users: users.parquet", "").replace(", categories: tags", "")
    one_type = one_type.replace(", items: items.parquet", "").replace("catalogue: {title: title}\n", "")
    (home / "schema.yaml").write_text(one_type, encoding="utf-8")
    done = run_training(store, home, begun(store, 1.0).number, open_parts, FEW)
    assert (done.state, done.details["reason"]) == ("active", "")
    served = ServedModel("x", home / "learned-1", open_parts, store)
    store.events.add([Event("click", "new", "1"), Event("hide", "new", "2")])
    served.catch_up()
    live = served.parts.live
    history = live.history.of("new", live.items.now)
    assert [live.items.now.ids[row] for row in history.sequences[FOUND].rows] == ["1"]
