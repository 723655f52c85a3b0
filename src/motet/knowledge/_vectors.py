"""Vectors of items from a graph: learnt once for each graph and setting, then found in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from contextlib import suppress
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from motet.assets import cache_root, workshop
from motet.errors import KnowledgeError
from motet.knowledge._convolve import train_attention, train_lightgcn
from motet.knowledge._edges import Edges, Interactions, edges_for_vectors
from motet.knowledge._graph import KnowledgeGraph
from motet.knowledge._translate import train_translation
from motet.schema import KnowledgeSettings, Progress, Schema, silent

__all__ = ["hidden_relations", "knowledge_vectors"]

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
    interactions: Interactions | None = None,
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
    edges: Edges, settings: KnowledgeSettings, interactions: Interactions | None, progress: Progress
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


def _key(edges: Edges, settings: KnowledgeSettings, seed: int, interactions: Interactions | None) -> str:
    made = hashlib.sha256(
        f"{_REVISION} {settings.vectors} {settings.width} {settings.epochs} {seed} {edges.nodes}".encode()
    )
    for array in (edges.heads, edges.relation, edges.tails, edges.item_node):
        made.update(array.tobytes())
    if interactions is not None:
        made.update(interactions.user_row.tobytes())
        made.update(interactions.item_row.tobytes())
    return made.hexdigest()[:32]
