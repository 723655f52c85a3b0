"""Numbers of a request: limits, spans of years, sums and counts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from motet.requests._directions import ROUGHLY, direction_behind, is_rough, is_subject
from motet.requests._lexicon import Lexicon
from motet.requests._quantities import Quantity
from motet.requests._reading import Reading
from motet.requests._request import Range
from motet.requests._roles import NumberColumn
from motet.requests._scan import Item, Scan
from motet.requests._sums import out_of_bounds, sums_up, total_beside

__all__ = ["FLIPPED", "is_count", "is_vague", "narrow", "read_comparison", "read_number", "read_vague"]

_MOST = 100  # items in one answer
_LIMITS = ("gt", "lt", "ge", "le")
FLIPPED: Final = {"gt": "le", "lt": "ge", "ge": "lt", "le": "gt"}
"""What a limit becomes behind a negation."""
_OLD, _NEW, _CHEAP, _DEAR = 0.15, 0.75, 0.33, 0.67  # shares of the catalogue
_SKIP = ("stop", "year_word", "from", "column", "only", "pos")


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
    before = _before(items, at)
    limit = _limit(items, before, prefix=True)
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
        or (_is_total(items, at) and limit is not None and not is_count(scan, at, stop, None))
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
        and _counts(scan, at, stop, limit)
    ):
        return _read_count(scan, at, stop, quantity, limit, reading)
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
    in_all = (in_all or _is_total(items, at)) and column.role in ("money", "minutes")
    narrow(reading, column.name, *scaled, total=in_all)
    return stop


def _is_age(items: list[Item], at: int) -> bool:
    after = items[at + 1] if at + 1 < len(items) else None
    if items[at].value.unit != "none" or after is None:
        return False
    # "I am 30 years old" is no wish.
    compared = after.has("old_years") and _limit(items, _before(items, at), prefix=True) is not None
    return compared or (after.has("year_word") and at > 0 and items[at - 1].has("last_years"))


def _read_age(scan: Scan, at: int, lexicon: Lexicon, reading: Reading) -> int:
    """Read "less than 20 years old" and "the last ten years", counted from the newest item there is."""
    items, column = scan.items, lexicon.column("year")
    if column is None:
        reading.unmet.append(scan.said(items[at].start, items[at + 1].stop))
        return at + 2
    year = column.quantiles[-1] - items[at].value.low
    limit = _limit(items, _before(items, at), prefix=True)
    older = limit in ("gt", "ge") and not items[at - 1].has("last_years")
    narrow(reading, column.name, None if older else year, year if older else None)
    return at + 2


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
        narrow(reading, column.name, edge if more else None, None if more else edge)
    elif more:
        narrow(reading, column.name, None, edge - 1 if dated else edge)
    else:
        narrow(reading, column.name, edge + 1 if dated else edge, None)


def is_vague(scan: Scan, at: int, lexicon: Lexicon) -> bool:
    """Whether "old", "new" or "cheap" limits a column, and is no part of what something is about or of a name."""
    item = scan.items[at]
    around = [scan.words[k] for k in (item.start - 1, item.stop) if 0 <= k < len(scan.words)]
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


def _before(items: list[Item], at: int) -> int:
    place = at - 1
    while (
        place >= 0
        and items[place].has(*_SKIP)
        and not items[place].has(*_LIMITS, "between", "early", "late", "mid")
    ):
        place -= 1
    if place >= 0 and items[place].has("early", "late", "mid"):
        return _before(items, place)
    return max(place, 0)


def _limit(items: list[Item], at: int, *, prefix: bool) -> str | None:
    return next((kind for kind in ("between", *_LIMITS) if items[at].has(kind)), None)


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
    strict = limit in ("gt", "lt", "between") or spans or quantity.low > _MOST
    return lexicon.column("money") if strict and not quantity.is_decade else None


def _counts(scan: Scan, at: int, stop: int, limit: str | None) -> bool:
    return limit in (None, "le", "ge") and is_count(scan, at, stop, limit)


def _read_count(
    scan: Scan, at: int, stop: int, quantity: Quantity, limit: str | None, reading: Reading
) -> int:
    if quantity.unit == "year" or quantity.low != int(quantity.low) or quantity.is_decade:
        if limit is not None or quantity.unit == "year":
            reading.unmet.append(
                scan.said(
                    scan.items[_before(scan.items, at)].start if limit else scan.items[at].start,
                    scan.items[stop - 1].stop,
                )
            )
            return stop
        return at
    if not is_count(scan, at, stop, limit):
        return at
    if 1 <= quantity.low <= _MOST:
        reading.count = int(quantity.low)
    else:
        reading.unmet.append(out_of_bounds(scan, at, stop, quantity, _MOST))
    if stop < len(scan.items) and scan.items[stop].has("word") and _measure(scan, stop):
        stop += 1  # 三件茶
    return stop


def _measure(scan: Scan, at: int) -> bool:
    return scan.said(scan.items[at].start, scan.items[at].stop) in _MEASURES


def is_count(scan: Scan, at: int, stop: int, limit: str | None) -> bool:
    """Whether a bare number says how many items are asked for."""
    items, words = scan.items, scan.words
    before = items[at - 1] if at else None
    said = words[items[at].start]
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
        return False  # how old somebody is
    if after is not None and words[after.start] in _MEASURES:
        return True
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
            and item.has("word")
            and words[item.start].endswith("s")
            and _is_total(items, at)
        ):
            return True  # "20 teas, total at most 100"
        if words[item.start] == "of" and place == stop:
            continue  # "a dozen of your best films"
        if not item.has("word", "stop", "old", "new", "cheap", "dear", "dash"):
            return False
        if words[item.start] in _PREPOSITIONS:
            return False
    return False


_OWNERS = frozenset(["my", "our", "his", "her", "their", "your", "us", "we", "were", "am", "turning"])
_MEASURES = frozenset("部个本件款首张条只双种场")
_PREPOSITIONS = frozenset(["of", "in", "on", "at", "from", "with", "about", "for", "to", "by", "than"])


def _is_total(items: list[Item], at: int) -> bool:
    for step in (-1, 1):
        place = at + step
        while 0 <= place < len(items) and not items[place].has("end"):
            if items[place].has("total"):
                return True
            place += step
    return False


def _about(scan: Scan, at: int) -> bool:
    """Whether a word stands in what something is about ("about an old man")."""
    items = scan.items
    if at + 1 >= len(items) or not items[at + 1].has("word"):
        return False
    return any(
        scan.words[item.start] in ("about", "with", "of", "关", "讲") for item in items[max(at - 4, 0) : at]
    )


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


def narrow(
    reading: Reading, column: str, low: float | None, high: float | None, *, total: bool = False
) -> None:
    """Narrow what is known of a column; the later limit wins where both cannot be.

    "Before 1950 or after 1990" is no range, and neither half of it may be dropped: it is told as unmet.
    """
    limits = reading.total if total else reading.ranges
    known = limits.get(column)
    if known is not None:
        low_too = known.low if low is None else low
        high_too = known.high if high is None else high
        if low_too is None or high_too is None or low_too <= high_too:
            low, high = low_too, high_too
        elif None in (low, high) and None in (known.low, known.high):
            reading.unmet.append(f"{column} ≤ {high_too:g}, ≥ {low_too:g}")
            del limits[column]
            return
    if low is not None and high is not None and low > high:
        return
    limits[column] = Range(column=column, low=low, high=high)
