from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.kinds import BinaryTask, MulticlassTask, MultilabelTask, RegressionTask, sampled_softmax_loss
from motet.schema import LabelStatistics

NAN = math.nan


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-6, 6), st.sampled_from([0.0, 1.0])), min_size=1, max_size=6),
    st.sampled_from([0.0, 0.5, 2.0, 5.0]),
    st.sampled_from([1.0, 3.0]),
)
def test_focal_loss_by_its_formula(rows: list[tuple[float, float]], gamma: float, weight: float) -> None:
    """FL = −(1 − p_t)^γ·log p_t (Lin et al. 2017, eq. 4); positives times their weight."""
    task = BinaryTask(label="x", loss="focal", focal_gamma=gamma, positive_weight=weight)
    total = 0.0
    for x, y in rows:
        p_t = sigmoid(x) if y else 1 - sigmoid(x)
        total += (weight if y else 1.0) * -((1 - p_t) ** gamma) * math.log(p_t)
    logits, labels = (torch.tensor(column) for column in zip(*rows, strict=True))
    found = task.masked_loss(logits, labels)
    assert abs(float(found) - total / len(rows)) < 1e-4


def test_focal_gradient_is_finite_where_it_is_certain() -> None:
    for gamma in (0.5, 1.0, 2.0):
        logits = torch.tensor([60.0, -60.0, 200.0, -200.0], requires_grad=True)
        task = BinaryTask(label="x", loss="focal", focal_gamma=gamma)
        task.masked_loss(logits, torch.tensor([1.0, 0.0, 0.0, 1.0])).backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        assert bool(torch.isfinite(logits.grad).all())


def test_binary_by_hand() -> None:
    # −ln σ(0) = 0.6931; −ln(1 − σ(1)) = 1.3133; the third label is missing
    logits, labels = torch.tensor([0.0, 1.0, 7.0]), torch.tensor([1.0, 0.0, NAN])
    assert float(BinaryTask(label="x").masked_loss(logits, labels)) == pytest.approx(
        (0.693147 + 1.313262) / 2
    )
    weighted = BinaryTask(label="x", positive_weight=3.0).masked_loss(logits, labels)
    assert float(weighted) == pytest.approx((3 * 0.693147 + 1.313262) / 2)


@pytest.mark.parametrize(
    ("kind", "expected"), [("l2", (0.25 + 9) / 2), ("l1", (0.5 + 3) / 2), ("huber", (0.125 + 2.5) / 2)]
)
def test_regression_by_hand_on_scaled_labels(kind: str, expected: float) -> None:
    """Labels 5 and 9 with mean 5, deviation 2 are 0 and 2; predicted −0.5 and −1: errors 0.5 and 3."""
    task = RegressionTask.model_validate({"label": "x", "loss": kind})
    known = LabelStatistics(mean=5.0, std=2.0)
    loss = task.masked_loss(torch.tensor([-0.5, -1.0, 3.0]), torch.tensor([5.0, 9.0, NAN]), known)
    assert float(loss) == pytest.approx(expected)


def test_classes_and_sets_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [5.0, 5.0]])
    # softmax (1/4, 3/4): −ln(3/4)
    many = MulticlassTask(label="x").masked_loss(logits, torch.tensor([1.0, NAN]))
    assert float(many) == pytest.approx(-math.log(0.75))
    labels = torch.tensor([[0.0, 1.0], [NAN, NAN]])
    sets = MultilabelTask(label="x").masked_loss(logits, labels)
    assert float(sets) == pytest.approx((math.log(2) - math.log(0.75)) / 2)


TASKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "binary": (BinaryTask(label="x"), (5,)),
    "focal": (BinaryTask(label="x", loss="focal"), (5,)),
    "regression": (RegressionTask(label="x"), (5,)),
    "multiclass": (MulticlassTask(label="x"), (5, 3)),
    "multilabel": (MultilabelTask(label="x"), (5, 3)),
}


