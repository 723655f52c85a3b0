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

KNOWLEDGE_FILES = ("knowledge.safetensors", "knowledge.parquet")
"""The files of a graph: facts and links as numbers; entities, relations and what they are called."""

_WORDS = {"kind": pl.String, "id": pl.String, "name": pl.String, "inverse": pl.String, "words": pl.String}


def write_knowledge(directory: str | Path, graph: KnowledgeGraph) -> None:
    """Write a graph into an existing directory.

    Args:
        directory: Where its files go.
        graph: The graph.

    Raises:
        KnowledgeError: If they cannot be written.
    """
    arrays, words = (Path(directory) / name for name in KNOWLEDGE_FILES)
    # what was folded has words but no number: it stands behind the relations that have one
    told = [*graph.relations, *sorted({*graph.words, *graph.aliases} - set(graph.relations))]
    inverses = [*graph.inverses, *[None] * (len(told) - len(graph.relations))]
    try:
        save_file(
            {
                "heads": graph.heads,
                "relation": graph.relation,
                "tails": graph.tails,
                "item_entity": graph.item_entity,
                "relations": np.array([len(graph.relations)], np.int32),
            },
            str(arrays),
        )
        pl.concat(
            [
                pl.DataFrame({"kind": "entity", "id": graph.index.words, "name": graph.names}).with_columns(
                    inverse=pl.lit(None, pl.String), words=pl.lit(None, pl.String)
                ),
                pl.DataFrame(
                    {
                        "kind": ["relation"] * len(told),
                        "id": told,
                        "name": [graph.aliases.get(name) for name in told],
                        "inverse": inverses,
                        "words": [
                            json.dumps(dict(graph.words.get(name, {})), ensure_ascii=False) for name in told
                        ],
                    },
                    schema=_WORDS,
                ),
            ]
        ).write_parquet(words)
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
            raise KnowledgeError(
                f"{directory} holds no {path.name}", "train again with a 'knowledge' section"
            )
    try:
        arrays, table = load_file(str(paths[0])), pl.read_parquet(paths[1])
        entities = table.filter(pl.col("kind") == "entity")
        told = table.filter(pl.col("kind") == "relation")
        relations = told.head(int(arrays["relations"][0]))
        for name, bound in (("heads", len(entities)), ("tails", len(entities)), ("relation", len(relations))):
            if len(arrays[name]) != len(arrays["heads"]) or not _within(arrays[name], 0, bound):
                raise ValueError(f"'{name}' does not fit the tables")
        if not _within(arrays["item_entity"], -1, len(entities)):
            raise ValueError("'item_entity' does not fit the tables")
        words = {name: json.loads(text) for name, text in told.select("id", "words").iter_rows()}
        return KnowledgeGraph.build(
            index=WordIndex(entities["id"]),
            names=entities["name"],
            relations=relations["id"].to_list(),
            inverses=relations["inverse"].to_list(),
            aliases=dict(told.drop_nulls("name").select("id", "name").iter_rows()),
            words={name: said for name, said in words.items() if said},
            **{name: arrays[name] for name in ("heads", "relation", "tails", "item_entity")},
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise KnowledgeError(
            f"the graph in {directory} cannot be read ({reason})", "copy the bundle again, or train again"
        ) from None


def _within(values: NDArray[Any], low: int, high: int) -> bool:
    return values.dtype == np.int32 and (not len(values) or bool(low <= values.min() and values.max() < high))
