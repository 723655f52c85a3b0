"""CGC and PLE: Tang et al. 2020, "Progressive layered extraction", eq. 1–6.

Legend of shapes: B rows, T tasks, E_s shared experts, E_k experts of each task, H width of an expert.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from motet.models import FirstExperts, Inputs, ParallelLayers, Towers, mixture_weights
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part

__all__ = ["Cgc", "CgcOptions", "Ple", "PleOptions"]


class PleOptions(Part):
    """Options of PLE.

    Attributes:
        levels: Extraction levels; one level is CGC.
        shared_experts: Shared experts of each level.
        task_experts: Experts of each task and level.
        hidden: Layer widths of each expert.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    levels: int = Field(1, ge=1, le=8)
    shared_experts: int = Field(4, ge=1)
    task_experts: int = Field(2, ge=1)
    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    tower: int = Field(32, ge=0)


class Ple(Architecture):
    """Each task mixes its own experts with the shared ones; the shared path mixes all of them."""

    about = About(
        "sharing",
        "shared experts and experts of each task, in levels; one level is CGC",
        "Tang et al. 2020, Progressive layered extraction",
    )

    def __init__(self, *, shape: Shape, options: PleOptions) -> None:
        super().__init__()
        tasks, own, shared = len(shape.outputs), options.task_experts, options.shared_experts
        self.tasks, self.own, self.shared = tasks, own, shared
        count = tasks * own + shared
        last = options.levels == 1
        gates = tasks * (own + shared) + (0 if last else count)
        self.first = FirstExperts(
            widths=shape.widths, count=count, hidden=options.hidden, gates=gates, dropout=shape.dropout
        )
        width = self.first.width
        self.levels = nn.ModuleList(
            _Level(
                tasks=tasks,
                own=own,
                shared=shared,
                inputs=width,
                hidden=options.hidden,
                last=level == options.levels - 1,
                dropout=shape.dropout,
            )
            for level in range(1, options.levels)
        )
        self.towers = Towers(
            width=width,
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        experts, gates = self.first(inputs)
        of_tasks, of_shared = gates.split(
            [self.tasks * (self.own + self.shared), gates.shape[1] - self.tasks * (self.own + self.shared)], 1
        )
        of_tasks = of_tasks.unflatten(1, (self.tasks, -1)).transpose(0, 1)  # [T, B, E_k + E_s]
        h, s = mix(experts, of_tasks, of_shared, self.tasks, self.own)
        for level in self.levels:
            h, s = level(h, s)
        logits: Tensor = self.towers(h, inputs.scenario)
        return logits


class CgcOptions(Part):
    """Options of CGC.

    Attributes:
        shared_experts: Shared experts.
        task_experts: Experts of each task.
        hidden: Layer widths of each expert.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    shared_experts: int = Field(4, ge=1)
    task_experts: int = Field(2, ge=1)
    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    tower: int = Field(32, ge=0)


class Cgc(Ple):
    """Customised gate control: PLE with one level (eq. 1–3)."""

    about = About(
        "sharing",
        "shared experts and experts of each task, in one level",
        "Tang et al. 2020, Progressive layered extraction",
    )

    def __init__(self, *, shape: Shape, options: CgcOptions) -> None:
        super().__init__(shape=shape, options=PleOptions(levels=1, **options.model_dump()))


class _Level(nn.Module):
    """A further level: task paths [T, B, H] and the shared path [B, H] in, the same out (eq. 5–6)."""

    def __init__(
        self,
        *,
        tasks: int,
        own: int,
        shared: int,
        inputs: int,
        hidden: tuple[int, ...],
        last: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.tasks, self.own, self.shared = tasks, own, shared
        self.experts = ParallelLayers(
            count=tasks * own + shared, inputs=inputs, hidden=hidden, dropout=dropout
        )
        self.gate = nn.Parameter(torch.randn(tasks, inputs, own + shared) * inputs**-0.5)
        self.shared_gate = None if last else nn.Linear(inputs, tasks * own + shared, bias=False)

    def forward(self, h: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([h.repeat_interleave(self.own, 0), s.expand(self.shared, -1, -1)])
        of_shared = s.new_zeros(len(s), 0) if self.shared_gate is None else self.shared_gate(s)
        return mix(self.experts(x), torch.bmm(h, self.gate), of_shared, self.tasks, self.own)


def mix(experts: Tensor, of_tasks: Tensor, of_shared: Tensor, tasks: int, own: int) -> tuple[Tensor, Tensor]:
    """Mix experts by their gates.

    gᵏ(x) = wᵏ(x)·Sᵏ(x), where Sᵏ stacks the experts of task k and the shared ones (eq. 1–3).

    Args:
        experts: [T·E_k + E_s, B, H], task after task, then the shared ones.
        of_tasks: Gate logits of the tasks, [T, B, E_k + E_s].
        of_shared: Gate logits of the shared path over all experts, [B, T·E_k + E_s] or [B, 0].
        tasks: T.
        own: E_k.

    Returns:
        Task paths [T, B, H] and the shared path [B, H] (empty where it has no gate).
    """
    w = mixture_weights(of_tasks)
    mine = experts[: tasks * own].view(tasks, own, *experts.shape[1:])  # [T, E_k, B, H]
    common = experts[tasks * own :]  # [E_s, B, H]
    h = torch.einsum("tbe,tebh->tbh", w[..., :own], mine) + torch.einsum("tbe,ebh->tbh", w[..., own:], common)
    if not of_shared.shape[1]:
        return h, experts.new_zeros(experts.shape[1], 0)
    return h, torch.einsum("be,ebh->bh", mixture_weights(of_shared), experts)
