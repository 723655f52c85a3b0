"""Read a graph: triples, links to the catalogue, names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from motet.data import Account, Frames, WordIndex, as_tables, as_words, read_table
from motet.errors import DataError, KnowledgeError
from motet.knowledge._graph import KnowledgeGraph
from motet.knowledge._relations import fold
from motet.schema import KnowledgeSettings, Schema, nearest, require_known

__all__ = ["read_knowledge"]


def read_knowledge(
    schema: Schema, directory: str | Path | Frames, item_ids: pl.Series, account: Account | None = None
) -> KnowledgeGraph:
    """Read the graph of a schema's ``knowledge`` section, and link it to a catalogue.

    Rows with an empty cell, rows that stand twice and triples of an entity with itself are left out;
    links to items that the catalogue does not have, and to entities without facts, are kept out of the
    way. All of it is counted in the account.

    Args:
        schema: Has a ``knowledge`` section.
        directory: Where its files are.
        item_ids: Key of each item, in row order, as ``Dataset.item_ids``.
        account: Takes note of what was left out.

    Raises:
        KnowledgeError: If a file is missing or empty, lacks a column, links one item to two entities,
            links no item of the catalogue, or a setting names a relation that is not there.
    """
    if schema.knowledge is None:
        raise KnowledgeError("the schema has no 'knowledge' section", "name the triples: knowledge.triples")
    settings, directory = schema.knowledge, as_tables(directory)
    account = account if account is not None else Account()
    triples = _triples(settings.triples, directory, account)
    relations = triples["relation"].unique().sort().to_list()
    for where, named in (
        ("knowledge.relations: the relation", settings.relations),
        *((f"knowledge.hide.{task}: the relation", hidden) for task, hidden in settings.hide.items()),
    ):
        for name in named:
            require_known(name, relations, where, KnowledgeError)
    links = _links(schema, settings, directory, item_ids, account)
    index = WordIndex(pl.concat([triples["head"], triples["tail"]]).unique().sort())
    item_entity = index.rows(links)
    account.note(
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
        names=_names(settings, directory, index, account),
        relations=folded.relations,
        inverses=folded.inverses,
        aliases=folded.aliases,
        words=settings.relations,
        heads=folded.heads,
        relation=folded.relation,
        tails=folded.tails,
        item_entity=item_entity,
    )


def _triples(name: str, directory: Path | Frames, account: Account) -> pl.DataFrame:
    triples = _table(directory, name, ("head", "relation", "tail"), account)
    looped = triples.filter(pl.col("head") == pl.col("tail"))
    account.note(name, "", "a fact of an entity with itself", "left out", len(looped))
    triples = triples.filter(pl.col("head") != pl.col("tail"))
    if not len(triples):
        raise KnowledgeError(f"{name} holds no usable triple", "give head, relation and tail in each row")
    return triples


def _links(
    schema: Schema,
    settings: KnowledgeSettings,
    directory: Path | Frames,
    item_ids: pl.Series,
    account: Account,
) -> pl.Series:
    """Entity of each item, null where it has none, [I]."""
    key = str(schema.keys.item)
    if settings.links is None:
        return item_ids
    table = _table(directory, settings.links, (key, "entity"), account)
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
    account.note(
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
    account.note(
        settings.links, key, "a link of an item that is not in the catalogue", "left out", len(strange)
    )
    asked = item_ids.cast(pl.String).alias(key).to_frame()
    return asked.join(table, on=key, how="left", maintain_order="left")["entity"]


def _names(
    settings: KnowledgeSettings, directory: Path | Frames, index: WordIndex, account: Account
) -> pl.Series:
    """Name of each entity, null where it has none, [E]."""
    entities = index.words.alias("entity").to_frame()
    if settings.names is None:
        return pl.Series("name", [None] * len(entities), dtype=pl.String)
    table = _table(directory, settings.names, ("entity", "name"), account)
    several = table.filter(pl.col("entity").is_duplicated())
    account.note(
        settings.names,
        "entity",
        "a second name of an entity",
        "the first one kept",
        len(several) - several["entity"].n_unique(),
    )
    table = table.unique(subset=["entity"], keep="first", maintain_order=True)
    return entities.join(table, on="entity", how="left", maintain_order="left")["name"]


def _table(directory: Path | Frames, name: str, columns: tuple[str, ...], account: Account) -> pl.DataFrame:
    """Columns of a file as text, without empty cells and without rows that stand twice."""
    try:
        frame = read_table(directory, name, as_text=columns, words=columns)
        for column in columns:
            if column not in frame.columns:
                raise KnowledgeError(f"{name} has no column '{column}'", nearest(column, frame.columns))
        words = pl.DataFrame([_stripped(as_words(frame[column])) for column in columns])
    except DataError as error:
        raise KnowledgeError(f"knowledge: {error.problem}", error.cure) from None
    whole = words.drop_nulls()
    account.note(name, "", "an empty cell", "the row left out", len(words) - len(whole))
    once = whole.unique(maintain_order=True)
    account.note(name, "", "a row that stands twice", "taken once", len(whole) - len(once))
    if not len(once):
        raise KnowledgeError(f"{name} has no whole row", f"fill the columns {', '.join(columns)}")
    return once


def _stripped(column: pl.Series) -> pl.Series:
    text = column.cast(pl.String).str.strip_chars()
    return text.to_frame().select(pl.when(text != "").then(text).alias(column.name)).to_series()
