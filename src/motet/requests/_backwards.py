"""What can only be read when all of a request is: words that change what stands before them."""

from __future__ import annotations

import itertools
from typing import Final

from motet.requests._item import Item, Scan
from motet.requests._reading import Reading, TagSaid

__all__ = ["read_backwards"]

_BETWEEN_CHOICES: Final = ("or", "stop", "noun", "comma", "hedge", "from")


def read_backwards(scan: Scan, reading: Reading) -> None:
    """Let "… is fine", "… was awful", "a or b" and "something like it" change what was read before them."""
    _hedge_backwards(scan, reading)
    _refuse_backwards(scan, reading)
    _join_choices(scan, reading)
    _refer_to_seen(scan, reading)
    _tell_childhood(scan, reading)


def _tell_childhood(scan: Scan, reading: Reading) -> None:
    """Say that "when I was a kid" is no limit, unless years were said, too."""
    if not any(limit.column for limit in reading.ranges.values()):
        reading.unmet += [scan.said(item.start, item.stop) for item in scan.items if item.has("childhood")]


def _by_place(reading: Reading) -> dict[int, list[TagSaid]]:
    """Tags by the place where they were said."""
    found: dict[int, list[TagSaid]] = {}
    for said in reading.said:
        found.setdefault(said.at, []).append(said)
    return found


def _hedge_backwards(scan: Scan, reading: Reading) -> None:
    by_place = _by_place(reading)
    for place, item in enumerate(scan.items):
        if not item.has("hedge_after"):
            continue
        before = place - 1
        while before >= 0 and not scan.items[before].has("end", "comma", "but", "hedge_after"):
            for said in by_place.get(before, ()):
                said.hedged = said.hedged or not said.excluded
            before -= 1


def _refuse_backwards(scan: Scan, reading: Reading) -> None:
    """Take "X was awful" as a wish for no X."""
    by_place = _by_place(reading)
    for place, item in enumerate(scan.items):
        if not item.has("not_after"):
            continue
        before = place - 1
        while before >= 0 and not scan.items[before].has("end", "comma", "but", "not_after"):
            for said in by_place.get(before, ()):
                said.excluded = True
            if scan.items[before].has("title"):
                rows = scan.items[before].value.rows
                reading.like[:] = [row for row in reading.like if row not in rows]
                reading.without += [row for row in rows if row not in reading.without]
            before -= 1


def _join_choices(scan: Scan, reading: Reading) -> None:
    """Tags joined by "or" are wished for: none of them can be demanded."""
    wanted = [said for said in reading.said if not said.excluded]
    for first, second in itertools.pairwise(wanted):
        between = scan.items[first.at + 1 : second.at]
        if any(item.has("or") for item in between) and all(item.has(*_BETWEEN_CHOICES) for item in between):
            first.hedged = second.hedged = first.choice = second.choice = True
            _join_list_before(scan, wanted, first)
    for said in wanted:  # "documentary or biography", of which the catalogue knows only one
        said.hedged = said.hedged or _or_unknown(scan, said.at)


def _or_unknown(scan: Scan, at: int) -> bool:
    """Whether "or" joins a tag to a word that is not known."""
    after = at + 1
    while after < len(scan.items) and scan.items[after].has("noun"):
        after += 1
    rest = scan.items[after : after + 2]
    before = scan.items[max(at - 2, 0) : at]
    return (len(rest) == 2 and _is_or(scan, rest[0]) and rest[1].has("word")) or (
        len(before) == 2 and before[0].has("word") and _is_or(scan, before[1])
    )


def _is_or(scan: Scan, item: Item) -> bool:
    return item.has("or") and scan.words[item.start] in ("or", "或", "或者")


def _join_list_before(scan: Scan, wanted: list[TagSaid], last: TagSaid) -> None:
    place = wanted.index(last)
    while place > 0:
        between = scan.items[wanted[place - 1].at + 1 : wanted[place].at]
        if not (any(i.has("comma") for i in between) and all(i.has("comma", "stop") for i in between)):
            return
        wanted[place - 1].hedged = True
        place -= 1


def _refer_to_seen(scan: Scan, reading: Reading) -> None:
    """What was seen in "I have seen X; something like it": what was seen is what it should be like."""
    if not reading.seen or any(row not in reading.seen for row in reading.like):
        return
    for place, item in enumerate(scan.items):
        if item.has("like", "like_after") and not item.has("hedge"):
            rest = scan.items[place + 1 : place + 3]
            if not any(later.has("title", "tag", "word", "ordinal") for later in rest):
                reading.like += [row for row in reading.seen if row not in reading.like]
                return
