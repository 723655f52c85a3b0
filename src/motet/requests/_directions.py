"""Which way a limit points where the word that says so stands behind it: 比1990年老, 1990年以前的不要."""

from __future__ import annotations

from typing import Final

from motet.requests._scan import Scan

__all__ = ["direction_behind", "refusal_behind"]

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
