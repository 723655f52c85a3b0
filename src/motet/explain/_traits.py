"""Traits of items that a person can be fond of: tags, categories, eras and ranges, words of titles and texts.

Legend of shapes: I items, V traits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Catalogue
from motet.explain._ranges import named_ranges
from motet.explain._trait_words import words_of
from motet.explain._withheld import is_sensitive
from motet.language import clean_text

__all__ = ["Trait", "TraitKind", "Traits", "traits_of"]

TraitKind = Literal["tag", "category", "range", "word"]
_NAME_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Trait:
    """Something that items have or have not.

    Attributes:
        kind: What it is.
        column: Column of the catalogue.
        value: As it stands there; of a range, its name in English.
        words: How it is said, by language.
    """

    kind: TraitKind
    column: str
    value: str
    words: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Traits:
    """Which item has which trait.

    Attributes:
        traits: V of them.
        of_item: Zeros and ones, float64 CSR [I, V].
        share_of_item: Within each column and item, 1 / (traits of the item in the column), CSR [I, V].
        withheld: Traits and columns that were left out because they are sensitive.
    """

    traits: tuple[Trait, ...]
    of_item: sp.csr_array
    share_of_item: sp.csr_array
    withheld: int

    def kinds(self, *kinds: TraitKind) -> NDArray[np.bool_]:
        """Which traits are of some kinds, [V]."""
        return np.array([trait.kind in kinds for trait in self.traits], bool)


def traits_of(
    catalogue: Catalogue,
    *,
    leave_out: Collection[str] = (),
    title_words: bool = False,
    fewest: int = 5,
    largest_share: float = 0.1,
) -> Traits:
    """Read the traits of a catalogue.

    Args:
        catalogue: Items as people read them.
        leave_out: Columns that are not looked at, beside those that are sensitive by their name.
        title_words: Whether words of titles are looked at.
        fewest: Items that a word of a title or text must stand in.
        largest_share: Share of the items that it may stand in at most.
    """
    parts: list[tuple[pl.DataFrame, list[Trait]]] = []
    withheld = 0
    title = (catalogue.title,) if catalogue.title is not None and title_words else ()
    by_kind: dict[TraitKind, tuple[str, ...]] = {
        "tag": catalogue.tags,
        "category": catalogue.categories,
        "range": catalogue.numbers,
        "word": (*title, *catalogue.texts),
    }
    for kind, columns in by_kind.items():
        for column in columns:
            if column in leave_out:
                continue
            if is_sensitive(column):
                withheld += 1
                continue
            if kind == "range":
                parts.append(_ranges(catalogue, column))
                continue
            found = (
                words_of(catalogue.frame[column], fewest=fewest, largest_share=largest_share)
                if kind == "word"
                else _values(catalogue, column)
            )
            names = found["value"].unique().sort().to_list()
            kept = [name for name in names if not is_sensitive(name)]
            withheld += len(names) - len(kept)
            parts.append((_coded(found, kept), [_trait(catalogue, kind, column, name) for name in kept]))
    return _joined(parts, len(catalogue), withheld)


def _values(catalogue: Catalogue, column: str) -> pl.DataFrame:
    cells = catalogue.frame.select(row=pl.int_range(pl.len(), dtype=pl.Int64), value=pl.col(column))
    cells = cells.explode("value") if cells["value"].dtype == pl.List else cells
    return cells.drop_nulls().unique()


def _coded(found: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    codes = pl.DataFrame(
        {"value": names, "code": np.arange(len(names))}, schema_overrides={"value": pl.String}
    )
    return found.join(codes, on="value").select("row", "code")


def _ranges(catalogue: Catalogue, column: str) -> tuple[pl.DataFrame, list[Trait]]:
    values = catalogue.frame[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
    ranges = named_ranges(values)
    traits = []
    for r in ranges:
        words = r.words
        if not r.era:
            words = {language: _of_column(catalogue, column, language, w) for language, w in words.items()}
        traits.append(Trait("range", column, r.words["en"], words))
    pairs = [np.flatnonzero((values >= r.low) & (values < r.high)) for r in ranges]
    frame = pl.DataFrame(
        {
            "row": np.concatenate([np.empty(0, np.int64), *pairs]),
            "code": np.repeat(np.arange(len(ranges)), [len(p) for p in pairs]),
        }
    )
    return frame, traits


def _of_column(catalogue: Catalogue, column: str, language: str, words: str) -> str:
    name = catalogue.column_name(column, language)
    return f"{name}：{words}" if language == "zh" else f"{name}: {words}"


def _trait(catalogue: Catalogue, kind: TraitKind, column: str, value: str) -> Trait:
    said = clean_text(value, _NAME_CHARACTERS)
    if kind == "word":
        words = {
            "en": f"“{said}” in the {catalogue.column_name(column)}",
            "zh": f"{catalogue.column_name(column, 'zh')}中的“{said}”",
        }
    else:
        words = {
            language: clean_text(catalogue.word(value, language), _NAME_CHARACTERS)
            for language in ("en", "zh")
        }
        if kind == "category":
            words = {language: _of_column(catalogue, column, language, w) for language, w in words.items()}
    return Trait(kind, column, value, words)


def _joined(parts: list[tuple[pl.DataFrame, list[Trait]]], items: int, withheld: int) -> Traits:
    matrices, shares = [], []
    for pairs, traits in parts:
        rows, codes = pairs["row"].to_numpy(), pairs["code"].to_numpy()
        shape = (items, len(traits))
        has = sp.csr_array((np.ones(len(rows)), (rows, codes)), shape=shape)
        matrices.append(has)
        count = np.maximum(np.asarray(has.sum(axis=1)).ravel(), 1)
        shares.append(sp.csr_array(sp.diags_array(1 / count) @ has))
    empty = sp.csr_array((items, 0))
    return Traits(
        traits=tuple(trait for _, traits in parts for trait in traits),
        of_item=sp.csr_array(sp.hstack(matrices)) if matrices else empty,
        share_of_item=sp.csr_array(sp.hstack(shares)) if shares else empty,
        withheld=withheld,
    )
