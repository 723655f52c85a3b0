"""One embedding table for every id, category, tag and event."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["EmbeddingTable"]


class EmbeddingTable(nn.Module):
    """All embeddings of a model in one table, gathered once a batch.

    The rows a batch needs become a small leaf of the graph; an optimiser updates those rows and
    writes them back, so that a step costs the same with a thousand ids or a hundred million.

    Args:
        rows: Rows of the table.
        width: Width d of an embedding.
        std: Standard deviation of the first values.

    Shapes:
        ids [R] → [R, d].
    """

    def __init__(self, *, rows: int, width: int, std: float = 0.05) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max(rows, 1), width))
        nn.init.normal_(self.weight, std=std)
        self.leaf: Tensor | None = None
        self.leaf_ids: Tensor | None = None

    @property
    def width(self) -> int:
        """Width d of an embedding."""
        return self.weight.shape[1]

    def forward(self, ids: Tensor) -> Tensor:
        """Gather rows; with gradients on, they are the leaf that gradients stop at."""
        rows = self.weight.detach().index_select(0, ids)
        if torch.is_grad_enabled():
            self.leaf, self.leaf_ids = rows.requires_grad_(), ids
        return rows
