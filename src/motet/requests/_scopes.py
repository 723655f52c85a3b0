"""How far a negation reaches, and what joins it from either side."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from motet.requests._directions import refusal_behind
from motet.requests._item import Item, Scan
from motet.requests._reading import Reading
from motet.requests._request import FactWanted

__all__ = [
    "LACKS",
    "OBJECTS",
    "except_before",
    "fact_at",
    "is_liked",
    "is_part",
    "joins_unknown",
    "limit_of_refused",
    "list_goes_on",
    "negates_backwards",
    "refused_words",
]

OBJECTS: Final = (
    "tag",
    "title",
    "word",
    "number",
    "fact",
    "ordinal",
    "quote",
    "old",
    "new",
    "cheap",
    "dear",
)
"""What a negation may refuse."""

LACKS: Final = frozenset(
    {"不是", "非", "没有", "没", "无", "不带", "不含", "别太", "不要太", "不太", "不能太", "不"}
)
"""Cues that say what things do not have, and not what somebody does not want."""

_THINGS: Final = ("tag", "title", "word", "fact")


def list_goes_on(items: list[Item], at: int) -> bool:
    """Whether a comma parts the members of a list that "or" or "and" closes."""
    place, objects = at + 1, 0
    unknown = at > 0 and items[at - 1].has("word")  # "no robots, zombies and aliens"
    while place < len(items):
        item = items[place]
        if item.has("or", "and") and not item.has("but"):
            return objects > 0 or item.has("or")
        if item.has("tag", "title") or (unknown and item.has("word")):
            objects += 1
        elif item.has("comma"):
            if objects == 0:
                return False
        elif not item.has("stop", "noun"):
            return False
        place += 1
    return False


def negates_backwards(scan: Scan, reading: Reading, at: int) -> bool:
    """Whether a negation stands after what it negates, as in 恐怖片不要."""
    cue = at - 1
    while cue >= 0 and not scan.items[cue].has("not"):
        if not scan.items[cue].has("stop"):
            return False
        cue -= 1
    before = cue - 1
    while before >= 0 and scan.items[before].has("stop", "noun"):
        before -= 1
    if before < 0 or not scan.items[before].has("tag") or scan.tokens[scan.items[cue].start].kind != "han":
        return False
    for said in reading.said:
        if said.at == before:
            said.excluded = True
            return True
    return False


def is_liked(items: list[Item], at: int) -> bool:
    """Whether somebody says to like such things, which is no demand."""
    place = at - 1
    while place >= 0 and items[place].has("stop", "tag", "and", "or", "comma"):
        place -= 1
    return place >= 0 and items[place].has("liked")


def limit_of_refused(
    scan: Scan, at: int, after: int, *, opened: int | None, has_object: bool, refused: Collection[int]
) -> str:
    """What a limit says that belongs to what is refused, which no slot can say: "no comedies before 1990".

    Args:
        scan: The request.
        at: Place of the number or title of the limit.
        after: Place of the first item behind the limit.
        opened: Place of the cue that refuses; None where nothing is refused before it.
        has_object: Whether that cue refuses something already.
        refused: Places of what is refused.

    Returns:
        The refusal with its limit, as it was said; empty if the limit stands for itself.
    """
    items, start = scan.items, at
    while start > 0 and not items[start - 1].has("comma", "end", "but"):
        start -= 1
    if opened is None:
        refusal = refusal_behind(scan, after)
        if refusal is None:
            return ""
        apart = not any(item.has(*_THINGS) for item in (*items[start:at], *items[after:refusal]))
    else:
        last = max((k for k in refused if k < at), default=start)
        apart = (
            not has_object
            or any(item.has(*_THINGS) for item in items[start:opened])
            or any(item.has("and", "also", "pos") for item in items[last + 1 : at])
        )
        start = opened
    return "" if apart else scan.said(items[start].start, items[after - 1].stop)


def is_part(scan: Scan, at: int) -> bool:
    """Whether a character stands in a word that is not known."""
    item = scan.items[at]
    if item.stop - item.start != 1:
        return False
    near = [scan.items[k] for k in (at - 1, at + 1) if 0 <= k < len(scan.items)]
    return any(
        other.has("word")
        and scan.tokens[other.start].kind == "han"
        and (other.stop == item.start or other.start == item.stop)
        for other in near
    )


def joins_unknown(scan: Scan, at: int) -> bool:
    """Whether a Chinese word goes on with a character that is not known: 老 in 老套."""
    after = scan.items[at + 1 : at + 2]
    return (
        scan.tokens[scan.items[at].start].kind == "han"
        and bool(after)
        and after[0].has("word")
        and scan.tokens[after[0].start].kind == "han"
    )


def except_before(scan: Scan, reading: Reading, at: int) -> None:
    """西部片以外的: what stands before is what is excluded."""
    start = at
    while start > 0 and not scan.items[start - 1].has("comma", "end"):
        start -= 1
    for said in reading.said:
        if start <= said.at < at:
            said.excluded = True


def refused_words(words: list[str]) -> str:
    """Words that are refused, as one part of a request: "no jump scares", 不要超级英雄."""
    han = any("\u3400" <= c <= "\u9fff" for c in words[0])
    joined = ("" if han else " ").join(words)
    return f"不要{joined}" if han else f"no {joined}"


def fact_at(items: list[Item], at: int) -> FactWanted:
    """The fact of the graph at an item, with the relation that is said before it."""
    fact: FactWanted = items[at].value[0]
    for place in range(at - 1, max(at - 4, -1), -1):
        if items[place].has("relation"):
            return fact.model_copy(update={"relation": items[place].value[0]})
    return fact
