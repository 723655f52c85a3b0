"""A printed cure works: each mistake is made, what its message says is done to the letter, and then all goes well."""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from motet.cli import main
from motet.data import Dataset, build_dataset
from motet.errors import MotetError
from motet.schema import Schema
from motet.testing import hashed_words_for_tests
from motet.training import train, train_model

SCHEMA = """
name: shop
tables: {interactions: clicks.csv, items: goods.csv}
keys: {user: who, item: what, time: at}
features:
  user: {who: id}
  item: {what: id, price: numeric}
tasks:
  click: {kind: binary, label: click}
split: {by: user_time}
model: {architecture: shared_bottom, width: 4}
training: {batch_size: 32, epochs: 1}
"""


@dataclass
class World:
    """A schema's content and its tables, to be spoilt and cured."""

    place: Path
    content: dict[str, Any] = field(default_factory=lambda: yaml.safe_load(SCHEMA))
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng, n = np.random.default_rng(0), 120
        click = rng.integers(0, 2, n)
        self.tables["clicks.csv"] = pl.DataFrame(
            {
                "who": [f"u{k}" for k in rng.integers(0, 6, n)],
                "what": rng.integers(0, 8, n),
                "at": np.arange(n) + 1_700_000_000,
                "click": click,
                "status": np.where(click == 1, "bought", "left"),
                "rating": rng.integers(1, 6, n),
                "opinion": np.where(click == 1, 1, -1),
                "page": rng.choice(["home", "search"], n),
            }
        )
        self.tables["goods.csv"] = pl.DataFrame(
            {
                "what": range(8),
                "title": [f"thing {k}" for k in range(8)],
                "price": [float(k) for k in range(8)],
                "kind": ["hat", "shoe"] * 4,
            }
        )

    def set(self, path: str, value: Any) -> World:
        """Set a value in the schema; None removes it."""
        *parents, last = path.split("/")
        node = self.content
        for parent in parents:
            node = node.setdefault(parent, {})
        if value is None:
            del node[last]
        else:
            node[last] = value
        return self

    def say(self, text: str) -> None:
        """Put a piece of YAML from a message into the schema."""
        merge(self.content, yaml.safe_load(text))

    def edit(self, table: str, **columns: Any) -> World:
        """Replace columns of a table; None removes one."""
        frame = self.tables[table]
        for name, values in columns.items():
            frame = frame.drop(name) if values is None else frame.with_columns(pl.Series(name, values))
        self.tables[table] = frame
        return self

    def write(self) -> Path:
        """Write the files, and those of before away."""
        data = self.place / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        for name, table in self.tables.items():
            (table.write_parquet if name.endswith(".parquet") else table.write_csv)(data / name)
        (data / "schema.yaml").write_text(
            yaml.safe_dump(self.content, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
        return data

    def build(self) -> Dataset:
        """Read it as training does."""
        data = self.write()
        schema = Schema.load(data / "schema.yaml", self.overrides)
        return build_dataset(schema, data, encode_text=hashed_words_for_tests)

    def train(self) -> object:
        """Train on it."""
        return train_model(self.build())


def merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = value


Change = Callable[[World], object]


@dataclass(frozen=True)
class Case:
    """A mistake, its message, and what its cure means to the letter; the groups of the cure's pattern are given to it."""

    wrong: Change
    problem: str
    cure: str
    right: Callable[..., object]
    run: Change = World.build


def first(values: pl.Series, value: object) -> list[object]:
    return [value, *values.cast(pl.String).to_list()[1:]]


NEAREST = r"did you mean '(.*)'\?"
SNIPPET = r"'(\w+: \{.*?\})'"
NUMERIC = {"kind": "numeric", "column": "price"}


def setting(path: str, value: Any) -> Change:
    return lambda w: w.set(path, value)


SCHEMAS: dict[str, Case] = {
    "misspelt setting": Case(
        setting("training/epcohs", 2), "'training.epcohs' is not an option", NEAREST,
        lambda w, name: (w.set("training/epcohs", None), w.set(f"training/{name}", 2)),
    ),
    "misspelt kind": Case(
        setting("tasks/click/kind", "binray"), "the kind 'binray' is not known", NEAREST,
        lambda w, name: w.set("tasks/click/kind", name),
    ),
    "misspelt encoding": Case(
        setting("tables/encoding", "uft-8"), "the encoding 'uft-8' is not known", NEAREST,
        lambda w, name: w.set("tables/encoding", name),
    ),
    "missing setting": Case(
        setting("tasks/click/label", None), r"'tasks\.click\S*label' is missing", "add it",
        setting("tasks/click/label", "click"),
    ),
    "wrong value": Case(
        setting("training/epochs", "many"), "training.epochs: .*'many'", "fix the value",
        setting("training/epochs", 2),
    ),
    "empty range": Case(
        setting("features/item/price", {"kind": "numeric", "range": [5, 1]}), "the range .* is empty", "lowest value first",
        setting("features/item/price", {"kind": "numeric", "range": [1, 5]}),
    ),
    "override without a value": Case(
        lambda w: w.overrides.append("training.epochs"), "has no form a.b=c", r"write --set (\S+)",
        lambda w, said: w.overrides.__setitem__(0, said),
    ),
    "override that is not YAML": Case(
        lambda w: w.overrides.append("name=[shop"), "is not YAML", "quote the value",
        lambda w: w.overrides.__setitem__(0, 'name="[shop"'),
    ),
    "name with a dot": Case(
        setting("features/item/a.b", NUMERIC), "holds a dot", "name it otherwise, with 'column:'",
        lambda w: (w.set("features/item/a.b", None), w.set("features/item/ab", NUMERIC)),
    ),
    "one name twice": Case(
        setting("features/interaction/price", NUMERIC | {"column": "rating"}), "the name is taken by features.item.price",
        "name it otherwise, with 'column:'",
        lambda w: (w.set("features/interaction/price", None), w.set("features/interaction/p", NUMERIC | {"column": "rating"})),
    ),
    "discriminants of no task": Case(
        setting("features/item/title", {"kind": "text", "reduce": {"method": "lda"}}), "lda parts the classes of a task",
        r"such as '(task): (click)'", lambda w, key, name: w.set(f"features/item/title/reduce/{key}", name),
    ),
    "discriminants of a number": Case(
        lambda w: (
            w.set("tasks/stars", {"kind": "regression", "label": "rating"}),
            w.set("features/item/title", {"kind": "text", "reduce": {"method": "lda", "task": "stars"}}),
        ),
        "does not say of each row which class it is of", r"write '(method: pca)'",
        lambda w, said: w.set("features/item/title/reduce", yaml.safe_load(said)),
    ),
    "codes of which all are active": Case(
        setting("features/item/title", {"kind": "text", "reduce": {"method": "sparse", "width": 4}}),
        "codes are all of them", "give an 'active' below 'width'", setting("features/item/title/reduce/active", 2),
    ),
    "whitened and reduced": Case(
        setting("features/item/title", {"kind": "text", "whiten": 2, "reduce": {"method": "pca", "width": 2}}),
        "has both 'whiten' and 'reduce'", "keep one of them", setting("features/item/title/whiten", None),
    ),
    "texts that nothing changes": Case(
        setting("features/item/title", {"kind": "text", "augment": {"copies": 3}}), "no operation is set",
        r"write (drop), swap or mask", lambda w, name: w.set(f"features/item/title/augment/{name}", 0.1),
    ),
    "rows made up of ids": Case(
        setting("tasks/click/resample", "smote"), "smote makes up rows of numbers and categories",
        r"write 'resample: (\w+)'", lambda w, name: w.set("tasks/click/resample", name),
    ),
    "resampled and weighed": Case(
        setting("tasks/click", {"kind": "binary", "label": "click", "resample": "random_over", "positive_weight": 2}),
        "does what positive_weight and negative_share do", "leave both at 1", setting("tasks/click/positive_weight", 1),
    ),
    "without a feature that is not there": Case(
        setting("without", ["prize"]), "the feature 'prize' is not known", NEAREST,
        lambda w, name: w.set("without", [name]),
    ),
    "without what another is made of": Case(
        lambda w: (w.set("features/user/past", {"kind": "sequence", "of": "what"}), w.set("without", ["what"])),
        "'past' is made of 'what'", r"add (\w+) to the list", lambda w, name: w.content["without"].append(name),
    ),
    "no user key": Case(
        lambda w: (w.set("keys/user", None), w.set("split/by", "time")), "needs keys.user", "name the user key column",
        setting("keys/user", "who"),
    ),
    "a sequence of the item": Case(
        setting("features/item/past", {"kind": "sequence", "of": "what"}), "a sequence is a feature of the user",
        r"move it to features\.(\w+)",
        lambda w, to: w.set(f"features/{to}/past", w.content["features"]["item"].pop("past")),
    ),
    "a sequence without times": Case(
        lambda w: (w.set("features/user/past", {"kind": "sequence", "of": "what"}), w.set("keys/time", None), w.set("split/by", "random")),
        "a sequence needs keys.time and keys.item", "name both", setting("keys/time", "at"),
    ),
    "a sequence of numbers": Case(
        setting("features/user/past", {"kind": "sequence", "of": "price"}), "'of: price' is numeric", "choose an id",
        setting("features/user/past", {"kind": "sequence", "of": "what"}),
    ),
    "a task on users without a key": Case(
        lambda w: (w.set("tasks/old", {"kind": "binary", "on": "user", "label": "age > 3"}), w.set("keys/user", None), w.set("features/user/who", None), w.set("split/by", "time")),
        "'on: user' needs keys.user", "name the key column",
        lambda w: (w.set("keys/user", "who"), w.set("tables/users", "users.csv"), w.tables.__setitem__("users.csv", pl.DataFrame({"who": [f"u{k}" for k in range(6)], "age": range(6)})), w.set("features/user/who", "id")),
    ),
    "retrieval without items": Case(
        lambda w: (w.set("keys/item", None), w.set("features/item", None), w.set("tables/items", None), w.set("tasks/next", {"kind": "retrieval", "positive": "click = 1"})),
        "retrieval needs keys.user and keys.item", "name both",
        setting("keys/item", "what"),
    ),
    "after nothing": Case(
        setting("tasks/stars", {"kind": "regression", "label": "rating", "after": "klick"}), "'klick' is not known", NEAREST,
        lambda w, name: w.set("tasks/stars/after", name),
    ),
    "after what is not binary": Case(
        lambda w: (w.set("tasks/stars", {"kind": "regression", "label": "rating"}), w.set("tasks/buy", {"kind": "binary", "label": "status = 'bought'", "after": "stars"})),
        "is not another binary task", "name a binary task", setting("tasks/buy/after", "click"),
    ),
    "a circle": Case(
        lambda w: (w.set("tasks/click/after", "buy"), w.set("tasks/buy", {"kind": "binary", "label": "status = 'bought'", "after": "click"})),
        "go in a circle", "let one come first", setting("tasks/click/after", None),
    ),
    "hide on interactions": Case(
        lambda w: (w.set("features/interaction/page", "categorical"), w.set("tasks/click/hide", ["page"])),
        "for tasks on items or users only", r"remove '(hide)'", lambda w, name: w.set(f"tasks/click/{name}", None),
    ),
    "a leak": Case(
        setting("features/interaction/click", "numeric"), "gives away task 'click'", "^remove the feature$",
        setting("features/interaction/click", None),
    ),
    "a leak of an item's label": Case(
        lambda w: (w.set("tasks/hat", {"kind": "binary", "on": "item", "label": "kind = 'hat'"}), w.set("features/item/kind", "categorical")),
        "gives away task 'hat'", r"'(hide: \[\w+\])' to (tasks\.hat)",
        lambda w, said, task: merge(w.content["tasks"]["hat"], yaml.safe_load(said)),
    ),
    "a scenario that leaks": Case(
        setting("keys/scenario", "click"), "gives away task 'click'", "known before the label", setting("keys/scenario", "page"),
    ),
    "user_time without times": Case(
        setting("keys/time", None), "user_time needs", "or split by (random)", lambda w, by: w.set("split/by", by),
    ),
    "time without times": Case(
        lambda w: (w.set("keys/time", None), w.set("split/by", "time")), "split.by: time needs keys.time", SNIPPET,
        lambda w, said: w.say(said),
    ),
    "held-out items without items": Case(
        lambda w: (w.set("split/hold_out_items", 0.1), w.set("keys/item", None), w.set("features/item", None), w.set("tables/items", None)),
        "hold_out_items needs keys.item", r"leave it at (\d)", lambda w, value: w.set("split/hold_out_items", int(value)),
    ),
    "a template over two tables": Case(
        setting("features/item/about", {"kind": "text", "template": "{title} {user.who}"}), "the template names {user.who}",
        "only a text feature of the interaction",
        lambda w: (w.set("features/item/about", None), w.set("features/interaction/about", {"kind": "text", "template": "{item.title}"})),
    ),
    "a template that names nothing": Case(
        setting("features/item/about", {"kind": "text", "template": "title"}), "names no column", "column names in braces",
        setting("features/item/about/template", "{title}"),
    ),
    "an expression that does not parse": Case(
        setting("tasks/click/label", "rating >="), "does not parse", r'such as "(.*?)"',
        lambda w, said: w.set("tasks/click/label", said),
    ),
    "a column without its split": Case(
        setting("split/column", "page"), "'column' goes with 'by: column'", "remove 'column', or set 'by: column'",
        setting("split/column", None),
    ),
    "a split without its column": Case(
        setting("split", {"by": "column"}), "'column' goes with 'by: column'", r"name the column in (split)\.(column)",
        lambda w, *path: (w.set("/".join(path), "part"), w.edit("clicks.csv", part=["train", "validation", "test"] * 40)),
    ),
    "an endpoint without its backend": Case(
        setting("language", {"endpoint": "http://localhost:9/v1"}), "'endpoint' goes with", SNIPPET, lambda w, said: w.say(said),
    ),
    "a backend without its endpoint": Case(
        setting("language", {"generator_backend": "endpoint"}), "'generator_endpoint' goes with", r"(language)\.(generator_endpoint)",
        lambda w, *path: w.set("/".join(path), "http://localhost:9/v1"),
    ),
    "shares of the split": Case(
        lambda w: w.content["split"].update(train=0.9, validation=0.1), "must leave a share for the test", "lower one of the two",
        setting("split/validation", 0.05),
    ),
    "no feature": Case(
        setting("features", {}), "features: there is none", "such as '(item: {.*?})'",
        lambda w, said: w.set("features", yaml.safe_load(said.replace("COLUMN", "what"))),
    ),
    "vectors of a graph without one": Case(
        lambda w: w.set("features/item/facts", {"kind": "vector", "source": "knowledge"}), "needs knowledge.vectors", SNIPPET,
        lambda w, said: w.say(said.replace("FILE", "facts.csv")), lambda w: Schema.parse(w.content),
    ),
}  # fmt: skip

TABLES: dict[str, Case] = {
    "a column renamed": Case(
        setting("features/item/prise", "numeric"), "goods.csv has no column 'prise'", NEAREST,
        lambda w, name: w.set("features/item/prise", NUMERIC | {"column": name}),
    ),
    "a column of an expression": Case(
        setting("tasks/click/label", "ratng >= 4"), "no column 'ratng'", NEAREST,
        lambda w, name: w.set("tasks/click/label", f"{name} >= 4"),
    ),
    "a table that is not there": Case(
        setting("tables/items", "good.csv"), "good.csv does not exist", NEAREST, lambda w, name: w.set("tables/items", name),
    ),
    "numbers that are none": Case(
        lambda w: w.edit("goods.csv", price=first(w.tables["goods.csv"]["price"], "cheap")), "'cheap' is not a number", SNIPPET,
        lambda w, said: w.say(said),
    ),
    "times that are none": Case(
        lambda w: w.edit("clicks.csv", at=first(w.tables["clicks.csv"]["at"], "soon")), "'soon' is not a time", SNIPPET,
        lambda w, said: w.say(said),
    ),
    "a key twice": Case(
        lambda w: w.tables.__setitem__("goods.csv", pl.concat([w.tables["goods.csv"], w.tables["goods.csv"][:1]])),
        "more than one row", SNIPPET, lambda w, said: w.say(said),
    ),
    "a number of words": Case(
        setting("features/item/kind", "numeric"), "the values are not numbers", r"make features\.item\.kind (\w+)",
        lambda w, kind: w.set("features/item/kind", kind),
    ),
    "a label of words": Case(
        setting("tasks/click/label", "status"), "not a number", r'such as "(.*)"', lambda w, said: w.set("tasks/click/label", said),
        World.train,
    ),
    "a label of ratings": Case(
        setting("tasks/click/label", "rating"), "which is not 0 or 1", r'such as "(.*)"',
        lambda w, said: w.set("tasks/click/label", said), World.train,
    ),
    "a label of -1 and 1": Case(
        setting("tasks/click/label", "opinion"), "gives -1, which is not 0 or 1", r'such as "(.*)"',
        lambda w, said: w.set("tasks/click/label", said), World.train,
    ),
    "a filter of words": Case(
        setting("features/user/past", {"kind": "sequence", "of": "what", "where": "status"}), "not true or false", r'such as "(.*)"',
        lambda w, said: w.set("features/user/past/where", said),
    ),
    "text compared with a number": Case(
        setting("tasks/click/label", "status >= 1"), "the expression .* fails", "text with text in single quotes",
        setting("tasks/click/label", "status = 'bought'"),
    ),
    "an empty table of items": Case(
        lambda w: w.tables.__setitem__("goods.csv", w.tables["goods.csv"].clear()), "goods.csv has no rows", r"leave tables\.(\w+) out",
        lambda w, name: (w.set(f"tables/{name}", None), w.set("features/item/price", None)),
    ),
    "one column": Case(
        lambda w: w.tables.__setitem__("goods.csv", pl.DataFrame({"what;price": [f"{k};{k}" for k in range(8)]})), "has one column only",
        r'tables: \{separator: \{(\S+): "(.)"\}\}', lambda w, name, mark: w.set("tables/separator", {name: mark}),
    ),
    "vectors of words": Case(
        lambda w: (w.set("features/item/title", "vector")), "is not a vector", "give a (Parquet) list of numbers",
        lambda w, _: (w.set("tables/items", "goods.parquet"), w.tables.__setitem__("goods.parquet", w.tables.pop("goods.csv").with_columns(title=pl.lit([1.0, 2.0])))),
    ),
    "another word in the split": Case(
        lambda w: (w.set("split", {"by": "column", "column": "page"})), "split.column 'page' holds 'home'|'search'", "use only (train), (validation), (test) and",
        lambda w, *names: w.edit("clicks.csv", page=[names[k % 3] for k in range(120)]),
    ),
    "no row for training": Case(
        lambda w: (w.set("split", {"by": "time", "train": 0.001, "validation": 0.1})), "no interaction falls in the training split", r"change split\.train",
        setting("split/train", 0.5),
    ),
    "no row with keys": Case(
        lambda w: w.edit("clicks.csv", who=[None] * 120), "has no usable row", r"clicks\.csv\.who: no key in 120 rows",
        lambda w: w.edit("clicks.csv", who=["a", "b"] * 60),
    ),
}  # fmt: skip

RUNS: dict[str, Case] = {
    "no label": Case(
        lambda w: (w.edit("clicks.csv", empty=[None] * 120), w.set("tasks/more", {"kind": "regression", "label": "empty"})),
        "task 'more' has no label", "or (remove the task)", lambda w, _: w.set("tasks/more", None), World.train,
    ),
    "no positive label": Case(
        setting("tasks/click/label", "rating > 5"), "no positive label", "check its label expression",
        setting("tasks/click/label", "rating >= 5"), World.train,
    ),
    "only positive labels": Case(
        setting("tasks/click/label", "rating >= 1"), "every label is 1", "check its label expression",
        setting("tasks/click/label", "rating >= 2"), World.train,
    ),
    "a loss that is not finite": Case(
        lambda w: (w.set("training/learning_rate", 1e30), w.set("training/epochs", 3)), "not finite", r"lower (training)\.(learning_rate)",
        lambda w, *path: w.set("/".join(path), 0.01), World.train,
    ),
    "an option of the architecture": Case(
        setting("model", {"architecture": "mmoe", "width": 4, "options": {"expert": 2}}), "is not an option of mmoe", NEAREST,
        lambda w, name: w.set("model/options", {name: 2}), World.train,
    ),
    "a value of the architecture": Case(
        setting("model", {"architecture": "mmoe", "width": 4, "options": {"experts": "two"}}), "model.options.experts", "fix the value",
        setting("model/options/experts", 2), World.train,
    ),
    "a misspelt architecture": Case(
        setting("model/architecture", "mmo"), "'mmo' is not known", NEAREST, lambda w, name: w.set("model/architecture", name), World.train,
    ),
    "gates of a plain method": Case(
        lambda w: w.set("model", {"architecture": "lightgbm", "feature_gates": {}}), "learns no gates",
        "leave model.feature_gates out", setting("model/feature_gates", None),
        lambda w: train(Schema.parse(w.content), w.write(), w.place / "out", overwrite=True),
    ),
    "an architecture of users": Case(
        lambda w: (w.set("model", {"architecture": "coupled", "width": 4}), w.set("features/user", None)),
        "needs features of the user", "add one to features.user", setting("features/user", {"who": "id"}), World.train,
    ),
    "retrieval without features": Case(
        lambda w: (w.set("tasks/next", {"kind": "retrieval", "positive": "click = 1"}), w.set("features/user", None)),
        "retrieval needs features of users and of items", "add an (id) feature", lambda w, kind: w.set("features/user", {"who": kind}), World.train,
    ),
    "a task that sees nothing": Case(
        lambda w: (w.set("tasks/hat", {"kind": "binary", "on": "item", "label": "kind = 'hat'", "hide": ["what", "price"]})),
        "sees no feature of the item", "hide fewer features", setting("tasks/hat/hide", ["what"]), World.train,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "case", [*SCHEMAS.values(), *TABLES.values(), *RUNS.values()], ids=[*SCHEMAS, *TABLES, *RUNS]
)
def test_the_cure_of_a_schema_a_table_and_a_run(case: Case, tmp_path: Path) -> None:
    world = World(tmp_path)
    before = copy.deepcopy(world.content)
    case.run(world)
    assert world.content == before
    case.wrong(world)
    with pytest.raises(MotetError, match=f"(?s){case.problem}") as caught:
        case.run(world)
    said = re.search(case.cure, caught.value.cure)
    assert said, caught.value
    case.right(world, *said.groups())
    case.run(world)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ``data`` and the ``bundle`` of a model of it."""
    world = World(tmp_path_factory.mktemp("trained"))
    data = world.write()
    assert (
        main(
            ["train", f"{data}/schema.yaml", "--data", f"{data}", "--out", f"{world.place}/bundle", "--json"]
        )
        == 0
    )
    return world.place


COMMANDS: dict[str, tuple[str, str, str, str]] = {
    # the command, its problem, the cure with groups, the command of the cure with the groups put in
    "overwrite": ("train S --data D --out B", "bundle is there already|holds a bundle", r"(--overwrite)", "train S --data D --out B {0}"),
    "no schema": ("check D/none.yaml --data D", "No such file", r"'(motet inspect DIR)' writes one", "inspect D"),
    "a bundle that is none": ("report D", "is not a bundle", "'motet (train)'", "report B"),
    "no override": ("train S --data D --out T/new --set training.epochs", "has no form", r"write (--set \S+)", "train S --data D --out T/new {0}"),
    "an unknown command": ("predct", "No such command", "see 'motet (--help)'", "{0}"),
    "a missing argument": ("train", "Missing argument", "see 'motet (train --help)'", "{0}"),
    "a file of another kind": ("recommend B --users D/clicks.csv --out T/x.json", "neither .csv nor .parquet", "name a file of one of these kinds", "recommend B --users D/clicks.csv --out T/x.csv"),
    "a directory that is not there": ("recommend B --users D/clicks.csv --out T/no/x.csv", "no does not exist", "make it first", "recommend B --users D/clicks.csv --out T/x.csv"),
    "a scenario without scenarios": ("recommend B --users D/clicks.csv --out T/x.csv --scenario home", "has no scenarios", "leave the scenario out", "recommend B --users D/clicks.csv --out T/x.csv"),
    "a task to rank by": ("recommend B --users D/clicks.csv --out T/x.csv --by clik", "is not known", NEAREST, "recommend B --users D/clicks.csv --out T/x.csv --by {0}"),
    "a key column": ("predict B --pairs D/goods.csv --out T/x.csv", "have no column 'who'", "name the user of each row in '(who)'", "predict B --pairs D/clicks.csv --out T/x.csv"),
    "settings of no model": ("explain B --user u1 --item 1 --set language.generator=none", "which is not used", "add (--model)", "explain B --user u1 --item 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_the_cure_of_a_command(
    name: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, problem, cure, right = COMMANDS[name]
    places = {"S": "data/schema.yaml", "D": "data", "B": "bundle"}

    def run(command: str) -> tuple[int, str]:
        words = [
            re.sub(
                r"^[SDBT](?=/|$)", lambda m: str(tmp_path if m[0] == "T" else trained / places[m[0]]), word
            )
            for word in command.split()
        ]
        code = main(words)
        return code, capsys.readouterr().err

    code, err = run(wrong)
    assert code == 2, err
    assert re.search(problem, err), err
    said = re.search(cure, err.partition("Cure: ")[2])
    assert said, err
    code, err = run(right.format(*said.groups()))
    assert code == 0, err
