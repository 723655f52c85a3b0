"""Vectors of a graph: a planted structure is found, hidden relations are out, the model gets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tests.graph.conftest import Make, Triple, schema_with, write

import motet
from motet.errors import KnowledgeError, MotetError
from motet.graph import GraphInteractions, KnowledgeGraph, hidden_relations, knowledge_vectors
from motet.schema import KnowledgeSettings, Schema
from motet.training import evaluate_bundle, load_data, train

KINDS = ["transe", "distmult", "lightgcn", "gat"]
GROUPS, ITEMS_A_GROUP = 4, 20


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOTET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def planted(rng: np.random.Generator) -> tuple[list[Triple], NDArray[np.int64]]:
    """Items of four groups; each has four of its group's twelve people, and one fact that tells its group."""
    group = np.repeat(np.arange(GROUPS), ITEMS_A_GROUP)
    triples: list[Triple] = []
    for item, g in enumerate(group):
        user_encoder = rng.choice(12, 4, replace=False)
        triples += [(f"i{item}", "by" if p < 6 else "with", f"p{g}.{p}") for p in user_encoder]
        triples.append((f"i{item}", "group", f"g{g}"))
    return triples, group


@pytest.fixture
def world(make: Make) -> tuple[KnowledgeGraph, NDArray[np.int64]]:
    triples, group = planted(np.random.default_rng(0))
    links = {str(k): f"i{k}" for k in range(len(group))}
    return make(triples, links, [*links, "unlinked"]), group


def settings(kind: str, **more: Any) -> KnowledgeSettings:
    return KnowledgeSettings.model_validate(
        {"triples": "facts.csv", "vectors": kind, "width": 16, "epochs": 60} | more
    )


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_facts_are_predicted_by_nearest_items(
    kind: str, world: tuple[KnowledgeGraph, NDArray[np.int64]]
) -> None:
    """The group is left out of the graph; an item's nearest neighbour is of its group, by chance in 1 of 4."""
    graph, group = world
    vectors = knowledge_vectors(graph, settings(kind), exclude=["group"])
    assert vectors.shape == (len(group) + 1, 16)
    assert not vectors[-1].any()
    known = vectors[:-1]
    assert abs(known.mean()) < 1e-5
    assert abs(known.std() - 1) < 1e-3
    unit = known / np.linalg.norm(known, axis=1, keepdims=True)
    near = unit @ unit.T - 2 * np.eye(len(unit))
    assert (group[near.argmax(1)] == group).mean() > 0.8


