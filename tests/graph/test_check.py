"""The report: a relation that says the label in other words is found, and a pair that was not folded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.graph.conftest import Triple, schema_with, write

from motet.cli import main
from motet.data import Dataset, build_dataset
from motet.graph import KnowledgeReport, check_knowledge
from motet.schema import Schema

ITEMS = 800


def world(place: Path, **knowledge: Any) -> tuple[Schema, Dataset]:
    """Items of two kinds: 'says' tells the kind, 'hints' mostly, 'noise' not at all."""
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=ITEMS)
    hint = np.where(rng.random(ITEMS) < 0.7, kind, 1 - kind)
    triples: list[Triple] = []
    for item in range(ITEMS - 5):
        triples += [
            (f"i{item}", "says", f"kind{kind[item]}.{item % 3}"),
            (f"hint{hint[item]}", "hints", f"i{item}"),
            (f"i{item}", "noise", f"n{rng.integers(4)}"),
        ]
    triples += [("n1", "noise_of", "i0"), ("n2", "noise_of", "i1")]
    triples += [("i0", "noise", "n1"), ("i1", "noise", "n2")]
    write(place, triples, {str(k): f"i{k}" for k in range(ITEMS)})
    pl.DataFrame({"film": np.arange(ITEMS), "kind": kind, "tags": [f"t{k}|u" for k in kind]}).write_csv(
        place / "films.csv"
    )
    pl.DataFrame({"user": [1, 2, 3], "film": [0, 1, 2], "at": [1, 2, 3], "stars": [5, 1, 4]}).write_csv(
        place / "seen.csv"
    )
    tasks = {
        "like": {"kind": "binary", "label": "stars >= 4"},
        "kind": {"kind": "binary", "on": "item", "label": "kind"},
        "class": {"kind": "multiclass", "on": "item", "label": "kind"},
        "tags": {"kind": "multilabel", "on": "item", "label": "tags"},
        "number": {"kind": "regression", "on": "item", "label": "kind"},
    }
    tables = {"interactions": "seen.csv", "items": "films.csv"}
    settings = {"triples": "facts.csv", "links": "links.csv"} | knowledge
    schema = schema_with(settings, tables=tables, tasks=tasks, split={"by": "random", "train": 0.6})
    (place / "schema.yaml").write_text(schema.to_yaml())
    return schema, build_dataset(schema, place)


def checked(place: Path, **knowledge: Any) -> KnowledgeReport:
    return check_knowledge(place, world(place, **knowledge)[1])


def test_a_relation_that_gives_a_label_away_is_found(tmp_path: Path) -> None:
    report = checked(tmp_path)
    leaks = {(leak.relation, leak.task): leak for leak in report.leaks}
    assert {task for _, task in leaks} == {"kind", "class", "tags"}
    for task in ("kind", "class", "tags"):
        assert leaks["says", task].average_precision == 1.0
        assert leaks["says", task].gives_away
        assert not leaks["hints", task].gives_away
        assert not leaks["noise", task].gives_away
        assert leaks["hints", task].explained > leaks["noise", task].explained + 0.1
    assert report.leaks[0].relation == "says"
    assert sum("'says' alone predicts task" in warning for warning in report.warnings) == 3


def test_a_hidden_relation_is_no_warning(tmp_path: Path) -> None:
    report = checked(tmp_path, hide={"kind": ["says"], "class": ["says"]})
    assert [w.split("'")[3] for w in report.warnings if "predicts" in w] == ["tags"]
    assert {leak.task for leak in report.leaks if leak.hidden} == {"kind", "class"}


def test_what_it_holds(tmp_path: Path) -> None:
    report = checked(tmp_path)
    assert (report.items, report.linked) == (ITEMS, ITEMS - 5)
    assert {(r.relation, r.items, r.entities) for r in report.relations} >= {
        ("says", ITEMS - 5, 6),
        ("hints", ITEMS - 5, 2),
        ("noise_of", 2, 2),
    }
    assert "5 of 800 items have no facts" in report.findings
    assert any("a link to an entity without facts in 5 rows" in line for line in report.findings)
    assert "every fact of 'noise_of' stands in 'noise' the other way round" in report.warnings[-1]
    assert checked(tmp_path, inverses={"noise_of": "noise"}).warnings[-1].startswith("the relation 'says'")


def test_the_command_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world(tmp_path, hide={"kind": ["says"]})
    assert main(["check", str(tmp_path / "schema.yaml"), "--data", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "795 of 800 items linked" in said
    assert "'says' predicts task 'kind' (average precision 1.00" in said
    assert "knowledge: the relation 'says' alone predicts task 'tags'" in said
    assert main(["check", str(tmp_path / "schema.yaml"), "--data", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["knowledge"]["linked"] == 795
