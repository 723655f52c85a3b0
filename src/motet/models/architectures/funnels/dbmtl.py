"""DBMTL.

Wang, Ji, Liu & Zhao 2019, "Deep Bayesian multi-target learning for recommender systems", arXiv 1902.09154.
Targets are nodes of a Bayesian network; the distribution of a target is given the ones before it:

    P(l, m | x) = P(l | x)·P(m | l, x)                                     (1)
    s_t = specific_t(shared(x))                                            (2) shared layers, then those of a target
    r_t = relu(W_t·[s_t; r_j for j before t] + b_t)                        (3) Bayesian layer; r_t = s_t with none before
    ŷ_t = tower_t(r_t)                                                     (4)

Of the target before, its representation r_j enters and not its label, which serving does not know. The log-likelihood of
(1) with a step that can happen only after another is the cross-entropy of each step on the rows that got to it: the
losses of the task kinds with ``after``, which stay. Tasks of any kind may take part. Equations are numbered here.

Legend of shapes: B rows, T tasks, H width of a representation.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from motet.errors import ModelError
from motet.models import FirstExperts, Inputs, ParallelLayers, Towers
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part, require_known

__all__ = ["Dbmtl", "DbmtlOptions"]


class DbmtlOptions(Part):
    """Options of DBMTL.

    Attributes:
        steps: Tasks in order, each given all before it; what the schema says by ``after`` when left out.
        hidden: Layer widths of the shared network.
        specific: Width of the layer of each task, and of the Bayesian layer.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    steps: tuple[str, ...] = ()
    hidden: tuple[PositiveInt, ...] = Field((256, 128), min_length=1)
    specific: int = Field(64, ge=1)
    tower: int = Field(32, ge=0)


class Dbmtl(Architecture):
    """r_t = relu(W_t·[s_t; r of the tasks before t] + b_t): a Bayesian network of tasks."""

    about = About(
        "funnel",
        "a Bayesian network of tasks: each is given the representations of those before it",
        "Wang et al. 2019, Deep Bayesian multi-target learning for recommender systems",
        needs=("a task after another",),
    )

    def __init__(self, *, shape: Shape, options: DbmtlOptions) -> None:
        super().__init__()
        before = before_of(shape, options.steps)
        place = {name: k for k, name in enumerate(shape.tasks)}
        # in an order in which all that comes before a task has been computed
        order = sorted((name for name in before if before[name]), key=lambda name: len(before[name]))
        self.relations = [(place[name], [place[first] for first in before[name]]) for name in order]
        width = options.specific
        self.shared = FirstExperts(widths=shape.widths, count=1, hidden=options.hidden, dropout=shape.dropout)
        self.specific = ParallelLayers(
            count=len(place), inputs=self.shared.width, hidden=[width], dropout=shape.dropout
        )
        self.bayes = nn.ModuleList(
            nn.Linear(width * (1 + len(firsts)), width) for _, firsts in self.relations
        )
        self.towers = Towers(
            width=width,
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        x, _ = self.shared(inputs)  # [1, B, H]
        r = list(self.specific(x.expand(self.specific.weights[0].shape[0], -1, -1)).unbind())
        for layer, (task, firsts) in zip(self.bayes, self.relations, strict=True):
            r[task] = layer(torch.cat([r[task], *(r[first] for first in firsts)], 1)).relu()  # eq. 3
        logits: Tensor = self.towers(torch.stack(r), inputs.scenario)
        return logits


def before_of(shape: Shape, steps: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """All tasks that come before each, first to last.

    Raises:
        ModelError: If a step is not a task or occurs twice, or nothing comes after anything.
    """
    before: dict[str, tuple[str, ...]] = {}
    if steps:
        for name in steps:
            require_known(name, shape.tasks, "model.options.steps: the task", ModelError)
            if name in before:
                raise ModelError(f"model.options.steps names '{name}' twice", "name each task once")
            before[name] = tuple(before)
    else:
        for name in shape.tasks:
            chain, first = list[str](), shape.after.get(name)
            while first is not None:
                chain.insert(0, first)
                first = shape.after.get(first)
            before[name] = tuple(chain)
    if not any(before.values()):
        raise ModelError(
            "there is no funnel: no task comes after another",
            "say 'after:' in the later task, name model.options.steps, or choose another architecture",
        )
    return before
