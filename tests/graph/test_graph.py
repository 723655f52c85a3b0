"""A world of six films in which every answer is known."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.graph.conftest import FILMS, ITEMS, LINKS, Make, schema_with, write

from motet.data import CleaningReport
from motet.errors import KnowledgeError
from motet.graph import Fact, KnowledgeGraph, read_knowledge, read_written_knowledge, write_knowledge

HEAT, ALI, SERPICO, MIB, MIB2, UNLINKED = range(6)


def parts_of(fact: Fact) -> tuple[str, bool, str]:
    return fact.relation, fact.forward, fact.entity


def test_inverses_and_symmetric_relations_are_folded(films: KnowledgeGraph) -> None:
    inverse = dict(zip(films.relations, films.inverses, strict=True))
    assert inverse == {
        "actor": None,
        "born_in": None,
        "directed_by": "director_of",  # it stays, because its heads are items
        "genre": None,
        "knows": "knows",
        "sequel": None,
    }
    assert len(films) == len(FILMS) - 3


def test_a_named_inverse_is_folded_and_completed(make: Make) -> None:
    triples = [*FILMS, ("mib2", "prequel", "mib"), ("serpico2", "prequel", "serpico")]
    graph = make(triples, inverses={"prequel": "sequel"})
    assert dict(zip(graph.relations, graph.inverses, strict=True))["sequel"] == "prequel"
    assert parts_of(graph.facts(SERPICO)[-1]) == ("sequel", True, "serpico2")
    assert ("prequel", True, "mib") in map(parts_of, graph.facts(MIB2))
    assert make(triples).relations.count("prequel") == 1  # not exactly reversed, so not found


def test_facts_read_from_the_items_side(films: KnowledgeGraph) -> None:
    assert list(map(parts_of, films.facts(HEAT))) == [
        ("actor", True, "pacino"),
        ("directed_by", True, "mann"),
        ("genre", True, "crime"),
    ]
    assert [fact.frequency for fact in films.facts(HEAT)] == [2, 2, 2]
    assert list(map(parts_of, films.facts(MIB2))) == [("actor", True, "smith"), ("sequel", False, "mib")]
    assert films.facts(MIB2)[1].item_row == MIB
    assert films.facts(UNLINKED) == []


def test_shared_facts_the_rarest_first(films: KnowledgeGraph) -> None:
    found = films.shared(HEAT, SERPICO)
    assert [parts_of(s.fact) for s in found] == [("genre", True, "crime"), ("actor", True, "pacino")]
    assert found[0].score > found[1].score  # crime has two neighbours, Pacino knows someone besides
    assert films.shared(HEAT, MIB) == []
    assert films.shared(HEAT, UNLINKED) == []
    assert films.shared(HEAT, HEAT) == []


def test_the_one_path_there_is(films: KnowledgeGraph) -> None:
    (path,) = films.paths([HEAT, UNLINKED], ALI)
    assert [parts_of(step) for step in path.steps] == [
        ("directed_by", True, "mann"),
        ("director_of", True, "ali"),
    ]
    assert path.is_shared
    assert parts_of(path.last) == ("directed_by", True, "mann")
    assert path.last.frequency == 2
    assert (path.history_row, path.item_row) == (HEAT, ALI)


def test_a_direct_fact_comes_first_and_recency_counts(films: KnowledgeGraph) -> None:
    paths = films.paths([ALI, MIB], MIB2)
    assert [(p.history_row, len(p.steps)) for p in paths] == [(MIB, 1), (ALI, 2), (MIB, 2)]
    assert parts_of(paths[0].steps[0]) == ("sequel", True, "mib2")
    assert parts_of(paths[0].last) == ("sequel", False, "mib")
    weighted = films.paths([ALI, MIB], MIB2, weights=[1.0, 0.1])
    assert [p.history_row for p in weighted] == [ALI, MIB, MIB]
    assert films.paths([ALI, MIB], MIB2, k=1) == paths[:1]
    assert films.paths([MIB2], MIB2) == []


def test_three_steps_only_where_two_do_not_do(films: KnowledgeGraph) -> None:
    assert films.paths([SERPICO], ALI) == []
    (path,) = films.paths([SERPICO], ALI, max_hops=3)
    assert [parts_of(step) for step in path.steps] == [
        ("actor", True, "pacino"),
        ("knows", True, "mann"),
        ("director_of", True, "ali"),
    ]
    assert not path.is_shared


def test_an_item_twice_in_the_history_counts_once_with_its_larger_weight(films: KnowledgeGraph) -> None:
    once = films.paths([HEAT], ALI, weights=[0.7])
    assert films.paths([HEAT, HEAT], ALI, weights=[0.2, 0.7]) == once


def test_items_of_an_entity(films: KnowledgeGraph) -> None:
    assert films.items_with("smith").tolist() == [ALI, MIB, MIB2]
    assert films.items_with("mann", "directed_by").tolist() == [HEAT, ALI]
    assert films.items_with("mann", "actor").tolist() == []
    assert films.items_with("nobody").tolist() == films.items_with("mann", "nothing").tolist() == []


def test_two_items_that_are_one_entity_share_its_facts(make: Make) -> None:
    graph = make(links=LINKS | {"6": "heat"})
    assert graph.facts(UNLINKED) == graph.facts(HEAT)
    assert graph.items_with("mann").tolist() == [HEAT, ALI, UNLINKED]
    assert graph.paths([HEAT], UNLINKED) == []


def test_words_and_names(make: Make, tmp_path: Path) -> None:
    pl.DataFrame({"entity": ["mann", "zzz"], "name": ["Michael Mann", "?"]}).write_csv(tmp_path / "names.csv")
    graph = make(names="names.csv", relations={"directed_by": {"en": "directed by", "zh": "导演"}})
    assert [fact.name for fact in graph.facts(HEAT)] == [None, "Michael Mann", None]
    assert graph.said("directed_by", "zh") == "导演"
    assert graph.said("directed_by", "fr") is graph.said("actor") is None
    assert graph.said("directed_by", forward=False) is None


def test_a_graph_comes_back_from_disk_as_it_was(make: Make, tmp_path: Path) -> None:
    pl.DataFrame({"entity": ["mann"], "name": ["Michael Mann"]}).write_csv(tmp_path / "names.csv")
    words = {"director_of": {"en": "director of"}, "actor": {"en": "starring", "zh": "主演"}}
    graph = make(names="names.csv", relations=words)
    write_knowledge(tmp_path, graph)
    back = read_written_knowledge(tmp_path)
    assert (back.relations, back.inverses, back.words) == (graph.relations, graph.inverses, words)
    for row in range(len(ITEMS)):
        assert back.facts(row) == graph.facts(row)
        assert back.paths([HEAT, ALI], row, max_hops=3) == graph.paths([HEAT, ALI], row, max_hops=3)


def test_damaged_files_are_refused(films: KnowledgeGraph, tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"holds no knowledge\.safetensors"):
        read_written_knowledge(tmp_path)
    write_knowledge(tmp_path, films)
    entities = pl.read_parquet(tmp_path / "knowledge.parquet")
    entities.slice(3).write_parquet(tmp_path / "knowledge.parquet")
    with pytest.raises(KnowledgeError, match="does not fit the tables"):
        read_written_knowledge(tmp_path)
    (tmp_path / "knowledge.safetensors").write_bytes(b"nothing")
    with pytest.raises(KnowledgeError, match="cannot be read"):
        read_written_knowledge(tmp_path)


def test_what_was_left_out_is_counted(tmp_path: Path) -> None:
    write(tmp_path, [*FILMS, ("heat", "knows", "heat"), FILMS[0]], LINKS | {"6": "nowhere", "99": "heat"})
    (tmp_path / "facts.csv").write_text((tmp_path / "facts.csv").read_text() + "heat,,mann\n")
    cleaning_report = CleaningReport()
    schema = schema_with({"triples": "facts.csv", "links": "links.csv"})
    graph = read_knowledge(schema, tmp_path, pl.Series(ITEMS), cleaning_report)
    assert len(graph) == len(FILMS) - 3
    assert [(f.table, f.found, f.rows) for f in cleaning_report] == [
        ("facts.csv", "an empty cell", 1),
        ("facts.csv", "a row that stands twice", 1),
        ("facts.csv", "a fact of an entity with itself", 1),
        ("links.csv", "an entity with more than one item", 2),
        ("links.csv", "a link of an item that is not in the catalogue", 1),
        ("links.csv", "a link to an entity without facts", 1),
    ]


@pytest.mark.parametrize(
    ("facts", "links", "settings", "said"),
    [
        ("head,relation,tial\na,b,c\n", None, {}, r"facts.csv has no column 'tail'\. Cure: did you mean 'tial'"),
        ("head,relation,tail\n", None, {}, "facts.csv has no rows"),
        ("", None, {}, "facts.csv is empty"),
        ("head,relation,tail\na,b,a\n", None, {}, "facts.csv holds no usable triple"),
        ("head,relation,tail\na,,c\n", None, {}, "facts.csv has no whole row"),
        (None, "film,entity\n1,heat\n1,ali\n", {}, r"item '1' is linked to more than one entity \(heat, ali\)"),
        (None, "film,entity\n77,heat\n", {}, "no item of the catalogue is linked; the first link is of item '77'"),
        (None, "film,entity\n1,Heat\n", {}, "no item is linked to an entity of facts.csv"),
        (None, "item,entity\n1,heat\n", {}, "links.csv has no column 'film'"),
        (None, None, {"triples": "fact.csv"}, r"fact.csv does not exist\. Cure: did you mean 'facts.csv'"),
        (None, None, {"inverses": {"actors": "genre"}}, r"the relation 'actors' is not known\. Cure: did you mean 'actor'"),
        (None, None, {"hide": {"like": ["genres"]}}, r"knowledge.hide.like: the relation 'genres' is not known"),
        (None, None, {"relations": {"sequels": {"en": "x"}}}, r"did you mean 'sequel'"),
    ],
)  # fmt: skip
def test_mistakes_are_named(
    tmp_path: Path, facts: str | None, links: str | None, settings: dict[str, object], said: str
) -> None:
    write(tmp_path, FILMS, LINKS)
    if facts is not None:
        (tmp_path / "facts.csv").write_text(facts)
    if links is not None:
        (tmp_path / "links.csv").write_text(links)
    schema = schema_with({"triples": "facts.csv", "links": "links.csv", **settings})
    with pytest.raises(KnowledgeError, match=said):
        read_knowledge(schema, tmp_path, pl.Series(ITEMS))


def test_wrong_arguments_are_named(films: KnowledgeGraph) -> None:
    with pytest.raises(KnowledgeError, match="there is no item row -1"):
        films.facts(-1)
    with pytest.raises(KnowledgeError, match="the history holds item row -2"):
        films.paths([-2], HEAT)
    with pytest.raises(KnowledgeError, match="max_hops is 4"):
        films.paths([ALI], HEAT, max_hops=4)
    with pytest.raises(KnowledgeError, match="give one number an item"):
        films.paths([ALI], HEAT, weights=[1.0, 2.0])
    with pytest.raises(KnowledgeError, match="no 'knowledge' section"):
        read_knowledge(schema_with(None), Path(), pl.Series(ITEMS))


def test_an_item_added_after_training_has_no_facts(films: KnowledgeGraph) -> None:
    """A catalogue grows while it is served; its new items stand beyond the rows of the graph."""
    new = len(films.item_entity)
    for row in (new, new + 1000):
        assert films.entity_of(row) == -1
        assert films.facts(row) == []
        assert films.shared(row, HEAT) == films.shared(HEAT, row) == []
        assert films.paths([ALI], row) == films.paths([row], HEAT) == films.paths([row], row) == []
    known = films.paths([ALI], HEAT)
    assert known
    assert films.paths([new, ALI, new + 1], HEAT, weights=[5.0, 1.0, 3.0]) == known
