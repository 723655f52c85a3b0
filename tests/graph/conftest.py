from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from motet.graph import KnowledgeGraph, read_knowledge
from motet.schema import Schema

Triple = tuple[str, str, str]

FILMS: list[Triple] = [
    ("heat", "directed_by", "mann"),
    ("ali", "directed_by", "mann"),
    ("mann", "director_of", "heat"),
    ("mann", "director_of", "ali"),
    ("heat", "actor", "pacino"),
    ("serpico", "actor", "pacino"),
    ("ali", "actor", "smith"),
    ("heat", "genre", "crime"),
    ("serpico", "genre", "crime"),
    ("mib", "genre", "comedy"),
    ("mib", "actor", "smith"),
    ("mib2", "actor", "smith"),
    ("mib", "sequel", "mib2"),
    ("smith", "born_in", "philadelphia"),
    ("mann", "knows", "pacino"),
    ("pacino", "knows", "mann"),
]
ITEMS = ["1", "2", "3", "4", "5", "6"]
LINKS = {"1": "heat", "2": "ali", "3": "serpico", "4": "mib", "5": "mib2"}

Make = Callable[..., KnowledgeGraph]


def schema_with(knowledge: dict[str, Any] | None, **more: Any) -> Schema:
    content: dict[str, Any] = {
        "name": "films",
        "tables": {"interactions": "seen.csv"},
        "keys": {"user": "user", "item": "film", "time": "at"},
        "features": {"user": {"user": "id"}, "item": {"film": "id"}},
        "tasks": {"like": {"kind": "binary", "label": "stars >= 4"}},
        "knowledge": knowledge,
    }
    return Schema.parse(content | more)


def write(directory: Path, triples: Sequence[Triple], links: dict[str, str]) -> None:
    pl.DataFrame(list(triples), ["head", "relation", "tail"], orient="row").write_csv(directory / "facts.csv")
    pl.DataFrame({"film": list(links), "entity": list(links.values())}).write_csv(directory / "links.csv")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes triples and links to files and reads the graph back from them."""

    def build(
        triples: Sequence[Triple] = FILMS,
        links: dict[str, str] = LINKS,
        items: Sequence[str] = ITEMS,
        **settings: Any,
    ) -> KnowledgeGraph:
        write(tmp_path, triples, links)
        schema = schema_with({"triples": "facts.csv", "links": "links.csv", **settings})
        return read_knowledge(schema, tmp_path, pl.Series(list(items)))

    return build


@pytest.fixture
def films(make: Make) -> KnowledgeGraph:
    return make()
