"""Counts of parts of an answer: "two westerns and a musical", "5 films, at most 2 action"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from motet.requests._item import Item, Scan
from motet.requests._request import Tag, TagQuota

__all__ = ["Quotas", "find_quotas"]

_MOST: Final = 100  # items in one answer
_LIMITS: Final = ("le", "ge", "lt", "gt")
_BETWEEN: Final = ("stop", "word", "old", "new", "noun", "and", "dash")
_ONE_OF: Final = ("一部", "一个", "一本", "一件")
_FEWEST: Final = 2  # counts without which there are no parts


@dataclass(frozen=True, slots=True)
class Quotas:
    """What was said of parts of an answer.

    Attributes:
        count: Items in all; None where there are no quotas.
        parts: Each part.
        numbers: Places of the numbers of parts.
        tags: Places of tags that only some items have.
    """

    count: int | None = None
    parts: tuple[TagQuota, ...] = ()
    numbers: frozenset[int] = frozenset()
    tags: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Part:
    """A number or an article, and the places of its tags."""

    at: int
    many: int
    tags: tuple[int, ...]
    limit: str | None = None


def find_quotas(scan: Scan) -> Quotas:
    """Find the parts of an answer that are counted one by one.

    There are some where at least two counts are said, one of them perhaps by an article ("a western"),
    and each but the first has a tag of its own. The first is the count of the whole where a part is
    limited ("at most 2 action"), is one "of them", or the first has no tag; else the parts are added up.
    """
    items = scan.items
    counts = [
        _Part(at, many, tuple(_tags_of(items, at)), _limit_kind(items, at))
        for at in range(len(items))
        if (many := _many(scan, at)) is not None
    ]
    if not counts:
        return Quotas()
    first, *rest = counts
    if any(not part.tags or items[part.at - 1].has("not") for part in rest) or first.limit is not None:
        return Quotas()
    singles = _singles(scan, counts)
    within = any(part.limit is not None or _of_them(scan, part.at) for part in rest) or not first.tags
    if len(counts) + len(singles) < _FEWEST or (not rest and not first.tags and len(singles) < _FEWEST):
        return Quotas()
    parts = [*rest, *singles] if within else sorted([*counts, *singles], key=lambda part: part.at)
    count = first.many if within else sum(part.many for part in parts)
    return Quotas(
        min(count, _MOST),
        tuple(_quota(items, part) for part in parts),
        frozenset(part.at for part in counts),
        frozenset(place for part in parts for place in part.tags),
    )


def _quota(items: list[Item], part: _Part) -> TagQuota:
    tags: list[Tag] = []
    for place in part.tags:
        words = items[place].value
        tags += [words[0].tag] if words[0].own else [word.tag for word in words]
    low, high = {
        "le": (None, part.many), "lt": (None, part.many - 1), "gt": (part.many + 1, None),
    }.get(part.limit or "", (part.many, None))  # fmt: skip
    return TagQuota(tags=tuple(dict.fromkeys(tags)), low=low, high=high)


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


def _limit_kind(items: list[Item], at: int) -> str | None:
    place = at - 1
    while place >= 0 and items[place].has("stop") and not items[place].has(*_LIMITS):
        place -= 1
    return next((kind for kind in _LIMITS if place >= 0 and items[place].has(kind)), None)


def _of_them(scan: Scan, at: int) -> bool:
    items = scan.items
    behind = scan.words[items[at].stop : items[at].stop + 2]
    before = "".join(scan.words[max(items[at].start - 3, 0) : items[at].start])
    return behind in (["of", "them"], ["of", "those"], ["of", "these"], ["of", "which"]) or "其中" in before


def _singles(scan: Scan, counts: list[_Part]) -> list[_Part]:
    """What is counted by its article in a row with numbers: "a musical, two westerns and a thriller"."""
    items, found = scan.items, []
    taken = {place for part in counts for place in part.tags}
    numbers = {part.at for part in counts}
    for place in range(len(items) - 1):
        if not (items[place].has("stop") and scan.words[items[place].start] in ("a", "an")):
            continue
        tags = [tag for tag in _tags_of(items, place) if tag not in taken]
        if not tags or tags[0] != place + 1:
            continue
        after = tags[-1] + 1
        while after < len(items) and items[after].has("noun"):
            after += 1
        joins = after < len(items) - 1 and items[after].has("and", "comma")
        follows = place > min(numbers) and items[place - 1].has("and", "comma", "end")
        if follows or (joins and after + 1 in numbers):
            found.append(_Part(place, 1, tuple(tags)))
    return found
