"""Settings of a knowledge graph: which files hold it, how its relations are said, and what it becomes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from motet.schema._base import Part

__all__ = ["KnowledgeSettings"]


class KnowledgeSettings(Part):
    """Facts about items, from a table of triples.

    Attributes:
        triples: Table with the columns ``head``, ``relation`` and ``tail``; CSV, TSV or Parquet.
        links: Table with the item key column and ``entity``: which entity an item is. Without it, an
            item's key is its entity.
        names: Table with the columns ``entity`` and ``name``; entities without one stay unnamed.
        relations: Words of a relation, per language: ``directed_by: {en: directed by, zh: 导演}``.
        inverses: Relations that say the same as another from the other side; those whose reversed
            pairs equal another's are found without being named.
        hide: Per task, the relations that give its label away; the graph's vectors are made without
            them, unless the task hides the vectors as a whole.
        vectors: How items get vectors from the graph: ``transe`` (Bordes et al. 2013), ``distmult``
            (Yang et al. 2015), ``lightgcn`` (He et al. 2020; over the training rows and the graph),
            ``gat`` (Veličković et al. 2018), or not at all.
        width: Width of these vectors.
        epochs: Passes over the facts (for ``lightgcn`` over the training rows too).
        seed: Seed of the vectors; the training seed does not change them.
    """

    triples: str
    links: str | None = None
    names: str | None = None
    relations: dict[str, dict[str, str]] = Field(default_factory=dict)
    inverses: dict[str, str] = Field(default_factory=dict)
    hide: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    vectors: Literal["none", "transe", "distmult", "lightgcn", "gat"] = "none"
    width: int = Field(32, ge=2, le=1024)
    epochs: int = Field(30, ge=1)
    seed: int = Field(0, ge=0)

    @field_validator("relations")
    @classmethod
    def _words_are_there(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for relation, words in value.items():
            for language, text in words.items():
                if not text.strip():
                    raise ValueError(
                        f"'{relation}' has no words in '{language}'. Cure: write them, or leave the language out"
                    )
        return value

    @field_validator("inverses")
    @classmethod
    def _no_chains(cls, value: dict[str, str]) -> dict[str, str]:
        for relation, other in value.items():
            if other in value and other != relation:
                raise ValueError(
                    f"'{relation}' is the inverse of '{other}', which is an inverse itself. "
                    "Cure: name each pair once"
                )
        return value
