from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from motet.assistant.explain import Claim, Explainer, Mention, check_sentence, verify
from motet.data import IdIndex
from motet.graph import KnowledgeGraph
from motet.training import Bundle

ITEMS = 60


@pytest.fixture(scope="module")
def graph() -> KnowledgeGraph:
    """Films k and k + 3 share a director, named for k = 0 alone; i9 is a sequel to i6; all share a language."""
    films = [f"f{k}" for k in range(ITEMS)]
    directors = [f"d{k}" for k in range(ITEMS)]
    entities = [*films, *directors, "english"]
    triples = [(k, 0, ITEMS + k // 6 * 3 + k % 3) for k in range(ITEMS)]
    triples += [(9, 1, 6)] + [(k, 2, 2 * ITEMS) for k in range(ITEMS)]
    heads, relation, tails = np.array(triples, np.int32).T
    return KnowledgeGraph.build(
        index=IdIndex(pl.Series(entities)),
        names=pl.Series([None] * ITEMS + ["Ann Lee"] + [None] * (ITEMS - 1) + [None], dtype=pl.String),
        relations=["directed_by", "prequel", "language"],
        inverses=[None, None, None],
        words={
            "directed_by": {"en": "directed by", "zh": "导演"},
            "prequel": {"en": "a sequel to", "zh": "前作"},
            "language": {"en": "spoken in", "zh": "语言"},
        },
        heads=heads,
        relation=relation,
        tails=tails,
        item_entity=np.arange(ITEMS, dtype=np.int32),
        aliases={},
    )


@pytest.fixture(scope="module")
def with_graph(planted: Bundle, graph: KnowledgeGraph) -> Explainer:
    return Explainer(planted, graph=graph)


def facts(with_graph: Explainer) -> list[Claim]:
    found = [
        claim
        for user in ("u0", "u2", "u4", "u6", "u8")
        for item in range(0, 24, 3)
        for claim in with_graph.explain(user, f"i{item}", attribute=False).evidence
        if claim.kind == "fact"
    ]
    assert found
    return found


def test_facts_shared_with_liked_items_are_true_and_said(with_graph: Explainer) -> None:
    for claim in facts(with_graph):
        assert verify(claim, with_graph.evidence)
        assert claim.relation in ("directed_by", "prequel")  # a language without a name says nothing
        texts = [s.text for s in with_graph.said([claim], "en", "plain")]
        assert len(texts) == 1
        if claim.relation == "prequel":
            assert "a sequel to " in texts[0]
            assert "“The Space Tale 6”" in texts[0]
        elif claim.of("entity")[0].name:
            assert "directed by Ann Lee" in texts[0]
        else:
            assert "a director" in texts[0]
        chinese = with_graph.said([claim], "zh", "plain")[0].text
        assert ("前作" if claim.relation == "prequel" else "导演") in chinese
    said = {claim.relation for claim in facts(with_graph)}
    assert said == {"directed_by", "prequel"}
    assert any(c.of("entity") and c.of("entity")[0].name == "Ann Lee" for c in facts(with_graph))


def test_a_fact_with_another_relation_entity_or_item_is_false(with_graph: Explainer) -> None:
    for claim in facts(with_graph):
        assert not verify(replace(claim, relation="language"), with_graph.evidence)
        assert not verify(replace(claim, relation="nothing"), with_graph.evidence)
        assert not verify(replace(claim, polarity=False), with_graph.evidence)
        far = (claim.item + 30) % ITEMS
        assert not verify(replace(claim, item=far), with_graph.evidence)
        if claim.of("entity"):
            wrong = Mention("entity", "d57", name="Somebody Else")
            assert not verify(replace(claim, mentions=(wrong, *claim.of("liked"))), with_graph.evidence)
            renamed = replace(claim.of("entity")[0], name="Somebody Else")
            assert not verify(replace(claim, mentions=(renamed, *claim.of("liked"))), with_graph.evidence)


def test_swapped_relations_and_names_are_caught(with_graph: Explainer) -> None:
    for claim in facts(with_graph):
        for sentence in with_graph.said([claim], "en", "plain"):
            for said, instead in (
                ("directed by", "written by"),
                ("a director", "a writer"),
                ("a sequel to", "a prequel to"),
                ("Ann Lee", "Bob Ray"),
                ("Like", "Unlike"),
            ):
                text = sentence.text.replace(said, instead)
                if text != sentence.text:
                    assert check_sentence(text, sentence, with_graph.evidence), text


def test_a_description_tells_facts_that_have_names(with_graph: Explainer) -> None:
    assert "directed by Ann Lee" in with_graph.describe("i0").text
    assert "a sequel to “The Space Tale 6”" in with_graph.describe("i9").text
    assert "导演是Ann Lee" in with_graph.describe("i0", language="zh").text
    for item in ("i0", "i9", "i33"):
        for sentence in with_graph.describe(item).sentences:
            assert verify(sentence.claim, with_graph.evidence)