@pytest.mark.parametrize("name", TASKS)
def test_masked_rows_leave_no_gradient_and_do_not_dilute_the_mean(name: str) -> None:
    task, shape = TASKS[name]
    torch.manual_seed(0)
    logits = torch.randn(shape, requires_grad=True)
    labels = torch.randint(0, 2, (5, 3) if name == "multilabel" else (5,)).float()
    masked = labels.clone()
    masked[[1, 3]] = NAN
    loss = task.masked_loss(logits, masked)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert not gradient[[1, 3]].any()
    assert gradient[[0, 2, 4]].any()
    kept = [0, 2, 4]
    torch.testing.assert_close(loss, task.masked_loss(logits[kept], labels[kept]))
    nothing = task.masked_loss(logits, torch.full_like(labels, NAN))
    assert float(nothing.detach()) == 0
    (gradient,) = torch.autograd.grad(nothing, logits)
    assert not gradient.any()


def softmax_case(items: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "user_vectors": torch.randn(4, 3, generator=generator),
        "item_vectors": torch.randn(items, 3, generator=generator),
        "item_bias": torch.randn(items, generator=generator),
        "log_q": torch.zeros(items),
        "user_of_row": torch.tensor([0, 1, 2, 3, 0, 1]),
        "item_of_row": torch.tensor([0, 1, 2, 0, 4, 3]),
        "labels": torch.tensor([1.0, 0.0, 1.0, NAN, 1.0, 1.0]),
    }


def test_the_whole_catalogue_gives_the_exact_softmax() -> None:
    case = softmax_case(7)
    total = []
    for row in range(6):
        if float(case["labels"][row]) != 1:
            continue
        scores = case["item_vectors"] @ case["user_vectors"][case["user_of_row"][row]] + case["item_bias"]
        total.append(-scores.log_softmax(0)[case["item_of_row"][row]])
    torch.testing.assert_close(sampled_softmax_loss(**case), torch.stack(total).mean())


def test_items_a_user_has_had_are_no_negatives_but_stay_positives() -> None:
    case = softmax_case(7)
    had = torch.tensor([[0, 0, 2], [4, 5, 6]])  # user 0 had item 4, its positive of row 4, and 5
    total = []
    for row in (0, 2, 4, 5):
        user, item = int(case["user_of_row"][row]), int(case["item_of_row"][row])
        scores = case["item_vectors"] @ case["user_vectors"][user] + case["item_bias"]
        hidden = [int(i) for u, i in had.T if int(u) == user and int(i) != item]
        kept = [i for i in range(7) if i not in hidden]
        total.append(torch.logsumexp(scores[kept], 0) - scores[item])
    torch.testing.assert_close(sampled_softmax_loss(**case, had=had), torch.stack(total).mean())


def test_no_positive_row_gives_nothing() -> None:
    case = softmax_case(7) | {"labels": torch.tensor([0.0, 0, 0, NAN, 0, 0])}
    case["user_vectors"].requires_grad_()
    loss = sampled_softmax_loss(**case)
    assert float(loss.detach()) == 0
    (gradient,) = torch.autograd.grad(loss, case["user_vectors"])
    assert not gradient.any()


def test_log_q_makes_the_sampled_sum_right_in_the_mean() -> None:
    """E[Σ_{j in list} exp(s_j − log q_j)] = Σ_j exp(s_j), with q_j the chance of j to be listed."""
    rng = np.random.default_rng(0)
    scores, q = rng.normal(size=20), rng.uniform(0.1, 0.9, 20)
    listed = rng.random((40_000, 20)) < q
    sums = (listed * np.exp(scores - np.log(q))).sum(1)
    assert abs(sums.mean() - np.exp(scores).sum()) < 4 * sums.std() / np.sqrt(len(sums))


def test_log_q_is_subtracted_from_every_score() -> None:
    case = softmax_case(7) | {"log_q": torch.log(torch.linspace(0.1, 0.7, 7))}
    plain = softmax_case(7)
    plain["item_bias"] = plain["item_bias"] - case["log_q"]
    torch.testing.assert_close(sampled_softmax_loss(**case), sampled_softmax_loss(**plain))
