"""Vectors of items from a graph: TransE, DistMult, LightGCN, graph attention; learnt once, then found in the cache."""

from __future__ import annotations

import hashlib
import importlib
import warnings
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from motet.datasets import cache_root, workshop
from motet.errors import KnowledgeError, MissingExtraError
from motet.graph._graph import KnowledgeGraph
from motet.schema import KnowledgeSettings, Progress, Schema, require_known, silent

__all__ = [
    "Edges",
    "GraphInteractions",
    "edges_for_vectors",
    "hidden_relations",
    "knowledge_vectors",
    "pyg_nn",
    "train_attention",
    "train_lightgcn",
    "train_translation",
]


def pyg_nn(part: str = "") -> ModuleType:
    """The module ``torch_geometric.nn``, or a part of it.

    Raises:
        MissingExtraError: If it is not installed.
    """
    name = f"torch_geometric.nn.{part}" if part else "torch_geometric.nn"
    try:
        with warnings.catch_warnings():  # it scripts some of its own classes when it is imported
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        raise MissingExtraError("torch_geometric", "graph") from None


@dataclass(frozen=True, slots=True)
class GraphInteractions:
    """Who had what: training rows only, or the vectors would know the test.

    Attributes:
        user_row: int32 [N].
        item_row: int32 [N].
    """

    user_row: NDArray[np.int32]
    item_row: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Edges:
    """Facts between numbered nodes.

    Attributes:
        nodes: Number of nodes.
        relations: Number of relations.
        heads: int64 [F].
        relation: int64 [F].
        tails: int64 [F].
        item_node: Node of each item, −1 where it has none, int64 [I].
    """

    nodes: int
    relations: int
    heads: NDArray[np.int64]
    relation: NDArray[np.int64]
    tails: NDArray[np.int64]
    item_node: NDArray[np.int64]


def edges_for_vectors(graph: KnowledgeGraph, exclude: Collection[str] = ()) -> Edges:
    """Facts without some relations, and without entities that only one fact names.

    Such an entity, an actor of one film, says nothing of what else the film is like, and its vector would
    be whatever makes that one fact true; most entities of a real graph are of this kind.

    Args:
        graph: The graph.
        exclude: Relations to leave out, by their own name or by that of their inverse.

    Raises:
        KnowledgeError: If such a relation is not in the graph.
    """
    names = {name: code for code, name in enumerate(graph.relations)}
    names |= {name: names[other] for name, other in graph.aliases.items()}
    for name in exclude:
        require_known(name, names, "the relation", KnowledgeError)
    keep = ~np.isin(graph.relation, [names[name] for name in exclude])
    heads, relation, tails = graph.heads[keep], graph.relation[keep], graph.tails[keep]
    is_item = graph.entity_item >= 0
    named = np.bincount(np.concatenate([heads, tails]), minlength=len(is_item))
    useful = is_item | (named > 1)
    keep = useful[heads] & useful[tails]
    heads, relation, tails = heads[keep], relation[keep], tails[keep]
    there = np.unique(np.concatenate([heads, tails]))
    node = np.full(len(is_item), -1, np.int64)
    node[there] = np.arange(len(there))
    entity = graph.item_entity
    return Edges(
        nodes=len(there),
        relations=len(graph.relations),
        heads=node[heads],
        relation=relation.astype(np.int64),
        tails=node[tails],
        item_node=np.where(entity >= 0, node[np.where(entity >= 0, entity, 0)], -1),
    )


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


_LAYERS = 2
_BATCH_OF_EDGES = 16_384
_HEADS = 4


