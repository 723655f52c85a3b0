"""Task graph: a graph network whose nodes are the tasks.

Each task has a representation of its own; layers of a graph convolution pass messages between them, over a graph that is
learnt or given:

    h_k⁰    = f_k(x)                                                     one network a task
    Â       = softmax(relu(E₁·E₂ᵀ))           ``edges: learnt``          (Wu et al. 2019, eq. 5)
    Â       = D̃^{−1/2}·(A + I)·D̃^{−1/2}       ``edges: after``           (Kipf & Welling 2017, eq. 2)
    H^{l+1} = relu(H^l·W₀ + Â·H^l·W₁ + b)                                (Wu et al. 2019, eq. 7, of order K = 1,
                                                                         with the ReLU of Kipf & Welling)
    yₖ      = hᵏ(h_k^L)

E₁ and E₂ are embeddings of the tasks; A joins a task with the one that it comes ``after`` in the schema. Wu, Pan, Long,
Jiang & Zhang 2019, "Graph WaveNet for deep spatial-temporal graph modeling", IJCAI; Kipf & Welling 2017,
"Semi-supervised classification with graph convolutional networks", ICLR. Neither has tasks as nodes: that tasks exchange
messages over a learnt graph is from Liu, Fu, Dong, Qiu & Cheung 2019, "Learning multi-task communication with message
passing for sequence learning", AAAI, whose nodes are recurrent networks.

Legend of shapes: B rows, T tasks, H width of a representation, R rank of the learnt graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from motet.errors import ModelError
from motet.models import FirstExperts, Inputs, Towers
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part

__all__ = ["TaskGraph", "TaskGraphOptions"]


class TaskGraphOptions(Part):
    """Options of the task graph.

    Attributes:
        edges: ``learnt``, or ``after``: tasks that the schema sets one after the other.
        layers: Rounds of messages.
        hidden: Layer widths of each task's network.
        rank: Width of the task embeddings of which a learnt graph is made.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    edges: Literal["learnt", "after"] = "learnt"
    layers: int = Field(2, ge=1, le=8)
    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    rank: int = Field(8, ge=1)
    tower: int = Field(32, ge=0)


class TaskGraph(Architecture):
    """H ← relu(H·W₀ + Â·H·W₁ + b): representations of tasks that hear each other over a graph."""

    about = About(
        "sharing",
        "one network a task, and messages between tasks over a learnt or given graph",
        "Wu et al. 2019, Graph WaveNet (adaptive graph); Kipf & Welling 2017 (given graph); Liu et al. 2019 (tasks as nodes)",
    )

    given: Tensor | None

    def __init__(self, *, shape: Shape, options: TaskGraphOptions) -> None:
        super().__init__()
        tasks = len(shape.outputs)
        self.networks = FirstExperts(
            widths=shape.widths, count=tasks, hidden=options.hidden, dropout=shape.dropout
        )
        width = self.networks.width
        self.own = nn.ModuleList(nn.Linear(width, width) for _ in range(options.layers))  # W₀ and b
        self.heard = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(options.layers))  # W₁
        learnt = options.edges == "learnt"
        self.sources = nn.Parameter(torch.randn(tasks, options.rank)) if learnt else None  # E₁
        self.targets = nn.Parameter(torch.randn(tasks, options.rank)) if learnt else None  # E₂
        self.register_buffer("given", None if learnt else graph_of(shape), persistent=False)
        self.towers = Towers(
            width=width,
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )

    def graph(self) -> Tensor:
        """Â, [T, T]."""
        if self.given is not None:
            return self.given
        assert self.sources is not None  # noqa: S101 (one of the two graphs is there)
        assert self.targets is not None  # noqa: S101
        return (self.sources @ self.targets.T).relu().softmax(1)

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        h, _ = self.networks(inputs)  # [T, B, H]
        graph = self.graph()
        for own, heard in zip(self.own, self.heard, strict=True):
            messages = (graph @ h.flatten(1)).view_as(h)
            h = (own(h) + heard(messages)).relu()
        logits: Tensor = self.towers(h, inputs.scenario)
        return logits


def graph_of(shape: Shape) -> Tensor:
    """D̃^{−1/2}·(A + I)·D̃^{−1/2} of the tasks that come after each other, [T, T].

    Raises:
        ModelError: If none does.
    """
    place = {name: k for k, name in enumerate(shape.tasks)}
    pairs = [(place[name], place[first]) for name, first in shape.after.items()]
    if not pairs:
        raise ModelError(
            "model.options.edges is 'after', but no task comes after another",
            "say 'after:' in a task, or use 'edges: learnt'",
        )
    graph = torch.eye(len(place))
    for one, other in pairs:
        graph[one, other] = graph[other, one] = 1.0
    scale = graph.sum(1).rsqrt()
    return scale[:, None] * graph * scale
