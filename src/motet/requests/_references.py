"""Things that a request points at: titles, what was shown, people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from motet.requests._directions import direction_behind
from motet.requests._item import Item, Scan
from motet.requests._lexicon import Lexicon
from motet.requests._narrow import choice_said, narrow
from motet.requests._ranges import FLIPPED
from motet.requests._reading import Reading
from motet.requests._titles import TitleMatch

__all__ = ["read_named_people", "read_ordinal", "read_pronoun", "read_title", "read_unknown_title"]

_CARRY: Final = ("title", "ordinal", "and", "or", "comma", "also", "stop", "dash", "that", "those", "noun")
_LONGEST_NAME: Final = 4
_LIMITS: Final = ("gt", "lt", "ge", "le")
# "Not that one", and not "not that scary".
_AFTER_PRONOUN: Final = ("end", "comma", "stop", "noun", "but", "and", "or", "also", "not", "pos", "only")


def read_title(
    scan: Scan, at: int, lexicon: Lexicon, reading: Reading, negated: bool, *, turned: bool = False
) -> int:
    """Put the items that a title names where the words before it say.

    "Like" and no cue at all make them what the answer should be like; "seen" and a negation keep them
    out; after "newer than" their number is a limit, turned round by a negation right before that.
    A year right behind the title belongs to it.

    Returns:
        Place of the first item after it.
    """
    match: TitleMatch = scan.items[at].value
    rows, after = _of_year(scan, at, match.rows, lexicon)
    mode = _mode(scan, at)
    year = lexicon.column("year")
    if mode in _LIMITS and year is not None:
        return _limit_by(scan, at, after, rows, mode, year.name, lexicon, reading, turned)
    if negated or mode == "seen":
        _extend(reading.without, rows)
        if mode == "seen":
            _extend(reading.seen, rows)
    else:
        _extend(reading.like, rows)
    return after


def _limit_by(
    scan: Scan,
    at: int,
    after: int,
    rows: Sequence[int],
    mode: str,
    column: str,
    lexicon: Lexicon,
    reading: Reading,
    turned: bool,
) -> int:
    """Make the year of a title a limit; where several items have the title, the narrower one."""
    cue = next(k for k in range(at - 1, -1, -1) if scan.items[k].has(mode))
    limit: str | None = mode
    if mode == "gt":
        limit, after = direction_behind(scan, cue, after)
    years = [value for row in rows if (value := lexicon.catalogue.number(row, column)) is not None]
    if limit is None or not years:
        reading.unmet.append(scan.said(scan.items[cue].start, scan.items[after - 1].stop))
        return after
    if turned:
        limit = FLIPPED[limit]
    low = {"gt": max(years) + 1, "ge": max(years)}.get(limit)
    high = {"lt": min(years) - 1, "le": min(years)}.get(limit)
    narrow(reading, column, low, high, choice=choice_said(scan, cue, after))
    return after


def read_ordinal(scan: Scan, at: int, reading: Reading, shown: Sequence[int], negated: bool) -> None:
    """Put "the first", "the last two" of what was shown where the words around say."""
    rows = [shown[place] for place in scan.items[at].value if -len(shown) <= place < len(shown)]
    if not rows:
        return
    if negated or _mode(scan, at) == "seen":
        _extend(reading.without, rows)
    else:
        _extend(reading.like, rows)


def read_pronoun(scan: Scan, at: int, reading: Reading, shown: Sequence[int], negated: bool) -> None:
    """Put "that one" and "these" where the words before say; nothing where they say nothing."""
    item = scan.items[at]
    if not shown or (reading.like and item.has("that")):
        return
    following = scan.items[at + 1] if at + 1 < len(scan.items) else None
    if negated and following is not None and not following.has(*_AFTER_PRONOUN):
        return
    rows = list(shown) if item.has("those") else [shown[0]]
    mode = _mode(scan, at)
    if negated or mode == "seen":
        _extend(reading.without, rows)
    elif mode in ("like", "liked"):
        _extend(reading.like, rows)


def read_unknown_title(scan: Scan, at: int, lexicon: Lexicon, reading: Reading) -> int:
    """Say that something to be like is not in the catalogue; the place after it, or ``at`` if it is no title.

    So is one that would be a limit ("newer than" it). It is one if it is quoted or has capitals, or if "films like" or "similar to" stands right before it
    and no word of it is a common one.
    """
    item = scan.items[at]
    if not item.has("word", "quote") and not (item.has("stop", "noun") and _capital(scan, item)):
        return at
    mode = _mode(scan, at)
    limits = mode in _LIMITS and at > 0 and scan.items[at - 1].has(mode) and _capital(scan, item)
    if not limits and mode not in ("like", "liked"):
        return at
    stop = at
    while stop < len(scan.items) and scan.items[stop].has("word", "quote") | (
        scan.items[stop].has("stop", "noun", "number") and stop > at and _capital(scan, scan.items[stop])
    ):
        stop += 1
    if stop == at:
        stop = at + 1
    words = [k for part in scan.items[at:stop] for k in range(part.start, part.stop)]
    if item.has("quote") or any(scan.tokens[k].capital for k in words):
        known = False
    else:
        known = any(scan.words[k] in lexicon.common for k in words) or any(
            scan.tokens[k].kind == "han" for k in words
        )
    if known:
        return at
    named = scan.said(item.start, scan.items[stop - 1].stop)
    cue = scan.said(scan.items[at - 1].start, scan.items[at - 1].stop) if limits else "like"
    reading.unmet.append(f"{cue} {named}")
    return stop


def read_named_people(scan: Scan, at: int, lexicon: Lexicon, reading: Reading) -> int:
    """Say that somebody who is named cannot be asked for; the place after the name, or ``at``."""
    items = scan.items
    if items[at].has("by_after"):
        return _people_before(scan, at, reading)
    if not items[at].has("word"):
        return at
    before = items[at - 1] if at else None
    if before is None:
        return at
    said = scan.words[before.stop - 1]
    by = before.has("by") or said == "by"
    stop = at
    while (
        stop < len(items)
        and stop - at < _LONGEST_NAME
        and items[stop].has("word", "title")
        and (by or _capital(scan, items[stop]))
    ):
        if stop > at and not _capital(scan, items[stop]) and _capital(scan, items[at]):
            break
        stop += 1
    capital = stop > at and _capital(scan, items[at])
    if not (
        (capital and by) or (before.has("by") and stop > at) or (capital and said == "with" and stop - at > 1)
    ):
        return at
    words = scan.said(items[at].start, items[stop - 1].stop)
    cue = scan.said(before.start, before.stop)
    reading.unmet.append(f"{cue} {words}")
    return stop


def _people_before(scan: Scan, at: int, reading: Reading) -> int:
    start = at
    while start > 0 and scan.items[start - 1].has("word", "mark", "stop"):
        start -= 1
    while start < at and scan.items[start].has("stop"):
        start += 1
    if start < at:
        named = scan.said(scan.items[start].start, scan.items[at].stop)
        pieces = {scan.said(item.start, item.stop) for item in scan.items[start:at]}
        reading.wants[:] = [word for word in reading.wants if word not in pieces]
        reading.unmet.append(named)
    return at + 1


def _mode(scan: Scan, at: int) -> str | None:
    """The cue that says what a reference is for."""
    place = at - 1
    while place >= 0:
        item = scan.items[place]
        for kind in ("like", "seen", "liked", *_LIMITS):
            if item.has(kind):
                return kind
        if not item.has(*_CARRY):
            break
        place -= 1
    for item in scan.items[at + 1 : at + 3]:
        if item.has("liked"):
            return "liked"
        if item.has("seen"):
            return "seen"
        if not item.has("stop"):
            break
    return None


def _of_year(scan: Scan, at: int, rows: tuple[int, ...], lexicon: Lexicon) -> tuple[list[int], int]:
    """Of several items of one name, those of the year that stands behind it; and the place after that year."""
    year, items = lexicon.column("year"), scan.items
    place = at + 1
    bracket = place < len(items) and items[place].has("mark") and items[place].value == "("
    place += bracket
    if year is None or place >= len(items) or not items[place].has("number"):
        return list(rows), at + 1
    said = items[place].value
    same = [row for row in rows if lexicon.catalogue.number(row, year.name) == said.low]
    if said.unit != "year" or said.is_decade or not (same or bracket):
        return list(rows), at + 1
    return same or list(rows), place + 1 + bracket


def _capital(scan: Scan, item: Item) -> bool:
    return scan.tokens[item.start].capital


def _extend(rows: list[int], more: Sequence[int]) -> None:
    rows += [row for row in dict.fromkeys(more) if row not in rows]
