"""Limits of numbers: ranges, years and decades, "older", "cheap", and what they become together."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from motet.assistant.understand._counts import (
    MOST,
    before_number,
    counts,
    is_count,
    is_total,
    limit_at,
    read_count,
    sums_up,
    total_beside,
)
from motet.assistant.understand._lexicon import Lexicon, NumberColumn
from motet.assistant.understand._quantities import Quantity
from motet.assistant.understand._request import Range, Reading
from motet.assistant.understand._tokens import Scan, Span

__all__ = [
    "FLIPPED",
    "ROUGHLY",
    "choice_said",
    "direction_behind",
    "is_rough",
    "is_subject",
    "is_vague",
    "joins_unknown",
    "narrow",
    "read_comparison",
    "read_number",
    "read_vague",
    "refusal_behind",
]

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
    if "not_after" in items[place].kinds:
        return place
    if "not" not in items[place].kinds or scan.tokens[items[place].start].kind != "han":
        return None
    rest = place + 1
    while rest < len(items) and not items[rest].has("comma", "end"):
        if "stop" not in items[rest].kinds:
            return None
        rest += 1
    return place


_LIMITED: Final = ("number", "title", "old", "new", "cheap", "dear")


def narrow(
    reading: Reading,
    column: str,
    low: float | None,
    high: float | None,
    *,
    total: bool = False,
    choice: str = "",
) -> None:
    """Narrow what is known of a column; a later span wins where both cannot be.

    "Before 1950 and after 1990" contradicts itself: both limits stay, and nothing keeps them. "Before
    1950 or after 1990" is no range, and neither half of it may be dropped: it is reported as unmet.

    Args:
        reading: Takes the limit.
        column: That is limited.
        low: Lowest value.
        high: Highest value.
        total: Whether the sum over all items is limited.
        choice: Both limits as they were said, where "or" joins this one to the one before.
    """
    limits = reading.total if total else reading.ranges
    reading.clashes.pop(column, None)
    known = limits.get(column)
    if known is not None:
        low_too = known.low if low is None else low
        high_too = known.high if high is None else high
        if low_too is None or high_too is None or low_too <= high_too:
            low, high = low_too, high_too
        elif None in (low, high) and None in (known.low, known.high):
            del limits[column]
            if choice:
                reading.unmet.append(choice)
            else:
                reading.clashes[column] = (known, Range(column=column, low=low, high=high))
            return
    if low is not None and high is not None and low > high:
        return
    limits[column] = Range(column=column, low=low, high=high)


def choice_said(scan: Scan, start: int, stop: int) -> str:
    """Two limits as they were said, where "or" joins one to the one before; else empty.

    Args:
        scan: The request.
        start: Place of the first item of the second limit.
        stop: Place behind its last item.
    """
    items, place, joined = scan.items, start, "or" in scan.items[start].kinds
    while place > 0 and not items[place - 1].has(*_LIMITED, "end"):
        place -= 1
        joined = joined or "or" in items[place].kinds
    if not joined or place == 0 or "end" in items[place - 1].kinds:
        return ""
    return scan.said(items[before_number(items, place - 1)].start, items[stop - 1].stop)


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
    if "new" in item.kinds and item.start and item.stop < len(scan.tokens):
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
    if at + 1 >= len(items) or "word" not in items[at + 1].kinds:
        return False
    return any(
        scan.words[item.start] in ("about", "with", "of", "关", "讲") for item in items[max(at - 4, 0) : at]
    )


def joins_unknown(scan: Scan, at: int) -> bool:
    """Whether a Chinese word goes on with a character that is not known: 老 in 老套."""
    after = scan.items[at + 1 : at + 2]
    return (
        scan.tokens[scan.items[at].start].kind == "han"
        and bool(after)
        and "word" in after[0].kinds
        and scan.tokens[after[0].start].kind == "han"
    )


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
            "comma" in items[stop].kinds
            and stop + 1 < len(items)
            and items[stop + 1].has("or_later", "or_earlier")
            and _or(scan, items[stop + 1])
        )
        if after < len(items) and items[after].has("or_later", "or_earlier"):
            later = "or_later" in items[after].kinds
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


def _is_age(items: list[Span], at: int) -> bool:
    after = items[at + 1] if at + 1 < len(items) else None
    if items[at].value.unit != "none" or after is None:
        return False
    # "I am 30 years old" is no wish.
    compared = "old_years" in after.kinds and limit_at(items, before_number(items, at)) is not None
    return compared or ("year_word" in after.kinds and at > 0 and "last_years" in items[at - 1].kinds)


def _read_age(scan: Scan, at: int, lexicon: Lexicon, reading: Reading) -> int:
    """Read "less than 20 years old" and "the last ten years", counted from the newest item there is."""
    items, column = scan.items, lexicon.column("year")
    if column is None:
        reading.unmet.append(scan.said(items[at].start, items[at + 1].stop))
        return at + 2
    year = column.quantiles[-1] - items[at].value.low
    limit = limit_at(items, before_number(items, at))
    older = limit in ("gt", "ge") and "last_years" not in items[at - 1].kinds
    narrow(reading, column.name, None if older else year, year if older else None)
    return at + 2


def _or(scan: Scan, item: Span) -> bool:
    return scan.words[item.start] in ("or", "或")


def _second(items: list[Span], at: int) -> int | None:
    """Place of the second number of "1985 to 1989" or "between 1985 and 1989"."""
    if at + 1 >= len(items) or not items[at].has("to", "dash", "and", "or"):
        return None
    after = at + 1
    while after < len(items) and items[after].has("stop", "from"):
        after += 1
    if after < len(items) and "number" in items[after].kinds:
        between = any("between" in items[k].kinds for k in range(max(at - 6, 0), at))
        decades = items[after].value.is_decade and items[at - 1].value is not None  # "40s/50s"
        joined = (
            items[at].has("or", "and")
            and decades
            and "number" in items[at - 1].kinds
            and items[at - 1].value.is_decade
        )
        return after if between or joined or items[at].has("to", "dash") else None
    return None


def _part_of_decade(
    items: list[Span], at: int, quantity: Quantity, low: float, high: float
) -> tuple[float, float]:
    if not quantity.is_decade:
        return low, high
    near = [items[k] for k in (at - 1, at - 2, at + 1) if 0 <= k < len(items)]
    if any("early" in item.kinds for item in near):
        return low, low + 3
    if any("late" in item.kinds for item in near):
        return low + 6, high
    return (low + 3, low + 6) if any("mid" in item.kinds for item in near) else (low, high)


def _by_name(items: list[Span], at: int, stop: int, lexicon: Lexicon) -> NumberColumn | None:
    """The column that is named beside a number: "rating over 4", "under 300 pages"."""
    near = [*range(at - 1, max(at - 5, -1), -1), *range(stop, min(stop + 2, len(items)))]
    for place in near:
        if items[place].has("end", "comma"):
            if place < at:
                continue
            break
        if "column" in items[place].kinds:
            for name in items[place].value:
                if name in lexicon.numbers:
                    return lexicon.numbers[name]
    return None


def _column(
    items: list[Span],
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