def test_lightgcn_learns_from_who_had_what(world: tuple[KnowledgeGraph, NDArray[np.int64]]) -> None:
    graph, group = world
    rng = np.random.default_rng(1)
    items = rng.integers(len(group), size=600).astype(np.int32)
    users = (group[items] * 10 + rng.integers(10, size=600)).astype(np.int32)
    items[0], users[0] = len(group), 0  # the item without a link
    seen = GraphInteractions(users, items)
    vectors = knowledge_vectors(
        graph, settings("lightgcn"), interactions=seen, exclude=["group", "by", "with"][:2]
    )
    assert vectors[-1].any()
    other = knowledge_vectors(graph, settings("lightgcn"), exclude=["group", "by"])
    assert not np.allclose(vectors, other)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_vectors(
    kind: str,
    world: tuple[KnowledgeGraph, NDArray[np.int64]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph, _ = world
    once = knowledge_vectors(graph, settings(kind, epochs=3), seed=5)
    monkeypatch.setenv("MOTET_CACHE", str(tmp_path / "another"))
    np.testing.assert_array_equal(knowledge_vectors(graph, settings(kind, epochs=3), seed=5), once)
    assert not np.allclose(knowledge_vectors(graph, settings(kind, epochs=3), seed=6), once)


def test_the_cache_knows_what_vectors_depend_on(
    world: tuple[KnowledgeGraph, NDArray[np.int64]], own_cache: Path
) -> None:
    graph, _ = world
    fast = settings("transe", epochs=1)
    recorded: list[str] = []

    def progress(what: str, done: int, of: int) -> None:
        recorded.append(what)

    first = knowledge_vectors(graph, fast, progress=progress)
    (file,) = (own_cache / "graph").glob("*.safetensors")
    np.testing.assert_array_equal(load_file(str(file))["vectors"], first)
    assert recorded
    recorded.clear()
    np.testing.assert_array_equal(knowledge_vectors(graph, fast, progress=progress), first)
    assert not recorded
    knowledge_vectors(graph, fast, exclude=["by"])
    knowledge_vectors(graph, fast, seed=1)
    knowledge_vectors(graph, settings("transe", epochs=2))
    assert len(list((own_cache / "graph").iterdir())) == 4
    file.write_bytes(b"cut off")
    np.testing.assert_array_equal(knowledge_vectors(graph, fast, progress=progress), first)


def test_mistakes_are_named(world: tuple[KnowledgeGraph, NDArray[np.int64]]) -> None:
    graph, _ = world
    with pytest.raises(KnowledgeError, match=r"knowledge\.vectors is none"):
        knowledge_vectors(graph, settings("none"))
    with pytest.raises(
        KnowledgeError, match=r"the relation 'groups' is not known\. Cure: did you mean 'group'"
    ):
        knowledge_vectors(graph, settings("transe"), exclude=["groups"])
    with pytest.raises(KnowledgeError, match="no fact is left"):
        knowledge_vectors(graph, settings("transe"), exclude=["group", "by", "with"])


def shop(place: Path, kind: str = "transe", **more: Any) -> Schema:
    """Files of the planted world, with people who like one group each, and its schema."""
    rng = np.random.default_rng(2)
    triples, group = planted(rng)
    links = {str(k): f"i{k}" for k in range(len(group) - 3)}
    write(place, [*triples, *((t, "group_of", h) for h, r, t in triples if r == "group")], links)
    user = np.repeat(np.arange(40), 25)
    item = rng.integers(len(group), size=len(user))
    stars = np.where(group[item] == user % GROUPS, 5, 2)
    pl.DataFrame({"user": user, "film": item, "at": np.arange(len(user)), "stars": stars}).write_csv(
        place / "seen.csv"
    )
    pl.DataFrame({"film": np.arange(len(group)), "kind": [f"g{g}" for g in group]}).write_csv(
        place / "films.csv"
    )
    content: dict[str, Any] = {
        "tables": {"interactions": "seen.csv", "items": "films.csv"},
        "features": {
            "user": {"user": "id"},
            "item": {"film": "id", "graph": {"kind": "vector", "source": "knowledge"}},
        },
        "tasks": {
            "like": {"kind": "binary", "label": "stars >= 4"},
            "kind": {"kind": "multiclass", "on": "item", "label": "kind"},
        },
        "training": {"epochs": 1},
    }
    knowledge = {
        "triples": "facts.csv",
        "links": "links.csv",
        "vectors": kind,
        "width": 8,
        "epochs": 2,
        "hide": {"kind": ["group"]},
    }
    return schema_with(knowledge, **(content | more))


def test_a_relation_is_hidden_from_the_vectors_unless_the_task_hides_them(tmp_path: Path, make: Make) -> None:
    schema = shop(tmp_path)
    graph = load_data(schema, tmp_path).graph
    assert graph is not None
    assert graph.aliases == {"group_of": "group"}
    assert hidden_relations(schema, graph) == ("group",)
    by_alias = schema.with_overrides("knowledge.hide={kind: [group_of]}")
    assert hidden_relations(by_alias, graph) == ("group",)
    assert hidden_relations(schema.with_overrides("tasks.kind.hide=[graph]"), graph) == ()


def test_vectors_reach_the_data_set(tmp_path: Path) -> None:
    prepared = load_data(shop(tmp_path), tmp_path)
    data, graph = prepared.data, prepared.graph
    assert graph is not None
    rows = data.items.vector_rows[:, 0]
    linked = graph.item_entity >= 0
    assert (rows[linked] > 0).all()
    assert (rows[~linked] == 0).all()
    assert (~linked).sum() == 3
    settings = shop(tmp_path).knowledge
    assert settings is not None
    expected = knowledge_vectors(graph, settings, exclude=["group"])
    np.testing.assert_array_equal(data.vectors["graph"][rows], expected)


@pytest.mark.parametrize("kind", ["transe", "lightgcn"])
def test_a_bundle_keeps_its_vectors_and_serves_items_without(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = shop(tmp_path, kind)
    train(schema, tmp_path, tmp_path / "bundle")
    recommender = motet.load(tmp_path / "bundle").recommender
    assert len(recommender.recommend(["1", "nobody"], k=5)) >= 10
    pairs = pl.DataFrame(
        {"user": ["1", "1", "1"], "film": ["0", "79", "brand new"]}
    )  # linked, not linked, unknown
    recorded = recommender.predict(pairs)["like"]
    assert recorded.is_between(0, 1).all()
    assert not any("graph" in column for column in recommender.columns)
    # measured again elsewhere, the vectors are those that the model was trained with, though nothing is cached
    monkeypatch.setenv("MOTET_CACHE", str(tmp_path / "elsewhere"))
    trained = (tmp_path / "bundle" / "metrics.json").read_text()
    again = evaluate_bundle(tmp_path / "bundle", tmp_path)
    assert f'"auc": {again["tasks"]["like"]["auc"]}' in trained
    assert not (tmp_path / "elsewhere" / "graph").exists()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("knowledge.vectors=none", r"features\.item\.graph needs knowledge\.vectors"),
        ("knowledge=null", r"features\.item\.graph needs knowledge\.vectors"),
        ("knowledge.hide={likes: [group]}", r"knowledge\.hide: the task 'likes' is not known\. Cure: did you mean 'like'"),
        ("features.item.graph.whiten=4", "knowledge.width says how wide they are"),
        ("features.user.graph2={kind: vector, source: knowledge}", "move it to features.item"),
        ("knowledge.relations={group: {en: ' '}}", "'group' has no words in 'en'"),
        ("knowledge.inverses={a: b, b: c}", "which is an inverse itself"),
        ("knowledge.vectors=transd", "vectors"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, override: str, said: str) -> None:
    with pytest.raises(MotetError, match=said):
        shop(tmp_path).with_overrides(override)
