"""Blocks that architectures share: experts and towers as batched products; adapters of vectors.

Legend of shapes: B rows, T tasks, E experts, D width in, H width out, W outputs of all tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from motet.models._features import FactorisedLinear, Inputs, Widths
from motet.models._sequences import Dropout
from motet.schema import ENTITIES, Entity

__all__ = [
    "ADAPTERS",
    "FieldSums",
    "FirstExperts",
    "LinearAdapter",
    "MaskedLinear",
    "MixtureAdapter",
    "ParallelLayers",
    "ScenarioGate",
    "Towers",
    "mixture_weights",
]


def mixture_weights(logits: Tensor) -> Tensor:
    """Softmax over a short last dimension, which the library's own does one row at a time.

    Args:
        logits: [..., E] with a few experts E.

    Example:
        >>> mixture_weights(torch.tensor([[0.0, 0.0]]))
        tensor([[0.5000, 0.5000]])
    """
    weights = (logits - logits.detach().amax(-1, keepdim=True)).exp()
    return weights / weights.sum(-1, keepdim=True)


class ParallelLayers(nn.Module):
    """E perceptrons side by side, each layer one batched product, ReLU after each.

    Shapes:
        [E, B, D] → [E, B, H].
    """

    def __init__(self, *, count: int, inputs: int, hidden: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for out in hidden:
            bound = (6.0 / inputs) ** 0.5
            self.weights.append(nn.Parameter(torch.empty(count, inputs, out).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.zeros(count, 1, out)))
            inputs = out
        self.dropout = Dropout(dropout)
        self.width = inputs

    def forward(self, x: Tensor) -> Tensor:
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = self.dropout(torch.baddbmm(bias, x, weight).relu_())
        return x


class MaskedLinear(FactorisedLinear):
    """A factorised layer of which each output sees some of the inputs.

    Args:
        widths: Widths of the inputs.
        mask: Which inputs each output sees, 1 or 0, [out, D].
    """

    mask: Tensor

    def __init__(self, *, widths: Widths, mask: Tensor) -> None:
        super().__init__(widths=widths, out=len(mask))
        self.register_buffer("mask", mask, persistent=False)
        with torch.no_grad():  # the scale of a layer depends on how many inputs it sees
            self.weight.mul_(mask * (mask.shape[1] / mask.sum(1, keepdim=True).clamp(min=1)).sqrt())

    def seen(self) -> Tensor:
        """The weights that count, [out, D]."""
        return self.weight * self.mask


class FirstExperts(nn.Module):
    """E experts over the inputs: the first layer factorised over users and items, the rest batched.

    Args:
        widths: Widths of the inputs.
        count: Experts E.
        hidden: Layer widths of each expert.
        gates: Width of the gate logits that go with them, a linear layer over the same inputs.
        dropout: Share dropped after each layer.
        mask: Which inputs each expert sees, 1 or 0, [E, D]; all of them when left out.
        gate_mask: Which inputs each gate logit sees, [gates, D]; likewise.

    Shapes:
        Inputs → experts [E, B, H], gate logits [B, gates].
    """

    def __init__(
        self,
        *,
        widths: Widths,
        count: int,
        hidden: Sequence[int],
        gates: int = 0,
        dropout: float = 0.0,
        mask: Tensor | None = None,
        gate_mask: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.count = count
        of_units = None if mask is None else mask.repeat_interleave(hidden[0], 0)
        self.first = _first(widths, count * hidden[0], of_units)
        self.gate = _first(widths, gates, gate_mask) if gates else None
        self.dropout = Dropout(dropout)
        self.rest = ParallelLayers(count=count, inputs=hidden[0], hidden=hidden[1:], dropout=dropout)
        self.width = hidden[-1]

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        hidden = self.dropout(self.first(inputs).relu_())
        by_expert = hidden.unflatten(1, (self.count, -1)).transpose(0, 1)
        if self.training:  # the backward product reads it the other way round
            by_expert = by_expert.contiguous()
        experts = self.rest(by_expert)
        return experts, hidden.new_zeros(len(hidden), 0) if self.gate is None else self.gate(inputs)


def _first(widths: Widths, out: int, mask: Tensor | None) -> FactorisedLinear:
    return (
        FactorisedLinear(widths=widths, out=out) if mask is None else MaskedLinear(widths=widths, mask=mask)
    )


class ScenarioGate(nn.Module):
    """Scales each task's representation by scenario, and leaves the gradient of its input alone.

    δ = 2·σ(W₂·relu(W₁·[e_s; stop(h)])), output δ ⊙ h (PEPNet, Chang et al. 2023, eq. 3–7).

    Shapes:
        h [T, B, D], scenario [B] → [T, B, D].
    """

    def __init__(
        self, *, scenarios: int, tasks: int, width: int, embedding: int = 8, hidden: int = 16
    ) -> None:
        super().__init__()
        self.scenario = nn.Embedding(scenarios, embedding)
        self.first = ParallelLayers(count=tasks, inputs=embedding + width, hidden=[hidden])
        self.weight = nn.Parameter(torch.zeros(tasks, hidden, width))
        nn.init.normal_(self.weight, std=0.02)
        self.bias = nn.Parameter(torch.zeros(tasks, 1, width))

    def forward(self, h: Tensor, scenario: Tensor) -> Tensor:
        e = self.scenario(scenario).expand(len(h), -1, -1)
        gate = torch.baddbmm(self.bias, self.first(torch.cat([e, h.detach()], 2)), self.weight)
        return h * (2 * gate.sigmoid())


class Towers(nn.Module):
    """One small perceptron a task, all at once, with a scenario gate in front.

    Args:
        width: Width D of each task's representation.
        outputs: Outputs of each task: 1, or its number of classes.
        hidden: Hidden width of each tower; 0 for a linear one.
        scenarios: Number of scenario codes for the gate; 0 for no gate.
        dropout: Share dropped after the hidden layer.

    Shapes:
        [T, B, D], scenario [B] → logits [B, W], task after task.
    """

    def __init__(
        self,
        *,
        width: int,
        outputs: Sequence[int],
        hidden: int = 32,
        scenarios: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        tasks, widest = len(outputs), max(outputs)
        self.gate = ScenarioGate(scenarios=scenarios, tasks=tasks, width=width) if scenarios else None
        self.hidden = ParallelLayers(
            count=tasks, inputs=width, hidden=[hidden] if hidden else [], dropout=dropout
        )
        width = self.hidden.width
        bound = (6.0 / (width + 1)) ** 0.5
        self.weight = nn.Parameter(torch.empty(tasks, width, widest).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(tasks, 1, widest))
        kept = [t * widest + k for t, n in enumerate(outputs) for k in range(n)]
        self.register_buffer("kept", torch.tensor(kept), persistent=False)
        self._dense = all(n == widest for n in outputs)
        with torch.no_grad():  # columns past a task's own outputs are never read
            for t, n in enumerate(outputs):
                self.weight[t, :, n:] = 0.0

    def forward(self, x: Tensor, scenario: Tensor) -> Tensor:
        if self.gate is not None:
            x = self.gate(x, scenario)
        y = torch.baddbmm(self.bias, self.hidden(x), self.weight)  # [T, B, widest]
        y = y.transpose(0, 1).flatten(1)
        return y if self._dense else y.index_select(1, self.kept)  # type: ignore[arg-type]


class FieldSums(nn.Module):
    """Sums over the fields of a row, of a vector for each field and of its square.

    v_f = P_f·x_f for the inputs x_f of field f; s = Σ_f v_f and q = Σ_f v_f², from which products of all pairs of
    fields follow: Σ_{f<g} v_f ⊙ v_g = ½(s² − q) (Rendle 2010, lemma 3.1). The part of a user or item is computed once.

    Args:
        fields: Width of each field of users, items and rows, in the order of the inputs.
        rank: Width k of the vectors.

    Shapes:
        Inputs → s [B, k], q [B, k].
    """

    def __init__(self, *, fields: Mapping[Entity, Sequence[int]], rank: int) -> None:
        super().__init__()
        self.rank = rank
        sizes = [sum(fields.get(entity, ())) for entity in ENTITIES]
        self.widths = Widths(*sizes)
        self.project = nn.ParameterList()
        self._runs: dict[Entity, list[tuple[int, int, int, int]]] = {}
        for entity in ENTITIES:  # neighbours of one width are one product
            self._runs[entity], start = [], 0
            for width, group in groupby(fields.get(entity, ())):
                count, bound = len(list(group)), (3.0 / width) ** 0.5
                self._runs[entity].append((len(self.project), start, count, width))
                self.project.append(nn.Parameter(torch.empty(count, width, rank).uniform_(-bound, bound)))
                start += count * width

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        item = inputs.item_parts.get(self)
        item = self.item_part(inputs.item) if item is None else item
        user = self._part("user", inputs.user)
        total = self._part("interaction", inputs.context) + item.index_select(0, inputs.item_of_row)
        total = total + (user if len(user) == 1 else user.index_select(0, inputs.user_of_row))
        return total[:, : self.rank], total[:, self.rank :]

    def item_part(self, item: Tensor) -> Tensor:
        """Both sums over the fields of some items, [I, Di] → [I, 2k]; may be computed ahead of any request."""
        return self._part("item", item)

    def _part(self, entity: Entity, x: Tensor) -> Tensor:
        total = x.new_zeros(len(x), 2 * self.rank)
        for place, start, count, width in self._runs[entity]:
            fields = x[:, start : start + count * width].reshape(-1, count, width).transpose(0, 1)
            v = torch.bmm(fields, self.project[place])  # [F, n, k]
            total = total + torch.cat([v.sum(0), (v * v).sum(0)], 1)
        return total


# Adapters: from the vectors of a frozen language model to the width of the recommender.


class LinearAdapter(nn.Module):
    """One linear projection. Shapes: [n, D] → [n, width]."""

    def __init__(self, *, inputs: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(inputs, width)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.project(x)
        return projected


class MixtureAdapter(nn.Module):
    """A gated mixture of projections (UniSRec, Hou et al. 2022, eq. 2–3). Shapes: [n, D] → [n, width]."""

    def __init__(self, *, inputs: int, width: int, experts: int = 4) -> None:
        super().__init__()
        self.project = nn.Linear(inputs, experts * width)
        self.gate = nn.Linear(inputs, experts)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        parts = self.project(x).view(len(x), self.gate.out_features, self.width)
        return torch.einsum("ne,new->nw", self.gate(x).softmax(1), parts)


ADAPTERS: dict[str, type[nn.Module]] = {"linear": LinearAdapter, "mixture": MixtureAdapter}
