"""What people call the things in the catalogue, in which languages; titles with their articles, years."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from motet.schema._base import Part

__all__ = [
    "LANGUAGES",
    "CatalogueSettings",
    "Language",
    "are_years",
    "article_first",
    "is_chinese",
    "split_article",
]

Language: TypeAlias = Literal["en", "zh"]
"""A language that motet reads and writes."""
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
"""All of them, the default first."""

_HAN: Final = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_ARTICLES: Final = "The|A|An|Il|La|Le|Les|L'|Lo|I|Gli|El|Los|Las|Der|Die|Das|Un|Une|En|Det|Den|De|Het|O|Os|As"
_ARTICLE_LAST: Final = re.compile(rf"^(?P<rest>.+), (?P<article>{_ARTICLES})$", re.IGNORECASE)
_FIRST_YEAR, _LAST_YEAR = 1800, 2100


class CatalogueSettings(Part):
    """The words for items, their columns and their values, for requests and reasons.

    Attributes:
        title: Column of the items table that names an item; found by its name, or as the first
            column of the first text feature, when left out.
        columns: What a column of the items table is called, by language:
            ``{year: {en: year of release, zh: 上映年份}}``. Columns that no feature uses may be
            named too: requests can then ask for them, though no model sees them.
        words: Other ways to say a tag or category, by language:
            ``{Comedy: {en: [funny, comedies], zh: [喜剧, 搞笑]}}``. The first of a language is
            used to say it.
    """

    title: str | None = None
    columns: dict[str, dict[str, str]] = Field(default_factory=dict)
    words: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)


def is_chinese(text: str) -> bool:
    """Whether a text is to be read and answered in Chinese: it holds a Chinese character.

    Example:
        >>> is_chinese("来一部轻松的 comedy"), is_chinese("une comédie")
        (True, False)
    """
    return _HAN.search(text) is not None


def split_article(title: str) -> tuple[str, str] | None:
    """The article that a catalogue writes behind a title, and the title without it; None where it writes none there.

    Example:
        >>> split_article("Usual Suspects, The"), split_article("Heat")
        (('The', 'Usual Suspects'), None)
    """
    found = _ARTICLE_LAST.match(title)
    return None if found is None else (found["article"], found["rest"])


def article_first(title: str) -> str:
    """A title with its article in front, as people say it.

    Example:
        >>> article_first("Usual Suspects, The"), article_first("Avventura, L'"), article_first("Me, Myself & Irene")
        ('The Usual Suspects', "L'Avventura", 'Me, Myself & Irene')
    """
    parts = split_article(title)
    if parts is None:
        return title
    return parts[0] + ("" if parts[0].endswith("'") else " ") + parts[1]


def are_years(numbers: ArrayLike) -> bool:
    """Whether the known numbers of a column are years: whole, from 1800 to 2100, and not all the same.

    Example:
        >>> are_years([1994, 1995, None]), are_years([4.5, 1995]), are_years([90, 110]), are_years([2000, 2000])
        (True, False, False, False)
    """
    values = np.asarray(numbers, np.float64)
    values = values[~np.isnan(values)]
    if not len(values) or (values != values.round()).any():
        return False
    return bool(_FIRST_YEAR <= values.min() < values.max() <= _LAST_YEAR)
