"""Counts of parts of an answer: "two westerns and a musical", "5 films, at most 2 action"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from motet.requests._item import Item, Scan

__all__ = ["Quotas", "find_quotas"]

_MOST: Final = 100  # items in one answer
_LIMITS: Final = ("le", "ge", "lt", "gt")
_BETWEEN: Final = ("stop", "word", "old", "new", "noun", "and", "dash")
_ONE_OF: Final = ("一部", "一个", "一本", "一件")
_FEWEST: Final = 2  # counts without which there are no parts


@dataclass(frozen=True, slots=True)
class Quotas:
    """What was said of parts of an answer, which no slot of a request can hold.

    Attributes:
        count: Items in all; None where there are no quotas.
        told: Each part, as it was said.
        numbers: Places of the numbers of parts.
        shared: Places of tags that some items have, and not all of them.
        at_most: Places of tags that are only limited, which nobody wished for.
    """

    count: int | None = None
    told: tuple[str, ...] = ()
    numbers: frozenset[int] = frozenset()
    shared: frozenset[int] = frozenset()
    at_most: frozenset[int] = frozenset()


def find_quotas(scan: Scan) -> Quotas:
    """Find the parts of an answer that are counted one by one.

    There are some where at least two numbers are said and each but the first has a tag of its own. The
    first is the count where a part is limited ("at most 2 action") or is one "of them"; else the parts are added up.
    """
    items = scan.items
    counts = [at for at in range(len(items)) if _many(scan, at) is not None]
    if len(counts) < _FEWEST:
        return Quotas()
    tags = {at: _tags_of(items, at) for at in counts}
    if any(not tags[at] or items[at - 1].has("not") for at in counts[1:]) or items[counts[0]].has("stop"):
        return Quotas()
    limits = {at: _limit(items, at) for at in counts}
    within = any(limits[at] is not None or _of_them(scan, at) for at in counts[1:]) or not tags[counts[0]]
    parts = counts[1:] if within else counts
    singles = [] if within else _singles(scan, counts[-1], tags[counts[-1]][-1])
    first = _many(scan, counts[0]) or 1
    count = first if within else sum(_many(scan, at) or 1 for at in counts) + len(singles)
    told = [scan.said(items[_start(at, limits[at])].start, _through_noun(scan, tags[at][-1])) for at in parts]
    told += [scan.said(items[at].start, items[tag].stop) for at, tag in singles]
    limited = [tag for at in parts if _at_most(items, limits[at]) for tag in tags[at]]
    shared = [tag for at in parts for tag in tags[at]] + [tag for _, tag in singles]
    if limits[counts[0]] is not None:
        return Quotas()
    return Quotas(
        min(count, _MOST),
        tuple(told),
        frozenset(counts),
        frozenset(shared) - frozenset(limited),
        frozenset(limited),
    )


def _many(scan: Scan, at: int) -> int | None:
    """How many a count says; None where it is none."""
    items, item = scan.items, scan.items[at]
    beside = items[at + 1] if at + 1 < len(items) else None
    if beside is None or beside.has("or", "to", "old_years", "year_word", "last_years", "column"):
        return None
    if item.has("stop"):
        return 1 if scan.said(item.start, item.stop) in _ONE_OF and beside.has("tag") else None
    if not item.has("number") or item.value.unit != "none":
        return None
    low = item.value.low
    return int(low) if low == item.value.high and low == int(low) and 1 <= low <= _MOST else None


def _tags_of(items: list[Item], at: int) -> list[int]:
    """Places of the tags right behind a number: "2 funny westerns"."""
    found: list[int] = []
    for place in range(at + 1, min(at + 6, len(items))):
        if items[place].has("tag"):
            found.append(place)
        elif found or not items[place].has(*_BETWEEN, "that", "those"):
            break
    return found


def _limit(items: list[Item], at: int) -> int | None:
    place = at - 1
    while place >= 0 and items[place].has("stop") and not items[place].has(*_LIMITS):
        place -= 1
    return place if place >= 0 and items[place].has(*_LIMITS) else None


def _at_most(items: list[Item], limit: int | None) -> bool:
    return limit is not None and items[limit].has("le", "lt")


def _start(at: int, limit: int | None) -> int:
    return at if limit is None else limit


def _of_them(scan: Scan, at: int) -> bool:
    items = scan.items
    behind = scan.words[items[at].stop : items[at].stop + 2]
    before = "".join(scan.words[max(items[at].start - 3, 0) : items[at].start])
    return behind in (["of", "them"], ["of", "those"], ["of", "these"], ["of", "which"]) or "其中" in before


def _through_noun(scan: Scan, tag: int) -> int:
    """One past the last token of a tag and the noun behind it."""
    behind = scan.items[tag + 1 : tag + 2]
    return behind[0].stop if behind and behind[0].has("noun") else scan.items[tag].stop


def _singles(scan: Scan, last: int, tag: int) -> list[tuple[int, int]]:
    """What is counted by its article at the end of a list: "… and a thriller"."""
    items, found = scan.items, []
    for place in range(tag + 1, len(items) - 1):
        article = scan.words[items[place].start] in ("a", "an") and items[place].has("stop")
        if article and items[place - 1].has("and", "comma") and items[place + 1].has("tag"):
            found.append((place, place + 1))
    return found
