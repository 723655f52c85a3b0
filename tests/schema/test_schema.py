from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motet.errors import SchemaError
from motet.schema import (
    LANGUAGES,
    Schema,
    are_years,
    article_first,
    is_chinese,
    nearest,
    read_yaml,
    split_article,
    write_yaml,
)
from motet.testing import toy_schema

Clicks = Callable[..., dict[str, Any]]


def fails(content: dict[str, Any], *parts: str, overrides: tuple[str, ...] = ()) -> None:
    with pytest.raises(SchemaError) as caught:
        Schema.parse(content, overrides, source="s.yaml")
    for part in parts:
        assert part in str(caught.value), f"{part!r} is not in: {caught.value}"
    assert caught.value.cure


def test_yaml_comes_back_as_it_went(tmp_path: Path) -> None:
    for users in (True, False):
        schema = toy_schema(users=users)
        (tmp_path / "s.yaml").write_text(schema.to_yaml())
        assert Schema.load(tmp_path / "s.yaml") == schema


def test_words_of_yaml_1_1_stay_words() -> None:
    assert read_yaml("{on: item, no: off, yes: 'on', true: true, n: 3, x: 1.5e-3}") == {
        "on": "item", "no": "off", "yes": "on", True: True, "n": 3, "x": 0.0015,
    }  # fmt: skip
    odd = {"on": "yes", "no": "off", "null": None, "🎻": "a: b", "12": "0012"}
    assert read_yaml(write_yaml(odd)) == odd


def test_on_item_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        """
name: toy
tables: {interactions: a.csv, items: i.csv}
keys: {item: item, time: at}
features: {item: {title: text}}
tasks:
  genres:
    kind: multilabel
    on: item
    label: genres
"""
    )
    assert Schema.load(tmp_path / "s.yaml").tasks["genres"].on == "item"


