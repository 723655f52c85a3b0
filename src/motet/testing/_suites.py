"""Conformance suites of predictors, balancers, sequence encoders and text encoders."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motet.data import Dataset
from motet.schema import EntityPredictor, Predictor, Task
from motet.text.encode import TextEncoder
from motet.training import Balancer

__all__ = [
    "assert_close",
    "assert_on_scale",
    "check_balancer",
    "check_predictor",
    "check_sequence_encoder",
    "check_text_encoder",
]

# Assertions that several suites make.

TOLERANCE = 2e-5
"""Sums of float32 in another order differ by this much; anything that matters differs by more."""


def assert_close(one: NDArray[np.float32], two: NDArray[np.float32], broken: str) -> None:
    """Raise with ``broken`` and the largest difference unless two arrays agree."""
    assert one.shape == two.shape, f"{broken}: shapes {one.shape} and {two.shape}"
    difference = float(np.abs(one - two).max(initial=0.0))
    scale = max(1.0, float(np.abs(two).max(initial=0.0)))
    assert difference <= TOLERANCE * scale, f"{broken}: they differ by up to {difference:g}"


def assert_on_scale(name: str, task: Task, values: NDArray[np.float32], rows: int, classes: int) -> None:
    """Raise unless predictions have the shape and the range of their task."""
    assert values.dtype == np.float32, f"predictions of {name!r} are {values.dtype}, not float32"
    shape = (rows, classes) if task.has_classes and classes > 1 else (rows,)
    assert values.shape == shape, f"predictions of {name!r} have shape {values.shape}, not {shape}"
    assert bool(np.isfinite(values).all()), f"predictions of {name!r} are not finite"
    if task.is_probability:
        assert bool(((values >= 0) & (values <= 1)).all()), f"predictions of {name!r} are no probabilities"
    if task.has_classes and not task.has_sets and values.ndim > 1:
        sums = values.sum(1)
        assert bool(np.allclose(sums, 1, atol=1e-4)), f"the classes of {name!r} do not add up to 1"
    if task.bounds is not None:
        low, high = task.bounds
        inside = bool(((values >= low) & (values <= high)).all())
        assert inside, f"predictions of {name!r} leave the range {low:g} to {high:g}"


# The conformance suite of predictors: models, baselines, anything evaluation can score.


def check_predictor(predictor: Predictor, data: Dataset) -> None:
    """Check that a predictor keeps its promises on the data set it is bound to.

    Only tasks of the schema are predicted; shapes and ranges fit the tasks; no rows give no
    predictions; rows do not affect each other; a catalogue score for each item and asked user, in the order
    asked; tasks on users and items for every row of their table.

    Args:
        predictor: A fitted predictor.
        data: Its data set.

    Raises:
        AssertionError: If a promise is broken; the text says which.
    """
    classes = {name: len(names) for name, names in data.encoder.classes.items()}
    rows = np.concatenate([data.rows("validation")[:40], data.rows("test")[:40]])
    predictions = predictor.predict(rows)
    for name, values in predictions.items():
        assert name in data.schema.tasks, f"predicts {name!r}, which is no task of the schema"
        task = data.schema.tasks[name]
        assert task.on == "interaction", f"predicts {name!r} for interactions, but it is on {task.on}"
        assert_on_scale(name, task, values, len(rows), classes.get(name, 0))
    order = np.random.default_rng(0).permutation(len(rows))
    permuted, half = predictor.predict(rows[order]), predictor.predict(rows[::2])
    nothing = predictor.predict(rows[:0])
    for name, values in predictions.items():
        assert_close(
            permuted[name], values[order], f"permuting rows does not permute the outputs of {name!r}"
        )
        assert_close(half[name], values[::2], f"outputs of {name!r} depend on the other rows")
        assert len(nothing[name]) == 0, f"no rows give {len(nothing[name])} predictions of {name!r}"
    users = np.unique(data.user_row[rows])[:9].astype(np.int64)
    scores = predictor.score_items(users)
    if scores is not None:
        wanted = (len(users), len(data.items))
        assert scores.shape == wanted, f"catalogue scores have shape {scores.shape}, not {wanted}"
        assert not bool(np.isnan(scores).any()), "catalogue scores are not numbers"
        asked = np.concatenate([users[::-1], users[:1]])
        again = predictor.score_items(asked)
        assert again is not None, "scores the catalogue once and then no more"
        expected = np.concatenate([scores[::-1], scores[:1]])
        assert_close(again, expected, "catalogue scores do not follow the order of the users asked")
    if isinstance(predictor, EntityPredictor):
        for entity in ("user", "item"):
            for name, values in predictor.predict_entities(entity).items():
                task = data.schema.tasks[name]
                assert task.on == entity, f"predicts {name!r} for each {entity}, but it is on {task.on}"
                n = len(data.table(entity))
                assert_on_scale(name, task, values, n, classes.get(name, 0))


# The conformance suite of balancers.

_NAMES = ("click", "buy", "rate")


def check_balancer(build: Callable[..., Balancer]) -> None:
    """Check that a balancer keeps its promises.

    The combined loss is a finite scalar that can be differentiated; no task is pushed uphill (the
    derivative by each loss is not negative, and positive for one at least); tasks given in another
    order give the same; a task without known labels, whose loss is a constant 0, does no harm;
    gradients reach every weight of its own; its state can be saved and loaded.

    Args:
        build: Its class, called with ``weights``, a positive number by task.

    Raises:
        AssertionError: If a promise is broken; the text says which.

    Example:
        >>> from motet.training import BALANCERS
        >>> check_balancer(BALANCERS["uncertainty"])
    """
    weights = {"click": 1.0, "buy": 2.0, "rate": 0.5}
    shared, losses = _losses()
    balancer = build(weights=weights)
    total = balancer(losses, [shared])
    assert total.shape == (), f"the combined loss has shape {tuple(total.shape)}, not a scalar"
    assert bool(torch.isfinite(total)), "the combined loss is not finite"
    slopes = torch.stack(torch.autograd.grad(total, list(losses.values()), retain_graph=True))
    assert bool((slopes >= -1e-6).all()), f"a task is pushed uphill: slopes {slopes.tolist()}"
    assert bool((slopes > 0).any()), "no task moves the combined loss"

    turned = {name: weights[name] for name in reversed(_NAMES)}
    _, other = _losses()
    backwards = build(weights=turned)({name: other[name] for name in turned}, [_])
    assert abs(float((backwards - total).detach())) < 1e-5, (
        "tasks in another order give another combined loss"
    )

    shared, losses = _losses()
    losses["buy"] = shared.sum() * 0.0
    balancer = build(weights=weights)
    torch.autograd.backward(balancer(losses, [shared]))
    assert shared.grad is not None, "no gradient reaches the shared representation"
    assert bool(torch.isfinite(shared.grad).all()), "a task without labels makes the gradient non-finite"
    assert bool(shared.grad.any()), "a task without labels stops the others"
    for name, weight in balancer.named_parameters():
        assert weight.grad is not None, f"no gradient reaches {name!r}"
    copy = build(weights=weights)
    copy.load_state_dict(balancer.state_dict())
    _, losses = _losses()
    assert torch.equal(copy(losses, [_]), balancer(losses, [_])), "a loaded state gives another loss"


def _losses() -> tuple[Tensor, dict[str, Tensor]]:
    """Three losses on a shared representation [4, 3], two of them in conflict."""
    shared = torch.linspace(-1, 1, 12).view(4, 3).requires_grad_()
    at = {"click": 1.0, "buy": -1.0, "rate": 0.25}
    return shared, {name: (shared - goal).square().mean() for name, goal in at.items()}


# The conformance suite of sequence encoders.

_N, _LENGTH = 7, 6


def check_sequence_encoder(build: Callable[..., nn.Module], *, width: int = 8, target: bool = False) -> None:
    """Check that a sequence encoder keeps its promises.

    Shape [n, width]; an empty sequence gives zeros and a finite gradient; neither the amount of
    padding nor its content changes an output; rows do not affect each other; gradients reach every weight
    and every real event, and no padding.

    Args:
        build: Its class, called with ``width`` and ``last``.
        width: Width of an event.
        target: Whether it also takes a target item for each row, and each row's sequence.

    Raises:
        AssertionError: If a promise is broken; the text says which.

    Example:
        >>> from motet.schema import SEQUENCE_ENCODERS
        >>> check_sequence_encoder(SEQUENCE_ENCODERS["gru"])
    """
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = build(width=width, last=_LENGTH).eval()
    events = torch.randn(_N, _LENGTH, width, generator=generator)
    targets = torch.randn(_N, width, generator=generator)
    lengths = torch.tensor([_LENGTH, 1, 0, 3, 2, 5, 4])

    def run(events: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        extra = (targets, torch.arange(len(events))) if target else ()
        y: Tensor = encoder(events, lengths, *extra)
        assert y.shape == (len(events), width), f"the output has shape {tuple(y.shape)}, not [n, width]"
        return y

    with torch.no_grad():
        y = run(events, lengths, targets)
        assert bool(torch.isfinite(y).all()), "the output is not finite"
        assert not bool(y[lengths == 0].any()), "an empty sequence does not give zeros"
        assert bool(torch.equal(y, run(events, lengths, targets))), "two runs in evaluation mode differ"

        padding = torch.arange(_LENGTH) >= lengths[:, None]
        _same(run(events.masked_fill(padding[..., None], 7.5), lengths, targets), y, "the content of padding")
        for i in range(_N):
            cut = max(1, int(lengths[i]))
            alone = run(events[i : i + 1, :cut], lengths[i : i + 1], targets[i : i + 1])
            _same(alone, y[i : i + 1], f"padding of a sequence of {int(lengths[i])}")
        order = torch.tensor([3, 1, 6, 0, 2, 5, 4])
        _same(run(events[order], lengths[order], targets[order]), y[order], "the order of rows")
        if target:
            twice = encoder(events, lengths, targets.repeat(2, 1), torch.arange(_N).repeat(2))
            _same(twice, y.repeat(2, 1), "a second row with the same sequence")

    leaf = events.clone().requires_grad_()
    mixed = torch.randn(_N, width, generator=generator)
    torch.autograd.backward((run(leaf, lengths, targets) * mixed).sum())
    for name, weight in encoder.named_parameters():
        assert weight.grad is not None, f"no gradient reaches {name!r}"
        assert bool(torch.isfinite(weight.grad).all()), f"the gradient of {name!r} is not finite"
        assert bool(weight.grad.any()), f"the gradient of {name!r} is zero everywhere"
    assert leaf.grad is not None, "no gradient reaches the events"
    assert bool(torch.isfinite(leaf.grad).all()), "the gradient of the events is not finite"
    assert not bool(leaf.grad[padding].any()), "padding gets a gradient"
    assert bool(leaf.grad[lengths > 0].flatten(1).any(1).all()), "the events of a row get no gradient"


def _same(one: Tensor, two: Tensor, what: str) -> None:
    difference = float((one - two).abs().max())
    assert difference < 1e-5, f"{what} changes the output by up to {difference:g}"


# The conformance suite of text encoders.

_TEXTS = (
    "red wine",
    "a much longer text about a garden, a river and the train that crosses both every morning",
    "emoji 🎻 and ümläuts",
    "two\nlines",
    "red wine",
    "",
)


def check_text_encoder(encoder: TextEncoder, *, tolerance: float = 1e-4) -> None:
    """Check that a text encoder keeps its promises.

    Shape [n, width], float32, finite; an empty text gives zeros, a text does not; equal texts give
    equal vectors, different ones do not; order and neighbours do not matter; no texts give no rows.

    Args:
        encoder: The encoder.
        tolerance: Largest difference that the shape of a batch may make.

    Raises:
        AssertionError: If a promise is broken; the text says which.

    Example:
        >>> from motet.testing import HashedWordsForTests
        >>> check_text_encoder(HashedWordsForTests())
    """
    assert encoder.name, "it has no name"
    assert encoder.settings_key, "it has no settings key"
    texts = list(_TEXTS)
    vectors = encoder.encode(texts)
    shape = (len(texts), encoder.width)
    assert vectors.shape == shape, f"vectors have shape {vectors.shape}, not {shape}"
    assert vectors.dtype == np.float32, f"vectors are {vectors.dtype}, not float32"
    assert bool(np.isfinite(vectors).all()), "vectors are not finite"
    assert not bool(vectors[-1].any()), "an empty text does not give zeros"
    assert bool(vectors[:-1].any(1).all()), "a text gives only zeros"
    assert float(np.abs(vectors[0] - vectors[4]).max()) <= tolerance, "equal texts give different vectors"
    assert float(np.abs(vectors[0] - vectors[1]).max()) > tolerance, "different texts give equal vectors"
    for row, text in enumerate(texts):
        difference = float(np.abs(encoder.encode([text])[0] - vectors[row]).max())
        assert difference <= tolerance, f"neighbours change the vector of {text!r} by up to {difference:g}"
    backwards = encoder.encode(texts[::-1])[::-1]
    assert float(np.abs(backwards - vectors).max()) <= tolerance, "the order of texts matters"
    nothing = encoder.encode([])
    assert nothing.shape == (0, encoder.width), f"no texts give shape {nothing.shape}, not (0, width)"
