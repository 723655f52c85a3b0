"""Adapters: from the vectors of a frozen language model to the width a recommender wants."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ADAPTERS", "LinearAdapter", "MixtureAdapter"]


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