def test_files_that_are_no_schema(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"none.yaml: No such file.*motet inspect DIR"):
        Schema.load(tmp_path / "none.yaml")
    (tmp_path / "s.yaml").write_text("name: [toy\nkeys: }")
    with pytest.raises(SchemaError, match=r"s.yaml is not YAML: .*line 2.*Cure: fix the line"):
        Schema.load(tmp_path / "s.yaml")
    (tmp_path / "s.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(SchemaError, match=r"s.yaml is not YAML"):
        Schema.load(tmp_path / "s.yaml")
    for text in ("", "- a\n- b\n", "just words"):
        (tmp_path / "s.yaml").write_text(text)
        with pytest.raises(SchemaError, match=r"s.yaml holds no mapping.*motet inspect"):
            Schema.load(tmp_path / "s.yaml")
    (tmp_path / "s.yaml").write_text("name: a\nname: b\n")
    with pytest.raises(SchemaError, match=r"s.yaml is not YAML: .*'name' stands twice.*line 2"):
        Schema.load(tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("wrong", "name", "right"),
    [
        ({"trainig": {"epochs": 3}}, "'trainig'", "'training'"),
        ({"training": {"epoch": 3}}, "'training.epoch'", "'epochs'"),
        ({"model": {"architectur": "ple"}}, "'model.architectur'", "'architecture'"),
        ({"split": {"valdation": 0.1, "by": "random"}}, "'split.valdation'", "'validation'"),
        ({"clean": {"duplicate_key": "first"}}, "'clean.duplicate_key'", "'duplicate_keys'"),
        ({"objective": {"balancr": "equal"}}, "'objective.balancr'", "'balancer'"),
        ({"keys": {"user": "user", "item": "item", "time": "at", "scenaro": "x"}}, "'keys.scenaro'", "'scenario'"),
        ({"tables": {"interactions": "a.csv", "itmes": "b.csv"}}, "'tables.itmes'", "'items'"),
        ({"tasks": {"t": {"kind": "binary", "lable": "x"}}}, "'tasks.t.lable'", "'label'"),
        ({"features": {"user": {"age": {"kind": "numeric", "scael": "log"}}}}, "'features.user.age.scael'", "'scale'"),
        ({"features": {"user": {"age": {"kind": "numerc"}}}}, "features.user.age: the kind 'numerc'", "'numeric'"),
        ({"features": {"user": {"age": "numerc"}}}, "features.user.age: the kind 'numerc'", "'numeric'"),
        ({"tasks": {"t": {"kind": "binay", "label": "x"}}}, "tasks.t: the kind 'binay'", "'binary'"),
    ],
)  # fmt: skip
def test_a_misspelt_option_names_the_nearest(
    clicks: Clicks, wrong: dict[str, Any], name: str, right: str
) -> None:
    fails(clicks(**wrong), "s.yaml", name, f"did you mean {right}?")


def test_a_misspelt_section_is_named_before_what_it_leaves_missing(clicks: Clicks) -> None:
    content = clicks()
    content["taskss"] = content.pop("tasks")
    fails(content, "'taskss' is not an option", "did you mean 'tasks'?")
    del content["taskss"]
    fails(content, "'tasks' is missing", "add it")


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        ({"training": {"optimizer": "sgd"}}, ("training.optimizer", "'adam', 'adamw' or 'adagrad'", "'sgd'")),
        ({"training": {"learning_rate": 0}}, ("training.learning_rate", "greater than 0", "0")),
        ({"split": {"by": "time", "train": 0.9, "validation": 0.1}}, ("split", "leave a share for the test")),
        ({"split": {"by": "column"}}, ("split", "'column' goes with 'by: column'")),
        ({"tasks": {}}, ("tasks", "at least 1")),
        ({"features": {}}, ("name at least one feature",)),
        ({"name": ""}, ("name", "at least 1")),
        ({"language": {"backend": "endpoint"}}, ("language", "'endpoint' goes with")),
        ({"tasks": {"t": {"kind": "binary", "label": "x >>> 4"}}}, ("tasks.t", "'x >>> 4' does not parse")),
        ({"tasks": {"t": {"kind": "binary", "label": "x", "positive_weight": -1}}}, ("tasks.t.positive_weight", "greater than 0")),
        ({"tasks": {"t": {"kind": "regression", "label": "x", "range": [5, 1]}}}, ("tasks.t.range", "[5.0, 1.0] is empty")),
        ({"features": {"user": {"age": {"kind": "numeric", "range": [3, 3]}}}}, ("features.user.age.range", "is empty")),
        ({"derive": {"interactions": {"x": "(("}}}, ("derive.interactions.x", "does not parse")),
        ({"derive": {"clicks": {"x": "1"}}}, ("derive.clicks", "'users', 'items' or 'interactions'")),
    ],
)  # fmt: skip
def test_a_wrong_value_names_field_rule_and_value(
    clicks: Clicks, wrong: dict[str, Any], parts: tuple[str, ...]
) -> None:
    fails(clicks(**wrong), *parts)


def task(**parts: Any) -> dict[str, Any]:
    return {"t": {"kind": "binary", "label": "x", **parts}}


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        ({"keys": {"item": "item", "time": "at"}}, ("features.user.user needs keys.user",)),
        ({"split": {"by": "user_time"}, "keys": {"user": "user", "item": "item"}}, ("user_time needs keys.user and keys.time",)),
        ({"features": {"user": {"x": "id"}, "item": {"x": "id"}}}, ("features.item.x", "taken by features.user.x")),
        ({"features": {"user": {"scenario": "id"}}}, ("features.user.scenario", "keys.scenario")),
        ({"features": {"item": {"s": {"kind": "sequence", "of": "item"}}}}, ("features.item.s", "feature of the user")),
        ({"features": {"item": {"item": "id"}, "user": {"s": {"kind": "sequence", "of": "itm"}}}}, ("features.user.s", "'itm' is not known", "did you mean 'item'?")),
        ({"features": {"item": {"y": "numeric"}, "user": {"s": {"kind": "sequence", "of": "y"}}}}, ("'of: y' is numeric",)),
        ({"features": {"item": {"y": {"kind": "text", "template": "{user.z}"}}}}, ("names {user.z}", "only a text feature of the interaction")),
        ({"tasks": task(after="u")}, ("tasks.t.after", "'u' is not known")),
        ({"tasks": task(after="t")}, ("tasks.t.after", "not another binary task")),
        ({"tasks": {**task(after="r"), "r": {"kind": "regression", "label": "y"}}}, ("tasks.t.after: 'r' is not another binary task",)),
        ({"tasks": task(on="item", hide=["itme"])}, ("tasks.t.hide", "did you mean 'item'?")),
        ({"tasks": task(hide=["x"]), "features": {"interaction": {"x": "id"}}}, ("tasks.t.hide works for tasks on items or users",)),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_together(
    clicks: Clicks, wrong: dict[str, Any], parts: tuple[str, ...]
) -> None:
    fails(clicks(**wrong), *parts)


