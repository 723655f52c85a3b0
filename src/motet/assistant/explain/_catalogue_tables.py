"""What claims need of the catalogue: titles as one would say them, tags, words of texts.

Legend of shapes: I items, V tags, C items that are new or changed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix

from motet.data import Catalogue
from motet.schema import article_first
from motet.text.safety import as_data

__all__ = ["TagTable", "WordTable", "said_title", "said_titles", "updated_titles", "with_rows", "words_of"]

_BRACKET = re.compile(r"\s*\([^()]*\)\s*$")
_MARKS = re.compile(r"[“”„«»《》‹›⟦⟧]")  # what names stand between in a sentence
_LONGEST = 80


def said_title(title: str) -> str:
    """One title, cleaned, with its article in front and without what stands in brackets behind it.

    Example:
        >>> said_title("Usual Suspects, The (1995)")
        'The Usual Suspects'
        >>> said_title("Postino, Il"), said_title("Seven (Se7en)")
        ('Il Postino', 'Seven')
    """
    return article_first(_without_brackets(_clean(title)))


def said_titles(titles: Sequence[str], apart: Sequence[str | None] = ()) -> list[str]:
    """Titles of a catalogue; those that would become alike keep what distinguishes them.

    Args:
        titles: Each item's title.
        apart: What else distinguishes items of one title, such as the year.

    Example:
        >>> said_titles(["Dress (red)", "Dress (blue)", "Sabrina", "Sabrina"], [None, None, "1954", "1995"])
        ['Dress (red)', 'Dress (blue)', 'Sabrina (1954)', 'Sabrina (1995)']
    """
    cleaned = [_clean(title) for title in titles]
    said = [article_first(_without_brackets(title)) for title in cleaned]
    said = _distinct(said, [article_first(title) for title in cleaned])
    if apart:
        more = [f"{title} ({by})" if by else title for title, by in zip(said, apart, strict=True)]
        said = _distinct(said, more)
    return said


def _distinct(said: list[str], longer: list[str]) -> list[str]:
    times, then = Counter(said), Counter(longer)
    return [b if times[a] > then[b] else a for a, b in zip(said, longer, strict=True)]


def _clean(title: str) -> str:
    text = " ".join(_MARKS.sub(" ", as_data(title, 4 * _LONGEST)).replace('"', "'").split())
    if len(text) <= _LONGEST:
        return text
    return text[:_LONGEST].rsplit(" ", 1)[0].rstrip(" ,;:-(") + " …"


def _without_brackets(title: str) -> str:
    shorter = title
    while _BRACKET.search(shorter):
        shorter = _BRACKET.sub("", shorter)
    return shorter or title


def updated_titles(
    titles: Sequence[str], catalogue: Catalogue, changed: NDArray[np.int64], years: str | None
) -> list[str]:
    """What items are called; a new one that would be called as another is keeps what distinguishes them.

    Args:
        titles: Of the items before.
        catalogue: All items after, those of before in their places.
        changed: Places of items that are new or were replaced, in order.
        years: Column of the year of an item, if there is one.
    """
    found = [*titles, *[""] * (len(catalogue) - len(titles))]
    for place in changed.tolist():
        found[place] = ""
    taken = set(found)
    for place in changed.tolist():
        name = catalogue.name(place)
        year = None if years is None else catalogue.number(place, years)
        [said] = said_titles([name])
        if said in taken:
            apart = year is not None and np.isfinite(year)
            said = f"{said} ({int(year or 0)})" if apart else said_titles([name, said])[0]
        found[place] = said
        taken.add(said)
    return found


@dataclass(frozen=True, slots=True)
class TagTable:
    """Tags and categories of all items.

    Attributes:
        keys: (column, value) of each tag, [V].
        has: Which item has which, [I, V].
        by_tag: The same by tag.
        counts: Items that have it, [V].
    """

    keys: list[tuple[str, str]]
    has: csr_matrix
    by_tag: csc_matrix
    counts: NDArray[np.int64]

    def of(self, item: int) -> NDArray[np.int32]:
        """Tags of an item, in order."""
        tags: NDArray[np.int32] = self.has.indices[self.has.indptr[item] : self.has.indptr[item + 1]]
        return tags

    def items(self, tags: tuple[int, ...]) -> NDArray[np.int32]:
        """Items that have all of some tags, in order."""
        parts = [self.by_tag.indices[self.by_tag.indptr[t] : self.by_tag.indptr[t + 1]] for t in tags]
        found: NDArray[np.int32] = parts[0]
        for part in parts[1:]:
            found = np.intersect1d(found, part, assume_unique=True)
        return found

    @classmethod
    def build(cls, catalogue: Catalogue) -> TagTable:
        """The tags and categories of a catalogue."""
        keys: dict[tuple[str, str], int] = {}
        return cls._of(_tag_rows(catalogue, catalogue.frame, keys), keys)

    def updated(self, catalogue: Catalogue, changed: NDArray[np.int64]) -> TagTable:
        """The same table after some items were added or replaced; the others are not read again.

        Args:
            catalogue: All items after.
            changed: Places of those that are new or were replaced, in order, [C].
        """
        keys = {key: place for place, key in enumerate(self.keys)}
        rows = _tag_rows(catalogue, catalogue.frame[changed], keys)
        return self._of(with_rows(sp.csr_array(self.has), changed, rows, len(catalogue)), keys)

    @classmethod
    def _of(cls, rows: sp.csr_array, keys: dict[tuple[str, str], int]) -> TagTable:
        has = csr_matrix(rows)
        has.sort_indices()
        by_tag = has.tocsc()
        by_tag.sort_indices()
        return cls(list(keys), has, by_tag, np.asarray(has.sum(0)).ravel().astype(np.int64))


def _tag_rows(catalogue: Catalogue, frame: pl.DataFrame, keys: dict[tuple[str, str], int]) -> sp.csr_array:
    """Which rows of a frame have which tags, zeros and ones; tags that are new are added to the keys."""
    rows, found = [], []
    for column in (*catalogue.tags, *catalogue.categories):
        for row, cell in enumerate(frame[column].to_list()):
            for value in [cell] if isinstance(cell, str) else cell or []:
                rows.append(row)
                found.append(keys.setdefault((column, value), len(keys)))
    has = sp.csr_array((np.ones(len(rows), np.int32), (rows, found)), shape=(len(frame), len(keys)))
    has.sum_duplicates()
    has.data[:] = 1
    return has


def with_rows(
    matrix: sp.csr_array, changed: NDArray[np.int64], rows: sp.csr_array, items: int
) -> sp.csr_array:
    """A sparse matrix with some rows replaced and others added at its end.

    Args:
        matrix: Before, [J, V].
        changed: Places of the rows that are new or others, in order; all from J on are among them, [C].
        rows: What stands there, [C, W] with W ≥ V.
        items: Rows after.
    """
    width = rows.shape[1]
    old = sp.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], width))
    if len(changed) and changed[0] >= matrix.shape[0]:  # nothing was replaced
        return sp.csr_array(sp.vstack([old, rows], format="csr"))
    order = np.arange(items)
    order[changed] = matrix.shape[0] + np.arange(len(changed))
    return sp.csr_array(sp.vstack([old, rows], format="csr")[order])


_WORD = re.compile(r"[^\W\d_][\w'’-]*[^\W_]")
# words that only hold sentences together
_FUNCTION_WORDS = """
about above across after again against afterwards ago albeit almost alone along already also although always among
amongst and another any anybody anyhow anyone anything anyway anywhere are aren't around aside away back became
because become becomes becoming been before behind being below beside besides between beyond both but came can can't
cannot come could couldn't despite did didn't does doesn't doing don't done down due during each eight either eleven
else elsewhere enough even ever every everybody everyone everything everywhere except few fewer fifteen fifth fifty
first five for former formerly forty found four from further furthermore get gets getting give gives had hadn't has
hasn't have haven't having hence her here hers herself him himself his how however hundred indeed instead into isn't
it's its itself just keep keeps largely last latter least less lest let like likely made many may maybe meanwhile
might mine more moreover most mostly much must myself namely near nearly neither never nevertheless next nine nobody
none nonetheless nor not nothing notwithstanding now nowhere off often once one only onto onwards other others
otherwise ought our ours ourselves out outside over own part per perhaps please quite rather really same second see
seem seemed seeming seems seven several shall she should shouldn't show since six sixty some somebody somehow someone
something sometime sometimes somewhat somewhere still such take takes ten than that the their theirs them themselves
then thence there thereafter thereby therefore therein these they third this those though three through throughout
thus till together too toward towards twelve twenty two under underneath unless unlike until unto upon used very via
was wasn't well were weren't what whatever when whence whenever where whereas whereby wherein wherever whether which
whichever while whilst who whoever whole whom whomever whose why will with within without won't would wouldn't yes yet
you your yours yourself yourselves
"""
_NOT_COUNTED = frozenset(_FUNCTION_WORDS.split())
_SHORTEST = 4  # shorter words of a Latin text are mostly grammar


@dataclass(frozen=True, slots=True)
class WordTable:
    """Words of one column.

    Attributes:
        rows: Items that have a word, in order of rows.
    """

    rows: dict[str, tuple[int, ...]]

    @classmethod
    def build(cls, texts: Sequence[str]) -> WordTable:
        """The words of some texts, one a row."""
        rows: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            for word in words_of(text):
                rows.setdefault(word, []).append(row)
        return cls({word: tuple(having) for word, having in rows.items()})

    def with_texts(self, rows: Sequence[int], texts: Sequence[str], before: Sequence[str]) -> WordTable:
        """The words after some texts were added or replaced.

        Args:
            rows: Rows of the texts, in order; those that had a text before come first.
            texts: What stands there now, one a row.
            before: What stood in the first of them.

        Example:
            >>> WordTable.build(["space opera"]).with_texts([0, 1], ["soap opera", "opera"], ["space opera"]).rows
            {'opera': (0, 1), 'soap': (0,)}
        """
        table = dict(self.rows)
        for row, text in zip(rows, before, strict=False):
            for word in words_of(text):
                table[word] = tuple(one for one in table.get(word, ()) if one != row)
        for row, text in zip(rows, texts, strict=True):
            for word in words_of(text):
                table[word] = tuple(sorted({*table.get(word, ()), row}))
        return WordTable({word: having for word, having in table.items() if having})

    def weight(self, word: str, items: int) -> float:
        """Inverse document frequency, log((1 + I) / (1 + I of the word)): each text counts a word once.

        Example:
            >>> round(WordTable.build(["space opera", "soap opera", "ship"]).weight("space", 3), 2)
            0.69
        """
        return math.log((1 + items) / (1 + len(self.rows.get(word, ()))))


def words_of(text: str) -> tuple[str, ...]:
    """Distinct words of a text, in lower case, long enough to mean something.

    Example:
        >>> words_of("Star Trek: The Wrath of Khan")
        ('star', 'trek', 'wrath', 'khan')
    """
    found = (word.lower().replace("’", "'").removesuffix("'s") for word in _WORD.findall(text))
    return tuple(
        dict.fromkeys(
            word
            for word in found
            if (len(word) >= _SHORTEST and word not in _NOT_COUNTED) or not word.isascii()
        )
    )
