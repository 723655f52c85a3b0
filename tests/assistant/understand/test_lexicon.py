"""The words of a catalogue: titles as people say them, slips of the keyboard, entities of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from motet.assistant.understand import FastReader, Lexicon
from motet.data import Catalogue
from motet.graph import KnowledgeGraph, read_knowledge
from motet.schema import Schema


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Matrix, The", "the matrix"),
        ("Matrix, The (1999)", "matrix"),
        ("Seven (Se7en)", "se7en"),
        ("Boot, Das", "das boot"),
        ("Godfather: Part II, The", "godfather 2"),
        ("Star Trek III: The Search for Spock", "star trek 3 the search for spock"),
        ("12 Angry Men", "twelve angry men"),
        ("Twelve Monkeys", "12 monkeys"),
        ("Dumb & Dumber", "dumb and dumber"),
        ("M*A*S*H", "m*a*s*h"),
        ("E.T. the Extra-Terrestrial", "et the extra terrestrial"),
        ("Amélie", "amelie"),
        ("Schindler's List", "schindlers list"),
    ],
)
def test_a_title_in_the_way_it_is_said(title: str, said: str) -> None:
    frame = pl.DataFrame({"id": ["1", "2"], "title": [None, title]})
    reader = FastReader(Lexicon(Catalogue(frame, "title", (), (), (), (), {}, {})))
    spoken = tuple(token.norm for token in reader.parse(said).scan.tokens if token.kind != "mark")
    found = reader.lexicon.titles.exact(spoken)
    assert found is not None
    assert found.rows == (1,)


def test_another_number_is_another_film() -> None:
    frame = pl.DataFrame({"id": ["1", "2"], "title": ["Jaws 2", "Jaws 3-D"]})
    titles = Lexicon(Catalogue(frame, "title", (), (), (), (), {}, {})).titles
    assert titles.fuzzy(("jaws", "4")) is None
    assert titles.fuzzy(("jawss", "2")).rows == (0,)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("horor", "horror"),
        ("comdey", "comedy"),
        ("documentry", "documentary"),
        ("thrillr", "thriller"),
        ("sunny", "sunny"),  # not funny
        ("eastern", "eastern"),  # not western
        ("music", "music"),  # not musical
        ("kiss", "kiss"),  # not kids
        ("musicans", "musicans"),  # musicians, not musicals
        ("xyz", "xyz"),
    ],
)
def test_only_slips_are_put_right(films: FastReader, word: str, right: str) -> None:
    assert films.lexicon.spelling.corrected(word) == right


@pytest.fixture
def graph(tmp_path: Path) -> KnowledgeGraph:
    triples = [("heat", "directed_by", "mann"), ("ali", "directed_by", "mann"), ("heat", "actor", "pacino")]
    pl.DataFrame(triples, ["head", "relation", "tail"], orient="row").write_csv(tmp_path / "facts.csv")
    pl.DataFrame({"film": ["1", "2"], "entity": ["heat", "ali"]}).write_csv(tmp_path / "links.csv")
    names = {"heat": "Heat", "ali": "Ali", "mann": "Michael Mann", "pacino": "Al Pacino"}
    pl.DataFrame({"entity": list(names), "name": list(names.values())}).write_csv(tmp_path / "names.csv")
    schema = Schema.parse(
        {
            "name": "films",
            "tables": {"interactions": "seen.csv"},
            "keys": {"user": "user", "item": "film", "time": "at"},
            "features": {"user": {"user": "id"}, "item": {"film": "id"}},
            "tasks": {"like": {"kind": "binary", "label": "stars >= 4"}},
            "knowledge": {
                "triples": "facts.csv",
                "links": "links.csv",
                "names": "names.csv",
                "relations": {
                    "directed_by": {"en": "directed by", "zh": "导演"},
                    "actor": {"en": "starring"},
                },
            },
        }
    )
    return read_knowledge(schema, tmp_path, pl.Series(["1", "2"]))


def test_named_entities_of_the_graph_can_be_asked_for(graph: KnowledgeGraph) -> None:
    frame = pl.DataFrame({"id": ["1", "2"], "title": ["Heat", "Ali"]})
    reader = FastReader(Lexicon(Catalogue(frame, "title", (), (), (), (), {}, {}), graph=graph))
    (fact,) = reader.read("films directed by Michael Mann").facts
    assert (fact.entity, fact.relation) == ("mann", "directed_by")
    request = reader.read("something with Al Pacino but not directed by michael mann")
    assert [fact.entity for fact in request.facts] == ["pacino"]
    assert [fact.entity for fact in request.facts_not] == ["mann"]
    assert reader.read("directed by Tarantino").unmet == ("directed by Tarantino",)
    assert reader.read("like Heat").like == ("1",)  # an item is no fact


def test_words_that_mean_a_tag_make_it_preferred(film_catalogue: Catalogue) -> None:
    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        """The first direction is fright, the second is everything else."""
        fright = [text in ("horror", "terrifying") for text in texts]
        return np.array([[1, 0] if is_one else [0, 1] for is_one in fright], np.float32)

    reader = FastReader(Lexicon(film_catalogue), encode)
    request = reader.read("something terrifying, no terrifying clowns")
    assert [tag.value for tag in request.prefer] == ["Horror"]
    assert request.wants == "terrifying"
    assert reader.read("terrifying, but no horror").prefer == ()