@pytest.mark.parametrize(
    ("derive", "features", "label"),
    [
        ({}, {"interaction": {"stars": "numeric"}}, "stars >= 4"),
        ({}, {"interaction": {"s": {"kind": "numeric", "column": "stars"}}}, "stars >= 4"),
        ({"liked": "stars >= 4"}, {"interaction": {"liked": "categorical"}}, "stars = 5"),
        ({"liked": "stars >= 4"}, {"interaction": {"stars": "numeric"}}, "liked"),
        ({"a": "stars + 1", "b": "a * 2", "c": "b - 1"}, {"interaction": {"c": "numeric"}}, "stars = 5"),
        ({"stars": "stars * 2"}, {"interaction": {"stars": "numeric"}}, "stars = 10"),
        ({"stars": "stars * 2", "top": "stars > 9"}, {"interaction": {"top": "categorical"}}, "stars = 10"),
        ({}, {"interaction": {"t": {"kind": "text", "template": "{note} {stars}"}}}, "stars >= 4"),
    ],
)
def test_a_feature_that_reads_the_column_of_a_label(
    clicks: Clicks, derive: dict[str, str], features: dict[str, Any], label: str
) -> None:
    content = clicks(derive={"interactions": derive}, features=features, tasks=task(label=label))
    fails(content, "features.interaction.", "reads 'stars', which gives away task 't'", "remove the feature")


def test_a_scenario_that_reads_the_column_of_a_label(clicks: Clicks) -> None:
    keys = {"user": "user", "item": "item", "time": "at", "scenario": "mood"}
    content = clicks(keys=keys, derive={"interactions": {"mood": "stars > 3"}}, tasks=task(label="stars = 5"))
    fails(content, "keys.scenario reads 'stars', which gives away task 't'")


def test_what_is_no_leak(clicks: Clicks) -> None:
    past = {"kind": "sequence", "of": "item", "where": "stars >= 4"}
    Schema.parse(
        clicks(features={"item": {"item": "id"}, "user": {"past": past}}, tasks=task(label="stars = 5"))
    )
    hidden = {"item": {"genres": "tags", "item": "id"}}
    on_item = {"t": {"kind": "multilabel", "label": "genres", "on": "item", "hide": ["genres"]}}
    Schema.parse(clicks(features=hidden, tasks=on_item))
    # a derived column that refines another, and one that only looks like a circle
    Schema.parse(clicks(derive={"interactions": {"a": "b + 1", "b": "a * 2"}}, tasks=task(label="y")))


def test_overrides(clicks: Clicks) -> None:
    content = clicks()
    schema = Schema.parse(
        content,
        [
            "training.epochs=7",
            "model.options={experts: 3}",
            "tasks.click.weight=2",
            "features.user.user.min_count=4",
        ],
    )
    assert schema.training.epochs == 7
    assert schema.model.options == {"experts": 3}
    assert schema.tasks["click"].weight == 2
    assert getattr(schema.features.user["user"], "min_count", None) == 4
    assert content == clicks(), "the given values were changed"
    fails(content, "'training.epoch' is not an option", "'epochs'", overrides=("training.epoch=3",))
    fails(content, "'epochs' has no form a.b=c", overrides=("epochs",))
    fails(content, "is not YAML", overrides=("training.epochs=[3",))
    fails(content, "training", overrides=("training=5",))
    fails(content, "training.epochs", overrides=("training.epochs=5", "training.epochs.x=1"))


