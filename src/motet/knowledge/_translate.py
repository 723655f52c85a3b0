"""Vectors that make facts true: head + relation ≈ tail, or a bilinear form."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from motet.knowledge._edges import Edges
from motet.knowledge._pyg import pyg_nn
from motet.schema import Progress, silent

__all__ = ["train_translation"]

_BATCH = 1024
_LEARNING_RATE = 0.01


def train_translation(
    edges: Edges,
    kind: Literal["transe", "distmult"],
    *,
    width: int,
    epochs: int,
    progress: Progress = silent,
) -> NDArray[np.float32]:
    r"""Fit TransE or DistMult, and return the vectors of the nodes.

    TransE (Bordes et al. 2013, eq. 1) ranks :math:`-\lVert h + r - t \rVert` of a fact above that of one
    with another head or tail by a margin; DistMult (Yang et al. 2015, eq. 2–3 with a diagonal form) ranks
    :math:`\sum_i h_i r_i t_i`. The generator of torch decides the result.

    Args:
        edges: The facts.
        kind: Which of the two.
        width: Width of a vector.
        epochs: Passes over the facts.
        progress: Called once an epoch.

    Returns:
        float32 [nodes, width], of length 1.
    """
    nn: Any = pyg_nn("kge")
    model = (
        nn.TransE(edges.nodes, edges.relations, width, margin=1.0, p_norm=2.0)
        if kind == "transe"
        else nn.DistMult(edges.nodes, edges.relations, width, margin=1.0)
    )
    _to_unit_length(model.node_emb.weight)
    facts = torch.from_numpy(np.stack([edges.heads, edges.relation, edges.tails]))
    optimiser = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE)
    for epoch in range(epochs):
        progress(f"vectors of the graph ({kind})", epoch, epochs)
        for batch in torch.split(torch.randperm(facts.shape[1]), _BATCH):
            optimiser.zero_grad(set_to_none=True)
            loss = model.loss(*facts[:, batch])
            loss.backward()
            optimiser.step()
        _to_unit_length(model.node_emb.weight)
    progress(f"vectors of the graph ({kind})", epochs, epochs)
    return np.asarray(model.node_emb.weight.detach().numpy())


@torch.no_grad()
def _to_unit_length(weight: torch.Tensor) -> None:
    """Put vectors back on the sphere, as both papers do; Adam would turn long ones slowly."""
    weight.copy_(torch.nn.functional.normalize(weight, dim=-1))
