"""What the guide and the README say is what the code does: schemas parse, code runs, tables of settings are complete."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic.fields import FieldInfo

from motet import datasets
from motet.cli import main
from motet.kinds import (
    BinaryTask,
    CategoricalFeature,
    IdFeature,
    MultilabelTask,
    NumericFeature,
    RegressionTask,
    RetrievalTask,
    SequenceFeature,
    TagsFeature,
    TextFeature,
    VectorFeature,
)
from motet.metrics import METRICS
from motet.models.architectures import ARCHITECTURES
from motet.models.baselines import BASELINES
from motet.recommend.retrieve import CANDIDATE_SOURCES
from motet.schema import (
    FEATURE_KINDS,
    SEQUENCE_ENCODERS,
    TASK_KINDS,
    TEXT_ENCODERS,
    CatalogueSettings,
    CleanSettings,
    ExplainSettings,
    Features,
    Keys,
    KnowledgeSettings,
    LanguageSettings,
    ModelSettings,
    ObjectiveSettings,
    Part,
    Registry,
    Schema,
    SplitSettings,
    Tables,
    TrainingSettings,
)
from motet.training import BALANCERS, PARTS

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "guide"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
REGISTRIES: tuple[Registry[Any], ...] = (
    FEATURE_KINDS,
    TASK_KINDS,
    METRICS,
    BASELINES,
    ARCHITECTURES,
    SEQUENCE_ENCODERS,
    BALANCERS,
    TEXT_ENCODERS,
    CANDIDATE_SOURCES,
)
RUNS = "<!-- test: run -->\n"

# heading in schema.md → the part whose table stands below it, and what is told elsewhere on the page
SECTIONS: Mapping[str, tuple[type[Part], set[str]]] = {
    "## Top level": (Schema, set()),
    "## tables": (Tables, set()),
    "## keys": (Keys, set()),
    "### kind: id": (IdFeature, {"kind", "column"}),
    "### kind: categorical": (CategoricalFeature, {"kind", "column"}),
    "### kind: numeric": (NumericFeature, {"kind", "column"}),
    "### kind: tags": (TagsFeature, {"kind", "column"}),
    "### kind: text": (TextFeature, {"kind", "column"}),
    "### kind: vector": (VectorFeature, {"kind", "column"}),
    "### kind: sequence": (SequenceFeature, {"kind", "column"}),
    "### kind: binary": (BinaryTask, {"kind", "label", "on", "after", "weight", "score_weight", "hide"}),
    "### kind: regression": (RegressionTask, {"kind", "label", "on", "after", "weight", "score_weight", "hide"}),
    "### kind: multilabel": (MultilabelTask, {"kind", "label", "on", "after", "weight", "score_weight", "hide"}),
    "### kind: retrieval": (RetrievalTask, {"kind", "on", "after", "weight", "score_weight", "hide"}),
    "## catalogue": (CatalogueSettings, set()),
    "## clean": (CleanSettings, set()),
    "## split": (SplitSettings, set()),
    "## model": (ModelSettings, set()),
    "## language": (LanguageSettings, set()),
    "## knowledge": (KnowledgeSettings, set()),
    "## explain": (ExplainSettings, set()),
    "## objective": (ObjectiveSettings, set()),
    "## training": (TrainingSettings, set()),
}  # fmt: skip


def blocks(page: Path, language: str) -> Iterator[tuple[int, str, bool]]:
    """Line, text and whether it is marked as runnable, of each fenced block in a language."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(
        rf"({re.escape(RUNS)})?^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
    ):
        yield text.count("\n", 0, found.start(2)), found.group(2), found.group(1) is not None


