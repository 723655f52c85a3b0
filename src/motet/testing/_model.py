"""The conformance suite of models and architectures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor

from motet.data import Batch, Batcher, Dataset
from motet.models import MultiTaskModel, Outputs, build_model
from motet.models.architectures import Architecture
from motet.schema import Part
from motet.testing._suites import assert_close, assert_on_scale
from motet.testing._toy import toy_dataset
from motet.training import ModelPredictor, task_losses

__all__ = ["check_architecture", "check_model"]

BuildModel = Callable[[int], MultiTaskModel]


def check_architecture(
    architecture: Callable[..., Architecture], options: Part, *, data: Dataset | None = None
) -> None:
    """Check an architecture inside a whole model; see :func:`check_model` for what is checked.

    Args:
        architecture: Its class, called with ``shape`` and ``options``.
        options: Its options.
        data: A data set to check on; the toy world, with every kind of feature and task, when left out.

    Raises:
        AssertionError: If it does not keep a promise; the text says which.

    Example:
        >>> from motet.models.architectures import ARCHITECTURES
        >>> kind, options = ARCHITECTURES["linear"]
        >>> check_architecture(kind, options(), data=toy_dataset(rows=120, users=False))
    """
    data = data or toy_dataset()

    def build(seed: int) -> MultiTaskModel:
        model = build_model(data.schema, data.encoder, seed=seed)
        shape = replace(model.shape, scenarios=model.shape.scenario_codes)  # tasks are gated
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model.architecture = architecture(shape=shape, options=options)
        return model

    check_model(data, build=build)


def check_model(data: Dataset, *, build: BuildModel | None = None) -> None:
    """Check that a model keeps its promises on a data set.

    Shapes and ranges of outputs; each row's outputs depend on that row alone, so that permuting rows
    permutes outputs and cutting a batch changes nothing; gradients reach every weight; a masked label
    leaves no gradient; unknown ids work; saved and loaded weights give the same outputs to the bit;
    a seed gives the same weights again.

    Args:
        data: The data set, with at least 8 training rows.
        build: Gives the model of a seed; the model of the data set's schema when left out.

    Raises:
        AssertionError: If a promise is broken; the text says which.
    """

    def filled(seed: int) -> MultiTaskModel:
        model = build_model(data.schema, data.encoder, seed=seed) if build is None else build(seed)
        model.features.take_content(data)
        return model

    rows = data.rows("train")[:48]
    _seeds_repeat(filled)
    model = filled(0)
    _outputs_are_right(model, data, rows)
    _rows_stand_alone(model, data, rows)
    _unknown_ids_work(model, data, rows)
    _weights_survive_a_file(filled, data, rows)
    _gradients_reach_every_weight(filled, data, data.rows("train")[:256])
    _masked_labels_leave_no_gradient(filled(0), data, rows)


def _evaluate(model: MultiTaskModel, batch: Batch) -> Outputs:
    model.eval()
    with torch.no_grad():
        outputs: Outputs = model(batch)
    return outputs


def _seeds_repeat(build: BuildModel) -> None:
    first, again, other = (build(seed).state_dict() for seed in (0, 0, 1))
    for name, weight in first.items():
        assert torch.equal(weight, again[name]), f"seed 0 gives other values of {name!r} the second time"
        assert bool(torch.isfinite(weight).all()), f"{name!r} is not finite before any training"
    assert any(not torch.equal(weight, other[name]) for name, weight in first.items()), (
        "another seed gives the same weights"
    )


def _outputs_are_right(model: MultiTaskModel, data: Dataset, rows: NDArray[np.int64]) -> None:
    schema, classes = data.schema, data.encoder.classes
    predictor = ModelPredictor(model, data)
    predictions = predictor.predict(rows)
    wanted = [n for n, t in schema.tasks.items() if t.on == "interaction" and not t.ranks_catalogue]
    assert list(predictions) == wanted, f"predicts {list(predictions)}, not {wanted} in schema order"
    for name, values in predictions.items():
        assert_on_scale(name, schema.tasks[name], values, len(rows), len(classes.get(name, ())))
    for entity in ("user", "item"):
        for name, values in predictor.predict_entities(entity).items():
            n = len(data.table(entity))
            assert_on_scale(name, schema.tasks[name], values, n, len(classes.get(name, ())))
    again = predictor.predict(rows)
    for name, values in predictions.items():
        assert np.array_equal(values, again[name]), f"two predictions of {name!r} differ: is dropout on?"


def _rows_stand_alone(model: MultiTaskModel, data: Dataset, rows: NDArray[np.int64]) -> None:
    predictor = ModelPredictor(model, data)
    whole = predictor.predict(rows)
    order = np.random.default_rng(0).permutation(len(rows))
    permuted = predictor.predict(rows[order])
    singles = [predictor.predict(rows[i : i + 1]) for i in range(min(8, len(rows)))]
    for name, values in whole.items():
        assert_close(
            permuted[name], values[order], f"permuting rows does not permute the outputs of {name!r}"
        )
        alone = np.concatenate([single[name] for single in singles])
        assert_close(
            alone, values[: len(alone)], f"outputs of {name!r} depend on the other rows of the batch"
        )


def _unknown_ids_work(model: MultiTaskModel, data: Dataset, rows: NDArray[np.int64]) -> None:
    batch = Batcher(data, id_dropout=1.0).batch(rows, rng=np.random.default_rng(0))
    batch = replace(batch, scenario=torch.zeros_like(batch.scenario))
    outputs = _evaluate(model, batch)
    for name, y in {**outputs.logits, **outputs.entity}.items():
        assert bool(torch.isfinite(y).all()), f"unknown ids or scenarios give non-finite outputs of {name!r}"


def _weights_survive_a_file(build: BuildModel, data: Dataset, rows: NDArray[np.int64]) -> None:
    model, other = build(0), build(1)
    other.load_state_dict(load(save({k: v.contiguous() for k, v in model.state_dict().items()})))
    batch = Batcher(data).batch(rows)
    before, after = _evaluate(model, batch), _evaluate(other, batch)
    for name, y in {**before.logits, **before.entity}.items():
        z = {**after.logits, **after.entity}[name]
        assert torch.equal(y, z), f"saved and loaded weights give other outputs of {name!r}"


def _gradients_reach_every_weight(build: BuildModel, data: Dataset, rows: NDArray[np.int64]) -> None:
    batch = Batcher(data).batch(rows)
    still_zero: set[str] | None = None
    for seed in range(3):  # a unit that is dead with one seed is chance, with three it is cut off
        gradients = _gradients(build(seed), batch)
        zero = {name for name, gradient in gradients.items() if not bool(gradient.any())}
        still_zero = zero if still_zero is None else still_zero & zero
        if not still_zero:
            return
    assert not still_zero, f"the gradient of {min(still_zero or {''})!r} is zero everywhere"


def _gradients(model: MultiTaskModel, batch: Batch) -> dict[str, Tensor]:
    """Gradients of a random mixture of all outputs, by weight, embedding rows included."""
    model.train()
    outputs = model(batch)
    generator = torch.Generator().manual_seed(0)
    everything = [*outputs.logits.values(), *outputs.entity.values()]
    everything += [outputs.user_vectors, outputs.query_shift, outputs.item_vectors, outputs.item_bias]
    everything.append(outputs.extra)
    total = torch.stack([(y * torch.randn(y.shape, generator=generator)).sum() for y in everything]).sum()
    torch.autograd.backward(total)
    table = model.features.table
    assert table.weight.grad is None, "the whole embedding table gets a gradient, not the rows of the batch"
    weights = {name: p for name, p in model.named_parameters() if p is not table.weight}
    if len(batch.ids):
        assert table.leaf is not None, "the embedding rows of the batch were not gathered as a leaf"
        weights["the embedding rows"] = table.leaf  # type: ignore[assignment]
    gradients = {}
    for name, weight in weights.items():
        assert weight.grad is not None, f"no gradient reaches {name!r}"
        assert bool(torch.isfinite(weight.grad).all()), f"the gradient of {name!r} is not finite"
        gradients[name] = weight.grad
    return gradients


def _masked_labels_leave_no_gradient(model: MultiTaskModel, data: Dataset, rows: NDArray[np.int64]) -> None:
    batch = Batcher(data).batch(rows, rng=np.random.default_rng(0))  # labels of items: training only
    for masked in [*data.schema.tasks, None]:
        task = "every task" if masked is None else f"task {masked!r}"
        model.zero_grad()
        model.train()
        outputs = model(_without_labels(batch, masked))
        losses = task_losses(model, data, data.schema, _without_labels(batch, masked), outputs)
        chosen = list(losses.values()) if masked is None else [losses[masked]]
        for loss in chosen:
            assert bool(torch.isfinite(loss)), f"with the labels of {task} masked the loss is not finite"
            assert loss.item() == 0, f"with the labels of {task} masked the loss is {loss.item():g}, not 0"
        torch.autograd.backward(torch.stack(chosen).sum())
        for name, weight in model.named_parameters():
            gradient = weight.grad
            assert gradient is None or not bool(gradient.any()), (
                f"masked labels of {task} leave a gradient on {name!r}"
            )
        leaf = model.features.table.leaf
        assert leaf is None or leaf.grad is None or not bool(leaf.grad.any()), (
            f"masked labels of {task} leave a gradient on the embeddings"
        )


def _without_labels(batch: Batch, task: str | None) -> Batch:
    def masked(labels: dict[str, Tensor]) -> dict[str, Tensor]:
        return {n: torch.full_like(y, torch.nan) if task in (None, n) else y for n, y in labels.items()}

    return replace(
        batch,
        labels=masked(dict(batch.labels)),
        item_labels=masked(dict(batch.item_labels)),
        user_labels=masked(dict(batch.user_labels)),
    )
