"""STEM-Net.

Su, Pan, Wang et al. 2024, "STEM: Unleashing the power of embeddings for multi-task recommendation", AAAI.
Every id has a shared embedding and one embedding a task; experts of task t look up the embeddings of task t, shared
experts the shared ones. The tower of a task hears all experts, and trains only its own and the shared ones ("all
forward, task-specific backward"):

    z_t = Σ_{i ∈ own(t) ∪ shared} g_{t,i}·e_i + Σ_{i ∈ others} g_{t,i}·stop(e_i)        (1)
    g_t = softmax(W_t·[x^t; x^s])                                                        (2)
    yₜ  = hᵗ(z_t)                                                                        (3)

There is one embedding table here. As in the authors' code, the embedding of each field is cut into T + 1 slices, which
stand for the embeddings of the tasks and the shared one. A gradient of task t reaches the slices of t and of the shared
view alone. Fields narrower than T + 1, such as numbers, are seen by all views. The authors' gate is a perceptron of
x^t + x^s, and their layers can be stacked; here the gate is linear, with weights of its own for x^t and x^s, and there
is one layer. Equations are numbered here.

Legend of shapes: B rows, T tasks, E experts, D width of the input, H width of an expert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from motet.models import FirstExperts, Inputs, Towers, mixture_weights
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import ENTITIES, Part

__all__ = ["Stem", "StemOptions"]


class StemOptions(Part):
    """Options of STEM-Net.

    Attributes:
        task_experts: Experts of each task.
        shared_experts: Shared experts.
        hidden: Layer widths of each expert.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    task_experts: int = Field(1, ge=1)
    shared_experts: int = Field(2, ge=1)
    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    tower: int = Field(32, ge=0)


class Stem(Architecture):
    """z_t mixes all experts, those of other tasks without their gradient; each task has its slice of the embeddings."""

    about = About(
        "sharing",
        "shared and task-specific slices of the embeddings; experts of other tasks are heard and not trained",
        "Su et al. 2024, STEM: Unleashing the power of embeddings for multi-task recommendation",
    )

    trained: Tensor

    def __init__(self, *, shape: Shape, options: StemOptions) -> None:
        super().__init__()
        tasks, own, shared = len(shape.outputs), options.task_experts, options.shared_experts
        self.tasks = tasks
        views = views_of(_fields(shape), tasks + 1)  # [T + 1, D], the shared view last
        of_experts = torch.cat([views[:tasks].repeat_interleave(own, 0), views[tasks:].expand(shared, -1)])
        count = len(of_experts)
        of_gates = torch.maximum(views[:tasks], views[tasks:]).repeat_interleave(count, 0)
        self.experts = FirstExperts(
            widths=shape.widths,
            count=count,
            hidden=options.hidden,
            gates=tasks * count,
            dropout=shape.dropout,
            mask=of_experts,
            gate_mask=of_gates,
        )
        trained = torch.cat([torch.eye(tasks).repeat_interleave(own, 1), torch.ones(tasks, shared)], 1)
        self.register_buffer("trained", trained, persistent=False)  # [T, E]: whom a task trains
        self.towers = Towers(
            width=self.experts.width,
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        experts, gates = self.experts(inputs)
        e = experts.transpose(0, 1)  # [B, E, H]
        g = mixture_weights(gates.unflatten(1, (self.tasks, -1)))  # [B, T, E]
        if torch.is_grad_enabled():
            z = torch.bmm(g * self.trained, e) + torch.bmm(g * (1 - self.trained), e.detach())
        else:
            z = torch.bmm(g, e)
        logits: Tensor = self.towers(z.transpose(0, 1), inputs.scenario)
        return logits


def _fields(shape: Shape) -> Sequence[int]:
    """Width of every field, in the order of the inputs; a side whose fields are not known is one field."""
    if shape.fields:
        return [width for entity in ENTITIES for width in shape.fields.get(entity, ())]
    w = shape.widths
    return [width for width in (w.user, w.item, w.context) if width]


def views_of(fields: Sequence[int], views: int) -> Tensor:
    """Which inputs each view sees, 1 or 0, [views, D].

    Example:
        >>> views_of([4, 1], 2)
        tensor([[1., 1., 0., 0., 1.],
                [0., 0., 1., 1., 1.]])
    """
    parts = []
    for width in fields:
        slices = torch.arange(width) * views // width  # slice of each column
        own = (slices == torch.arange(views)[:, None]).float()
        parts.append(own if width >= views else torch.ones(views, width))
    return torch.cat(parts, 1) if parts else torch.zeros(views, 0)
