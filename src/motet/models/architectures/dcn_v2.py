"""DCN-V2: a cross network beside the shared trunk.

Wang, Shivanna, Cheng, Jain, Lin, Hong & Chi 2021, "DCN V2: Improved deep & cross network and practical lessons for
web-scale learning to rank systems", WWW, in its parallel structure:

    x_{l+1} = x_0 ⊙ (W_l·x_l + b_l) + x_l                                                 (1)
    x_{l+1} = x_0 ⊙ (Σᵢ Gᵢ(x_l)·U_lⁱ·g(C_lⁱ·g(V_lⁱᵀ·x_l)) + b_l) + x_l                    (3, 4)
    yₖ = hᵏ(f(x_0)) + wₖ·x_L

The second form replaces W_l by a mixture of matrices of low rank, with g = tanh and G = softmax(W_g·x_l). Since the
gates sum to 1, one bias b_l serves all experts. The paper has one task and reads [x_L; f(x_0)] by one linear layer:
that is ``tower: 0`` here. With several tasks each has a tower hᵏ over the trunk f, and weights wₖ over x_L.

Legend of shapes: B rows, D width of the input, E experts, R rank, W outputs of all tasks.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from motet.models import FirstExperts, Inputs, Towers, mixture_weights
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part

__all__ = ["CrossLayer", "DcnV2", "DcnV2Options", "LowRankCrossLayer"]


class DcnV2Options(Part):
    """Options of DCN-V2.

    Attributes:
        cross: Cross layers L; the degree of the products is at most L + 1.
        rank: Rank R of each expert's matrices; 0 for full matrices W_l.
        experts: Experts of each cross layer; more than 1 need a rank.
        hidden: Layer widths of the trunk.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    cross: int = Field(2, ge=1, le=16)
    rank: int = Field(0, ge=0)
    experts: int = Field(1, ge=1)
    hidden: tuple[PositiveInt, ...] = Field((256, 128), min_length=1)
    tower: int = Field(32, ge=0)

    @model_validator(mode="after")
    def _experts_have_a_rank(self) -> DcnV2Options:
        if self.experts > 1 and not self.rank:
            raise ValueError(
                f"'experts: {self.experts}' needs matrices of low rank. Cure: write such as 'rank: 32' beside it"
            )
        return self


class CrossLayer(nn.Module):
    """x_0 ⊙ (W·x + b) + x (eq. 1).

    Shapes:
        x_0 [B, D], x [B, D] → [B, D].
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        bound = (3.0 / max(width, 1)) ** 0.5  # Glorot & Bengio 2010
        self.weight = nn.Parameter(torch.empty(width, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x0: Tensor, x: Tensor) -> Tensor:
        return torch.addcmul(x, x0, F.linear(x, self.weight, self.bias))


class LowRankCrossLayer(nn.Module):
    """x_0 ⊙ (Σᵢ Gᵢ(x)·Uᵢ·tanh(Cᵢ·tanh(Vᵢᵀ·x)) + b) + x (eq. 3 and 4); one expert has no gate.

    Shapes:
        x_0 [B, D], x [B, D] → [B, D].
    """

    def __init__(self, *, width: int, rank: int, experts: int) -> None:
        super().__init__()
        bound = (6.0 / (width + rank)) ** 0.5
        self.down = nn.Parameter(torch.empty(experts * rank, width).uniform_(-bound, bound))  # Vᵀ
        within = (3.0 / rank) ** 0.5
        self.inner = nn.Parameter(torch.empty(experts, rank, rank).uniform_(-within, within))  # Cᵀ
        self.up = nn.Parameter(torch.empty(width, experts * rank).uniform_(-bound, bound))  # U
        self.bias = nn.Parameter(torch.zeros(width))
        self.gate = nn.Linear(width, experts, bias=False) if experts > 1 else None
        self.experts = experts

    def forward(self, x0: Tensor, x: Tensor) -> Tensor:
        v = F.linear(x, self.down).tanh().view(len(x), self.experts, -1).transpose(0, 1)  # [E, B, R]
        v = torch.bmm(v, self.inner).tanh().transpose(0, 1)  # [B, E, R]
        if self.gate is not None:
            v = v * mixture_weights(self.gate(x)).unsqueeze(2)
        return torch.addcmul(x, x0, F.linear(v.flatten(1), self.up, self.bias))


class DcnV2(Architecture):
    """yₖ = hᵏ(f(x_0)) + wₖ·x_L, x_{l+1} = x_0 ⊙ (W_l·x_l + b_l) + x_l: explicit products of inputs beside the trunk."""

    about = About(
        "network",
        "a cross network of explicit products beside one shared perceptron",
        "Wang et al. 2021, DCN V2: Improved deep & cross network",
    )

    def __init__(self, *, shape: Shape, options: DcnV2Options) -> None:
        super().__init__()
        w = self.widths = shape.widths
        width = w.user + w.item + w.context
        self.cross = nn.ModuleList(
            LowRankCrossLayer(width=width, rank=options.rank, experts=options.experts)
            if options.rank
            else CrossLayer(width=width)
            for _ in range(options.cross)
        )
        self.read = nn.Linear(width, sum(shape.outputs), bias=False)
        self.trunk = FirstExperts(widths=shape.widths, count=1, hidden=options.hidden, dropout=shape.dropout)
        self.towers = Towers(
            width=self.trunk.width,
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )
        self.tasks = len(shape.outputs)

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        x0 = x = inputs.rows(self.widths)  # [B, D]
        for layer in self.cross:
            x = layer(x0, x)
        h, _ = self.trunk(inputs)  # [1, B, H]
        logits: Tensor = self.towers(h.expand(self.tasks, -1, -1), inputs.scenario) + self.read(x)
        return logits
