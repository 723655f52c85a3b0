"""A bundle that learns from the events since: what changes, what stays, and that it is the same each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

import motet
from motet.data import Frames, build_dataset
from motet.errors import DataError, ModelError
from motet.graph import read_written_knowledge
from motet.models.baselines import MEMBERS
from motet.schema import Schema
from motet.training import load_bundle, train
from motet.training.online import UpdateSettings, update_bundle

SCHEMA = """
name: turn
tables: {interactions: views, items: items}
keys: {user: user, item: item, time: at}
split: {by: time, train: 0.8, validation: 0.1}
features: {user: {user: id}, item: {item: id, colour: categorical}}
tasks: {like: {kind: binary, label: liked}, next: {kind: retrieval, positive: liked = 1}}
training: {epochs: 3, batch_size: 128, learning_rate: 0.02}
"""
BEFORE, ROWS, LATE = 3000, 6000, 4000
QUICK = UpdateSettings(events=250, recent=500)


def stream(rows: int = ROWS) -> Frames:
    """Likes go by colour; half way they turn; later a user and an item come that were never there."""
    rng = np.random.default_rng(0)
    item, user = rng.integers(0, 40, ROWS), rng.integers(0, 50, ROWS)
    late = np.arange(ROWS) >= LATE
    item[late & (rng.random(ROWS) < 0.1)] = 40
    user[late & (rng.random(ROWS) < 0.1)] = 50
    turned = np.arange(ROWS) >= BEFORE
    liked = rng.random(ROWS) < np.where((item % 2 == 0) ^ turned, 0.85, 0.15)
    liked[item == 40] = True  # which its colour does not say
    views = pl.DataFrame(
        {
            "user": [f"u{u}" for u in user],
            "item": [f"i{i}" for i in item],
            "at": 1_700_000_000 + 60 * np.arange(ROWS),
            "liked": liked.astype(np.int64),
            "seq": np.arange(1, ROWS + 1),
        }
    )
    colours = pl.DataFrame({"item": [f"i{i}" for i in range(41)], "colour": [*["red", "blue"] * 20, "blue"]})
    return Frames({"views": views[:rows], "items": colours})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("turn")
    train(Schema.parse(yaml.safe_load(SCHEMA)), stream(BEFORE), place / "old")
    update_bundle(place / "old", stream(), place / "new", after=BEFORE, settings=QUICK)
    return place


def weights(bundle: Path) -> bytes:
    return (bundle / "weights.safetensors").read_bytes()


def test_it_learns_what_has_changed_and_says_how_well_it_predicted_before(place: Path) -> None:
    facts = load_bundle(place / "new").metrics["updates"]
    losses = [one["loss"]["like"] for one in facts["micro_batches"]]
    assert [one["until"] for one in facts["micro_batches"]] == list(range(BEFORE + 250, ROWS + 1, 250))
    assert sum(one["rows"] for one in facts["micro_batches"]) == facts["rows"] == ROWS - BEFORE
    assert losses[0] > 1.2  # all it had learnt is wrong now
    assert losses[-1] < 0.5  # of a chance of 0.85 the least is 0.42
    liked = {}
    for name in ("old", "new"):
        pairs = pl.DataFrame({"user": ["u1"] * 40, "item": [f"i{i}" for i in range(40)]})
        liked[name] = motet.load(place / name).predict(pairs)["like"].to_numpy()
    assert liked["old"][::2].mean() - liked["old"][1::2].mean() > 0.4
    assert liked["new"][1::2].mean() - liked["new"][::2].mean() > 0.4


def test_new_users_and_items_have_embeddings_after_some_sightings(place: Path) -> None:
    old, new = load_bundle(place / "old"), load_bundle(place / "new")
    facts = new.metrics["updates"]
    assert facts["admitted"] == {"user": 1, "item": 1}
    for feature, word in (("user", "u50"), ("item", "i40")):
        before, after = old.data.encoder.vocabularies[feature], new.data.encoder.vocabularies[feature]
        assert word not in before.words.words.to_list()
        row = int(after.places[after.words.words.to_list().index(word)])
        assert row >= old.data.encoder.table_rows
        assert after.places[: len(before.places)].tolist() == before.places.tolist()  # the others stay
    assert new.manifest["format"] > old.manifest["format"]  # which earlier versions refuse
    # the new item is liked against what its colour says: only its own embedding can know
    pairs = pl.DataFrame({"user": [f"u{k}" for k in range(30)] * 2, "item": ["i40"] * 30 + ["i2"] * 30})
    found = motet.load(place / "new").predict(pairs)["like"].to_numpy()
    assert found[:30].mean() > found[30:].mean() + 0.2
    late = UpdateSettings(events=1000, admit_after=100_000)
    rare = update_bundle(place / "old", stream(), place / "rare", after=BEFORE, settings=late)
    assert rare.metrics["updates"]["admitted"] == {"user": 0, "item": 0}
    assert rare.data.encoder.table_rows == old.data.encoder.table_rows


def test_who_is_not_seen_any_more_is_dropped(place: Path) -> None:
    short = UpdateSettings(events=1000, expire_after=20)
    found = update_bundle(place / "new", stream(), place / "few", after=ROWS - 500, settings=short)
    last = stream().frames["views"][-21:]
    kept = set(found.data.encoder.vocabularies["user"].words.words.to_list())
    often = 5  # all of them came at least as often before
    assert kept >= set(last["user"].to_list())
    assert found.metrics["updates"]["dropped"]["user"] > 0
    assert often <= min(stream().frames["views"].group_by("user").len()["len"].to_list())
    motet.load(place / "few").recommend(["u1", "u50"], k=3)


def test_the_same_events_give_the_same_weights(place: Path) -> None:
    update_bundle(place / "old", stream(), place / "again", after=BEFORE, settings=QUICK)
    assert weights(place / "again") == weights(place / "new")
    assert weights(place / "new") != weights(place / "old")


def test_what_it_serves_counts_plain_members_again_with_their_settings_and_weights(place: Path) -> None:
    old, new = load_bundle(place / "old"), load_bundle(place / "new")
    assert old.blend is not None
    assert new.blend is not None
    assert new.blend.weights == old.blend.weights
    assert new.blend.members.keys() == old.blend.members.keys()
    assert [len(new.blend.occurs), int(new.blend.occurs.sum())] == [41, 41]
    assert int(old.blend.occurs.sum()) == 40
    ranked = motet.load(place / "new").recommend(["u1", "u50", "unknown"], k=5)
    assert len(ranked.filter(pl.col("user") == "unknown")) == 5


WALKS = """
name: walks
tables: {interactions: views}
keys: {user: user, item: item, time: at}
split: {by: time, train: 0.8, validation: 0.1}
features: {user: {user: id}, item: {item: id}}
tasks: {next: {kind: retrieval, positive: "true"}}
model: {members: [item_knn], width: 4, architecture: shared_bottom}
training: {epochs: 1, batch_size: 256}
"""


def walks() -> Frames:
    """Users stay with one of eight groups of items for three events, then they go to another."""
    rng = np.random.default_rng(0)
    user = rng.permutation(np.repeat(np.arange(200), 30))
    seen: dict[int, list[int]] = {}
    items = []
    for one in user.tolist():
        own = seen.setdefault(one, [])
        group = own[-1] // 15 if len(own) % 3 else int(rng.integers(8))
        own.append(group * 15 + int(rng.integers(15)))
        items.append(own[-1])
    rows = {"user": user, "item": items, "at": 60 * np.arange(6000), "seq": np.arange(1, 6001)}
    return Frames({"views": pl.DataFrame(rows)})


def test_members_are_set_and_weighed_again_by_lists_of_new_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, old, schema = walks(), tmp_path / "old", Schema.parse(yaml.safe_load(WALKS))
    first = Frames({"views": tables.frames["views"][:4000]})
    with monkeypatch.context() as patch:  # as if they had been right once
        long = replace(MEMBERS["item_knn"].choose(build_dataset(schema, first)), decay=1.0)
        patch.setattr(MEMBERS["item_knn"], "choose", lambda *_: long)
        patch.setattr(
            "motet.training.blending._ranking.weigh_members", lambda *_: {"network": 1.0, "item_knn": 0.01}
        )
        train(schema, first, old)
    found = {}
    for name, every in (("never", 0), ("now", 1000), ("again", 1000)):
        settings = UpdateSettings(choose_every=every)
        found[name] = update_bundle(old, tables, tmp_path / name, after=4000, settings=settings).blend
    before, never, now = load_bundle(old).blend, found["never"], found["now"]
    assert before is not None
    assert never is not None
    assert now is not None
    decay = {
        n: b.report["members"]["item_knn"]["settings"]["decay"] for n, b in (("old", before), ("now", now))
    }
    assert decay["now"] < decay["old"] == 1.0
    assert now.members["item_knn"].decay == decay["now"]
    assert never.members["item_knn"].decay == 1.0
    assert now.weights["item_knn"] > 10 * before.weights["item_knn"]
    assert now.lists is not None
    for part in ("weights.safetensors", "members.json", "members.safetensors"):
        assert (tmp_path / "now" / part).read_bytes() == (tmp_path / "again" / part).read_bytes()


def test_without_what_it_needs_it_says_so_and_leaves_nothing_behind(place: Path, tmp_path: Path) -> None:
    old, out = place / "old", tmp_path / "out"
    with pytest.raises(DataError, match="no row is new: the largest 'seq' is 3000, and the bundle has learnt up to 3000"):  # fmt: skip
        update_bundle(old, stream(BEFORE), out, after=BEFORE)
    with pytest.raises(DataError, match="column of event numbers in views"):
        update_bundle(old, stream(), out, after=BEFORE, number="sequence")
    tables = stream()
    tables.frames["views"] = tables.frames["views"].with_columns(pl.col("seq").cast(pl.Float64))
    with pytest.raises(DataError, match="numbers of events are whole"):
        update_bundle(old, tables, out, after=BEFORE)
    plain = Schema.parse(yaml.safe_load(SCHEMA)).with_overrides("model.architecture=item_knn")
    train(plain, stream(500), tmp_path / "plain")
    with pytest.raises(ModelError, match="no network to update"):
        update_bundle(tmp_path / "plain", stream(), out, after=500)
    for wrong in ({"events": 0}, {"replay": -1.0}, {"rate": 0.0}, {"admit_after": 0}):
        with pytest.raises(ModelError, match=next(iter(wrong))):
            UpdateSettings(**wrong)
    assert not out.exists()


def test_the_knowledge_graph_and_new_rows_stay_together(tmp_path: Path) -> None:
    content = yaml.safe_load(SCHEMA)
    content["knowledge"] = {"triples": "facts", "links": "links"}
    made = {
        "head": [f"e{i}" for i in range(41)],
        "relation": ["made_in"] * 41,
        "tail": ["here", *["there"] * 40],
    }
    more = {
        "facts": pl.DataFrame(made),
        "links": pl.DataFrame({"item": [f"i{i}" for i in range(41)], "entity": [f"e{i}" for i in range(41)]}),
    }
    tables = stream(BEFORE)
    train(Schema.parse(content), Frames({**tables.frames, **more}), tmp_path / "old")
    turned = Frames({**stream(BEFORE + 500).frames, **more})
    turned.frames["items"] = turned.frames["items"].reverse()  # rows of items are others now
    update_bundle(tmp_path / "old", turned, tmp_path / "new", after=BEFORE)
    for name in ("old", "new"):
        graph = read_written_knowledge(tmp_path / name)
        items = load_bundle(tmp_path / name).data.item_ids.to_list()
        assert [fact.entity for fact in graph.facts(items.index("i0"))] == ["here"]
        assert [fact.entity for fact in graph.facts(items.index("i7"))] == ["there"]
    assert (tmp_path / "new" / "report.html").is_file()
