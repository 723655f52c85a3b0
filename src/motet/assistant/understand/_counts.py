"""How many items are asked for: counts, counts of parts, and sums over all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from motet.assistant.understand._quantities import Quantity
from motet.assistant.understand._request import Reading, Tag, TagQuota
from motet.assistant.understand._tokens import Scan, Span

__all__ = [
    "LIMITS",
    "MOST",
    "Quotas",
    "before_number",
    "counts",
    "find_quotas",
    "is_count",
    "is_total",
    "limit_at",
    "out_of_bounds",
    "read_count",
    "sums_up",
    "total_beside",
]

LIMITS: Final = ("gt", "lt", "ge", "le")
"""Kinds of cue that limit a number."""

_SKIP: Final = ("stop", "year_word", "from", "column", "only", "pos")


def before_number(items: list[Span], at: int) -> int:
    """Place of the cue before a number, or of what else stands there."""
    place = at - 1
    while (
        place >= 0
        and items[place].has(*_SKIP)
        and not items[place].has(*LIMITS, "between", "early", "late", "mid")
    ):
        place -= 1
    if place >= 0 and items[place].has("early", "late", "mid"):
        return before_number(items, place)
    return max(place, 0)


def limit_at(items: list[Span], at: int) -> str | None:
    """The kind of limit that an item is; None for none."""
    return next((kind for kind in ("between", *LIMITS) if items[at].has(kind)), None)


def is_total(scan: Scan, at: int) -> bool:
    """Whether "in total" stands in the sentence of a number."""
    return scan.total_near(at, scan.sentences) is not None


_OF_MONEY: Final = ("budget", "spend", "预算", "总价")


def total_beside(scan: Scan, at: int) -> int | None:
    """Place of the "total", "budget" or 一共 in the clause of a number; None where there is none."""
    return scan.total_near(at, scan.clauses)


def sums_up(scan: Scan, at: int, counted: bool) -> bool:
    """Whether a number limits a sum over all items: "ten in total" is a count, unless that was said before.

    Args:
        scan: The request.
        at: Place of the number.
        counted: Whether it was said how many items are asked for.
    """
    beside = total_beside(scan, at)
    if beside is None:
        return False
    said = scan.said(scan.items[beside].start, scan.items[beside].stop).lower()
    return counted or any(word in said for word in _OF_MONEY)


def out_of_bounds(scan: Scan, at: int, stop: int, quantity: Quantity, most: int) -> str:
    """Say that so many items cannot be asked for: "1000 comedies: at most 100 can be asked for"."""
    while stop < len(scan.items) and scan.items[stop].has("noun", "tag", "stop"):
        stop += 1
        if scan.items[stop - 1].has("noun", "tag"):
            break
    said = scan.said(scan.items[at].start, scan.items[stop - 1].stop)
    if any(token.kind == "han" for token in scan.tokens):
        return f"{said}：" + (f"最多可要 {most} 项" if quantity.low > most else "至少要 1 项")
    return f"{said}: " + (f"at most {most}" if quantity.low > most else "at least 1") + " can be asked for"


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
    if stop < len(scan.items) and "word" in scan.items[stop].kinds and _measure(scan, stop):
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
        return False  # an age
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
        if (
            place == stop == 1
            and "word" in item.kinds
            and words[item.start].endswith("s")
            and is_total(scan, at)
        ):
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
    if any(not part.tags or "not" in items[part.at - 1].kinds for part in rest) or first.limit is not None:
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


def _quota(items: list[Span], part: _Part) -> TagQuota:
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
    if "stop" in item.kinds:
        return 1 if scan.said(item.start, item.stop) in _ONE_OF and "tag" in beside.kinds else None
    if "number" not in item.kinds or item.value.unit != "none":
        return None
    low = item.value.low
    return int(low) if low == item.value.high and low == int(low) and 1 <= low <= _MOST else None


def _tags_of(items: list[Span], at: int) -> list[int]:
    """Places of the tags right behind a number: "2 funny westerns"."""
    found: list[int] = []
    for place in range(at + 1, min(at + 6, len(items))):
        if "tag" in items[place].kinds:
            found.append(place)
        elif found or not items[place].has(*_BETWEEN, "that", "those"):
            break
    return found


def _limit_kind(items: list[Span], at: int) -> str | None:
    place = at - 1
    while place >= 0 and "stop" in items[place].kinds and not items[place].has(*_LIMITS):
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
        if not ("stop" in items[place].kinds and scan.words[items[place].start] in ("a", "an")):
            continue
        tags = [tag for tag in _tags_of(items, place) if tag not in taken]
        if not tags or tags[0] != place + 1:
            continue
        after = tags[-1] + 1
        while after < len(items) and "noun" in items[after].kinds:
            after += 1
        joins = after < len(items) - 1 and items[after].has("and", "comma")
        follows = place > min(numbers) and items[place - 1].has("and", "comma", "end")
        if follows or (joins and after + 1 in numbers):
            found.append(_Part(place, 1, tuple(tags)))
    return found
