"""Blocks that architectures share: experts and towers as batched products.

Legend of shapes: B rows, T tasks, E experts, D width in, H width out, W outputs of all tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from motet.models._features import FactorisedLinear, Inputs, Widths
from motet.models._sequences import Dropout

__all__ = ["FirstExperts", "ParallelLayers", "ScenarioGate", "Towers", "mixture_weights"]


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


class FirstExperts(nn.Module):
    """E experts over the inputs: the first layer factorised over users and items, the rest batched.

    Args:
        widths: Widths of the inputs.
        count: Experts E.
        hidden: Layer widths of each expert.
        gates: Width of the gate logits that go with them, a linear layer over the same inputs.
        dropout: Share dropped after each layer.

    Shapes:
        Inputs → experts [E, B, H], gate logits [B, gates].
    """

    def __init__(
        self, *, widths: Widths, count: int, hidden: Sequence[int], gates: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.count = count
        self.first = FactorisedLinear(widths=widths, out=count * hidden[0])
        self.gate = FactorisedLinear(widths=widths, out=gates) if gates else None
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
