"""Years of somebody's life, which are no years of what is looked for: "before I was born, that's 1982"."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from motet.requests._item import Item, Scan

__all__ = ["with_years_of_lives"]

_LIMITS: Final = ("gt", "lt", "ge", "le", "or_later", "or_earlier")
_SAYS_WHEN: Final = ("stop", "from", "year_word", "that", "comma", "mark", "dash", "also")
_MOST_STEPS: Final = 8
_BEFORE_BORN: Final = frozenset("出诞")
_AFTER_BORN: Final = frozenset("于")
_SPEAKERS: Final = frozenset(["i", "im", "me", "myself", "my", "we", "us", "our", "then", "that", "it", "我"])


def with_years_of_lives(scan: Scan) -> Scan:
    """Put the year in which somebody was born where it limits something, and keep it from limiting anything else.

    In "nothing before I was born, that's 1982" the year stands for "I was born". Without such a limit
    ("I was born in 1975", "an actor born in 1950") it becomes an item ``life``, which is told and not obeyed.

    Args:
        scan: A request, taken apart.
    """
    items = list(scan.items)
    events = [at for at in range(len(items)) if _is_event(scan, items, at)]
    for at in events:
        year = _year_of(scan, items, at)
        if year is None:
            continue
        number, place = items[year], _limited(scan, items, events, at, year)
        if place is None:
            before = at > 0 and scan.words[items[at - 1].start] in _BEFORE_BORN
            first, last = min(at - before, year), max(at, year)
            told = scan.said(items[first].start, items[last].stop)
            items[at] = Item(frozenset({"life"}), told, items[at].start, items[at].stop)
        else:
            items[place] = Item(number.kinds, number.value, items[place].start, items[place].stop)
        items[year] = _silent(number)
        for other in events:  # said again: "before I was born, I was born in 1982"
            for k, words in ((other - 1, _BEFORE_BORN), (other, None), (other + 1, _AFTER_BORN)):
                if not 0 <= k < len(items) or items[k].has("life") or k == place:
                    continue
                if words is None or scan.words[items[k].start] in words:
                    items[k] = _silent(items[k])
        break
    return replace(scan, items=items)


def _limited(scan: Scan, items: list[Item], events: list[int], at: int, year: int) -> int | None:
    """Place of what the year at an event limits: that event, another one of the same person, or "me"."""
    if _is_limited(scan, items, at):
        return at
    begins = min(at, year)
    if not any(scan.words[item.start] in _SPEAKERS for item in items[max(begins - 4, 0) : begins]):
        return None
    return next((other for other in events if _is_limited(scan, items, other)), None) or _speaker(scan, items)


def _silent(item: Item) -> Item:
    return Item(frozenset({"stop"}), item.value, item.start, item.stop)


def _is_event(scan: Scan, items: list[Item], at: int) -> bool:
    """Whether an item says that somebody was born, or the like."""
    item = items[at]
    said = scan.words[item.start]
    if item.has("born") or (item.has("word") and said in ("born", "birth")):
        return True
    if said != "生" or not item.has("word"):
        return False
    before = items[at - 1] if at else None
    after = scan.words[item.stop] if item.stop < len(scan.words) else ""
    return after == "于" or (
        before is not None and (before.has("number") or scan.words[before.start] in _BEFORE_BORN)
    )


def _year_of(scan: Scan, items: list[Item], at: int) -> int | None:
    """Place of the year that says when it was: behind it, or else right before it."""
    for step in (1, -1):
        place = at + step
        for _ in range(_MOST_STEPS):
            if not 0 <= place < len(items):
                break
            item = items[place]
            if item.has("number"):
                if item.value.unit == "year":
                    return place
                break
            if item.has("end"):
                follows = items[place + 1] if place + 1 < len(items) else None
                told = follows is not None and scan.words[follows.start] in (
                    "thats",
                    "that",
                    "it",
                    "which",
                    "i",
                    "im",
                    "我",
                )
                if step < 0 or not (item.value in (":", ";") or told):
                    break
            elif item.has("gt", "lt", "ge", "le") or (
                not item.has(*_SAYS_WHEN, "born", "or_later", "or_earlier", "noun", "not")
                and scan.words[item.start] not in ("出", "于")
            ):
                break
            place += step
    return None


def _is_limited(scan: Scan, items: list[Item], at: int) -> bool:
    """Whether "before", "since" or "from the year" stands right before, or 以前 right behind."""
    behind = at + 1
    if scan.tokens[items[at].start].kind == "han":
        while (
            behind < len(items) and items[behind].has("stop") and scan.words[items[behind].start] in "的那了"
        ):
            behind += 1
        if behind < len(items) and items[behind].has("or_later", "or_earlier"):
            return True
    place = at - 1
    if behind < len(items) and items[behind].has("year_word"):  # "from my birth year"
        while place >= 0 and items[place].has("stop"):
            place -= 1
        return place >= 0 and items[place].has("from")
    while place >= 0 and items[place].has("stop", "year_word"):
        if items[place].has("year_word"):
            return place > 0 and items[place - 1].has("from")
        place -= 1
    return place >= 0 and items[place].has("gt", "lt", "ge", "le")


def _speaker(scan: Scan, items: list[Item]) -> int | None:
    """Place of "me" in "nothing older than me", where it says with what something is compared."""
    for place in range(1, len(items)):
        if not items[place - 1].has("gt", "lt", "ge", "le"):
            continue
        if scan.words[items[place].start] in _SPEAKERS and not items[place].has("title", "tag", "number"):
            return place
    return None
