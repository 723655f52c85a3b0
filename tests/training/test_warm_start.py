"""Training that begins with the weights of another bundle: what goes over, what does not, and what it is good for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import motet
from motet.cli import main
from motet.errors import ModelError, MotetError, TrainingError
from motet.schema import Schema
from motet.training import Bundle, WarmStart, load_bundle, train

GROUPS = 12


def tables(seed: int, domain: str, rows: int, colours: range = range(GROUPS)) -> dict[str, pl.DataFrame]:
    """Who likes what follows from a person's group and an item's colour; ids tell domains apart, groups do not."""
    planted = np.random.default_rng(1_000 + seed).normal(size=(GROUPS, GROUPS)) * 2.5
    rng, users, items = np.random.default_rng([seed, len(domain), rows]), 60, 60
    group, colour = rng.integers(0, GROUPS, users), rng.choice(colours, items)
    who, what = rng.integers(0, users, rows), rng.integers(0, items, rows)
    s = planted[group[who], colour[what]]
    return {
        "interactions": pl.DataFrame(
            {
                "user": [f"{domain}{k}" for k in who],
                "item": [f"{domain}{k}" for k in what],
                "at": np.arange(rows) + 1_700_000_000,
                "place": rng.choice(["home", domain], rows),
                "wait": rng.exponential(size=rows),
                "like": (s + rng.logistic(size=rows) > 0).astype(int),
                "buy": (s + rng.logistic(size=rows) > 1).astype(int),
            }
        ),
        "users": pl.DataFrame(
            {"user": [f"{domain}{k}" for k in range(users)], "group": [f"g{k}" for k in group]}
        ),
        "items": pl.DataFrame(
            {
                "item": [f"{domain}{k}" for k in range(items)],
                "colour": [f"c{k}" for k in colour],
                "size": rng.normal(size=items),
                "words": [f"w{k}|x{k % 3}" for k in colour],
            }
        ),
    }


def schema_of(**changes: Any) -> Schema:
    """Two tasks and a ranking; keywords replace sections."""
    content: dict[str, Any] = {
        "name": "domain",
        "tables": {name: f"{name}.parquet" for name in ("interactions", "users", "items")},
        "keys": {"user": "user", "item": "item", "time": "at", "scenario": "place"},
        "features": {
            "user": {"user": "id", "group": "categorical"},
            "item": {"item": "id", "colour": "categorical", "size": "numeric", "words": "tags"},
        },
        "tasks": {
            "like": {"kind": "binary", "label": "like"},
            "buy": {"kind": "binary", "label": "buy"},
            "next": {"kind": "retrieval", "positive": "like = 1"},
        },
        "split": {"by": "time"},
        "model": {"architecture": "shared_bottom", "width": 8, "members": ()},
        "training": {"epochs": 4, "learning_rate": 0.01, "batch_size": 64, "refit": False},
    }
    return Schema.parse({**content, **changes})


def written(place: Path, seed: int, domain: str, rows: int, colours: range = range(GROUPS)) -> Path:
    directory = place / f"{domain}{seed}"
    directory.mkdir(exist_ok=True)
    for name, table in tables(seed, domain, rows, colours).items():
        table.write_parquet(directory / f"{name}.parquet")
    return directory


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("domains")


@pytest.fixture(scope="module")
def source(place: Path) -> Bundle:
    return train(schema_of(), written(place, 0, "shop", 3_000), place / "source")


@pytest.fixture(scope="module")
def target(place: Path) -> Path:
    return written(place, 0, "club", 400, range(4, GROUPS))


def begun(schema: Schema, data: Path, out: Path, start: WarmStart) -> Bundle:
    """What a training begins with: one that has as good as no rate."""
    still = schema.with_overrides(
        "training.learning_rate=1e-12", "training.epochs=1", "training.schedule=constant"
    )
    return train(still, data, out, start=start)


def row(bundle: Bundle, feature: str, word: str | None) -> torch.Tensor:
    vocabulary = bundle.data.encoder.vocabularies[feature]
    at = 0 if word is None else int(vocabulary.words.rows(pl.Series([word]))[0]) + 1
    return bundle.model.features.table.weight[vocabulary.offset + at]


def test_known_words_go_over_and_unknown_ones_begin_afresh(
    source: Bundle, target: Path, tmp_path: Path
) -> None:
    warm = begun(schema_of(), target, tmp_path / "warm", WarmStart(source.directory))
    cold = begun(schema_of(), target, tmp_path / "cold", WarmStart(source.directory, {"colour": None}))
    for feature in ("colour", "words", "group", "scenario"):
        words = warm.data.encoder.vocabularies[feature].words.words
        shared = words.filter(words.is_in(source.data.encoder.vocabularies[feature].words.words))
        assert len(shared)
        for word in (None, *shared):
            assert torch.allclose(row(warm, feature, word), row(source, feature, word), atol=1e-8), word
        facts = warm.metrics["start"]["embeddings"][feature]
        assert (facts["copied"], facts["of"]) == (len(shared), len(words))
    assert warm.metrics["start"]["embeddings"]["item"]["copied"] == 0  # ids of another domain
    assert not torch.allclose(row(warm, "item", "club3"), row(source, "item", "shop3"))
    assert not torch.allclose(row(cold, "colour", "c5"), row(source, "colour", "c5"))
    assert cold.metrics["start"]["embeddings"]["colour"]["copied"] == 0


def test_layers_of_the_same_role_go_over(source: Bundle, target: Path, tmp_path: Path) -> None:
    warm = begun(schema_of(), target, tmp_path / "b", WarmStart(source.directory))
    theirs = source.model.state_dict()
    for name, own in warm.model.named_parameters():
        weight: torch.Tensor = own
        if name != "features.table.weight" and not name.startswith("features.content"):
            known = theirs[name]
            if name.endswith(
                ("scenario.weight", "retrieval.scenario")
            ):  # unknown and home; the third is the domain's own
                at = [0, 1 + warm.data.encoder.vocabularies["scenario"].words.words.to_list().index("home")]
                of = [0, 1 + source.data.encoder.vocabularies["scenario"].words.words.to_list().index("home")]
                weight, known = weight[at], known[of]
            assert torch.allclose(weight, known, atol=1e-7), name
    facts = warm.metrics["start"]
    assert facts == warm.manifest["start"]
    assert facts["weights_sha256"] == source.manifest["files"]["weights.safetensors"]["sha256"]
    assert facts["name"] == "domain"
    assert "A warm start" in (tmp_path / "b" / "report.html").read_text(encoding="utf-8")
    assert load_bundle(tmp_path / "b").metrics["start"] == facts


def test_columns_go_by_feature_and_towers_by_task(source: Bundle, target: Path, tmp_path: Path) -> None:
    features = {
        "user": {"band": {"kind": "categorical", "column": "group"}},
        "item": {"size": "numeric", "words": "tags", "colour": "categorical"},
        "interaction": {"wait": "numeric"},
    }
    tasks = {"buy": {"kind": "binary", "label": "buy"}, "love": {"kind": "binary", "label": "like"}}
    names = {"band": "group", "love": "like"}
    warm = begun(
        schema_of(features=features, tasks=tasks), target, tmp_path / "b", WarmStart(source.directory, names)
    )
    assert torch.allclose(row(warm, "band", "g3"), row(source, "group", "g3"), atol=1e-8)

    def column(bundle: Bundle, entity: Any, code: str) -> torch.Tensor:
        model = bundle.model
        widths = model.features.widths
        start = {"user": 0, "item": widths.user, "interaction": widths.user + widths.item}[entity]
        at = model.features.column(entity, code)
        assert at is not None
        return model.get_parameter("architecture.trunk.first.weight")[:, start + at : start + at + 8]

    for entity, here, there in (
        ("user", "band", "group"),
        ("item", "colour", "colour"),
        ("interaction", "scenario", "scenario"),
    ):
        assert torch.allclose(column(warm, entity, here), column(source, entity, there), atol=1e-7), here
    tower = "architecture.towers.weight"
    mine, theirs = warm.model.get_parameter(tower), source.model.get_parameter(tower)
    assert torch.allclose(mine, theirs[[1, 0]], atol=1e-7)


def test_histories_go_over_where_they_tell_of_the_same_items(target: Path, tmp_path: Path) -> None:
    changes = {"user": {"user": "id", "past": {"kind": "sequence", "of": "item"}}}
    schema = schema_of(features={**schema_of().features.model_dump(), **changes})
    first = train(schema, target, tmp_path / "first")
    project = "features.content.project.weight"
    again = begun(schema, target, tmp_path / "again", WarmStart(first.directory))
    assert torch.allclose(again.model.get_parameter(project), first.model.get_parameter(project), atol=1e-7)
    assert again.metrics["start"]["fresh"] == {}
    shop = begun(schema, written(tmp_path, 0, "shop", 300), tmp_path / "shop", WarmStart(first.directory))
    assert shop.metrics["start"]["fresh"] == {"histories tell of other content there": [project]}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_one_domain_taught_helps_where_another_has_few_rows(seed: int, tmp_path: Path) -> None:
    schema = schema_of(training={**schema_of().training.model_dump(), "seed": seed})
    first = train(schema, written(tmp_path, seed, "shop", 8_000), tmp_path / "source")
    few = written(tmp_path, seed, "club", 500)
    scratch = train(schema, few, tmp_path / "scratch").metrics["tasks"]["like"]["auc"]
    warm = train(schema, few, tmp_path / "warm", start=WarmStart(first.directory)).metrics["tasks"]["like"][
        "auc"
    ]
    assert warm > scratch + 0.05


def test_same_seed_same_result_and_resumed_is_uninterrupted(
    source: Bundle, target: Path, tmp_path: Path
) -> None:
    start = WarmStart(source.directory)
    one = train(schema_of(), target, tmp_path / "one", start=start)

    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("train") and done == 7:
            raise KeyboardInterrupt

    schema = schema_of().with_overrides("training.checkpoint_s=0.000001")
    with pytest.raises(KeyboardInterrupt):
        train(schema, target, tmp_path / "two", start=start, progress=stop)
    two = train(schema, target, tmp_path / "two", start=start, resume=True)
    for name, weight in one.model.state_dict().items():
        assert torch.equal(weight, two.model.state_dict()[name]), name


def test_a_run_goes_on_from_the_bundle_it_began_with_and_from_no_other(
    source: Bundle, target: Path, tmp_path: Path
) -> None:
    schema = schema_of().with_overrides("training.checkpoint_s=0.000001", "training.epochs=1")
    other = begun(schema_of(), target, tmp_path / "other", WarmStart(source.directory)).directory
    (place := tmp_path / "moved").symlink_to(source.directory)
    out = tmp_path / "out"

    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("train") and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(schema, target, out, start=WarmStart(source.directory), progress=stop)
    wrong = (WarmStart(other), WarmStart(source.directory, {"colour": None}), None)
    said = (f"with the weights of {other}", r"\(colour=\)", "with drawn weights")
    for start, words in zip(wrong, said, strict=True):
        with pytest.raises(TrainingError, match=rf"began with .*{source.directory}, not .*{words}") as error:
            train(schema, target, out, start=start, resume=True)
        assert "resume with the --from and --map of the first run" in str(error.value)
    resumed = train(schema, target, out, start=WarmStart(place), resume=True)
    assert resumed.metrics["start"]["weights_sha256"]

    with pytest.raises(KeyboardInterrupt):
        train(schema, target, tmp_path / "drawn", progress=stop)
    with pytest.raises(TrainingError, match=r"began with drawn weights, not with the weights of"):
        train(schema, target, tmp_path / "drawn", start=WarmStart(place), resume=True)
    train(schema, target, tmp_path / "drawn", resume=True)


def test_another_architecture_leaves_its_layers_fresh_and_says_so(
    source: Bundle, target: Path, tmp_path: Path
) -> None:
    other = schema_of().with_overrides("model.architecture=mmoe")
    start = begun(other, target, tmp_path / "b", WarmStart(source.directory)).metrics["start"]
    layers = start["fresh"]["the architecture is shared_bottom there and mmoe here"]
    assert layers
    assert all(name.startswith("architecture.") for name in layers)
    assert start["embeddings"]["colour"]["copied"]
    narrow = begun(
        schema_of().with_overrides("model.width=4"), target, tmp_path / "c", WarmStart(source.directory)
    )
    assert "embeddings have width 8 there and 4 here" in narrow.metrics["start"]["fresh"]
    assert narrow.metrics["start"]["embeddings"]["colour"]["copied"] == 0


def test_a_method_for_scenarios_goes_over_where_the_scenarios_are_the_same(
    target: Path, tmp_path: Path
) -> None:
    schema = schema_of().with_overrides("model.architecture=star", "training.epochs=1")
    first = train(schema, target, tmp_path / "first")
    same = begun(schema, target, tmp_path / "same", WarmStart(first.directory)).metrics["start"]
    assert same["weights"]["copied"] == same["weights"]["of"]
    shop = written(tmp_path, 0, "shop", 300)
    other = begun(schema, shop, tmp_path / "other", WarmStart(first.directory)).metrics["start"]
    assert "the scenarios differ, which 'star' is about" in other["fresh"]


def test_mistakes_are_named(source: Bundle, target: Path, tmp_path: Path) -> None:
    wrong: list[tuple[WarmStart, str]] = [
        (WarmStart(tmp_path / "none"), "is not a bundle"),
        (WarmStart(source.directory, {"color": "colour"}), "feature or task of the schema"),
        (WarmStart(source.directory, {"colour": "color"}), "feature or task of the bundle"),
    ]
    for start, says in wrong:
        with pytest.raises(MotetError, match=says) as found:
            train(schema_of(), target, tmp_path / "b", start=start)
        assert found.value.cure
    with pytest.raises(TrainingError, match="a search tries networks"):
        train(schema_of(), target, tmp_path / "b", start=WarmStart(source.directory), search="20s")
    plain = schema_of().with_overrides("model.architecture=ease", "model.members=null")
    with pytest.raises(ModelError, match="plain method 'ease'"):
        train(plain, target, tmp_path / "b", start=WarmStart(source.directory))
    lone = schema_of(
        features={"user": {"user": "id"}},
        tasks={"buy": {"kind": "regression", "label": "buy"}},
        keys={"user": "user", "time": "at"},
        tables={"interactions": "interactions.parquet"},
        model={"architecture": "linear", "width": 3},
    )
    with pytest.raises(ModelError, match=r"nothing of .* fits the schema"):
        train(lone, target, tmp_path / "b", start=WarmStart(source.directory))
    assert list(tmp_path.iterdir()) == []


def test_the_command_and_the_function(
    source: Bundle, target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.yaml").write_text(schema_of().with_overrides("training.epochs=1").to_yaml())
    command = ["train", tmp_path / "s.yaml", "--data", target, "--out", tmp_path / "b", "--overwrite"]

    def run(*more: object) -> int:
        return main([str(part) for part in (*command, *more)])

    assert run("--from", source.directory, "--map", "item=", "--map", "words=words") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "started from" in said
    assert "colour 8 of 8" in said
    assert run("--map", "item=") == 2
    assert "say which: --from BUNDLE" in capsys.readouterr().err
    assert run("--from", source.directory, "--map", "item") == 2
    assert "has no form here=there" in capsys.readouterr().err
    model = motet.fit(
        schema_of().with_overrides("training.epochs=1"), target, start=WarmStart(source.directory)
    )
    assert model.metrics["start"]["embeddings"]["colour"]["copied"] == 8
