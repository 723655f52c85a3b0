"""Whatever the graph: a path that is found exists, fact by fact, and none better was left out."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.graph.conftest import Triple, schema_with, write

from motet.graph import Fact, KnowledgeGraph, read_knowledge

ENTITIES = [f"e{k}" for k in range(9)]
triples = st.lists(
    st.tuples(st.sampled_from(ENTITIES), st.sampled_from(["p", "q", "r", "back_of_r"]), st.sampled_from(ENTITIES)),
    min_size=4,
    max_size=30,
)  # fmt: skip


def graph_of(facts: list[Triple], named: bool) -> KnowledgeGraph | None:
    links = {str(k): f"e{k}" for k in range(5)}
    there = {e for h, _, t in facts if h != t for e in (h, t)}
    if not there & set(links.values()):
        return None
    relations = {r for h, r, t in facts if h != t}
    inverses = {"back_of_r": "r"} if named and {"r", "back_of_r"} <= relations else {}
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), facts, links)
        schema = schema_with({"triples": "facts.csv", "links": "links.csv", "inverses": inverses})
        return read_knowledge(schema, Path(place), pl.Series([str(k) for k in range(6)]))


def stated(graph: KnowledgeGraph, facts: set[Triple], subject: str, fact: Fact) -> bool:
    """Whether the file itself says so, directly or through the inverse."""
    head, tail = (subject, fact.entity) if fact.forward else (fact.entity, subject)
    other = dict(zip(graph.relations, graph.inverses, strict=True))
    other |= {b: a for a, b in other.items() if b is not None}
    inverse = other.get(fact.relation)
    return (head, fact.relation, tail) in facts or (inverse is not None and (tail, inverse, head) in facts)


@settings(max_examples=150, deadline=None)
@given(triples, st.booleans(), st.integers(1, 3))
def test_every_step_of_every_path_is_stated(facts: list[Triple], named: bool, hops: int) -> None:
    graph = graph_of(facts, named)
    if graph is None:
        return
    for item in range(6):
        for fact in graph.facts(item):
            assert stated(graph, set(facts), f"e{item}", fact)
            assert graph.holds(f"e{item}", fact.relation, fact.forward, fact.entity)
        for path in graph.paths([0, 1, 2, 3, 4, 5], item, k=100, max_hops=hops):
            ids = [f"e{path.history_row}", *(step.entity for step in path.steps)]
            assert len(path.steps) <= hops
            assert len(set(ids)) == len(ids)
            assert ids[-1] == f"e{item}"
            for subject, step in zip(ids, path.steps, strict=False):
                assert stated(graph, set(facts), subject, step)
            assert stated(graph, set(facts), ids[-1], path.last)
            assert path.last.entity == ids[-2]
            assert 0 < path.score <= 1


@settings(max_examples=60, deadline=None)
@given(triples)
def test_every_pair_that_two_steps_join_is_found(facts: list[Triple]) -> None:
    graph = graph_of(facts, False)
    if graph is None:
        return
    near: dict[str, set[str]] = {e: set() for e in ENTITIES}
    for head, _, tail in facts:
        if head != tail:
            near[head].add(tail)
            near[tail].add(head)
    for item in range(5):
        paths = graph.paths(range(5), item, k=1000, max_hops=2)
        found = {(p.history_row, p.steps[0].entity) for p in paths if len(p.steps) == 2}
        expected = {
            (start, through)
            for start in range(5)
            if start != item
            for through in near[f"e{start}"] & near[f"e{item}"]
        }
        assert found == expected
        direct = {p.history_row for p in paths if len(p.steps) == 1}
        assert direct == {s for s in range(5) if f"e{s}" in near[f"e{item}"]}
        scores = [p.score for p in paths]
        assert all(a >= b for a, b in pairwise(scores))
        assert graph.paths(range(5), item, k=3, max_hops=2) == paths[:3]


def test_a_history_of_a_hundred_films_takes_milliseconds(tmp_path: Path) -> None:
    """A bound that a loop over edges in Python would miss on any machine."""
    import time  # noqa: PLC0415

    rng = np.random.default_rng(0)
    links = {str(k): f"film{k}" for k in range(1_500)}
    heads = np.repeat(np.arange(1_500), 40)
    tails = rng.zipf(1.3, len(heads)) % 20_000
    facts = [(f"film{h}", f"r{t % 12}", f"thing{t}") for h, t in zip(heads, tails, strict=True)]
    write(tmp_path, facts, links)
    graph = read_knowledge(
        schema_with({"triples": "facts.csv", "links": "links.csv"}), tmp_path, pl.Series(list(links))
    )
    histories = [rng.choice(1_500, 100, replace=False) for _ in range(20)]
    began_s = time.perf_counter()
    found = [graph.paths(history, int(rng.integers(1_500)), 10) for history in histories]
    assert (time.perf_counter() - began_s) / 20 < 0.05
    assert all(len(paths) == 10 for paths in found)
