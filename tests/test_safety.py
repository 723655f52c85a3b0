"""Nothing that motet reads can run code or write where it should not."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

import pytest

import motet
from motet.errors import MotetError
from motet.schema import Schema
from motet.training import load_bundle, train

SOURCE = Path(motet.__file__).parent
CALLS = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}


def _says_more_than_no(value: ast.expr) -> bool:
    return not (isinstance(value, ast.Constant) and value.value is False)


def _unsafe(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            found.append(f"{node.func.id} in line {node.lineno}")
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.partition(".")[0] in MODULES]
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            found.append(str(node.module))
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if (owner, node.attr) in {("torch", "load"), ("torch", "save"), ("yaml", "unsafe_load")}:
                found.append(f"{owner}.{node.attr} in line {node.lineno}")
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and _says_more_than_no(node.value):
            found.append("allow_pickle")
    return found


def test_no_source_file_evaluates_or_unpickles() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 100
    found = {str(path.relative_to(SOURCE)): _unsafe(ast.parse(path.read_text())) for path in files}
    assert {path: unsafe for path, unsafe in found.items() if unsafe} == {}


def test_the_search_finds_what_it_looks_for() -> None:
    text = "import pickle\nfrom joblib import load\neval('1')\ntorch.load(f)\nnp.load(f, allow_pickle=True)"
    assert len(_unsafe(ast.parse(text))) == 5


@pytest.mark.parametrize("name", ["../x", "/srv/x", "a/b", "..", "x\x00y"])
def test_names_with_paths_write_nowhere_else(name: str, tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir()
    rows = "\n".join(f"{k % 5},{k % 7},{k},{k % 2},w{k % 3}" for k in range(100))
    (place / "x.csv").write_text(f"u,i,at,y,w\n{rows}\n")
    content: dict[str, Any] = {
        "name": name,
        "tables": {"interactions": "x.csv"},
        "keys": {"user": "u", "item": "i", "time": "at"},
        "features": {"user": {"u": "id"}, "interaction": {name: {"kind": "categorical", "column": "w"}}},
        "tasks": {name + " task": {"kind": "binary", "label": "y"}},
        "training": {"epochs": 1},
    }
    try:
        schema = Schema.parse(content)
    except MotetError:  # refused: names with dots are
        content["features"]["interaction"] = {"w": "categorical"}
        content["tasks"] = {"y": {"kind": "binary", "label": "y"}}
        schema = Schema.parse(content)
    before = set(os.listdir("/tmp")) | set(os.listdir(tmp_path.parent))  # noqa: S108
    train(schema, place, tmp_path / "runs" / "bundle")
    after = set(os.listdir("/tmp")) | set(os.listdir(tmp_path.parent))  # noqa: S108
    assert "x" not in after - before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "runs"]
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["bundle"]
    assert all(p.is_file() for p in (tmp_path / "runs" / "bundle").iterdir())
    assert load_bundle(tmp_path / "runs" / "bundle").schema.name == name
