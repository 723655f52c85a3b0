"""Traits of items that users may like: tags, categories, eras and ranges, words of titles and texts.

Legend of shapes: I items, V traits, C items that changed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.assistant.explain._catalogue_tables import with_rows
from motet.data import Catalogue
from motet.schema import LANGUAGES, are_years
from motet.text.safety import clean_text

__all__ = [
    "NamedRange",
    "Trait",
    "TraitCoder",
    "TraitKind",
    "Traits",
    "is_sensitive",
    "named_ranges",
    "trait_words",
    "traits_of",
]

# The special categories of Article 9 of the GDPR, and what is next to them; stems, where a word begins.
_SENSITIVE_EN: Final = re.compile(
    r"(?<![a-z])(?:ethnic|racial|race(?![a-z])|religio|christian|catholic|protestant|evangelical|muslim|islam|"
    r"jewish|judais|hindu|buddhis|atheis|church|mosque|synagogue|bible|quran|koran|politic|republican|democrat|"
    r"conservative|liberal(?![a-z])|socialis|communis|fascis|election|trade union|health|disease|illness|cancer|"
    r"diabet|hiv(?![a-z])|depress(?:ion|ive)|anxiety|therap|addict|alcoholi|disab|pregnan|fertility|abortion|"
    r"gay(?![a-z])|lesbian|bisexual|transgender|queer|lgbt|homosexual|sexual|erotic|gender|sex(?![a-z]))"
)
_SENSITIVE_ZH: Final = re.compile(
    "民族|种族|宗教|基督|天主教|佛教|道教|伊斯兰|穆斯林|政治|党派|选举|工会|健康|疾病|癌|糖尿|艾滋|抑郁|焦虑症|"
    "残疾|怀孕|孕妇|不孕|堕胎|同性恋|双性恋|跨性别|性取向|性别|情色"
)


def is_sensitive(text: str) -> bool:
    """Whether a column, a tag or a word names health, belief, politics, origin or sexuality.

    An interest in such a trait would be an inference about the user; it is not mined at all. The
    list is short and errs on the side of silence; name further columns in
    ``ProfileSettings.leave_out``.

    Example:
        >>> is_sensitive("Religion & Spirituality"), is_sensitive("Sci-Fi"), is_sensitive("健康")
        (True, False, True)
    """
    return bool(_SENSITIVE_EN.search(text.lower().replace("_", " ")) or _SENSITIVE_ZH.search(text))


_RUN: Final = r"[\p{L}\p{N}']+"
_CHINESE: Final = re.compile("[\u3400-\u9fff]+")
# Words of form, not of matter; what is merely frequent goes by its frequency.
_FORM: Final = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by did do does for from had has have he her him his i if in into is it its me "
        "my no not of off on one or our out over she so than that the their them then there they this to too up "
        "us was we were what when where which who will with you your il la le les de du des der die das el los un "
        "une part",
    )
)


def trait_words(texts: pl.Series, *, fewest: int, largest_share: float) -> pl.DataFrame:
    """The words of each text that are neither rare, frequent, mere form nor a number.

    Chinese is cut into pairs of neighbouring characters, since it has no spaces.

    Args:
        texts: One a row; may be null.
        fewest: Texts that a word must stand in, ≥ 1.
        largest_share: Share of the texts that it may stand in at most, in (0, 1].

    Returns:
        Columns ``row`` and ``value``, a row for each text and distinct word.

    Example:
        >>> trait_words(pl.Series(["The red shoe", "Red wine", None]), fewest=2, largest_share=1.0).rows()
        [(0, 'red'), (1, 'red')]
    """
    found = (
        pl.DataFrame({"row": np.arange(len(texts), dtype=np.int64), "value": texts.cast(pl.String)})
        .with_columns(pl.col("value").str.to_lowercase().str.extract_all(_RUN))
        .explode("value")
        .drop_nulls()
        .with_columns(pl.col("value").str.strip_chars("'"))
    )
    chinese = found["value"].str.contains("[\u3400-\u9fff]")
    pairs = [(row, pair) for row, run in found.filter(chinese).iter_rows() for pair in _pairs(run)]
    found = pl.concat([found.filter(~chinese), pl.DataFrame(pairs, found.schema, orient="row")]).unique()
    plain = ~pl.col("value").is_in(list(_FORM)) & ~pl.col("value").str.contains(r"^\p{N}*$")
    long = pl.col("value").str.len_chars() > 1
    often = pl.len().over("value")
    most = max(fewest, int(largest_share * len(texts)))
    return found.filter(plain & long).filter(often.is_between(fewest, most)).sort("row", "value")


def _pairs(run: str) -> list[str]:
    return [part[i : i + 2] for part in _CHINESE.findall(run) for i in range(max(1, len(part) - 1))]


_LEAST_SHARE: Final = 0.02  # of the catalogue that an era of its own holds
_PARTS: Final = 5


@dataclass(frozen=True, slots=True)
class NamedRange:
    """Numbers from ``low`` up to, without, ``high``.

    Attributes:
        low: −∞ for the first.
        high: ∞ for the last.
        words: What it is called, by language, without the name of the column.
        era: Whether it is a span of years, whose words need no name of a column.
    """

    low: float
    high: float
    words: dict[str, str]
    era: bool


def named_ranges(values: NDArray[np.float64]) -> list[NamedRange]:
    """Cut the numbers of a catalogue into ranges.

    Years (:func:`motet.schema.are_years`) are cut into decades; early decades of under 2 % of the items
    are one range. Other numbers are cut at their fifths, rounded to two digits.

    Args:
        values: NaN where missing.

    Example:
        >>> [r.words["en"] for r in named_ranges(np.array([1984.0, 1985, 1991, 1999, np.nan]))]
        ['the 1980s', 'the 1990s']
        >>> [r.words["en"] for r in named_ranges(np.arange(100.0))]
        ['under 20', '20 to 40', '40 to 59', '59 to 79', '79 and more']
    """
    known = values[np.isfinite(values)]
    if len(np.unique(known)) < 2:
        return []
    if are_years(known):
        return _eras(known)
    edges = np.unique([float(f"{x:.2g}") for x in np.quantile(known, np.arange(1, _PARTS) / _PARTS)])
    bounds = [-np.inf, *edges.tolist(), np.inf]
    return [_range(low, high) for low, high in pairwise(bounds)]


def _eras(years: NDArray[np.float64]) -> list[NamedRange]:
    decades, counts = np.unique(years // 10 * 10, return_counts=True)
    share = np.cumsum(counts) / len(years)
    starts = [int(d) for d in decades[share >= _LEAST_SHARE]]
    ranges = [
        NamedRange(d, d + 10, {"en": f"the {d}s", "zh": f"{d}年代"}, era=True)
        for d in range(starts[0], int(decades[-1]) + 1, 10)
    ]
    if decades[0] < starts[0]:
        words = {"en": f"the time before {starts[0]}", "zh": f"{starts[0]}年以前"}
        ranges.insert(0, NamedRange(-np.inf, starts[0], words, era=True))
    return ranges


def _range(low: float, high: float) -> NamedRange:
    if low == -np.inf:
        words = {"en": f"under {high:g}", "zh": f"低于{high:g}"}
    elif high == np.inf:
        words = {"en": f"{low:g} and more", "zh": f"{low:g}及以上"}
    else:
        words = {"en": f"{low:g} to {high:g}", "zh": f"{low:g}至{high:g}"}
    return NamedRange(low, high, words, era=False)


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
        catalogue: Items in readable form.
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
                trait_words(catalogue.frame[column], fewest=fewest, largest_share=largest_share)
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
            language: clean_text(catalogue.word(value, language), _NAME_CHARACTERS) for language in LANGUAGES
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


class TraitCoder:
    """Reads traits of items by what the traits of a catalogue are.

    Args:
        catalogue: Where the traits come from.
        traits: They.
    """

    def __init__(self, catalogue: Catalogue, traits: Traits) -> None:
        self._values: dict[tuple[str, str], dict[str, int]] = {}
        for place, trait in enumerate(traits.traits):
            self._values.setdefault((trait.kind, trait.column), {})[trait.value] = place
        self._ranges: dict[str, list[NamedRange]] = {
            column: named_ranges(_numbers(catalogue.frame, column))
            for kind, column in self._values
            if kind == "range"
        }

    def with_items(self, traits: Traits, catalogue: Catalogue, changed: NDArray[np.int64]) -> Traits:
        """The same traits with further items, and with some replaced.

        Args:
            traits: Of the items before.
            catalogue: All items, those of before in their places.
            changed: Places of items that are new or were replaced, in order, [C].
        """
        frame, width = catalogue.frame[changed], len(traits.traits)
        parts = [self._coded(frame, kind, column) for kind, column in self._values]
        rows = np.concatenate([np.zeros(0, np.int64), *(part[0] for part in parts)])
        codes = np.concatenate([np.zeros(0, np.int64), *(part[1] for part in parts)])
        # each column's traits of an item share one
        share = [1.0 / np.bincount(part[0], minlength=len(frame))[part[0]] for part in parts]
        shape = (len(frame), width)
        has = sp.csr_array((np.ones(len(rows)), (rows, codes)), shape=shape)
        shared = sp.csr_array((np.concatenate([np.zeros(0), *share]), (rows, codes)), shape=shape)
        return Traits(
            traits.traits,
            with_rows(traits.of_item, changed, has, len(catalogue)),
            with_rows(traits.share_of_item, changed, shared, len(catalogue)),
            traits.withheld,
        )

    def _coded(
        self, frame: pl.DataFrame, kind: str, column: str
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and trait of each pair."""
        known, pairs = self._values[kind, column], []
        if kind == "range":
            numbers = _numbers(frame, column)
            for one in self._ranges[column]:
                place = known[one.words["en"]]
                pairs += [
                    (row, place)
                    for row in np.flatnonzero((numbers >= one.low) & (numbers < one.high)).tolist()
                ]
        elif kind == "word":
            found = trait_words(frame[column], fewest=1, largest_share=1.0)
            pairs = [(row, known[word]) for row, word in found.iter_rows() if word in known]
        else:
            for row, cell in enumerate(frame[column].to_list()):
                values = dict.fromkeys([cell] if isinstance(cell, str) else cell or [])
                pairs += [(row, known[value]) for value in values if value in known]
        table = np.array(pairs, np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]


def _numbers(frame: pl.DataFrame, column: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = frame[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return found
