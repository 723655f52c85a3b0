from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from motet.data import Batcher, Dataset
from motet.errors import ModelError
from motet.kinds import MulticlassTask, MultilabelTask
from motet.models import LinearAdapter, MixtureAdapter, build_model, link
from motet.models.architectures import check_architecture
from motet.testing import toy_dataset


def test_mixture_of_adapters_by_hand() -> None:
    """UniSRec eq. 2–3: Σ_k g_k·(W_k x), g = softmax(W_g x)."""
    torch.manual_seed(0)
    adapter, x = MixtureAdapter(inputs=5, width=3, experts=4), torch.randn(6, 5)
    for row in range(6):
        g = adapter.gate(x[row]).softmax(0)
        parts = adapter.project(x[row]).view(4, 3)
        torch.testing.assert_close(adapter(x)[row], sum(g[k] * parts[k] for k in range(4)))
    assert adapter(x[:0]).shape == (0, 3)
    assert LinearAdapter(inputs=5, width=3)(x).shape == (6, 3)


def entity_outputs(data: Dataset, changed: Dataset, task: str) -> tuple[torch.Tensor, torch.Tensor]:
    model = build_model(data.schema, data.encoder, seed=0).eval()
    rows = np.arange(60)
    with torch.no_grad():
        return model(Batcher(data).batch(rows)).entity[task], model(Batcher(changed).batch(rows)).entity[task]


@pytest.mark.parametrize(
    ("hidden", "columns"),
    [("price", ("price", "price missing")), ("released", ("released trend", "released hour sin"))],
)
def test_a_hidden_feature_cannot_reach_its_task(hidden: str, columns: tuple[str, ...]) -> None:
    data = toy_dataset(rows=150, overrides=[f"tasks.stock.hide=[{hidden}]"])
    layout = data.encoder.layout("item")
    numbers = data.items.numbers.copy()
    numbers[:, [layout.numbers.index(c) for c in columns]] += 3
    changed = replace(data, items=replace(data.items, numbers=numbers))
    same, other = entity_outputs(data, changed, "stock")
    assert torch.equal(same, other)
    seen, moved = entity_outputs(data, changed, "topics")
    assert not torch.equal(seen, moved)


def test_hidden_codes_and_tags_cannot_reach_their_task(toy: Dataset) -> None:
    column = toy.encoder.layout("item").codes.index("brand")
    codes = toy.items.codes.copy()
    codes[:, column] = toy.encoder.vocabularies["brand"].offset
    changed = replace(toy, items=replace(toy.items, codes=codes))
    assert torch.equal(*entity_outputs(toy, changed, "maker"))
    assert not torch.equal(*entity_outputs(toy, changed, "stock"))
    tags = replace(toy.items.tags["genres"], values=np.flip(toy.items.tags["genres"].values).copy())
    changed = replace(toy, items=replace(toy.items, tags={"genres": tags}))
    assert torch.equal(*entity_outputs(toy, changed, "topics"))
    assert not torch.equal(*entity_outputs(toy, changed, "stock"))


def test_tasks_on_items_and_users_act_on_the_shared_representation(toy: Dataset) -> None:
    model = build_model(toy.schema, toy.encoder, seed=0)
    outputs = model(Batcher(toy).batch(np.arange(60)))
    for task, logits in outputs.entity.items():
        on = toy.schema.tasks[task].on
        side = outputs.inputs.item if on == "item" else outputs.inputs.user
        (gradient,) = torch.autograd.grad(logits.square().sum(), side, retain_graph=True)
        assert gradient.any(), f"{task} has no gradient on the shared {on}"


def test_misspelt_architectures_and_options() -> None:
    with pytest.raises(
        ModelError, match=r"model.architecture 'mmoee' is not known. Cure: did you mean 'mmoe'\?"
    ):
        check_architecture("mmoee", {})
    with pytest.raises(ModelError, match=r"model.options.expert is not an option of mmoe.*'experts'"):
        check_architecture("mmoe", {"expert": 3})
    with pytest.raises(ModelError, match=r"model.options.experts: .*greater than or equal to 1.*is 0"):
        check_architecture("mmoe", {"experts": 0})
    with pytest.raises(ModelError, match=r"model.options.hidden.0: .*greater than 0, but is 0"):
        check_architecture("ple", {"hidden": [0]})
    data = toy_dataset(
        rows=120, overrides=["model.architecture=coupled", "model.options={preference: [clik]}"]
    )
    with pytest.raises(ModelError, match=r"model.options.preference: the task 'clik'.*did you mean 'click'"):
        build_model(data.schema, data.encoder)


