"""The structure of the package: who may import whom, sizes, public names. Figures beyond the bounds fail here."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import motet

PACKAGE = Path(motet.__file__).parent
ROOT = PACKAGE.parents[1]

# A package imports only packages that stand before it. Evaluation stands before the models because it knows
# predictors by their protocol alone, and training validates with it (docs/adr/0022).
ORDER = (
    "errors",
    "threads",
    "_renamed",
    "messages",
    "schema",
    "metrics",
    "data",
    "datasets",
    "text",
    "graph",
    "evaluation",
    "models",
    "kinds",
    "training",
    "recommend",
    "assistant",
    "service",
)
ANYTHING = {"cli", "testing", "_api", "_comparison", "__main__", "__init__"}

METHODS = ("models/architectures", "training/balancing")  # a file for each published method
MOST_FILES = 321 + 86  # beside those of METHODS; docs/adr/0027 says what the last ones are for
MOST_LINES = 500
MOST_FILES_IN_A_DIRECTORY = 20
MOST_SMALL_SHARE = 0.10
SMALL_LINES = 110
MOST_README_LINES = 150
# Files that a table names, one method or command each, need no second importer.
REGISTERED = (
    "kinds/",
    "training/balancing/",
    "models/architectures/",
    "models/baselines/",
    "cli/",
    "service/store/migrations/",
)


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = ("motet", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def exports_of(package: str) -> dict[str, str]:
    """The public names of a package, each with the module that defines it."""
    stub = PACKAGE.joinpath(*package.split(".")[1:]) / "__init__.pyi"
    if not stub.is_file():
        return {}
    return {
        alias.asname or alias.name: f"{package}.{node.module}"
        for node in tree_of(stub).body
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module
        for alias in node.names
    }


def imported_modules(path: Path) -> set[str]:
    """Modules of motet that a file imports from, re-exports followed to where a name is defined."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            if not (node.module or "").startswith("motet"):
                continue
            module = str(node.module)
            for alias in node.names:
                found.add(exports_of(module).get(alias.name, f"{module}.{alias.name}"))
                found.add(exports_of(module).get(alias.name, module))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("motet.")}
    return found


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_package_imports_only_what_stands_before_it(path: Path) -> None:
    package = package_of(path)
    if package in ANYTHING:
        return
    assert package in ORDER, f"{package} has no place in the order of packages"
    allowed = {*ORDER[: ORDER.index(package) + 1], "__version__"}
    wrong = {name.split(".")[1] for name in imported_modules(path) if "." in name} - allowed
    assert not wrong, f"{package} may not import {sorted(wrong)}"


def test_the_reader_of_imports_sees_every_form(tmp_path: Path) -> None:
    source = (
        "import motet.data\nfrom motet import models\ndef f():\n    from motet.cli import main\nimport os\n"
    )
    (tmp_path / "x.py").write_text(source)
    found = {name.split(".")[1] for name in imported_modules(tmp_path / "x.py") if "." in name}
    assert found == {"data", "models", "cli"}


def test_there_are_not_too_many_files() -> None:
    methods = [path for place in METHODS for path in (PACKAGE / place).rglob("[!_]*.py")]
    assert len(files()) - len(methods) <= MOST_FILES


def test_no_file_is_too_long() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in files()}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_no_directory_holds_too_many_files() -> None:
    counts = Counter(path.parent.relative_to(PACKAGE).as_posix() for path in files())
    assert {name: count for name, count in counts.items() if count > MOST_FILES_IN_A_DIRECTORY} == {}


def test_few_small_files_have_a_single_importer() -> None:
    importers: dict[str, set[str]] = defaultdict(set)
    for path in files():
        if path.name != "__init__.py":
            for name in imported_modules(path) - {module_of(path)}:
                importers[name].add(module_of(path))
    small = [
        module_of(path)
        for path in files()
        if path.name not in ("__init__.py", "__main__.py")
        and not path.relative_to(PACKAGE).as_posix().startswith(REGISTERED)
        and len(path.read_text().splitlines()) < SMALL_LINES
        and len(importers[module_of(path)]) == 1
    ]
    assert len(small) <= MOST_SMALL_SHARE * len(files()), "\n".join(small)


def test_no_public_class_name_occurs_twice() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path in files():
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(module_of(path))
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


@pytest.mark.parametrize("directory", ["tests", "benchmarks"])
def test_tests_and_benchmarks_import_public_names_alone(directory: str) -> None:
    private = []
    for path in sorted((ROOT / directory).rglob("*.py")):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "motet":
                names = [*str(node.module).split("."), *(alias.name for alias in node.names)]
                if any(name.startswith("_") and name != "__version__" for name in names):
                    private.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert private == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MOST_README_LINES


PACKAGES = sorted(module_of(path) for path in files() if path.name == "__init__.py")


@pytest.fixture(params=[name for name in PACKAGES if exports_of(name)])
def package(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


def test_what_a_package_exports_is_there(package: ModuleType) -> None:
    assert package.__doc__
    exported = list(package.__all__)
    assert len(set(exported)) == len(exported)
    for name in exported:
        assert hasattr(package, name), f"{package.__name__}.{name} is in the stub and not there"


def test_everything_public_is_documented(package: ModuleType) -> None:
    for name in package.__all__:
        member = getattr(package, name)
        if not (inspect.isclass(member) or inspect.isfunction(member)):
            continue
        assert member.__doc__, f"{package.__name__}.{name} has no docstring"
        if not inspect.isclass(member):
            continue
        for part, value in vars(member).items():
            if part.startswith("_") or not (inspect.isfunction(value) or isinstance(value, property)):
                continue
            if part == "forward":  # described by the formula of its class
                continue
            assert inspect.getdoc(getattr(member, part)), f"{package.__name__}.{name}.{part} has no docstring"
