"""Vectors by passing messages along facts: LightGCN with the interactions, and graph attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from motet.knowledge._edges import Edges, Interactions
from motet.knowledge._pyg import pyg_nn
from motet.schema import Progress, silent

__all__ = ["train_attention", "train_lightgcn"]

_LAYERS = 2
_BATCH = 16_384
_LEARNING_RATE = 0.01
_HEADS = 4


def train_lightgcn(
    edges: Edges,
    interactions: Interactions | None,
    *,
    width: int,
    epochs: int,
    progress: Progress = silent,
) -> NDArray[np.float32]:
    r"""Fit LightGCN over facts and interactions, and return the vectors of the items.

    He et al. 2020, eq. 7–8 and 15: embeddings are averaged over neighbours, layers are averaged, and an
    edge is ranked above one to a random node of the same kind (BPR). Users, items and entities are nodes
    of one graph, relations are not told apart. The generator of torch decides the result.

    Args:
        edges: The facts.
        interactions: Training rows; facts alone when left out.
        width: Width of a vector.
        epochs: Passes over facts and interactions.
        progress: Called once an epoch.

    Returns:
        float32 [I, width], zeros for items that neither a fact nor a row names.
    """
    item_node, n = edges.item_node.copy(), edges.nodes
    pairs = [np.stack([edges.heads, edges.tails])]
    if interactions is not None:
        alone = np.setdiff1d(np.unique(interactions.item_row), np.flatnonzero(item_node >= 0))
        item_node[alone] = n + np.arange(len(alone))
        n += len(alone)
        users, user = np.unique(interactions.user_row, return_inverse=True)
        both = np.stack([n + user.astype(np.int64), item_node[interactions.item_row]])
        pairs.append(np.unique(both, axis=1))
        n += len(users)
    known = torch.from_numpy(np.concatenate(pairs, 1))
    graph = torch.cat([known, known.flip(0)], 1)
    # a random node of the same kind: the target of another edge of the same part
    bounds = np.cumsum([p.shape[1] for p in pairs])
    model: Any = pyg_nn().LightGCN(n, width, _LAYERS)
    nn.init.normal_(model.embedding.weight, std=0.1)
    optimiser = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE)
    for epoch in range(epochs):
        progress("vectors of the graph (lightgcn)", epoch, epochs)
        for batch in torch.split(torch.randperm(known.shape[1]), _BATCH):
            optimiser.zero_grad(set_to_none=True)
            vectors = model.get_embedding(graph)
            source, target = known[:, batch]
            first = batch < int(bounds[0])
            span = torch.where(first, int(bounds[0]), int(bounds[-1] - bounds[0]))
            drawn = (torch.rand(len(batch)) * span).long() + torch.where(first, 0, int(bounds[0]))
            wrong = known[1, drawn]
            gap = (vectors[source] * (vectors[target] - vectors[wrong])).sum(-1)
            (-F.logsigmoid(gap).mean() + 1e-4 * vectors[source].pow(2).sum(-1).mean()).backward()
            optimiser.step()
    progress("vectors of the graph (lightgcn)", epochs, epochs)
    with torch.no_grad():
        vectors = model.get_embedding(graph)
    return _of_items(vectors, item_node)


class _Attention(nn.Module):
    """Two layers of graph attention over learnt embeddings; relations enter as edge features."""

    def __init__(self, *, nodes: int, relations: int, width: int) -> None:
        super().__init__()
        layers: Any = pyg_nn()
        heads = _HEADS if width % _HEADS == 0 else 1
        self.embedding = nn.Parameter(torch.randn(nodes, width) * 0.1)
        self.side = nn.Parameter(torch.randn(2 * relations, width) * 0.1)
        self.form = nn.Parameter(torch.ones(relations, width))
        self.convolutions = nn.ModuleList(
            layers.GATConv(
                width, width // heads, heads=heads, edge_dim=width, add_self_loops=False, dropout=0.2
            )
            for _ in range(_LAYERS)
        )

    def forward(self, graph: Tensor, side: Tensor) -> Tensor:
        hidden: Tensor = self.embedding
        for layer in self.convolutions:
            hidden = hidden + F.elu(layer(hidden, graph, self.side[side]))
        return hidden


def train_attention(
    edges: Edges, *, width: int, epochs: int, progress: Progress = silent
) -> NDArray[np.float32]:
    r"""Fit graph attention over the facts, and return the vectors of the items.

    Veličković et al. 2018, eq. 1–6, with the relation as a feature of the edge; a fact is ranked above one
    with another tail of the same relation by :math:`\sum_i h_i r_i t_i`. The generator of torch decides
    the result.

    Args:
        edges: The facts.
        width: Width of a vector.
        epochs: Passes over the facts.
        progress: Called once an epoch.

    Returns:
        float32 [I, width], zeros for items that no fact names.
    """
    facts = torch.from_numpy(np.stack([edges.heads, edges.relation, edges.tails]))
    facts = facts[:, torch.argsort(facts[1], stable=True)]
    head, relation, tail = facts
    count = torch.bincount(relation, minlength=edges.relations)
    start = count.cumsum(0) - count
    graph = torch.stack([torch.cat([head, tail]), torch.cat([tail, head])])
    side = torch.cat([2 * relation, 2 * relation + 1])
    model = _Attention(nodes=edges.nodes, relations=edges.relations, width=width)
    optimiser = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE)
    for epoch in range(epochs):
        progress("vectors of the graph (gat)", epoch, epochs)
        for batch in torch.split(torch.randperm(facts.shape[1]), _BATCH):
            optimiser.zero_grad(set_to_none=True)
            vectors = model(graph, side)
            code = relation[batch]
            drawn = start[code] + (torch.rand(len(batch)) * count[code]).long()
            left = vectors[head[batch]] * model.form[code]
            gap = (left * (vectors[tail[batch]] - vectors[tail[drawn]])).sum(-1)
            (-F.logsigmoid(gap).mean() + 1e-4 * left.pow(2).sum(-1).mean()).backward()
            optimiser.step()
    progress("vectors of the graph (gat)", epochs, epochs)
    model.eval()
    with torch.no_grad():
        vectors = model(graph, side)
    return _of_items(vectors, edges.item_node)


def _of_items(vectors: Tensor, item_node: NDArray[np.int64]) -> NDArray[np.float32]:
    padded = torch.cat([vectors.detach(), vectors.new_zeros(1, vectors.shape[1])])
    return np.asarray(padded[torch.from_numpy(item_node)].numpy())  # node −1 is the row of zeros
