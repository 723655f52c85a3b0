"""A room reaches only the rooms on its line in the design."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import motet

ROOT = Path(motet.__file__).parent

ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "threads": set(),
    "assets": set(),
    "schema": set(),
    "data": {"schema"},
    "datasets": {"schema", "data"},
    "language": {"schema"},
    "knowledge": {"schema", "data"},
    "models": {"schema", "data"},  # the types of a batch and of the encoder
    "objectives": {"schema"},
    "evaluation": {"schema", "data"},
    "training": {"schema", "data", "models", "objectives", "evaluation"},
    "bundle": {"schema", "data", "models"},
    "recommend": {"schema", "data", "models", "language", "knowledge", "bundle"},
    "requests": {"schema", "data", "language", "knowledge"},
    "explain": {"schema", "data", "models", "language", "knowledge", "bundle", "recommend"},
    "assist": {
        "schema",
        "data",
        "language",
        "knowledge",
        "requests",
        "bundle",
        "recommend",
        "explain",
    },
    "tuning": {"schema", "data", "language", "models", "training", "evaluation", "bundle"},
    "store": {"schema"},
    "serving": {
        "schema",
        "data",
        "bundle",
        "language",
        "recommend",
        "requests",
        "explain",
        "assist",
        "store",
    },
    "pages": set(),
}
EVERYWHERE = {"errors", "assets", "threads"}
ANYTHING = {"cli", "testing", "workflow", "__main__", "__init__"}


def imported_rooms(path: Path) -> set[str]:
    """Rooms of motet that a file imports, anywhere in it."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            names = [
                f"{node.module}.{alias.name}" if node.module == "motet" else str(node.module)
                for alias in node.names
            ]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("motet.")}
    return rooms


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_is_on_its_line(path: Path) -> None:
    room = room_of(path)
    if room in ANYTHING:
        return
    assert room in ALLOWED, f"{room} is no room of the design"
    wrong = imported_rooms(path) - ALLOWED[room] - {room} - EVERYWHERE
    assert not wrong, f"{room} may not import {sorted(wrong)}"


def test_the_reader_of_imports_sees_every_form(tmp_path: Path) -> None:
    source = (
        "import motet.data\nfrom motet import models\ndef f():\n    from motet.cli import main\nimport os\n"
    )
    (tmp_path / "x.py").write_text(source)
    assert imported_rooms(tmp_path / "x.py") == {"data", "models", "cli"}
