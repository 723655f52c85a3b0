"""Numbers of a request: limits, spans of years, sums and counts."""

from __future__ import annotations

from typing import Final

from motet.requests._counts import MOST, counts, is_count, read_count
from motet.requests._directions import ROUGHLY, direction_behind, is_rough, is_subject
from motet.requests._item import Item, Scan
from motet.requests._lexicon import Lexicon
from motet.requests._limit_words import before_number, is_total, limit_at
from motet.requests._narrow import choice_said, narrow
from motet.requests._quantities import Quantity
from motet.requests._reading import Reading
from motet.requests._roles import NumberColumn
from motet.requests._sums import sums_up, total_beside

__all__ = ["FLIPPED", "read_number"]

FLIPPED: Final = {"gt": "le", "lt": "ge", "ge": "lt", "le": "gt"}
"""What a limit becomes behind a negation."""


def read_number(scan: Scan, at: int, lexicon: Lexicon, reading: Reading, negated: bool) -> int:
    """Read the number at an item, with what stands around it.

    Args:
        scan: The request.
        at: Place of the number among the items.
        lexicon: Says which columns there are.
        reading: Takes what is understood.
        negated: Whether a negation stands before it, as in "nothing after 1980".

    Returns:
        Place of the first item after all that was read; ``at`` if the number says nothing.
    """
    items = scan.items
    quantity: Quantity = items[at].value
    if _is_age(items, at):
        return _read_age(scan, at, lexicon, reading)
    before = before_number(items, at)
    limit = limit_at(items, before)
    start = before if limit else at
    stop = at + 1
    low, high = quantity.low, quantity.high
    low, high = _part_of_decade(items, at, quantity, low, high)
    second = _second(items, stop)
    spans = False
    other: Quantity | None = items[second].value if second is not None else None
    if other is not None and quantity.unit == "year" and other.unit == "none" and low % 100 < other.low < 100:
        full = 100 * (low // 100) + other.low  # "1945-55"
        other = Quantity(full, full, "year", other.length)
    joins = other is not None and (other.unit == quantity.unit or "none" in (other.unit, quantity.unit))
    joins = joins and limit in (None, "between", "ge")
    turned = limit == "between" or quantity.unit == "year"  # "between 1970 and 1960"
    if second is not None and other is not None and joins and (other.low >= low or turned):
        low, high = min(low, other.low), max(high, other.high)
        stop, limit, spans = second + 1, None, True
        quantity = Quantity(low, high, other.unit if other.unit != "none" else quantity.unit, 1)
    if limit in (None, "between") and stop < len(items) and not spans:
        after = stop + (
            items[stop].has("comma")
            and stop + 1 < len(items)
            and items[stop + 1].has("or_later", "or_earlier")
            and _or(scan, items[stop + 1])
        )
        if after < len(items) and items[after].has("or_later", "or_earlier"):
            later = items[after].has("or_later")
            strict = scan.words[items[after].start] in ("前", "以前", "之前") or scan.said(
                items[after].start, items[after].stop
            ) in ("以前", "之前", "前")
            limit = "ge" if later else ("lt" if strict and quantity.unit == "year" else "le")
            stop = after + 1
    column = _column(items, at, stop, quantity, lexicon, limit, spans)
    in_all = quantity.unit != "year" and (
        sums_up(scan, at, reading.count is not None)
        or (is_total(scan, at) and limit is not None and not is_count(scan, at, stop, None))
    )
    if in_all and column is None and quantity.unit == "none":
        column = lexicon.column("money")
    if column is None and (quantity.unit in ("money", "minutes") or in_all):
        if quantity.unit == "none":
            start = min(start, total_beside(scan, at) or start)
        reading.unmet.append(scan.said(items[start].start, items[stop - 1].stop))
        return stop
    if in_all and limit is None:
        limit = "le"  # "budget 100"
    if column is None or (
        quantity.unit == "none"
        and not in_all
        and not _by_name(items, at, stop, lexicon)
        and counts(scan, at, stop, limit)
    ):
        return read_count(scan, at, stop, quantity, limit, reading)
    if limit == "gt":
        limit, stop = direction_behind(scan, before, stop)
        if limit is None:  # 比1990年好看
            reading.unmet.append(scan.said(items[start].start, items[stop - 1].stop))
            return stop
    if negated and limit in FLIPPED:
        limit = FLIPPED[limit]
    elif negated and limit is None:
        return _read_excluded(scan, at, stop, low, high, column, reading)
    if limit is None and quantity.unit == "year" and is_subject(scan, at):
        reading.unmet.append("about " + scan.said(items[at].start, items[stop - 1].stop))
        return stop
    if limit is None and quantity.unit == "year" and not spans and low == high and is_rough(scan, at):
        low, high = low - ROUGHLY, high + ROUGHLY
    step = 1.0 if column.role == "year" else 0.0
    scale = column.per_minute if quantity.unit == "minutes" else 1.0
    found = {
        "gt": (high + step, None), "ge": (low, None), "lt": (None, low - step), "le": (None, high), None: (low, high),
    }[limit if limit != "between" else None]  # fmt: skip
    scaled = [None if value is None else value * scale for value in found]
    in_all = (in_all or is_total(scan, at)) and column.role in ("money", "minutes")
    narrow(reading, column.name, *scaled, total=in_all, choice=choice_said(scan, start, stop))
    return stop


def _is_age(items: list[Item], at: int) -> bool:
    after = items[at + 1] if at + 1 < len(items) else None
    if items[at].value.unit != "none" or after is None:
        return False
    # "I am 30 years old" is no wish.
    compared = after.has("old_years") and limit_at(items, before_number(items, at)) is not None
    return compared or (after.has("year_word") and at > 0 and items[at - 1].has("last_years"))


def _read_age(scan: Scan, at: int, lexicon: Lexicon, reading: Reading) -> int:
    """Read "less than 20 years old" and "the last ten years", counted from the newest item there is."""
    items, column = scan.items, lexicon.column("year")
    if column is None:
        reading.unmet.append(scan.said(items[at].start, items[at + 1].stop))
        return at + 2
    year = column.quantiles[-1] - items[at].value.low
    limit = limit_at(items, before_number(items, at))
    older = limit in ("gt", "ge") and not items[at - 1].has("last_years")
    narrow(reading, column.name, None if older else year, year if older else None)
    return at + 2


def _or(scan: Scan, item: Item) -> bool:
    return scan.words[item.start] in ("or", "或")


def _second(items: list[Item], at: int) -> int | None:
    """Place of the second number of "1985 to 1989" or "between 1985 and 1989"."""
    if at + 1 >= len(items) or not items[at].has("to", "dash", "and", "or"):
        return None
    after = at + 1
    while after < len(items) and items[after].has("stop", "from"):
        after += 1
    if after < len(items) and items[after].has("number"):
        between = any(items[k].has("between") for k in range(max(at - 6, 0), at))
        decades = items[after].value.is_decade and items[at - 1].value is not None  # "40s/50s"
        joined = (
            items[at].has("or", "and")
            and decades
            and items[at - 1].has("number")
            and items[at - 1].value.is_decade
        )
        return after if between or joined or items[at].has("to", "dash") else None
    return None


def _part_of_decade(
    items: list[Item], at: int, quantity: Quantity, low: float, high: float
) -> tuple[float, float]:
    if not quantity.is_decade:
        return low, high
    near = [items[k] for k in (at - 1, at - 2, at + 1) if 0 <= k < len(items)]
    if any(item.has("early") for item in near):
        return low, low + 3
    if any(item.has("late") for item in near):
        return low + 6, high
    return (low + 3, low + 6) if any(item.has("mid") for item in near) else (low, high)


def _by_name(items: list[Item], at: int, stop: int, lexicon: Lexicon) -> NumberColumn | None:
    """The column that is named beside a number: "rating over 4", "under 300 pages"."""
    near = [*range(at - 1, max(at - 5, -1), -1), *range(stop, min(stop + 2, len(items)))]
    for place in near:
        if items[place].has("end", "comma"):
            if place < at:
                continue
            break
        if items[place].has("column"):
            for name in items[place].value:
                if name in lexicon.numbers:
                    return lexicon.numbers[name]
    return None


def _column(
    items: list[Item],
    at: int,
    stop: int,
    quantity: Quantity,
    lexicon: Lexicon,
    limit: str | None,
    spans: bool,
) -> NumberColumn | None:
    if quantity.unit in ("money", "minutes"):
        return lexicon.column(quantity.unit)
    named = _by_name(items, at, stop, lexicon)
    if named is not None and (named.role != "year" or quantity.unit == "year"):
        return named
    if quantity.unit == "year":
        year = lexicon.column("year")
        if year is not None:
            return year
    strict = limit in ("gt", "lt", "between") or spans or quantity.low > MOST
    return lexicon.column("money") if strict and not quantity.is_decade else None


def _read_excluded(
    scan: Scan, at: int, stop: int, low: float, high: float, column: NumberColumn, reading: Reading
) -> int:
    """Years that must not be: a limit where they end the catalogue, else unmet."""
    if high >= column.quantiles[-1]:
        narrow(reading, column.name, None, low - 1)
    elif low <= column.quantiles[0]:
        narrow(reading, column.name, high + 1, None)
    else:
        reading.unmet.append("not " + scan.said(scan.items[at].start, scan.items[stop - 1].stop))
    return stop
