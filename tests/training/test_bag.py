"""Several networks as one: their mean, in every path that serves, explains and resumes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from motet.assistant.explain import Attributor, Explainer
from motet.data import Batcher, Dataset
from motet.errors import ModelError, TrainingError
from motet.models import EnsembleModel, MultiTaskModel, build_model
from motet.models.architectures import ARCHITECTURES
from motet.recommend import Recommender
from motet.schema import Schema
from motet.testing import hashed_words_for_tests, toy_dataset, toy_schema, toy_tables
from motet.training import (
    Bundle,
    ModelPredictor,
    WarmStart,
    add_task,
    cross_validate,
    evaluate_bundle,
    load_bundle,
    load_data,
    save_bundle,
    train,
    train_model,
)

SHORT = ("training.epochs=1", "training.checkpoint_s=1e-9", "model.members=[]")


def networks(data: Dataset, n: int = 3) -> list[MultiTaskModel]:
    return [build_model(data.schema, data.encoder, seed=seed).eval() for seed in range(n)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bag")
    for name, table in toy_tables(rows=300).items():
        table.write_parquet(place / f"{name}.parquet")
    return place


def schema(*overrides: str) -> Schema:
    """The toy world without texts, whose vectors a real encoder would make."""
    content = toy_schema(sequences=("mean",), overrides=(*SHORT, *overrides)).model_dump(mode="json")
    del content["features"]["user"]["about"], content["features"]["item"]["story"]
    content["features"]["interaction"] = {}
    return Schema.parse(content)


def with_settings(schema: Schema, **changes: object) -> Schema:
    return schema.model_copy(update={"training": schema.training.model_copy(update=changes)})


def test_logits_and_scores_are_means(toy: Dataset) -> None:
    members = networks(toy)
    together = EnsembleModel(members).eval()
    batch = Batcher(toy).batch(toy.rows("test"))
    with torch.no_grad():
        whole, each = together(batch), [one(batch) for one in members]
    on_items = {name for name, task in toy.schema.tasks.items() if task.on != "interaction"}
    assert on_items == set(whole.entity)
    for task, values in whole.logits.items():
        torch.testing.assert_close(values, torch.stack([one.logits[task] for one in each]).mean(0))
    for task, values in whole.entity.items():
        torch.testing.assert_close(values, torch.stack([one.entity[task] for one in each]).mean(0))

    users, items = np.arange(len(toy.users)), len(toy.items)
    scores = [ModelPredictor(one, toy).score_items(users) for one in members]
    found = ModelPredictor(together, toy).score_items(users)
    assert found is not None
    assert found.shape == (len(users), items)
    np.testing.assert_allclose(found, np.mean([s for s in scores if s is not None], 0), atol=1e-5)


def test_copies_of_one_network_answer_as_it_does(toy: Dataset) -> None:
    one = networks(toy, 1)[0]
    batch = Batcher(toy).batch(toy.rows("test"))
    with torch.no_grad():
        alone, twice = one(batch), EnsembleModel([one, one])(batch)
    for task, values in alone.logits.items():
        torch.testing.assert_close(twice.logits[task], values)


def first_for_some(data: Dataset, network: MultiTaskModel) -> list[bool]:
    """Every second part is answered by the first network alone; the last one is the ranking."""
    return [at % 2 == 1 for at, _ in enumerate(EnsembleModel.parts_of(network))]


def test_some_tasks_are_answered_by_the_first_network_alone(toy: Dataset, tmp_path: Path) -> None:
    members = networks(toy)
    for ranks_alone in (False, True):
        alone = [*first_for_some(toy, members[0])[:-1], ranks_alone]
        model = EnsembleModel(members, alone).eval()
        save_bundle(tmp_path / "b", model=model, data=toy, metrics={}, overwrite=True)
        loaded = load_bundle(tmp_path / "b")
        batch = Batcher(toy).batch(toy.rows("test"))
        with torch.no_grad():
            again, each = loaded.model(batch), [one(batch) for one in members]
        first = dict(zip(EnsembleModel.parts_of(members[0]), alone, strict=True))
        assert {True, False} == {first[task] for task in again.logits}
        for name in ("logits", "entity"):
            for task, values in getattr(again, name).items():
                answers = torch.stack([getattr(one, name)[task] for one in each])
                torch.testing.assert_close(values, answers[0] if first[task] else answers.mean(0))
        users = np.arange(len(toy.users))
        scores = [ModelPredictor(one, toy).score_items(users) for one in members]
        known = np.stack([one for one in scores if one is not None])
        found = ModelPredictor(loaded.model, toy).score_items(users)
        assert found is not None
        np.testing.assert_allclose(found, known[0] if ranks_alone else known.mean(0), atol=1e-5)


@pytest.mark.parametrize("sequences", [("mean",), ("target", "gru")], ids=["mean", "target attention"])
@pytest.mark.parametrize("architecture", [name for name in ("ple", "fm", "coupled") if name in ARCHITECTURES])
@pytest.mark.parametrize("by_all", [True, False], ids=["mean of all", "some by the first alone"])
def test_a_bundle_serves_what_the_networks_say(
    architecture: str, sequences: tuple[str, ...], by_all: bool, tmp_path: Path
) -> None:
    data = toy_dataset(
        rows=150,
        sequences=sequences,
        overrides=(f"model.architecture={architecture}", "features.interaction.request.template='{query}'"),
    )
    members = networks(data)
    model = EnsembleModel(members, None if by_all else first_for_some(data, members[0])).eval()
    save_bundle(tmp_path / "b", model=model, data=data, metrics={})
    recommender = Recommender(load_bundle(tmp_path / "b"), hashed_words_for_tests)
    known, ahead = recommender.bundle.data, recommender.precomputed_items("search")
    items = np.arange(len(data.items), dtype=np.int32)
    context = (ahead.context_rows.table, ahead.context_rows.scenario)
    for user in (0, len(data.users) - 1):
        users = np.full(len(items), user, np.int32)
        before = {name: h.known[users] for name, h in known.histories.items()}
        batch = Batcher(ahead.context_rows.data).assemble(
            users, items, before, np.zeros(len(items), np.int64), context=context
        )
        plain = model(batch)
        for task, values in ahead.score(known, user).items():
            np.testing.assert_allclose(values.numpy(), plain.logits[task].detach().numpy(), atol=1e-5)
        score = (plain.item_vectors @ plain.user_vectors[0] + plain.item_bias).detach().numpy()
        np.testing.assert_allclose(ahead.retrieve(known, user).numpy(), score, atol=1e-5)


@pytest.mark.parametrize("task", ["next", "stars"])
@pytest.mark.parametrize("by_all", [True, False], ids=["mean of all", "by the first alone"])
def test_parts_of_an_explanation_add_up_to_the_score(
    toy: Dataset, tmp_path: Path, task: str, by_all: bool
) -> None:
    members = networks(toy)
    model = EnsembleModel(members, [not by_all] * len(EnsembleModel.parts_of(members[0])))
    save_bundle(tmp_path / "b", model=model, data=toy, metrics={})
    explainer = Explainer(load_bundle(tmp_path / "b"), hashed_words_for_tests)
    explainer.evidence.probe.task = task
    attributor = Attributor(explainer.evidence.probe, permutations=4)
    found = attributor.attribute(3, 5)
    assert found.gap < 1e-3
    assert sorted(group for group, _ in found.parts) == sorted(attributor.groups)


def test_a_run_writes_one_bundle_of_several_networks(place: Path, tmp_path: Path) -> None:
    alone = train(schema(), place, tmp_path / "alone")
    bundle = train(schema("training.bag=2"), place, tmp_path / "bag")
    cost, single = bundle.metrics["cost"], alone.metrics["cost"]
    assert cost["parameters"] == 2 * single["parameters"]
    assert cost["embedding_parameters"] == 2 * single["embedding_parameters"]
    bag = bundle.metrics["bag"]
    assert bag["seeds"] == [0, 1]
    assert bag["scores"][0] != bag["scores"][1]
    assert sum(bag["train_s"]) == cost["train_s"]
    assert "bag" not in alone.metrics
    assert "of the first of 2 networks" in (tmp_path / "bag" / "report.html").read_text(encoding="utf-8")

    # the first network is the one that a run without the option trains
    first = bundle.model.networks[0].state_dict()
    for name, weight in alone.model.state_dict().items():
        assert torch.equal(first[name], weight), name

    found = evaluate_bundle(tmp_path / "bag", place)
    for task, values in found["tasks"].items():
        assert values == bundle.metrics["tasks"][task]


def test_a_bag_goes_on_where_it_stopped(place: Path, tmp_path: Path) -> None:
    wanted = train(schema("training.bag=2", "training.epochs=2"), place, tmp_path / "whole").model
    seen = []

    def stop(what: str, done: int, total: int) -> None:
        seen.append(what)
        if what.startswith("network 2 of 2: train") and len([s for s in seen if "2 of 2" in s]) == 3:
            raise KeyboardInterrupt

    again = schema("training.bag=2", "training.epochs=2")
    with pytest.raises(KeyboardInterrupt):
        train(again, place, tmp_path / "cut", progress=stop)
    with pytest.raises(TrainingError, match=r"another schema.*train again"):
        train(schema("training.epochs=2"), place, tmp_path / "cut", resume=True)
    seen.clear()
    found = train(again, place, tmp_path / "cut", resume=True, progress=lambda what, *_: seen.append(what))
    assert not [what for what in seen if what.startswith("network 1 of 2: train")]
    for name, weight in wanted.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], weight), name
    assert not (tmp_path / "cut.checkpoint").exists()


def test_the_time_is_shared(place: Path, tmp_path: Path) -> None:
    began_s = time.monotonic()
    bundle = train(
        schema("training.bag=2", "training.time_limit_s=8", "training.epochs=100000"), place, tmp_path / "b"
    )
    assert time.monotonic() - began_s < 16
    first, second = bundle.metrics["bag"]["train_s"]
    assert 0.3 < first / second < 3


def test_what_cannot_be_bagged_is_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"one network a trial.*--bag"):
        train(schema("training.bag=2"), place, tmp_path / "b", search="20s")
    with pytest.raises(ModelError, match=r"plain method"):
        train(schema("training.bag=2", "model.architecture=ease"), place, tmp_path / "b")


def test_a_bag_is_begun_from_a_bundle_and_takes_no_new_task(place: Path, tmp_path: Path) -> None:
    train(schema("training.bag=2"), place, tmp_path / "b")
    begun = train(schema("training.bag=2"), place, tmp_path / "c", start=WarmStart(tmp_path / "b"))
    weights = begun.metrics["start"]["weights"]
    assert weights["copied"] > 0.9 * weights["of"]
    assert len(begun.model.networks) == 2
    with pytest.raises(ModelError, match=r"2 networks.*training.bag=1"):
        add_task(tmp_path / "b", place, {"late": {"kind": "binary", "label": "click"}}, tmp_path / "d")


def test_folds_train_bags(place: Path, tmp_path: Path) -> None:
    train(schema("training.bag=2"), place, tmp_path / "b")
    assert cross_validate(tmp_path / "b", place, 2)["folds"]["tasks"]


def test_a_task_that_learns_longer_than_the_others_is_answered_by_two_moments(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motet.training._bag._GAINS", 0.0)
    options = (
        "training.epochs=6",
        "training.patience=1",
        "training.learning_rate=0.03",
        "training.refit=false",
    )
    blended = 0
    for seed in range(6):
        of_seed = (*options, f"training.seed={seed}")
        one = train(schema(*of_seed, "training.blend_checkpoints=false"), place, tmp_path / f"one{seed}")
        two = train(schema(*of_seed), place, tmp_path / f"two{seed}")
        assert "bag" not in one.metrics
        if len(two.model.networks) == 1:
            continue
        blended += 1
        history, bag = two.metrics["history"], two.metrics["bag"]
        kept, last = (history["validations"][at]["primary_values"] for at in (history["best"], -1))
        gaining = {name for name in kept if (last[name] or 0) > (kept[name] or 0)}
        assert gaining
        assert bag["seeds"] == [seed, seed]
        assert bag["score"] > bag["scores"][0] == history["validations"][history["best"]]["score"]
        assert two.manifest["format"] == 5
        data = load_data(schema(*of_seed), place).data
        rows = data.rows("test")
        before, after = (ModelPredictor(each.model, data).predict(rows) for each in (one, two))
        for name, values in after.items():
            assert (name in gaining) is not np.allclose(values, before[name], rtol=0, atol=1e-5), name
    assert blended


@pytest.fixture(scope="module")
def branched(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bundle, Schema]]:
    """The first bundle of several seeds in which a branch answers: any gain after the moment that was kept will do."""
    options = ("training.epochs=6", "training.patience=1", "training.learning_rate=0.03", "training.blend_checkpoints=false", "training.branch=true")  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("motet.training._bag._GAINS", 0.0)
        for seed in range(6):
            own = schema(*options, "training.refit=false", f"training.seed={seed}")
            bundle = train(own, place, tmp_path_factory.mktemp("branched") / "b")
            if len(bundle.model.networks) == 2:
                yield bundle, own
                return
        raise AssertionError("no seed has a branch")


def test_a_task_that_loses_by_sharing_is_answered_by_a_branch_too(
    branched: tuple[Bundle, Schema], place: Path, tmp_path: Path
) -> None:
    bundle, own = branched
    alone = train(with_settings(own, branch=False), place, tmp_path / "alone")
    bag, seed = bundle.metrics["bag"], own.training.seed
    assert bag["seeds"] == [seed, seed + 1]
    assert bag["score"] > bag["scores"][0]
    assert bag["second"]
    assert isinstance(bundle.model, EnsembleModel)
    assert [bundle.model.tasks_of(at, own) for at in (0, 1)] == [set(own.tasks), set(bag["second"])]
    # the branch is the network of these tasks' losses alone, from other weights
    data, second = load_data(own, place).data, bundle.model.networks[1]
    on = {name: float(name in bag["second"]) for name in own.tasks}
    tasks = {name: task.model_copy(update={"weight": on[name], "score_weight": on[name]}) for name, task in own.tasks.items()}  # fmt: skip
    wanted = train_model(data, schema=with_settings(own, seed=seed + 1).model_copy(update={"tasks": tasks}))
    for name, weight in wanted.model.state_dict().items():
        assert torch.equal(second.state_dict()[name], weight), name
    rows = data.rows("test")
    before, after = (ModelPredictor(each.model, data).predict(rows) for each in (alone, bundle))
    for name, values in after.items():
        assert (name in bag["second"]) is not np.allclose(values, before[name], rtol=0, atol=1e-5), name
    assert "alone. The score on" in (bundle.directory / "report.html").read_text(encoding="utf-8")


def test_a_branch_goes_on_learning_for_the_tasks_that_it_answers(
    branched: tuple[Bundle, Schema], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, own = branched
    asked: list[tuple[MultiTaskModel, Schema]] = []
    monkeypatch.setattr("motet.training._bag._GAINS", 0.0)
    monkeypatch.setattr("motet.training._bag.refit_network", lambda _, network, own, **__: asked.append((network, own)))  # fmt: skip
    found = train(with_settings(own, refit=True), place, tmp_path / "b")
    assert found.metrics["bag"]["second"] == bundle.metrics["bag"]["second"]
    (_, first), (second_network, second) = asked
    assert torch.equal(second_network.state_dict()["features.table.weight"], bundle.model.networks[1].features.table.weight)  # fmt: skip
    assert (first.tasks, first.training.seed) == (own.tasks, own.training.seed)
    assert (second.objective.balancer, second.training.seed) == ("fixed", own.training.seed + 1)
    for name, task in second.tasks.items():
        answered = name in found.metrics["bag"]["second"]
        assert (task.weight > 0, task.score_weight > 0) == (answered, answered)


def test_a_branch_goes_on_where_it_stopped(
    branched: tuple[Bundle, Schema], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motet.training._bag._GAINS", 0.0)
    bundle, own = branched
    seen: list[str] = []

    def stop(what: str, done: int, total: int) -> None:
        seen.append(what)
        if len([s for s in seen if s.startswith("for ") and "alone: train" in s]) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(own, place, tmp_path / "cut", progress=stop)
    assert (tmp_path / "cut.checkpoint.branch").is_dir()
    found = train(own, place, tmp_path / "cut", resume=True)
    for name, weight in bundle.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], weight), name
    assert [one.name for one in tmp_path.iterdir() if "checkpoint" in one.name] == []


def test_no_branch_is_begun_where_less_time_is_left_than_the_training_took(
    branched: tuple[Bundle, Schema], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motet.training._bag._GAINS", 0.0)
    limited = with_settings(branched[1], time_limit_s=600.0)
    seen: list[str] = []
    train(limited, place, tmp_path / "early", progress=lambda what, *_: seen.append(what))
    assert [what for what in seen if "alone: train" in what]
    seen.clear()
    late = SimpleNamespace(monotonic=lambda: time.monotonic() + 1e6)
    monkeypatch.setattr("motet.training._bag.time", late)
    bundle = train(limited, place, tmp_path / "late", progress=lambda what, *_: seen.append(what))
    assert [what for what in seen if "train" in what]
    assert not [what for what in seen if "alone: train" in what]
    assert len(bundle.model.networks) == 1
