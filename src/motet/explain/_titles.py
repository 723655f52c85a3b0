"""Titles as one would say them: "Usual Suspects, The (1995)" is The Usual Suspects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from motet.language import as_data

__all__ = ["said_title", "said_titles"]

_ARTICLES = (
    "The", "A", "An", "Il", "La", "Le", "Les", "L'", "Lo", "I", "Gli", "El", "Los", "Las", "Der", "Die", "Das",
    "Un", "Une", "Det", "Den", "De", "Het", "O", "Os", "As",
)  # fmt: skip
_ARTICLE_LAST = re.compile(rf"^(?P<rest>.+?), (?P<article>{'|'.join(_ARTICLES)})$")
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
    return _in_order(_without_brackets(_clean(title)))


def said_titles(titles: Sequence[str], apart: Sequence[str | None] = ()) -> list[str]:
    """Titles of a catalogue; those that would become alike keep what tells them apart.

    Args:
        titles: Each item's title.
        apart: What else tells items of one title apart, such as the year.

    Example:
        >>> said_titles(["Dress (red)", "Dress (blue)", "Sabrina", "Sabrina"], [None, None, "1954", "1995"])
        ['Dress (red)', 'Dress (blue)', 'Sabrina (1954)', 'Sabrina (1995)']
    """
    cleaned = [_clean(title) for title in titles]
    said = [_in_order(_without_brackets(title)) for title in cleaned]
    said = _told_apart(said, [_in_order(title) for title in cleaned])
    if apart:
        more = [f"{title} ({by})" if by else title for title, by in zip(said, apart, strict=True)]
        said = _told_apart(said, more)
    return said


def _told_apart(said: list[str], longer: list[str]) -> list[str]:
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


def _in_order(title: str) -> str:
    found = _ARTICLE_LAST.match(title)
    if not found:
        return title
    article = found["article"]
    return f"{article}{'' if article.endswith(chr(39)) else ' '}{found['rest']}"
