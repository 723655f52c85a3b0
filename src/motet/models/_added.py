"""A task that was added to a trained network: an adapter on its input vectors, and a tower of its own.

The network stays as it is; only what is here is learnt.

Legend of shapes: B rows, D width of the input vector, m width of the adapter, H hidden width, K outputs of the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motet.errors import ModelError
from motet.models._blocks import ParallelLayers
from motet.models._features import FactorisedLinear, Inputs, Widths
from motet.models._sequences import Dropout

__all__ = ["AddedShape", "AddedTower"]


@dataclass(frozen=True, slots=True)
class AddedShape:
    """Sizes of an added task.

    Attributes:
        adapter: Width m of the adapter's bottleneck, ≥ 1.
        tower: Widths of the tower's hidden layers, ≥ 1 each; at least one.
    """

    adapter: int = 32
    tower: tuple[int, ...] = (128, 64)

    def __post_init__(self) -> None:
        if not self.tower or min(self.adapter, *self.tower) < 1:
            raise ModelError(
                f"an adapter of width {self.adapter} and a tower of widths {list(self.tower)} cannot be built",
                "give widths of at least 1, as in --adapter 32 --tower 128,64",
            )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "tower": list(self.tower)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> AddedShape:
        """Read what :meth:`to_json` wrote; what else is there is for people."""
        return cls(int(content["adapter"]), tuple(int(width) for width in content["tower"]))


class AddedTower(nn.Module):
    """Adapter and tower of a task on a frozen network.

    ::

        x' = x + W₂·relu(W₁·x + b₁)      the adapter on the frozen input vector x = [u; i; c], W₂ = 0 at first
        y  = tower(relu(V·x' + b))

    The bottleneck with a skip connection that begins as the identity is that of Houlsby et al. 2019, section 2.1. V·x'
    is computed as V·x + (V·W₂)·relu(W₁·x + b₁), so that W₁ and V are one layer whose part of a user or item is computed
    once. The logits of the frozen tasks are no inputs: on the rows that they were trained on they know too much.

    Args:
        widths: Widths of the inputs.
        outputs: K.
        shape: Widths m and H.
        dropout: Share of hidden units dropped.

    Shapes:
        Inputs → [B, K].
    """

    def __init__(self, *, widths: Widths, outputs: int, shape: AddedShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape, self.outputs = shape, outputs
        hidden, *rest = shape.tower
        self.first = FactorisedLinear(widths=widths, out=shape.adapter + hidden)  # [W₁; V]
        total = widths.user + widths.item + widths.context
        self.back = nn.Parameter(torch.zeros(total, shape.adapter))  # W₂
        self.dropout = Dropout(dropout)
        self.rest = ParallelLayers(count=1, inputs=hidden, hidden=rest, dropout=dropout)
        self.last = nn.Linear(self.rest.width, outputs)

    def forward(self, inputs: Inputs) -> Tensor:
        m = self.shape.adapter
        both = self.first(inputs)  # [B, m + H]
        adapted = F.linear(both[:, :m].relu(), self.first.seen()[m:] @ self.back)
        h = both[:, m:] + adapted  # V·x', [B, H]
        y: Tensor = self.last(self.rest(self.dropout(h.relu())[None])[0])
        return y
