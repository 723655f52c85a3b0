"""A graph from its files: triples and links as they are given, and the files of a bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from motet.data import CleaningReport, Frames, IdIndex, as_strings, as_tables, read_table
from motet.errors import DataError, KnowledgeError
from motet.graph._graph import KnowledgeGraph
from motet.schema import KnowledgeSettings, Schema, nearest, require_known

__all__ = [
    "KNOWLEDGE_FILES",
    "FoldedFacts",
    "fold",
    "read_knowledge",
    "read_written_knowledge",
    "write_knowledge",
]


@dataclass(frozen=True, slots=True)
class FoldedFacts:
    """Facts, each once, with relations renumbered.

    Attributes:
        heads: int32 [F], sorted by (head, relation, tail).
        relation: int32 [F].
        tails: int32 [F].
        relations: Names of the relations that are left, in order of the alphabet.
        inverses: For each of them the name of the same relation from the other side; its own name if it
            reads the same from both sides, None if it has none.
        aliases: Every relation that was folded into another, and that other one.
    """

    heads: NDArray[np.int32]
    relation: NDArray[np.int32]
    tails: NDArray[np.int32]
    relations: tuple[str, ...]
    inverses: tuple[str | None, ...]
    aliases: Mapping[str, str]


def fold(
    heads: NDArray[np.int32],
    relation: NDArray[np.int32],
    tails: NDArray[np.int32],
    names: Sequence[str],
    is_item: NDArray[np.bool_],
    given: Mapping[str, str],
) -> FoldedFacts:
    """Fold inverse relations into one another.

    Of a named pair the other stays; of one that was found, the relation whose heads are items more often,
    or else the first in the alphabet.

    Args:
        heads: Entities, [F].
        relation: Codes, [F].
        tails: Entities, [F].
        names: Name of each code.
        is_item: Whether each entity is an item, [E].
        given: Inverses that are named, each relation to its other; further ones are found: a relation
            whose reversed pairs are exactly another's, or its own.

    Raises:
        KnowledgeError: If a named relation is not in the triples.
    """
    for pair in given.items():
        for name in pair:
            require_known(name, names, "knowledge.inverses: the relation", KnowledgeError)
    n = len(is_item)
    pairs = [np.unique(heads[of].astype(np.int64) * n + tails[of]) for of in _by_code(relation, len(names))]
    back = [np.sort(p % n * n + p // n) for p in pairs]
    inverse = _given_inverses(names, given)
    signature = {(len(p), p.tobytes()): code for code, p in reversed(list(enumerate(pairs))) if len(p)}
    for code in range(len(names)):
        if code in inverse or not len(pairs[code]):
            continue
        if np.array_equal(pairs[code], back[code]):
            inverse[code] = code
            continue
        other = signature.get((len(back[code]), back[code].tobytes()))
        if other is not None and other not in inverse:
            inverse[code], inverse[other] = other, code
    share = np.bincount(relation, weights=is_item[heads], minlength=len(names)).astype(np.float64)
    kept = _kept(names, inverse, share, given)
    return _renumbered(heads, relation, tails, names, inverse, kept)


def _by_code(relation: NDArray[np.int32], n: int) -> list[NDArray[np.int64]]:
    order = np.argsort(relation, kind="stable")
    return np.split(order, np.cumsum(np.bincount(relation, minlength=n))[:-1])


def _given_inverses(names: Sequence[str], given: Mapping[str, str]) -> dict[int, int]:
    code = {name: at for at, name in enumerate(names)}
    inverse: dict[int, int] = {}
    for name, other in given.items():
        inverse[code[name]] = code[other]
        inverse.setdefault(code[other], code[name])
    return inverse


def _kept(
    names: Sequence[str], inverse: Mapping[int, int], share: NDArray[np.float64], given: Mapping[str, str]
) -> dict[int, int]:
    """For each relation the one that stands for it: itself or its inverse."""
    kept = {}
    code = {name: at for at, name in enumerate(names)}
    named = {code[name]: code[other] for name, other in given.items()}
    for at in range(len(names)):
        if at in named:  # several may be named inverses of one, which then stands for all of them
            kept[at] = named[at]
        elif at in named.values():
            kept[at] = at
        else:
            other = inverse.get(at, at)
            kept[at] = min(at, other, key=lambda c: (-share[c], names[c]))
    return kept


def _renumbered(
    heads: NDArray[np.int32],
    relation: NDArray[np.int32],
    tails: NDArray[np.int32],
    names: Sequence[str],
    inverse: Mapping[int, int],
    kept: Mapping[int, int],
) -> FoldedFacts:
    left = sorted(set(kept.values()), key=lambda code: names[code])
    number = {code: at for at, code in enumerate(left)}
    to = np.array([number[kept[code]] for code in range(len(names))], np.int32)
    turned = np.array([kept[code] != code for code in range(len(names))])
    symmetric = np.array([inverse.get(code) == code for code in left])
    turn = turned[relation]
    heads, tails = np.where(turn, tails, heads), np.where(turn, heads, tails)
    relation = to[relation]
    swap = symmetric[relation] & (heads > tails) if left else np.zeros(0, bool)
    heads, tails = np.where(swap, tails, heads), np.where(swap, heads, tails)
    facts = np.unique(np.stack([heads, relation, tails], 1), axis=0).astype(np.int32)
    return FoldedFacts(
        heads=np.ascontiguousarray(facts[:, 0]),
        relation=np.ascontiguousarray(facts[:, 1]),
        tails=np.ascontiguousarray(facts[:, 2]),
        relations=tuple(names[code] for code in left),
        inverses=tuple(names[inverse[code]] if code in inverse else None for code in left),
        aliases={names[code]: names[other] for code, other in kept.items() if code != other},
    )


def read_knowledge(
    schema: Schema,
    directory: str | Path | Frames,
    item_ids: pl.Series,
    cleaning_report: CleaningReport | None = None,
) -> KnowledgeGraph:
    """Read the graph of a schema's ``knowledge`` section, and link it to a catalogue.

    Rows with an empty cell, rows that stand twice and triples of an entity with itself are left out;
    links to items that the catalogue does not have, and to entities without facts, are kept out of the
    way. All of it is counted in the cleaning report.

    Args:
        schema: Has a ``knowledge`` section.
        directory: Where its files are.
        item_ids: Key of each item, in row order, as ``Dataset.item_ids``.
        cleaning_report: Takes note of what was left out.

    Raises:
        KnowledgeError: If a file is missing or empty, lacks a column, links one item to two entities,
            links no item of the catalogue, or a setting names a relation that is not there.
    """
    if schema.knowledge is None:
        raise KnowledgeError("the schema has no 'knowledge' section", "name the triples: knowledge.triples")
    settings, directory = schema.knowledge, as_tables(directory)
    cleaning_report = cleaning_report if cleaning_report is not None else CleaningReport()
    triples = _triples(schema, settings.triples, directory, cleaning_report)
    relations = triples["relation"].unique().sort().to_list()
    for where, named in (
        ("knowledge.relations: the relation", settings.relations),
        *((f"knowledge.hide.{task}: the relation", hidden) for task, hidden in settings.hide.items()),
    ):
        for name in named:
            require_known(name, relations, where, KnowledgeError)
    links = _links(schema, settings, directory, item_ids, cleaning_report)
    index = IdIndex(pl.concat([triples["head"], triples["tail"]]).unique().sort())
    item_entity = index.rows(links)
    cleaning_report.note(
        settings.links or "items",
        "entity",
        "a link to an entity without facts",
        "the item has no facts",
        int(((item_entity < 0) & links.is_not_null().to_numpy()).sum()),
    )
    if not (item_entity >= 0).any():
        raise KnowledgeError(
            f"no item is linked to an entity of {settings.triples}",
            "see that the column 'entity' of the links holds the ids of the triples",
        )
    is_item = np.zeros(len(index), bool)
    is_item[item_entity[item_entity >= 0]] = True
    code = {name: at for at, name in enumerate(relations)}
    folded = fold(
        index.rows(triples["head"]),
        triples["relation"].replace_strict(code, return_dtype=pl.Int32).to_numpy(),
        index.rows(triples["tail"]),
        relations,
        is_item,
        settings.inverses,
    )
    return KnowledgeGraph.build(
        index=index,
        names=_names(schema, settings, directory, index, cleaning_report),
        relations=folded.relations,
        inverses=folded.inverses,
        aliases=folded.aliases,
        words=settings.relations,
        heads=folded.heads,
        relation=folded.relation,
        tails=folded.tails,
        item_entity=item_entity,
    )


def _triples(
    schema: Schema, name: str, directory: Path | Frames, cleaning_report: CleaningReport
) -> pl.DataFrame:
    triples = _table(schema, directory, name, ("head", "relation", "tail"), cleaning_report)
    looped = triples.filter(pl.col("head") == pl.col("tail"))
    cleaning_report.note(name, "", "a fact of an entity with itself", "left out", len(looped))
    triples = triples.filter(pl.col("head") != pl.col("tail"))
    if not len(triples):
        raise KnowledgeError(f"{name} holds no usable triple", "give head, relation and tail in each row")
    return triples


def _links(
    schema: Schema,
    settings: KnowledgeSettings,
    directory: Path | Frames,
    item_ids: pl.Series,
    cleaning_report: CleaningReport,
) -> pl.Series:
    """Entity of each item, null where it has none, [I]."""
    key = str(schema.keys.item)
    if settings.links is None:
        return item_ids
    table = _table(schema, directory, settings.links, (key, "entity"), cleaning_report)
    twice = table.filter(pl.col(key).is_duplicated())
    if len(twice):
        item = twice[key][0]
        entities = ", ".join(twice.filter(pl.col(key) == item)["entity"].to_list()[:3])
        raise KnowledgeError(
            f"{settings.links}: item {item!r} is linked to more than one entity ({entities}), as are "
            f"{twice[key].n_unique() - 1:,} more",
            "leave one link an item",
        )
    several = table.filter(pl.col("entity").is_duplicated())
    cleaning_report.note(
        settings.links,
        "entity",
        "an entity with more than one item",
        "all of them have its facts",
        len(several),
    )
    strange = table.filter(~pl.col(key).is_in(item_ids.implode()))
    if len(strange) == len(table):
        raise KnowledgeError(
            f"{settings.links}, column '{key}': no item of the catalogue is linked; the first link is of item "
            f"{table[key][0]!r}, the first item is {item_ids[0]!r}",
            f"give the item's key, as in the column '{key}' of the items",
        )
    cleaning_report.note(
        settings.links, key, "a link of an item that is not in the catalogue", "left out", len(strange)
    )
    asked = item_ids.cast(pl.String).alias(key).to_frame()
    return asked.join(table, on=key, how="left", maintain_order="left")["entity"]


def _names(
    schema: Schema,
    settings: KnowledgeSettings,
    directory: Path | Frames,
    index: IdIndex,
    cleaning_report: CleaningReport,
) -> pl.Series:
    """Name of each entity, null where it has none, [E]."""
    entities = index.words.alias("entity").to_frame()
    if settings.names is None:
        return pl.Series("name", [None] * len(entities), dtype=pl.String)
    table = _table(schema, directory, settings.names, ("entity", "name"), cleaning_report)
    several = table.filter(pl.col("entity").is_duplicated())
    cleaning_report.note(
        settings.names,
        "entity",
        "a second name of an entity",
        "the first one kept",
        len(several) - several["entity"].n_unique(),
    )
    table = table.unique(subset=["entity"], keep="first", maintain_order=True)
    return entities.join(table, on="entity", how="left", maintain_order="left")["name"]


def _table(
    schema: Schema,
    directory: Path | Frames,
    name: str,
    columns: tuple[str, ...],
    cleaning_report: CleaningReport,
) -> pl.DataFrame:
    """Columns of a file as text, without empty cells and without rows that stand twice."""
    try:
        frame = read_table(directory, name, as_text=columns, words=columns, tables=schema.tables)
        for column in columns:
            if column not in frame.columns:
                raise KnowledgeError(f"{name} has no column '{column}'", nearest(column, frame.columns))
        words = pl.DataFrame([_stripped(as_strings(frame[column])) for column in columns])
    except DataError as error:
        raise KnowledgeError(f"knowledge: {error.problem}", error.cure) from None
    whole = words.drop_nulls()
    cleaning_report.note(name, "", "an empty cell", "the row left out", len(words) - len(whole))
    once = whole.unique(maintain_order=True)
    cleaning_report.note(name, "", "a row that stands twice", "taken once", len(whole) - len(once))
    if not len(once):
        raise KnowledgeError(f"{name} has no whole row", f"fill the columns {', '.join(columns)}")
    return once


def _stripped(column: pl.Series) -> pl.Series:
    text = column.cast(pl.String).str.strip_chars()
    return text.to_frame().select(pl.when(text != "").then(text).alias(column.name)).to_series()


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
    named = [*graph.relations, *sorted({*graph.words, *graph.aliases} - set(graph.relations))]
    inverses = [*graph.inverses, *[None] * (len(named) - len(graph.relations))]
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
                        "kind": ["relation"] * len(named),
                        "id": named,
                        "name": [graph.aliases.get(name) for name in named],
                        "inverse": inverses,
                        "words": [
                            json.dumps(dict(graph.words.get(name, {})), ensure_ascii=False) for name in named
                        ],
                    },
                    schema=_WORDS,
                ),
            ]
        ).write_parquet(words)
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise KnowledgeError(
            f"the graph cannot be written to {directory} ({error})",
            "free some space, or name another directory",
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
        named = table.filter(pl.col("kind") == "relation")
        relations = named.head(int(arrays["relations"][0]))
        for name, bound in (("heads", len(entities)), ("tails", len(entities)), ("relation", len(relations))):
            if len(arrays[name]) != len(arrays["heads"]) or not _within(arrays[name], 0, bound):
                raise ValueError(f"'{name}' does not fit the tables")
        if not _within(arrays["item_entity"], -1, len(entities)):
            raise ValueError("'item_entity' does not fit the tables")
        words = {name: json.loads(text) for name, text in named.select("id", "words").iter_rows()}
        return KnowledgeGraph.build(
            index=IdIndex(entities["id"]),
            names=entities["name"],
            relations=relations["id"].to_list(),
            inverses=relations["inverse"].to_list(),
            aliases=dict(named.drop_nulls("name").select("id", "name").iter_rows()),
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