def train_lightgcn(
    edges: Edges,
    interactions: GraphInteractions | None,
    *,
    width: int,
    epochs: int,
    progress: Progress = silent,
) -> NDArray[np.float32]:
    r"""Fit LightGCN over facts and interactions, and return the vectors of the items.

    He et al. 2020, eq. 7–8 and 15: embeddings are averaged over neighbours, layers are averaged, and an
    edge is ranked above one to a random node of the same kind (BPR). Users, items and entities are nodes
    of one graph, relations are not distinguished. The generator of torch decides the result.

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
        for batch in torch.split(torch.randperm(known.shape[1]), _BATCH_OF_EDGES):
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
        for batch in torch.split(torch.randperm(facts.shape[1]), _BATCH_OF_EDGES):
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


_REVISION = 1
"""Counts changes of how vectors are learnt, so that a cache of older ones is not used."""


def hidden_relations(schema: Schema, graph: KnowledgeGraph) -> tuple[str, ...]:
    """Relations that the vectors of a schema's items must be made without.

    A relation that gives away a task's label is left out for every task, because all tasks see the same
    vector; unless the task itself hides the feature.

    Args:
        schema: Has a ``knowledge`` section.
        graph: The graph.
    """
    if schema.knowledge is None:
        return ()
    vectors = {name for name, feature in schema.features.item.items() if feature.from_graph}
    hidden = {
        relation
        for task, relations in schema.knowledge.hide.items()
        if not vectors or vectors - set(schema.tasks[task].hide)
        for relation in relations
    }
    return tuple(sorted({graph.aliases.get(name, name) for name in hidden}))


def knowledge_vectors(
    graph: KnowledgeGraph,
    settings: KnowledgeSettings,
    seed: int | None = None,
    *,
    interactions: GraphInteractions | None = None,
    exclude: Collection[str] = (),
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """Vectors of all items, from the cache if they were learnt before.

    The same graph, settings and seed give the same vectors on the same machine.

    Args:
        graph: The graph.
        settings: Which vectors, how wide, how long.
        seed: Seed; that of the settings when left out.
        interactions: Training rows; only ``lightgcn`` looks at them.
        exclude: Relations to leave out, see :func:`hidden_relations`.
        progress: Called with how far the training is.

    Returns:
        float32 [I, width], mean 0 and variance 1 over the items that have one, zeros for the others.

    Raises:
        KnowledgeError: If the settings ask for no vectors, or nothing is left to learn from.
        MissingExtraError: If PyTorch Geometric is not installed.
    """
    if settings.vectors == "none":
        raise KnowledgeError("knowledge.vectors is none", "choose transe, distmult, lightgcn or gat")
    seed = settings.seed if seed is None else seed
    interactions = interactions if settings.vectors == "lightgcn" else None
    edges = edges_for_vectors(graph, exclude)
    if not len(edges.heads):
        raise KnowledgeError(
            "no fact is left to learn vectors from: the others are hidden or name an entity once",
            "give more triples, or set knowledge.vectors to none",
        )
    path = cache_root() / "graph" / f"{_key(edges, settings, seed, interactions)}.safetensors"
    with suppress(OSError, SafetensorError, KeyError):
        found: NDArray[np.float32] = load_file(str(path))["vectors"]
        if found.shape == (len(edges.item_node), settings.width):
            return found
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vectors = _standard(_learnt(edges, settings, interactions, progress))
    with suppress(OSError), workshop(path.parent) as bench:  # a full disk costs the cache, not the vectors
        save_file({"vectors": vectors}, str(bench / path.name))
        (bench / path.name).replace(path)
    return vectors


def _learnt(
    edges: Edges, settings: KnowledgeSettings, interactions: GraphInteractions | None, progress: Progress
) -> NDArray[np.float32]:
    width, epochs = settings.width, settings.epochs
    if settings.vectors == "lightgcn":
        return train_lightgcn(edges, interactions, width=width, epochs=epochs, progress=progress)
    if settings.vectors == "gat":
        return train_attention(edges, width=width, epochs=epochs, progress=progress)
    kind: Literal["transe", "distmult"] = "transe" if settings.vectors == "transe" else "distmult"
    nodes = train_translation(edges, kind, width=width, epochs=epochs, progress=progress)
    linked = edges.item_node >= 0
    return np.where(linked[:, None], nodes[np.where(linked, edges.item_node, 0)], np.float32(0))


def _standard(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centred and scaled over the items that have a vector, so that the zeros of the others are the mean."""
    has = vectors.any(1)
    if not has.any():
        return vectors
    known = vectors[has]
    scaled = np.zeros_like(vectors)
    scaled[has] = (known - known.mean(0)) / max(float((known - known.mean(0)).std()), 1e-6)
    return scaled


def _key(edges: Edges, settings: KnowledgeSettings, seed: int, interactions: GraphInteractions | None) -> str:
    made = hashlib.sha256(
        f"{_REVISION} {settings.vectors} {settings.width} {settings.epochs} {seed} {edges.nodes}".encode()
    )
    for array in (edges.heads, edges.relation, edges.tails, edges.item_node):
        made.update(array.tobytes())
    if interactions is not None:
        made.update(interactions.user_row.tobytes())
        made.update(interactions.item_row.tobytes())
    return made.hexdigest()[:32]
