"""Numbers that are a sum and no count, and counts that nobody can be given."""

from __future__ import annotations

from typing import Final

from motet.requests._item import Scan
from motet.requests._quantities import Quantity

__all__ = ["out_of_bounds", "sums_up", "total_beside"]

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