def test_short_and_long_forms_are_one(clicks: Clicks) -> None:
    short = Schema.parse(clicks(features={"user": {"age": "numeric"}}))
    assert short == Schema.parse(clicks(features={"user": {"age": {"kind": "numeric"}}}))


def test_nearest_lists_all_where_nothing_is_near() -> None:
    assert nearest("zzz", ["b", "a"]) == "known: a, b"


def test_a_schema_cannot_be_changed(clicks: Clicks) -> None:
    schema = Schema.parse(clicks())
    with pytest.raises(ValueError, match="frozen"):
        schema.training.epochs = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("tasks", "retrieval", "ranking", "liking", "rankable"),
    [
        # a task on items gives everybody the same list, so it does not rank where nobody asks for it
        (
            {"premium": ("binary", "item"), "click": ("binary", "")},
            None,
            "click",
            "click",
            ["premium", "click"],
        ),
        (
            {"premium": ("regression", "item"), "stars": ("regression", "")},
            None,
            "stars",
            None,
            ["premium", "stars"],
        ),
        ({"click": ("binary", ""), "next": ("retrieval", "")}, "next", "next", "click", ["click", "next"]),
        ({"stars": ("regression", ""), "next": ("retrieval", "")}, "next", "next", "next", ["stars", "next"]),
        ({"next": ("retrieval", ""), "later": ("retrieval", "")}, "next", "next", "next", ["next", "later"]),
        # what comes after something else is no plain liking, wherever it stands
        ({"buy": ("binary", "click"), "click": ("binary", "")}, None, "buy", "click", ["buy", "click"]),
        ({"stars": ("regression", ""), "click": ("binary", "")}, None, "stars", "click", ["stars", "click"]),
        ({"churn": ("binary", "user"), "mood": ("multiclass", "")}, None, None, None, []),
        ({"premium": ("binary", "item")}, None, None, None, ["premium"]),
    ],
)
def test_what_tasks_are_for(
    tasks: dict[str, tuple[str, str]],
    retrieval: str | None,
    ranking: str | None,
    liking: str | None,
    rankable: list[str],
) -> None:
    declared = {}
    for name, (kind, where) in tasks.items():
        declared[name] = {"kind": kind, "positive" if kind == "retrieval" else "label": name}
        if where:
            declared[name]["on" if where in ("item", "user") else "after"] = where
    schema = Schema.parse(
        {
            "name": "toy",
            "tables": {"interactions": "a.csv", "users": "u.csv", "items": "i.csv"},
            "keys": {"user": "user", "item": "item", "time": "at"},
            "features": {"user": {"user": "id"}, "item": {"item": "id"}},
            "tasks": declared,
        }
    )
    assert (schema.retrieval_task, schema.ranking_task, schema.liking_task) == (retrieval, ranking, liking)
    assert list(schema.rankable_tasks) == rankable
    assert schema.default_objective() == ({} if ranking is None else {ranking: 1.0})


def test_titles_years_and_languages_have_one_reading() -> None:
    assert LANGUAGES == ("en", "zh")
    moved = {
        "Usual Suspects, The": "The Usual Suspects",
        "avventura, l'": "l'avventura",
        "Postino, Il": "Il Postino",
        "Cook, the Thief, His Wife, The": "The Cook, the Thief, His Wife",
        "The Usual Suspects": "The Usual Suspects",
        "Monsters, Inc.": "Monsters, Inc.",
        ", The": ", The",
    }
    assert {title: article_first(title) for title in moved} == moved
    assert split_article("Postino, Il") == ("Il", "Postino")
    assert split_article("Theatre, Theodore") is None
    assert [is_chinese(text) for text in ("喜剧", "a 喜剧 please", "comedy", "コメディ", "")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert are_years([1800, 2100])
    others: list[Any] = [[1799, 1900], [1900, 2101], [1999.5, 2000], [1999], [], [None, None]]
    for other in others:
        assert not are_years(other)
