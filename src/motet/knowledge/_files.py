"""A graph on disk: arrays in safetensors, words in Parquet, nothing that runs code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from motet.data import WordIndex
from motet.errors import KnowledgeError
from motet.knowledge._graph import KnowledgeGraph

__all__ = ["KNOWLEDGE_FILES", "read_written_knowledge", "write_knowledge"]

KNOWLEDGE_FILES = ("knowledge.safetensors", "knowledge.parquet", "relations.parquet")
"""The files of a graph: facts and links; entities and names; relations, inverses and words."""


def write_knowledge(directory: str | Path, graph: KnowledgeGraph) -> None:
    """Write a graph into an existing directory.

    Args:
        directory: Where its files go.
        graph: The graph.

    Raises:
        KnowledgeError: If they cannot be written.
    """
    directory = Path(directory)
    arrays, entities, relations = (directory / name for name in KNOWLEDGE_FILES)
    told = sorted({*graph.relations, *(name for name in graph.inverses if name), *graph.words})
    number = {name: at for at, name in enumerate(graph.relations)}
    try:
        save_file(
            {
                "heads": graph.heads,
                "relation": graph.relation,
                "tails": graph.tails,
                "item_entity": graph.item_entity,
            },
            str(arrays),
        )
        pl.DataFrame([graph.index.words.alias("entity"), graph.names.alias("name")]).write_parquet(entities)
        pl.DataFrame(
            {
                "relation": told,
                "code": [number.get(name) for name in told],
                "inverse": [graph.inverses[number[name]] if name in number else None for name in told],
                "words": [
                    json.dumps(dict(graph.words.get(name, {})), ensure_ascii=False, sort_keys=True)
                    for name in told
                ],
            },
            schema={"relation": pl.String, "code": pl.Int32, "inverse": pl.String, "words": pl.String},
        ).write_parquet(relations)
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise KnowledgeError(
            f"the graph cannot be written to {directory} ({error})", "make room, or name another directory"
        ) from None


def read_written_knowledge(directory: str | Path) -> KnowledgeGraph:
    """Read what :func:`write_knowledge` wrote.

    Args:
        directory: Where its files are.

    Raises:
        KnowledgeError: If a file is missing or damaged, or the files do not fit together.
    """
    directory = Path(directory)
    paths = [directory / name for name in KNOWLEDGE_FILES]
    for path in paths:
        if not path.is_file():
            raise KnowledgeError(f"{directory} holds no {path.name}", "train anew with a 'knowledge' section")
    try:
        arrays = load_file(str(paths[0]))
        entities, relations = (pl.read_parquet(path) for path in paths[1:])
        kept = relations.drop_nulls("code").sort("code")
        for name, bound in (("heads", len(entities)), ("tails", len(entities)), ("relation", len(kept))):
            if len(arrays[name]) != len(arrays["heads"]) or not _within(arrays[name], 0, bound):
                raise ValueError(f"'{name}' does not fit the tables")
        if not _within(arrays["item_entity"], -1, len(entities)):
            raise ValueError("'item_entity' does not fit the tables")
        return KnowledgeGraph.build(
            index=WordIndex(entities["entity"]),
            names=entities["name"],
            relations=kept["relation"].to_list(),
            inverses=kept["inverse"].to_list(),
            words={
                name: json.loads(words)
                for name, words in zip(relations["relation"], relations["words"], strict=True)
                if words != "{}"
            },
            **{name: arrays[name] for name in ("heads", "relation", "tails", "item_entity")},
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise KnowledgeError(
            f"the graph in {directory} cannot be read ({reason})", "copy the bundle again, or train anew"
        ) from None


def _within(values: NDArray[Any], low: int, high: int) -> bool:
    return values.dtype == np.int32 and (not len(values) or bool(low <= values.min() and values.max() < high))
