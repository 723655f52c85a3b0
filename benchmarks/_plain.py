"""What a plain layout could reach at best, and what the machine could.

The plain layout is one fused table for all ids, one dense gather, and the experts and towers as batched products. Its
forward and backward passes alone are timed, on prepared tensors: no loader, no optimiser.

Legend of shapes: B batch, C categorical features, M numbers, D embedding width, F = C*D + M inputs, E experts, T tasks.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks._data import ClickData
from benchmarks._setting import SETTING

__all__ = ["PlainMmoe", "flops_per_row", "machine_flops_per_s", "plain_rows_per_s"]


class PlainMmoe(nn.Module):
    """MMoE in the plain layout.

    Args:
        table_sizes: Ids of each categorical feature.
        numbers: Number of numeric inputs.
        tasks: Number of tasks.
    """

    offsets: Tensor

    def __init__(self, *, table_sizes: tuple[int, ...], numbers: int, tasks: int) -> None:
        super().__init__()
        inputs = len(table_sizes) * SETTING.embedding_width + numbers
        first, second = SETTING.expert_widths
        (tower,) = SETTING.tower_widths
        self.tasks = tasks
        self.table = nn.Embedding(sum(table_sizes), SETTING.embedding_width)
        nn.init.normal_(self.table.weight, std=0.01)
        offsets = np.concatenate([[0], np.cumsum(table_sizes)[:-1]])
        self.register_buffer("offsets", torch.from_numpy(offsets.astype(np.int64)))
        self.expert_in = nn.Linear(inputs, SETTING.experts * first)
        self.expert_out = nn.Parameter(torch.randn(SETTING.experts, first, second) / first**0.5)
        self.expert_bias = nn.Parameter(torch.zeros(SETTING.experts, 1, second))
        self.gate = nn.Linear(inputs, tasks * SETTING.experts)
        self.tower_in = nn.Parameter(torch.randn(tasks, second, tower) / second**0.5)
        self.tower_bias = nn.Parameter(torch.zeros(tasks, 1, tower))
        self.tower_out = nn.Parameter(torch.randn(tasks, tower, 1) / tower**0.5)

    def forward(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """Logits, shape [B, T], of codes [B, C] and numbers [B, M]."""
        x = torch.cat([self.table(codes + self.offsets).flatten(1), numbers], dim=1)  # [B, F]
        hidden = F.relu(self.expert_in(x)).view(len(x), SETTING.experts, -1)  # [B, E, first]
        experts = F.relu(
            torch.baddbmm(self.expert_bias, hidden.transpose(0, 1), self.expert_out)
        )  # [E, B, second]
        gates = self.gate(x).view(len(x), self.tasks, -1).softmax(-1)  # [B, T, E]
        mixed = torch.bmm(gates, experts.transpose(0, 1))  # [B, T, second]
        towers = F.relu(torch.baddbmm(self.tower_bias, mixed.transpose(0, 1), self.tower_in))  # [T, B, tower]
        return torch.bmm(towers, self.tower_out).squeeze(-1).T  # [B, T]


def plain_rows_per_s(data: ClickData, seed: int, batches: int = 30) -> float:
    """Rows a second of forward and backward alone: the median over batches.

    Args:
        data: The clicks; the first batches of the training rows are used, in turn.
        seed: For the weights.
        batches: Timed batches, at least 1.
    """
    torch.manual_seed(seed)
    model = PlainMmoe(table_sizes=data.table_sizes, numbers=data.numbers.shape[1], tasks=data.labels.shape[1])
    ready = [
        (
            torch.from_numpy(data.codes[start : start + SETTING.batch_rows].astype(np.int64)),
            torch.from_numpy(data.numbers[start : start + SETTING.batch_rows]),
            torch.from_numpy(data.labels[start : start + SETTING.batch_rows]),
        )
        for start in range(0, data.train_rows - SETTING.batch_rows + 1, SETTING.batch_rows)
    ]
    elapsed_s = []
    for step in range(SETTING.warmup_batches + batches):
        codes, numbers, labels = ready[step % len(ready)]
        began_s = time.perf_counter()
        model.zero_grad(set_to_none=True)
        F.binary_cross_entropy_with_logits(model(codes, numbers), labels).backward()  # type: ignore[no-untyped-call]
        elapsed_s.append(time.perf_counter() - began_s)
    return SETTING.batch_rows / float(np.median(elapsed_s[SETTING.warmup_batches :]))


def flops_per_row(categories: int, numbers: int, tasks: int) -> int:
    r"""Floating-point operations of one training step for one row, as the plain layout does them.

    Every product of a row with an a-by-b matrix is :math:`2ab` operations forward and twice that backward (with
    respect to its input and to the matrix). Gathers, activations and the optimiser are not counted. A layout that
    reaches the same result with fewer operations is credited with these all the same.

    >>> flops_per_row(categories=20, numbers=8, tasks=3)
    2502336
    """
    inputs = categories * SETTING.embedding_width + numbers
    first, second = SETTING.expert_widths
    (tower,) = SETTING.tower_widths
    products = (
        SETTING.experts * (inputs * first + first * second)
        + tasks * SETTING.experts * (inputs + second)
        + tasks * (second * tower + tower)
    )
    return 3 * 2 * products


def machine_flops_per_s(repeats: int = 100) -> float:
    """Floating-point operations a second of a float32 product [2048, 512] x [512, 1024]: the median of repeats."""
    left, right, out = torch.randn(2048, 512), torch.randn(512, 1024), torch.empty(2048, 1024)
    elapsed_s = []
    for _ in range(repeats + 10):
        began_s = time.perf_counter()
        torch.mm(left, right, out=out)
        elapsed_s.append(time.perf_counter() - began_s)
    return 2 * 2048 * 512 * 1024 / float(np.median(elapsed_s[10:]))
