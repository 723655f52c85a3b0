"""Which film of MovieLens-100K is which entity of the graph.

The links that come with the graph (``ml-100k.link``) name films by the numbers that MovieLens-1M and its
successors use, not by those of MovieLens-100K: 50 is "The Usual Suspects" there and "Star Wars" here. They
are put right by title and year, from the list of films of MovieLens-1M.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict

import polars as pl

__all__ = ["film_numbers", "link_films"]

_NO_FILM = frozenset(
    """91 221 323 622 646 677 686 689 740 817 883 995 1048 1072 1074 1182 1195 1229 1239 1338 1402 1403 1418
    1435 1451 1452 1469 1478 1481 1491 1492 1505 1506 1512 1521 1530 1536 1540 1560 1576 1607 1618 1634 1637
    1638 1691 1700 1712 1736 1737 1745 1751 1761 1763 1766 1775 1778 1786 1790 1800 1802 1803 1808 1813 1818
    1823 1828 1838 3815""".split()  # noqa: SIM905 (69 numbers, not 69 lines)
)
"""Numbers up to 3,952 that no film of MovieLens-1M has (its README: "some MovieIDs do not correspond to a movie")."""

_ARTICLES = "the|a|an|le|la|les|l|il|das|der|die"


def film_numbers() -> list[str]:
    """The numbers of the films of MovieLens-1M, in the order of its list."""
    return [number for number in map(str, range(1, 3953)) if number not in _NO_FILM]


def link_films(items: pl.DataFrame, films: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Link the films of one catalogue to entities through the titles of another.

    Two films are one if a form of the one's title is a form of the other's and their years differ by one
    at the most; where that fits more than one, equal years and then whole titles decide, or else no link is made.

    Args:
        items: ``item_id``, ``title``, ``year``.
        films: ``number``, ``title``, ``year`` of the catalogue that the links are of.
        links: ``number`` and ``entity``.

    Returns:
        ``item_id`` and ``entity``, sorted; films that stand twice in ``items`` are linked twice.
    """
    entity = dict(links.select("number", "entity").iter_rows())
    known: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
    for number, title, year in films.select("number", "title", "year").iter_rows():
        if number in entity and title is not None and year is not None:
            for form in _forms(title):
                known[form].append((title, year, number))
    rows = []
    for item, title, year in items.select("item_id", "title", "year").iter_rows():
        if title is None or year is None:
            continue
        fits = {fit for form in _forms(title) for fit in known[form] if abs(fit[1] - year) <= 1}
        for closer in (lambda f: f[1] == year, lambda f: _plain(f[0]) == _plain(title)):  # noqa: B023
            fits = {fit for fit in fits if closer(fit)} or fits
        if len(fits) == 1:
            rows.append((item, entity[fits.pop()[2]]))
    return pl.DataFrame(rows, {"item_id": items.schema["item_id"], "entity": pl.String}, orient="row").sort(
        "item_id"
    )


def _forms(title: str) -> set[str]:
    """Ways to write a title: whole, without what stands in brackets, each bracket, what follows a series."""
    brackets = re.findall(r"\(([^)]*)\)?", title)
    bare = re.sub(r"\([^)]*\)?", " ", title)
    forms = {_plain(title), _plain(bare), *(_plain(re.sub(r"^a\.k\.a\.?", "", b)) for b in brackets)}
    if series := re.match(r"(.+?): Episode [IVX]+ - (.+)", bare):
        forms |= {_plain(series[1]), _plain(series[2])} if "A New Hope" in title else {_plain(series[2])}
    return forms - {""}


def _plain(title: str) -> str:
    """A title in small letters without accents and punctuation, its article first."""
    text = "".join(c for c in unicodedata.normalize("NFKD", title) if not unicodedata.combining(c))
    text = re.sub(r"[^a-z0-9]+", " ", re.sub(r"['’´`]", "", text.lower().replace("&", " and "))).strip()
    # "Boot, Das" is "Das Boot", and "Boys, Les" is not "Boys"
    return re.sub(rf"^(.+) ({_ARTICLES})$", r"\2 \1", text)