def test_a_task_that_sees_nothing() -> None:
    everything = "[item,price,brand,genres,released,story,picture]"
    data = toy_dataset(rows=120, overrides=[f"tasks.topics.hide={everything}"])
    with pytest.raises(ModelError, match=r"task 'topics' sees no feature of the item.*hide fewer"):
        build_model(data.schema, data.encoder)


def test_links_give_the_labels_own_scale(toy: Dataset) -> None:
    logits = torch.tensor([-100.0, 0.0, 100.0])
    encoder = toy.encoder
    assert link(toy.schema, encoder, "click", logits).tolist() == [0.0, 0.5, 1.0]
    mean, low = encoder.label_mean["stars"], 1.0
    torch.testing.assert_close(link(toy.schema, encoder, "stars", logits), torch.tensor([low, mean, 5.0]))


def test_a_weight_on_positives_is_taken_out_of_the_probabilities(toy: Dataset) -> None:
    """With weight w the optimum of the loss is odds w·p/(1−p): the link divides the odds by w."""
    schema = toy.schema.with_overrides("tasks.click.positive_weight=4")
    odds_4 = torch.tensor([np.log(4.0)])
    torch.testing.assert_close(
        link(schema, toy.encoder, "click", odds_4),
        torch.tensor([0.5], dtype=torch.float64),
        check_dtype=False,
    )
    balanced = toy.schema.with_overrides("tasks.click.positive_weight=balanced")
    rate = toy.encoder.label_mean["click"]
    found = float(link(balanced, toy.encoder, "click", torch.zeros(1)))
    assert abs(found - rate) < 1e-6  # a balanced logit of 0 means: as likely as the prior says


def test_scores_of_retrieval_and_classes_have_one_reading(toy: Dataset) -> None:
    scores = torch.tensor([-7.5, 0.0, 12.25])
    assert torch.equal(link(toy.schema, toy.encoder, "next", scores), scores)
    chances = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]], np.float32)
    classes, labels = MulticlassTask(label="x"), MultilabelTask(label="x")
    found = classes.answers(chances, ("a", "b", "c"))
    assert [one["label"] for one in found] == ["b", "a"]
    assert [one["probability"] for one in found] == pytest.approx([0.5, 0.4])
    assert labels.answers(chances, ("a", "b", "c")) == [[], []]  # as likely as not is not said
    assert labels.answers(chances + np.float32(0.2), ("a", "b", "c")) == [["b"], ["a", "b"]]
    # no label was ever seen in the training rows
    nothing = np.ones(2, np.float32)
    assert classes.answers(nothing, ()) == [{"label": None, "probability": 1.0}] * 2
    assert labels.answers(nothing, ()) == [[], []]
    for task, answers in ((classes, ["b", "a"]), (labels, [[], []])):
        assert task.answer_columns(chances, ("a", "b", "c"))[0][1].to_list() == answers
        assert task.answer_columns(nothing, ())[0][1].to_list() in ([None, None], [[], []])


@pytest.mark.parametrize(("content", "width"), [("all", 64 + 32), ("tags", 32), ("none", 0)])
def test_events_tell_of_their_items_what_the_schema_says(content: str, width: int) -> None:
    data = toy_dataset(
        rows=150, sequences=("mean",), overrides=[f"features.user.past_mean.content={content}"]
    )
    features = build_model(data.schema, data.encoder, seed=0).features
    layer, history = features.content, features.history
    assert history is not None
    assert (0 if layer is None else layer.values.shape[1]) == width
    if layer is None:
        return
    vectors = {name: np.flip(values, 0).copy() for name, values in data.vectors.items()}
    layer.fill(data, history[1])
    before = layer.values.clone()
    layer.fill(replace(data, vectors=vectors), history[1])
    assert torch.equal(before, layer.values) == (content == "tags")
