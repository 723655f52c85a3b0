"""What funnels share: their steps, what is known of each, and the chance of reaching it.

A funnel has steps 1 … K, each of which happens only after the one before: a row is clicked, then bought. With a_k the
logit of step k given step k − 1, and y_k its label,

    z_k = y_1·…·y_k                      whether a row reached step k; 0 wherever an earlier step did not happen
    P(z_k = 1 | x) = σ(a_1)·…·σ(a_k)

Predictions are of y_k given step k − 1, as in the schema, where ``after`` masks y_k elsewhere; losses are over all rows.

Legend of shapes: B rows, K steps, T tasks, W outputs of all tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn import functional as F

from motet.errors import ModelError
from motet.models import FirstExperts, Inputs, Towers
from motet.models.architectures._architecture import Architecture, Shape
from motet.schema import Part, require_known

__all__ = ["Funnel", "FunnelOptions", "known_steps", "log_chances", "steps_of", "weighted_mean"]


class FunnelOptions(Part):
    """Options of every funnel.

    Attributes:
        steps: Its tasks in order; the longest chain of yes-or-no tasks that come ``after`` each other when left out.
        hidden: Layer widths of each task's network.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    steps: tuple[str, ...] = ()
    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    tower: int = Field(32, ge=0)


class Funnel(Architecture):
    """One network and one tower a task over shared embeddings, and further ones that only the losses need.

    Args:
        shape: What surrounds it.
        options: Its options.
        more: Further outputs, of one network each, for every step but the first.
    """

    def __init__(self, *, shape: Shape, options: FunnelOptions, more: int = 0) -> None:
        super().__init__()
        self.steps = steps_of(shape, options.steps)
        extra = more * (len(self.steps) - 1)
        self.networks = FirstExperts(
            widths=shape.widths,
            count=len(shape.outputs) + extra,
            hidden=options.hidden,
            dropout=shape.dropout,
        )
        self.towers = Towers(
            width=self.networks.width,
            outputs=(*shape.outputs, *([1] * extra)),
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )
        self.outputs = sum(shape.outputs)

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        return self.with_extra(inputs, item_logits)[0]

    def with_extra(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Logits [B, W], and what the losses need beside them, [B, X]."""
        h, _ = self.networks(inputs)  # [T + X, B, H]
        y: Tensor = self.towers(h, inputs.scenario)
        return y[:, : self.outputs], y[:, self.outputs :]


def steps_of(shape: Shape, steps: Sequence[str]) -> tuple[str, ...]:
    """The steps of a funnel, at least two.

    Args:
        shape: With the tasks and what comes after what.
        steps: Names in order; found by what comes after what when empty.

    Raises:
        ModelError: If there is no funnel, or a step is no yes-or-no task, or does not come after the one before.
    """
    chances = [name for name in shape.tasks if name in shape.chances]
    if not steps:
        chains = [_chain(name, shape) for name in chances]
        found = max(chains, key=len, default=())
        if len(found) < 2:
            raise ModelError(
                "there is no funnel: no yes-or-no task comes after another",
                "say 'after:' in the later task, leave positive_weight at 1 and negatives in, or choose another architecture",
            )
        return found
    for name in steps:
        require_known(name, shape.tasks, "model.options.steps: the task", ModelError)
        if name not in shape.chances:
            raise ModelError(
                f"model.options.steps: '{name}' is not a yes-or-no task that predicts a plain probability",
                "name binary tasks, and leave their positive_weight and negative_share at 1",
            )
    if len(steps) < 2:
        raise ModelError(
            "model.options.steps names fewer than two tasks", "name the first and the later ones"
        )
    for before, name in pairwise(steps):
        if shape.after.get(name) != before:
            raise ModelError(
                f"model.options.steps: '{name}' does not come after '{before}'",
                f"say 'after: {before}' in tasks.{name}, or put the steps in their order",
            )
    return tuple(steps)


def _chain(name: str, shape: Shape) -> tuple[str, ...]:
    before = shape.after.get(name)
    return (*(_chain(before, shape) if before in shape.chances else ()), name)


def known_steps(labels: Mapping[str, Tensor], steps: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Whether rows reached each step, and what that counts.

    A row that did not get as far as step k − 1 is known not to have reached step k. It counts as much as the labels of
    step k are known on the rows that did get there, so that labels missing at random leave the rate as it is.

    Args:
        labels: By task, [B]; NaN where unknown.
        steps: Names of the steps.

    Returns:
        z [K, B] and weights [K, B], 0 where unknown.

    Example:
        >>> click, buy = torch.tensor([1.0, 1.0, 0.0, 0.0]), torch.tensor([1.0, torch.nan, torch.nan, torch.nan])
        >>> z, weight = known_steps({"click": click, "buy": buy}, ["click", "buy"])
        >>> z[1].tolist(), weight[1].tolist()
        ([1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.5, 0.5])
    """
    first = labels[steps[0]]
    z, weight = [first.nan_to_num(0.0)], [(~first.isnan()).to(first)]
    for name in steps[1:]:
        y = labels[name]
        known, here = (~y.isnan()).to(y), z[-1] * (weight[-1] > 0)  # here: got as far as the step before
        count = here.sum()
        share = torch.where(count > 0, (known * here).sum() / count.clamp(min=1), 1.0)
        weight.append(torch.where(here > 0, known, weight[-1] * share))
        z.append(y.nan_to_num(0.0) * here)
    return torch.stack(z), torch.stack(weight)


def log_chances(a: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of P(z_k = 1) and P(z_k = 0) from the logits of the steps, [K, B] → [K, B] each.

    P(z_k = 0) = P(z_{k−1} = 0) + P(z_{k−1} = 1)·σ(−a_k), a sum of positive numbers, which loses no digits.
    """
    yes, no = [F.logsigmoid(a[0])], [F.logsigmoid(-a[0])]
    for logit in a[1:]:
        no.append(torch.logaddexp(no[-1], yes[-1] + F.logsigmoid(-logit)))
        yes.append(yes[-1] + F.logsigmoid(logit))
    return torch.stack(yes), torch.stack(no)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Σ weight·value / Σ weight over the last dimension; 0 where all weights are."""
    return (weight * values).sum(-1) / weight.sum(-1).clamp(min=1e-12)
