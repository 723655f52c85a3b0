"""What a kind means is written in its class: no code outside ``motet.kinds`` compares kinds of features or tasks."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import motet
from motet.schema import FEATURE_KINDS, TASK_KINDS

ROOT = Path(motet.__file__).parent
NAMES = {*FEATURE_KINDS, *TASK_KINDS} - {"text", "tags", "time", "id", "vector"}
"""Names that mean nothing else; the others are also kinds of columns, of tokens and of values in JSON."""
OWNERS = ("task", "feature", "first", "kind", "t", "f", "of_kind")
OTHERS = {"text/safety/_suspicion.py"}
"""Files whose kinds are those of something else, under names of :data:`OWNERS`: of flags in texts."""
CLASSES = {
    f"{name}{what}"
    for what, names in (
        ("Feature", ("Id", "Categorical", "Numeric", "Tags", "Time", "Text", "Vector", "Sequence")),
        ("Task", ("Binary", "Regression", "Multiclass", "Multilabel", "Retrieval")),
    )
    for name in names
}


def comparisons(source: str) -> Iterator[tuple[int, str]]:
    """Lines where a kind is compared, and how."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            texts = {c.value for side in sides for c in ast.walk(side) if isinstance(c, ast.Constant)}
            of_kind = [
                side
                for side in sides
                if isinstance(side, ast.Attribute)
                and side.attr == "kind"
                and ((isinstance(side.value, ast.Name) and side.value.id in OWNERS) or _of_schema(side.value))
            ]
            if of_kind or (NAMES & texts and any("kind" in ast.unparse(side) for side in sides)):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            classes = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
            if classes & CLASSES:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Match) and "kind" in ast.unparse(node.subject):
            cases = {
                c.value for case in node.cases for c in ast.walk(case.pattern) if isinstance(c, ast.Constant)
            }
            if cases & NAMES:
                yield node.lineno, ast.unparse(node.subject)


def _of_schema(value: ast.expr) -> bool:
    """Whether something is an entry of ``schema.tasks`` or of ``schema.features``."""
    return isinstance(value, ast.Subscript) and any(
        isinstance(n, ast.Attribute) and n.attr in ("tasks", "features") for n in ast.walk(value.value)
    )


def test_no_code_compares_kinds() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] != "kinds" and path.relative_to(ROOT).as_posix() not in OTHERS
        for line, what in comparisons(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        'task.kind == "binary"',
        'schema.tasks[name].kind in ("binary", "custom")',
        'self.schema.features.item[name].kind == "text"',
        'feature.kind not in ("id", "vector")',
        'kind == "regression"',
        "isinstance(feature, TextFeature)",
        "isinstance(schema.tasks[x], (BinaryTask, int))",
        'match task.kind:\n    case "retrieval":\n        pass',
    ],
)
def test_the_reader_finds_comparisons(code: str) -> None:
    assert list(comparisons(code))


@pytest.mark.parametrize("code", ['token.kind == "word"', 'claim.kind == "number"', "isinstance(x, int)"])
def test_the_reader_leaves_other_kinds_alone(code: str) -> None:
    assert not list(comparisons(code))


def test_a_schema_of_all_kinds_imports_no_torch() -> None:
    code = (
        "import sys; from motet.schema import FEATURE_KINDS, TASK_KINDS\n"
        "found = [*FEATURE_KINDS.values(), *TASK_KINDS.values()]\n"
        "assert len(found) >= 13, found\n"
        "assert not {'torch', 'motet.models'} & set(sys.modules), 'torch'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
