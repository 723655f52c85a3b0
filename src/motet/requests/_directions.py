"""Which way a limit points where the word that says so stands behind it: 比1990年老, 1990年以前的不要."""

from __future__ import annotations

from typing import Final

from motet.requests._item import Scan

__all__ = ["ROUGHLY", "direction_behind", "is_rough", "is_subject", "refusal_behind"]

ROUGHLY: Final = 5
"""Years before and after the one in "around 1990"."""

_ROUGH_BEFORE: Final = frozenset(["around", "circa", "ca", "roughly", "approximately", "approx"])
_ROUGH_BEHIND: Final = frozenset(["左右", "前后"])

_UP: Final = ("newer", "new", "dearer", "dear", "longer")
_DOWN: Final = ("older", "old", "cheaper", "cheap", "shorter")
_UP_WORDS: Final = frozenset("晚迟长高多大贵")
_DOWN_WORDS: Final = frozenset("早短低少小")


def direction_behind(scan: Scan, cue: int, after: int) -> tuple[str | None, int]:
    """Read what follows 比 and what it compares with.

    Args:
        scan: The request.
        cue: Place of the cue before the number or title.
        after: Place of the first item behind it.

    Returns:
        ``gt``, ``lt`` or, where neither is said (比它好看), None; and the place after what was read.
        For every cue but 比, ``gt`` and the place itself.
    """
    items = scan.items
    if scan.said(items[cue].start, items[cue].stop) != "比":
        return "gt", after
    place = after
    while place < len(items) and items[place].has("stop", "also"):
        place += 1
    if place < len(items):
        said = scan.words[items[place].start]
        if items[place].has(*_UP) or said in _UP_WORDS:
            return "gt", place + 1
        if items[place].has(*_DOWN) or said in _DOWN_WORDS:
            return "lt", place + 1
    return None, after


def is_rough(scan: Scan, at: int) -> bool:
    """Whether a year is only about right: "around 1990", "from about 1990", 1990年左右; not "about 1968"."""
    start, stop = scan.items[at].start, scan.items[at].stop
    before = scan.words[max(start - 2, 0) : start]
    from_about = before[-1:] == ["about"] and before[0] in ("from", "in")
    return (
        from_about
        or bool(_ROUGH_BEFORE & set(before[-1:]))
        or "".join(scan.words[stop : stop + 2]) in _ROUGH_BEHIND
    )


def is_subject(scan: Scan, at: int) -> bool:
    """Whether a year is what something is about: "a film about the sixties"."""
    before = scan.words[max(scan.items[at].start - 4, 0) : scan.items[at].start]
    while before and before[-1] in ("the", "year"):
        before.pop()
    return before[-1:] == ["about"] and before[-2:-1] not in (["from"], ["in"])


def refusal_behind(scan: Scan, after: int) -> int | None:
    """Place of the cue that refuses what stands right before an item: "… is out", …的不要; None if there is none."""
    items, place = scan.items, after
    while (
        place < len(items)
        and items[place].has("stop", "noun", "tag")
        and not items[place].has("not", "not_after")
    ):
        place += 1
    if place >= len(items):
        return None
    if items[place].has("not_after"):
        return place
    if not items[place].has("not") or scan.tokens[items[place].start].kind != "han":
        return None
    rest = place + 1
    while rest < len(items) and not items[rest].has("comma", "end"):
        if not items[rest].has("stop"):
            return None
        rest += 1
    return place
