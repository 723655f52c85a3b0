"""Limits without a number: "old", "recent", "cheap", and comparisons such as "older"."""

from __future__ import annotations

from collections.abc import Collection

from motet.requests._item import Scan
from motet.requests._lexicon import Lexicon
from motet.requests._narrow import choice_said, narrow
from motet.requests._reading import Reading
from motet.requests._scopes import joins_unknown

__all__ = ["is_vague", "read_comparison", "read_vague"]

_OLD, _NEW, _CHEAP, _DEAR = 0.15, 0.75, 0.33, 0.67  # shares of the catalogue


def read_vague(
    scan: Scan, at: int, lexicon: Lexicon, reading: Reading, negated: bool, settled: Collection[str]
) -> None:
    """Read "old", "recent", "cheap" and the like, by the quantiles of the catalogue.

    Columns that are settled have limits in numbers, which are clearer.
    """
    item = scan.items[at]
    dated = item.has("old", "new")
    column = lexicon.column("year" if dated else "money")
    if column is None or column.name in settled:
        return
    more = item.has("new", "dear")
    edge = column.at(
        {"old": _OLD, "new": _NEW, "cheap": _CHEAP, "dear": _DEAR}[
            next(iter(item.kinds & {"old", "new", "cheap", "dear"}))
        ]
    )
    if not negated:
        choice = choice_said(scan, at, at + 1)
        narrow(reading, column.name, edge if more else None, None if more else edge, choice=choice)
    elif more:
        narrow(reading, column.name, None, edge - 1 if dated else edge)
    else:
        narrow(reading, column.name, edge + 1 if dated else edge, None)


def is_vague(scan: Scan, at: int, lexicon: Lexicon) -> bool:
    """Whether "old", "new" or "cheap" limits a column, and is no part of what something is about or of a name."""
    item = scan.items[at]
    around = [scan.words[k] for k in (item.start - 1, item.stop) if 0 <= k < len(scan.words)]
    if joins_unknown(scan, at):
        return False
    if around == ["as", "as"]:  # "as old as the hills"
        return False
    if lexicon.column("year" if item.has("old", "new") else "money") is None or _about(scan, at):
        return False
    if item.has("new") and item.start and item.stop < len(scan.tokens):
        after = scan.tokens[item.stop]
        return not (scan.tokens[item.start].capital and after.capital and after.kind == "word")  # New York
    return True


def read_comparison(scan: Scan, at: int, lexicon: Lexicon, reading: Reading) -> bool:
    """Read "older", "cheaper", "longer"; what they are compared with is decided when all is read."""
    item = scan.items[at]
    role, sign = next(
        (role, sign)
        for kinds, role, sign in (
            ("older", "year", -1), ("newer", "year", 1), ("cheaper", "money", -1), ("dearer", "money", 1),
            ("shorter", "minutes", -1), ("longer", "minutes", 1),
        )
        if item.has(kinds)
    )  # fmt: skip
    column = lexicon.column(role)  # type: ignore[arg-type]
    if column is None:
        if (
            role == "minutes"
            and scan.items[at + 1 : at + 2]
            and scan.items[at + 1].has("noun", "tag", "word")
        ):
            return False
        reading.unmet.append(scan.said(item.start, item.stop))
    else:
        reading.compared[column.name] = sign
    return True


def _about(scan: Scan, at: int) -> bool:
    """Whether a word stands in what something is about ("about an old man")."""
    items = scan.items
    if at + 1 >= len(items) or not items[at + 1].has("word"):
        return False
    return any(
        scan.words[item.start] in ("about", "with", "of", "关", "讲") for item in items[max(at - 4, 0) : at]
    )
