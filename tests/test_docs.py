"""What the guide and the README say is what the code does: schemas parse, code runs, tables of settings are complete."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import runpy
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from pydantic.fields import FieldInfo

import motet
from motet import datasets
from motet.cli import main
from motet.kinds import (
    BinaryTask,
    CategoricalFeature,
    IdFeature,
    MulticlassTask,
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
from motet.models.architectures import ARCHITECTURES, check_architecture
from motet.models.baselines import BASELINES
from motet.recommend.retrieve import CANDIDATE_SOURCES
from motet.schema import (
    FEATURE_KINDS,
    SEQUENCE_ENCODERS,
    TASK_KINDS,
    TEXT_ENCODERS,
    AugmentSettings,
    CatalogueSettings,
    CleanSettings,
    ExplainSettings,
    Features,
    GateSettings,
    Keys,
    KnowledgeSettings,
    LanguageSettings,
    ModelSettings,
    ObjectiveSettings,
    Part,
    ReduceSettings,
    Registry,
    ResampleSettings,
    Schema,
    SplitSettings,
    Tables,
    TextAugmentSettings,
    TrainingSettings,
)
from motet.training import BALANCERS, PARTS, list_methods
from motet.training.balancing import balancer_options
from motet.training.compare import ComparedMethod, ComparisonSpec, read_spec

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "guide"
METHODS = ROOT / "docs" / "methods"
PAGES = sorted(
    [ROOT / "README.md", ROOT / "README.zh.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
)
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

# heading in schema.md → the part whose table stands below it, and what is explained elsewhere on the page
SECTIONS: Mapping[str, tuple[type[Part], set[str]]] = {
    "## Top level": (Schema, set()),
    "## tables": (Tables, set()),
    "## keys": (Keys, set()),
    "### kind: id": (IdFeature, {"kind", "column"}),
    "### kind: categorical": (CategoricalFeature, {"kind", "column"}),
    "### kind: numeric": (NumericFeature, {"kind", "column"}),
    "### kind: tags": (TagsFeature, {"kind", "column"}),
    "### kind: text": (TextFeature, {"kind", "column"}),
    "#### augment of a text": (TextAugmentSettings, set()),
    "### kind: vector": (VectorFeature, {"kind", "column"}),
    "#### reduce": (ReduceSettings, set()),
    "### kind: sequence": (SequenceFeature, {"kind", "column"}),
    "#### augment": (AugmentSettings, set()),
    "### kind: binary": (BinaryTask, {"kind", "label", "on", "after", "weight", "score_weight", "hide"}),
    "#### resample": (ResampleSettings, set()),
    "### kind: regression": (RegressionTask, {"kind", "label", "on", "after", "weight", "score_weight", "hide"}),
    "### kind: multiclass": (MulticlassTask, {"kind", "label", "on", "after", "weight", "score_weight", "hide"}),
    "### kind: multilabel": (MultilabelTask, {"kind", "label", "on", "after", "weight", "score_weight", "hide"}),
    "### kind: retrieval": (RetrievalTask, {"kind", "on", "after", "weight", "score_weight", "hide"}),
    "## catalogue": (CatalogueSettings, set()),
    "## clean": (CleanSettings, set()),
    "## split": (SplitSettings, set()),
    "## model": (ModelSettings, set()),
    "#### feature_gates": (GateSettings, set()),
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
    [
        page
        for page in PAGES
        if page.parent.name in ("guide", "methods") and any(runs for _, _, runs in blocks(page, "python"))
    ],
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
    assert "AUC on validation rows went from" in Path("runs/shop/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_setting_has_a_line_with_its_default(heading: str) -> None:
    part, explained_elsewhere = SECTIONS[heading]
    said = table_below(GUIDE / "schema.md", heading)
    assert set(said) == set(part.model_fields) - explained_elsewhere
    for name, default in said.items():
        assert says(default, part.model_fields[name]), f"{heading}: '{name}' has no default {default!r}"


@pytest.mark.parametrize(
    ("heading", "part"), [("## The specification", ComparisonSpec), ("### Methods", ComparedMethod)]
)
def test_every_key_of_a_comparison_has_a_line_with_its_default(heading: str, part: type[Part]) -> None:
    said = table_below(GUIDE / "compare.md", heading)
    assert set(said) == set(part.model_fields)
    for name, default in said.items():
        assert says(default, part.model_fields[name]), f"{heading}: '{name}' has no default {default!r}"


def test_the_comparison_of_the_guide_can_be_read(tmp_path: Path) -> None:
    ((_, text, _),) = blocks(GUIDE / "compare.md", "yaml")
    (tmp_path / "compare.yaml").write_text(text, encoding="utf-8")
    spec, directory, _ = read_spec(tmp_path / "compare.yaml")
    assert (spec.baseline, len(spec.methods), directory) == ("shared_bottom", 3, tmp_path)


def test_what_features_and_tasks_share_is_explained() -> None:
    assert set(table_below(GUIDE / "schema.md", "## features")) == {*Features.model_fields, "column"}
    shared = table_below(GUIDE / "schema.md", "## tasks")
    assert set(shared) == {"label", "on", "after", "weight", "score_weight", "hide"}
    for name in set(shared) - {"label"}:
        assert says(shared[name], RegressionTask.model_fields[name]) or name == "on"


def test_every_part_of_a_schema_is_on_the_page() -> None:
    page = (GUIDE / "schema.md").read_text(encoding="utf-8")
    kinds = [*FEATURE_KINDS, *TASK_KINDS]
    assert [kind for kind in kinds if f"\n### kind: {kind}\n" not in page] == []
    parts = {field.annotation for field in Schema.model_fields.values()}
    sections = {part for part, _ in SECTIONS.values()} | {Features}
    assert {part for part in parts if inspect.isclass(part) and issubclass(part, Part)} <= sections


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


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_has_a_page(name: str) -> None:
    about = ARCHITECTURES[name][0].about
    if about is None or about.family == "plain":
        return
    page = METHODS / f"{name}.md"
    assert page.read_text(encoding="utf-8").startswith(f"# `{name}`: ")
    assert f"methods/{name}.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


FROM = sorted(METHODS.glob("from-*.md"))  # how to switch from another library


@pytest.mark.parametrize(
    "page",
    sorted(page for page in METHODS.glob("*.md") if page.stem in ARCHITECTURES),
    ids=lambda page: page.stem,
)
def test_a_method_is_switched_on_as_its_page_says(page: Path) -> None:
    ((_, text, _),) = blocks(page, "yaml")
    model = yaml.safe_load(text)["model"]
    assert model["architecture"] == page.stem
    check_architecture(page.stem, model.get("options", {}))


@pytest.mark.parametrize("page", FROM, ids=lambda page: page.stem)
def test_what_a_class_of_another_library_is_here_can_be_built(page: Path) -> None:
    rows = re.findall(r"\| `(\w+)` \| `(\{[^`]*\})` \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows
    for name, options in rows:
        check_architecture(name, yaml.safe_load(options))
    for _, text, _ in blocks(page, "yaml"):
        model = yaml.safe_load(text)["model"]
        check_architecture(model["architecture"], model["options"])


def test_the_readme_asks_what_make_demo_asks() -> None:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    (request,) = re.findall(r"^REQUEST := (.*)$", rules, re.MULTILINE)
    (asked,) = re.findall(r"\$\(BIN\)/motet ask \$\(RUN\) (.*)$", rules, re.MULTILINE)
    command = f"$ motet ask runs/demo {asked.replace('$(REQUEST)', request)}"
    assert command in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()


def test_who_comes_from_torch_rechub_finds_every_class_and_every_method() -> None:
    text = (METHODS / "from-torch-rechub.md").read_text(encoding="utf-8")
    # torch_rechub.models.multi_task.__all__ of 0.9.0, and the ranking model that several tasks have here
    theirs = {"SharedBottom", "ESMM", "MMOE", "PLE", "AITM", "DCNv2"}
    rows = re.findall(r"^\| `(\w+)\(.*\)`.* \| `(\w+)` \| `\{.*\}` \|$", text, re.MULTILINE)
    assert {name for name, _ in rows} == theirs
    named = {name for _, name in rows} | set(re.findall(r"\[`(\w+)`\]\(\1\.md\)", text))
    families = {name: about.family for name, (kind, _) in ARCHITECTURES.items() if (about := kind.about)}
    ours = {name for name, family in families.items() if family in ("sharing", "funnel", "scenario")}
    assert named - {"dcn_v2"} == ours
    methods = dict(re.findall(r'^\| `.*\{"method": "(\w+)".*\}` \| (.*) \|$', text, re.MULTILINE))
    assert set(methods) == {"uwl", "gradnorm", "metabalance"}
    for name, here in methods.items():
        balancer = re.search(r"balancer: (\w+)", here)
        assert balancer is not None or (here.startswith("not here") and name not in BALANCERS)
        assert balancer is None or balancer[1] in BALANCERS


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("Architectures", "architecture"),
        ("Sequence encoders", "sequence encoder"),
        ("Balancers", "balancer"),
    ],
)
def test_every_method_says_what_of_it_is_tested(heading: str, kind: str) -> None:
    page = (METHODS / "correctness.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {heading}$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    rows = re.findall(
        r"^\| `(\w+)` \| ([^|]+) \| `([\w/]+\.py)::(\w+)` \| (\S+) \| [^|]+ \|$", section, re.MULTILINE
    )
    assert len(rows) == section.count("\n| `"), "a line has another form"
    known = {m.name: m for m in list_methods() if m.kind == kind and m.family != "plain"}
    assert [name for name, *_ in rows] == list(known)
    for name, paper, file, test, tolerance in rows:
        said = known[name].paper
        assert said.startswith(paper) if said else paper == "–", f"{name}: {said}"
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert test in [one.name for one in ast.walk(ast.parse(source)) if isinstance(one, ast.FunctionDef)]
        assert tolerance == "bit-equal" or tolerance in source, f"{name}: {tolerance}"


def test_every_balancer_is_explained() -> None:
    said = table_below(GUIDE / "training.md", "## Balancers")
    assert set(said) == set(BALANCERS)


@pytest.mark.parametrize("name", BALANCERS)
def test_every_balancer_has_a_formula_and_its_options(name: str) -> None:
    page = (ROOT / "docs" / "methods" / "balancers.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{name}` \|.*$", page.split("## What a step costs")[0], re.MULTILINE)
    fields = balancer_options(name).model_fields
    cell = row.removesuffix("|").rsplit("| ", 1)[1]
    said = re.findall(r"`(\w+)`(?: \S+)?? ([^,`]+?)(?:,|\s*$)", cell)
    assert [option for option, _ in said] == [option for option in fields if option != "smoothing"]
    for option, default in said:
        expected = fields[option].default
        if isinstance(expected, int | float):
            assert float(default.split()[-1]) == expected


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("evaluation.md", [*METRICS, *BASELINES, "single_task"]),
        ("bundle.md", [*PARTS, "manifest.json", "report.html"]),
        ("models.md", [*ARCHITECTURES, *SEQUENCE_ENCODERS]),
    ],
)
def test_every_name_is_explained(page: str, names: list[str]) -> None:
    text = (GUIDE / page).read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.endswith("report.png"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.parent.name != "adr"],  # decisions name what was there in their time
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_every_name_of_motet_is_there(page: Path) -> None:
    names = set(re.findall(r"\bmotet(?:\.[a-zA-Z_]\w*)+", page.read_text(encoding="utf-8")))
    for _, code, _ in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "motet":
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    for name in sorted(names):
        pkgutil.resolve_name(name)  # fails with the name that is not there


def commands_of_the_reference() -> dict[str, set[str]]:
    """Every command of the page of the command line, with its options."""
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    parts = re.split(r"^## motet ", page, flags=re.MULTILINE)[1:]
    named = r"^\| `(-[^`]+)` \|"
    return {
        part.splitlines()[0]: {
            option for names in re.findall(named, part, re.MULTILINE) for option in re.split("[ ,/]+", names)
        }
        for part in parts
    }


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "_generate_cli.py"))["page"]()
    kept = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert kept == written, "run: python docs/_generate_cli.py"
    commands = commands_of_the_reference()
    assert {"-k", "--include-seen", "--json"} <= commands["recommend"]
    assert "--out" in commands["datasets fetch"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_is_shown_is_one(page: Path) -> None:
    commands = commands_of_the_reference()
    lines = [line for _, text, _ in blocks(page, "console") for line in text.splitlines()]
    for line in lines:
        if not line.startswith("$ motet "):
            continue
        words = shlex.split(line, comments=True)[2:]
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in commands), None)
        assert name is not None, f"{page.name}: there is no command '{line}'"
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= commands[name], f"{page.name}: {line}"


@pytest.mark.parametrize("page", ["README.md", "docs/concepts/packages.md"])
def test_every_package_is_named(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    packages = {path.parent.name for path in (ROOT / "src" / "motet").glob("*/__init__.py")}
    assert {name for name in packages if f"`{name}`" not in text} == set()


def test_every_decision_is_listed_by_its_title() -> None:
    directory = ROOT / "docs" / "adr"
    listed = re.findall(
        r"^\| (\d+) \| \[(.+)\]\((\S+)\) \|$", (directory / "index.md").read_text(), re.MULTILINE
    )
    there = [
        (
            str(int(path.name[:4])),
            path.read_text(encoding="utf-8").splitlines()[0].removeprefix(f"# {path.name[:4]}: "),
            path.name,
        )
        for path in sorted(directory.glob("0*.md"))
    ]
    assert listed == there


def test_every_public_package_is_in_the_reference() -> None:
    source = ROOT / "src" / "motet"
    public = {
        ".".join(("motet", *stub.parent.relative_to(source).parts))
        for stub in source.rglob("__init__.pyi")
        if stub.parent.name
        not in ("gorse", "monitor", "web")  # the service's own; they promise nothing to programs
    }
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference" / "api").glob("*.md")]
    shown = {name for page in pages for name in re.findall(r"^::: (\S+)$", page, re.MULTILINE)}
    assert public - shown == set()


def test_the_chinese_tutorial_has_the_same_code() -> None:
    english, chinese = GUIDE / "getting-started.md", ROOT / "docs" / "zh" / "getting-started.md"
    for language in ("console", "python", "yaml", "text"):
        code = [(text, runs) for _, text, runs in blocks(english, language)]
        assert [(text, runs) for _, text, runs in blocks(chinese, language)] == code
    assert any(code for code in blocks(chinese, "yaml"))


def test_the_readmes_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the films that 40 of the people rated, and for one epoch; the last line in a process of its own."""
    whole = datasets.load("movielens-100k", tmp_path / "whole")
    ratings = pl.read_parquet(whole.directory / "ratings.parquet").filter(pl.col("user_id") <= 40)
    rated = ratings["item_id"].unique().sort().head(300).implode()
    small = tmp_path / "small"
    small.mkdir()
    ratings.filter(pl.col("item_id").is_in(rated)).write_parquet(small / "ratings.parquet")
    pl.read_parquet(whole.directory / "users.parquet").filter(pl.col("user_id") <= 40).write_parquet(
        small / "users.parquet"
    )
    pl.read_parquet(whole.directory / "items.parquet").filter(pl.col("item_id").is_in(rated)).write_parquet(
        small / "items.parquet"
    )
    for name in ("knowledge", "links"):
        shutil.copy(whole.directory / f"{name}.parquet", small)
    (small / "schema.yaml").write_text(
        whole.schema.with_overrides("training.epochs=1").to_yaml(), encoding="utf-8"
    )
    monkeypatch.setattr(datasets, "load", lambda name: replace(whole, directory=small))
    monkeypatch.chdir(tmp_path)
    (_, code, _) = next(blocks(ROOT / "README.md", "python"))
    before, serve = code.rstrip().rsplit("\n", 1)
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(before, "README.md", "exec"), names)  # noqa: S102 (the code is ours)
    assert motet.load("runs/films").metrics["tasks"]["like"]
    assert (tmp_path / "runs" / "films" / "report.html").is_file()
    said, model = capsys.readouterr().out, names["model"]
    assert "lightgbm" in said
    assert "1. " in said
    assert len(model.recommend(["1", "2"], k=10, scenario="evening")) == 20
    pairs = pl.DataFrame({"user_id": ["1", "2"], "item_id": ["50", "1"]})
    assert 0 < model.predict(pairs)["like"][0] < 1
    assert motet.load("runs/films").predict(pairs).equals(model.predict(pairs))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "port=8000" in serve
    process = subprocess.Popen(
        [sys.executable, "-c", f"import motet\n{serve.replace('8000', str(port))}"], stdout=subprocess.DEVNULL
    )
    try:
        assert health(port) == 200
    finally:
        process.terminate()
        process.wait(60)


def health(port: int) -> int:
    """The status of a service that starts in another process."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/health/live") as answer:
                return int(answer.status)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError("the service did not start")


def test_the_chinese_readme_has_the_same_python() -> None:
    ((_, english, _),), ((_, chinese, _),) = (
        list(blocks(ROOT / name, "python")) for name in ("README.md", "README.zh.md")
    )

    def plain(code: str) -> list[str]:
        return [re.sub(r'ask\("[^"]*"', "ask(…", line.split("  #")[0]) for line in code.splitlines()]

    assert plain(chinese) == plain(english)