def table_below(page: Path, heading: str) -> dict[str, str]:
    """The default of each setting in the first table below a heading."""
    text = page.read_text(encoding="utf-8")
    assert f"\n{heading}\n" in text, f"{page.name} has no heading '{heading}'"
    below = re.split(r"^#", text.split(f"\n{heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| `(\w+)` \| ((?:\\\||[^|])*) \|", below, re.MULTILINE)
    assert cells, f"{page.name} has no table below '{heading}'"
    return {name: default.strip().replace("\\|", "|") for name, default in cells}


def says(default: str, field: FieldInfo) -> bool:
    """Whether a cell of a table names the default of a field."""
    if field.is_required():
        return default == "required"
    value: Any = field.get_default(call_default_factory=True)
    if value is None:
        return default == "none"
    if isinstance(value, bool):
        return default == str(value).lower()
    if isinstance(value, int | float):
        return float(default) == value
    if isinstance(value, Part):
        return default in ("see below", "all none")
    if not value:
        return default == "empty"
    if isinstance(value, tuple):
        return default == ", ".join(str(v) for v in value)
    return bool(default == value)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_schema_block_parses(page: Path, tmp_path: Path) -> None:
    for line, text, _ in blocks(page, "yaml"):
        if "\ntasks:" in text:
            place = tmp_path / f"{page.stem}-line-{line}.yaml"
            place.write_text(text, encoding="utf-8")
            schema = Schema.load(place)
            place.write_text(schema.to_yaml(), encoding="utf-8")
            assert Schema.load(place) == schema


def test_the_guide_shows_whole_schemas() -> None:
    found = [text for page in PAGES for _, text, _ in blocks(page, "yaml") if "\ntasks:" in text]
    assert len(found) >= 3


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.parent == GUIDE and any(runs for _, _, runs in blocks(page, "python"))],
    ids=lambda page: page.name,
)
def test_marked_code_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = {registry.what: set(registry) for registry in REGISTRIES}
    try:
        for line, text, runs in blocks(page, "python"):
            if runs:
                code = compile(  # the lines of a traceback are those of the page
                    "\n" * line + text, str(page), "exec", dont_inherit=True
                )
                exec(code, {"__name__": "guide"})  # noqa: S102 (the code is ours: it stands in the guide)
    finally:  # what a page adds is not there for other tests
        for registry in REGISTRIES:
            for name in set(registry) - before[registry.what]:
                registry.remove(name)


def test_the_walk_of_getting_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = GUIDE / "getting-started.md"
    monkeypatch.chdir(tmp_path)
    (_, shop, _), *_ = blocks(page, "python")
    exec(shop, {"__name__": "guide"})  # noqa: S102 (the code is ours: it stands in the guide)
    Path("pairs.csv").write_text(
        "customer_id,product_id,page,kind,price\n1000,p01,home,,\n1,p99,search,tea,4\n"
    )
    Path("users.csv").write_text("customer_id\n1000\n7\n")
    ((_, edited, _),) = blocks(page, "yaml")
    said = [line for _, text, _ in blocks(page, "console") for line in text.splitlines()]
    commands = [line.removeprefix("$ motet ").split() for line in said if line.startswith("$ motet ")]
    assert [command[0] for command in commands] == [
        "inspect",
        "check",
        "train",
        "evaluate",
        "predict",
        "recommend",
    ]
    for command in commands:
        assert main(command) == 0
        if command[0] == "inspect":
            Path("shop.yaml").write_text(edited, encoding="utf-8")
    assert len(pl.read_csv("predictions.csv")) == 2
    assert pl.read_csv("lists.csv")["rank"].to_list() == [1, 2, 3, 4, 5] * 2


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_setting_has_a_line_with_its_default(heading: str) -> None:
    part, told_elsewhere = SECTIONS[heading]
    said = table_below(GUIDE / "schema.md", heading)
    assert set(said) == set(part.model_fields) - told_elsewhere
    for name, default in said.items():
        assert says(default, part.model_fields[name]), f"{heading}: '{name}' has no default {default!r}"


def test_what_features_and_tasks_share_is_told() -> None:
    assert set(table_below(GUIDE / "schema.md", "## features")) == {*Features.model_fields, "column"}
    shared = table_below(GUIDE / "schema.md", "## tasks")
    assert set(shared) == {"label", "on", "after", "weight", "score_weight", "hide"}
    for name in set(shared) - {"label"}:
        assert says(shared[name], RegressionTask.model_fields[name]) or name == "on"


