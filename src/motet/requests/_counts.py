"""Whether a number says how many items are asked for, and reading it."""

from __future__ import annotations

import re
from typing import Final

from motet.requests._item import Scan
from motet.requests._limit_words import before_number, is_total
from motet.requests._quantities import Quantity
from motet.requests._reading import Reading
from motet.requests._sums import out_of_bounds

__all__ = ["MOST", "counts", "is_count", "read_count"]

MOST: Final = 100
"""Items in one answer."""


def counts(scan: Scan, at: int, stop: int, limit: str | None) -> bool:
    """Whether a bare number with a limit that counts may have says how many items are asked for."""
    return limit in (None, "le", "ge") and is_count(scan, at, stop, limit)


def read_count(
    scan: Scan, at: int, stop: int, quantity: Quantity, limit: str | None, reading: Reading
) -> int:
    """Read a number that limits no column: a count, or what cannot be kept.

    Returns:
        Place of the first item after all that was read; ``at`` if the number says nothing.
    """
    if quantity.unit == "year" or quantity.low != int(quantity.low) or quantity.is_decade:
        if limit is not None or quantity.unit == "year":
            reading.unmet.append(
                scan.said(
                    scan.items[before_number(scan.items, at)].start if limit else scan.items[at].start,
                    scan.items[stop - 1].stop,
                )
            )
            return stop
        return at
    if not is_count(scan, at, stop, limit):
        return at
    if 1 <= quantity.low <= MOST:
        reading.count = int(quantity.low)
    else:
        reading.unmet.append(out_of_bounds(scan, at, stop, quantity, MOST))
    if stop < len(scan.items) and scan.items[stop].has("word") and _measure(scan, stop):
        stop += 1  # 三件茶
    return stop


def _measure(scan: Scan, at: int) -> bool:
    return scan.said(scan.items[at].start, scan.items[at].stop) in _MEASURES


def is_count(scan: Scan, at: int, stop: int, limit: str | None) -> bool:
    """Whether a bare number says how many items are asked for."""
    items, words = scan.items, scan.words
    before = items[at - 1] if at else None
    said = words[items[at].start]
    if _GLUED.search(scan.text[: scan.tokens[items[at].start].start][-2:]):
        return False  # the 13 of "PG-13"
    if before is not None and (before.has("that", "those", "ordinal") or words[before.stop - 1] in _OWNERS):
        return False  # "for my two kids"
    if (
        before is not None
        and words[before.stop - 1] in ("the", "no", "number", "part", "which", "every", "each")
        and said in ("one", "1")
    ):
        return False
    if said == "one" and (
        stop >= len(items) or not items[stop].has("noun", "tag", "word", "stop", "old", "new")
    ):
        return False
    after = items[stop] if stop < len(items) else None
    if after is not None and (after.has("old_years", "year_word") or words[after.start] in ("岁", "周")):
        return False  # how old somebody is
    if after is not None and (words[after.start] in _MEASURES or words[after.start] == "more"):
        return True  # "3 more like it"
    if after is not None and words[after.start] in _OPENERS and _is_asked_for(scan, at):
        return True  # "show ten from the nineties"
    alone = after is None or after.has("end", "comma", "but")
    if alone and (
        limit
        or before is None
        or before.has("comma", "end", "only", "instead", "le", "ge", "pos")
        or words[before.stop - 1] == "top"
    ):
        return True
    for place in range(stop, min(stop + 4, len(items))):
        item = items[place]
        if item.has("noun", "tag"):
            return True
        if place == stop == 1 and item.has("word") and words[item.start].endswith("s") and is_total(scan, at):
            return True  # "20 teas, total at most 100"
        if words[item.start] == "of" and place == stop:
            continue  # "a dozen of your best films"
        if not item.has("word", "stop", "old", "new", "cheap", "dear", "dash"):
            return False
        if words[item.start] in _PREPOSITIONS:
            return False
    return False


def _is_asked_for(scan: Scan, at: int) -> bool:
    """Whether a number is all that a clause asks for: right behind "show" or "give me", or first in it."""
    before = scan.items[at - 1] if at else None
    if before is None or before.has("pos", "comma", "end", "only", "instead"):
        return True
    return scan.words[before.stop - 1] in _ASKING


_GLUED = re.compile(r"[^\W\d_]-")
_ASKING = frozenset(
    ["show", "give", "me", "us", "want", "need", "find", "suggest", "recommend", "pick", "list", "name"]
)
_OPENERS = frozenset(["from", "about", "with", "without", "like"])
_OWNERS = frozenset(["my", "our", "his", "her", "their", "your", "us", "we", "were", "am", "turning"])
_MEASURES = frozenset("部个本件款首张条只双种场")
_PREPOSITIONS = frozenset(["of", "in", "on", "at", "from", "with", "about", "for", "to", "by", "than"])
