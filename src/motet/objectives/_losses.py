"""Losses of each kind of task: means over the rows whose label is known."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from motet.schema import AnyTask, BinaryTask, RegressionTask

__all__ = ["sampled_softmax_loss", "task_loss"]


def task_loss(
    task: AnyTask,
    logits: Tensor,
    labels: Tensor,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    positive_weight: float = 1.0,
) -> Tensor:
    """Mean loss over known labels; a batch without any gives 0 and no gradient.

    Args:
        task: What is predicted; decides the loss.
        logits: [B] or [B, K].
        labels: [B] or [B, K] on the label's own scale; NaN where missing.
        mean: Mean of the training labels of a regression.
        std: Their standard deviation, > 0.
        positive_weight: Weight of the positive class of a binary task.

    Returns:
        A scalar.

    Example:
        >>> from motet.schema import BinaryTask
        >>> task_loss(BinaryTask(label="x"), torch.tensor([0.0, 9.0]), torch.tensor([1.0, torch.nan]))
        tensor(0.6931)
    """
    known = ~torch.isnan(labels)
    if task.kind == "multilabel" and labels.dim() > 1:
        known = known.all(1)
    if not bool(known.any()):
        return logits.sum() * 0.0
    if not bool(known.all()):
        logits, labels = logits[known], labels[known]
    if isinstance(task, RegressionTask):
        scaled = (labels - mean) / std
        if task.loss == "l2":
            return F.mse_loss(logits, scaled)
        if task.loss == "l1":
            return F.l1_loss(logits, scaled)
        return F.huber_loss(logits, scaled)
    if task.kind == "multiclass":
        return F.cross_entropy(logits, labels.long()) if logits.dim() > 1 else logits.sum() * 0.0
    if isinstance(task, BinaryTask):
        weight = logits.new_tensor(positive_weight) if positive_weight != 1.0 else None
        loss = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weight, reduction="none")
        if task.loss == "focal":
            # (1 − p_t)^γ by its logarithm: a power of 0 has no finite gradient where γ < 1
            loss = (task.focal_gamma * F.logsigmoid((1 - 2 * labels) * logits)).exp() * loss
        return loss.mean()
    return F.binary_cross_entropy_with_logits(logits, labels)


def sampled_softmax_loss(
    user_vectors: Tensor,
    item_vectors: Tensor,
    item_bias: Tensor,
    log_q: Tensor,
    user_of_row: Tensor,
    item_of_row: Tensor,
    labels: Tensor,
    had: Tensor | None = None,
) -> Tensor:
    """Softmax over the items of the batch, corrected for how likely each is to be among them.

    s(u, j) = u·v_j + b_j − log q_j, loss = −log softmax(s(u, ·))_i at the item i of each positive
    row (Yi et al. 2019, eq. 3–5). Where the batch holds the whole catalogue, q = 1: the exact loss.

    Args:
        user_vectors: [U, D].
        item_vectors: [I, D].
        item_bias: [I].
        log_q: [I].
        user_of_row: int64 [B].
        item_of_row: int64 [B].
        labels: [B]; 1 marks a positive row.
        had: Pairs (user, item) that are no negatives, because the user has had the item, int64 [2, P].
    """
    positive = torch.nonzero(labels == 1).squeeze(1)
    if not len(positive):
        return user_vectors.sum() * 0.0 + item_vectors.sum() * 0.0 + item_bias.sum() * 0.0
    users = user_vectors.index_select(0, user_of_row[positive])
    scores = torch.addmm(item_bias - log_q, users, item_vectors.T)  # [P, I]
    targets = item_of_row[positive]
    if had is not None and had.shape[1]:
        hidden = torch.zeros(len(user_vectors), len(item_vectors), dtype=torch.bool)
        hidden[had[0], had[1]] = True
        hidden = hidden.index_select(0, user_of_row[positive])
        hidden[torch.arange(len(positive)), targets] = False
        scores = scores.masked_fill(hidden, -torch.inf)
    return F.cross_entropy(scores, targets)