def test_every_part_of_a_schema_is_on_the_page() -> None:
    recorded = {part for part, _ in SECTIONS.values()}
    page = (GUIDE / "schema.md").read_text(encoding="utf-8")
    todo: list[type[Part]] = [Part]
    while todo:
        part = todo.pop()
        todo += part.__subclasses__()
        if (
            part.__module__.startswith("motet.schema")
            and "kind" in part.model_fields
            and part not in recorded
        ):
            assert f"### kind: {part.model_fields['kind'].default}\n" in page


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_option_of_an_architecture_has_a_line_with_its_default(name: str) -> None:
    options = ARCHITECTURES[name][1]
    assert f"| `{name}` |" in (GUIDE / "models.md").read_text(encoding="utf-8")
    if not options.model_fields:
        return
    said = table_below(GUIDE / "models.md", f"### options of {name}")
    assert set(said) == set(options.model_fields)
    for option, default in said.items():
        assert says(default, options.model_fields[option]), f"{name}: '{option}' has no default {default!r}"


def test_every_balancer_is_told() -> None:
    said = table_below(GUIDE / "training.md", "## Balancers")
    assert set(said) == set(BALANCERS)


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("evaluation.md", [*METRICS, *BASELINES, "single_task"]),
        ("bundle.md", [*PARTS, "manifest.json", "report.html"]),
        ("models.md", [*ARCHITECTURES, *SEQUENCE_ENCODERS]),
    ],
)
def test_every_name_is_told(page: str, names: list[str]) -> None:
    text = (GUIDE / page).read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.endswith("report.png"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_the_tree_of_the_readme_is_the_tree() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("\nsrc/motet/\n")[1].split("\ntests/")[0]
    recorded: dict[str, set[str]] = {}
    room = ""
    for line in text.splitlines():
        if found := re.match(r"  ([\w/]+)(?:/|\.py) ", line):
            room = found.group(1) if f"{found.group(1)}/ " in line else ""
        recorded.setdefault(room, set()).update(re.findall(r"\b\w+\.py\b", line))
    there: dict[str, set[str]] = {}
    for path in (ROOT / "src" / "motet").rglob("*.py"):
        if path.name not in ("__init__.py", "__main__.py"):
            parts = path.relative_to(ROOT / "src" / "motet").parts
            there.setdefault(parts[0] if len(parts) > 1 else "", set()).add(path.name)
    assert recorded == there


def test_the_readmes_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the films that 40 of the people rated, and for one epoch: everything else is as it stands there."""
    whole = datasets.fetch("movielens-100k", tmp_path / "whole")
    ratings = pl.read_parquet(whole / "ratings.parquet").filter(pl.col("user_id") <= 40)
    rated = ratings["item_id"].unique().head(300).implode()
    small = tmp_path / "small"
    small.mkdir()
    ratings.filter(pl.col("item_id").is_in(rated)).write_parquet(small / "ratings.parquet")
    pl.read_parquet(whole / "users.parquet").filter(pl.col("user_id") <= 40).write_parquet(
        small / "users.parquet"
    )
    pl.read_parquet(whole / "items.parquet").filter(pl.col("item_id").is_in(rated)).write_parquet(
        small / "items.parquet"
    )
    for name in ("knowledge", "links"):
        shutil.copy(whole / f"{name}.parquet", small)
    schema = Schema.load(whole / "schema.yaml").with_overrides("training.epochs=1")
    (small / "schema.yaml").write_text(schema.to_yaml(), encoding="utf-8")
    monkeypatch.setattr(datasets, "fetch", lambda name: small)
    monkeypatch.chdir(tmp_path)
    (_, code, _) = next(blocks(ROOT / "README.md", "python"))
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102 (the code is ours)
    assert len(names["lists"]) == 10
    assert (tmp_path / "runs" / "films" / "report.html").is_file()
