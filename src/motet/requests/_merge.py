"""A reading as a request, alone or on top of what was said before."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from statistics import median_low
from typing import TypeVar

from motet.requests._lexicon import Lexicon
from motet.requests._reading import Reading
from motet.requests._request import FactWanted, Language, Range, Request, Tag, TagQuota

__all__ = ["as_request"]

T = TypeVar("T")


def as_request(
    reading: Reading,
    lexicon: Lexicon,
    *,
    text: str,
    language: Language,
    flags: Sequence[str],
    previous: Request | None,
    shown: Sequence[int],
) -> Request:
    """Put the slots together; what is excluded wins over what is wanted, what is new over what is old.

    Args:
        reading: What was read.
        lexicon: Of the catalogue.
        text: What was said, cleaned.
        language: Of the text.
        flags: Kinds of suspicious text.
        previous: What was asked before; None for a first request.
        shown: Rows that were shown for it.
    """
    before = Request() if previous is None or reading.again else previous
    unmet = list(reading.unmet)
    must, prefer, must_not = _tags(reading, unmet, lexicon)
    said_now = {*must, *prefer}
    forget = reading.instead and bool(said_now - set(before.must_not))
    if forget:
        old_must: list[Tag] = []
        old_prefer: list[Tag] = []
    else:
        old_must = [tag for tag in before.must if tag not in must_not]
        old_prefer = [tag for tag in before.prefer if tag not in must_not]
    if previous is not None and not reading.again:
        # "Romance is fine after all" lifts an exclusion and asks for nothing.
        prefer = [tag for tag in prefer if tag not in before.must_not]
    all_must_not = _unique([*(t for t in before.must_not if t not in said_now and t not in must), *must_not])
    all_must = _unique([*old_must, *must])
    ranges = _ranges(reading, before, lexicon, shown, unmet)
    without = _unique([*before.without, *(lexicon.ids[row] for row in reading.without)])
    like = [lexicon.ids[row] for row in reading.like]
    old_like = [] if reading.instead and like else [item for item in before.like if item not in without]
    wants = " ".join(reading.wants) if language == "en" else _joined(reading.wants)
    return Request(
        text=text,
        language=language,
        wants=" ".join(part for part in (before.wants, wants) if part),
        must=tuple(all_must),
        prefer=tuple(tag for tag in _unique([*old_prefer, *prefer]) if tag not in all_must),
        must_not=tuple(all_must_not),
        facts=_facts(before.facts, reading.facts, reading.facts_not),
        facts_not=_facts(before.facts_not, reading.facts_not, ()),
        ranges=ranges,
        like=tuple(_unique([*old_like, *like])),
        without=tuple(without),
        count=reading.count if reading.count is not None else before.count,
        quotas=_quotas(reading, before, all_must_not, forget=forget),
        total=tuple({**{r.column: r for r in before.total}, **reading.total}.values()),
        scenario=reading.scenario or before.scenario,
        tone=reading.tone or before.tone,
        flags=tuple(flags),
        unmet=tuple(_unique([*before.unmet, *unmet])),
    )


def _tags(reading: Reading, unmet: list[str], lexicon: Lexicon) -> tuple[list[Tag], list[Tag], list[Tag]]:
    must_not: list[Tag] = []
    wanted_by_name = {s.tags[0] for s in reading.said if not s.excluded and s.own}
    for said in reading.said:
        if not said.excluded:
            continue
        # "Sci-fi with no aliens": another word for what is wanted excludes a part of it, which no tag says.
        if not said.own and said.tags[0] in wanted_by_name:
            unmet.append(f"no {said.words}")
        else:
            must_not += said.tags
    chosen = {tag for said in reading.said if said.choice for tag in said.tags}
    must = [
        tag
        for said in reading.said
        if not said.excluded and not said.hedged
        for tag in said.tags
        if tag not in must_not and tag not in chosen
    ]
    prefer = [t for s in reading.said if not s.excluded and s.hedged for t in s.tags if t not in must_not]
    must = _unique(must)
    return must, [tag for tag in _unique(prefer) if tag not in must], _unique(must_not)


def _ranges(
    reading: Reading, before: Request, lexicon: Lexicon, shown: Sequence[int], unmet: list[str]
) -> tuple[Range, ...]:
    known: dict[str, tuple[Range, ...]] = {}
    for limit in () if reading.freed else before.ranges:
        known[limit.column] = (*known.get(limit.column, ()), limit)
    ranges = {column: limits[0] for column, limits in known.items() if len(limits) == 1}
    for column, limit in reading.ranges.items():
        old = ranges.get(column)
        low = limit.low if limit.low is not None or old is None else old.low
        high = limit.high if limit.high is not None or old is None else old.high
        if reading.also and old is not None and (both := _together(old, limit)):
            ranges[column] = both
            continue
        if reading.instead or (low is not None and high is not None and low > high):
            low, high = limit.low, limit.high
        ranges[column] = Range(column=column, low=low, high=high)
    for column, sign in reading.compared.items():
        limit = _compared(column, sign, lexicon, shown or reading.like, ranges.get(column))
        if column not in reading.ranges:
            ranges[column] = limit
    clashes = {column: limits for column, limits in known.items() if len(limits) > 1 and column not in ranges}
    clashes |= reading.clashes
    whole = [limit for column, limit in ranges.items() if column not in clashes]
    return (*whole, *itertools.chain(*clashes.values()))


def _together(old: Range, new: Range) -> Range | None:
    """Two spans that touch as one: "from the eighties", "and from the seventies as well"."""
    if old.low is None or old.high is None or new.low is None or new.high is None:
        return None
    if new.low > old.high + 1 or old.low > new.high + 1:
        return None
    return Range(column=old.column, low=min(old.low, new.low), high=max(old.high, new.high))


def _quotas(
    reading: Reading, before: Request, must_not: Sequence[Tag], *, forget: bool
) -> tuple[TagQuota, ...]:
    """Parts that are counted: those said now, or those of before where nothing took their place."""
    found = reading.quotas or (() if forget else before.quotas)
    if not reading.quotas and sum(quota.low or 0 for quota in found) > (reading.count or before.count or 100):
        return ()  # "just two" of what was one of each
    return tuple(quota for quota in found if not set(quota.tags) & set(must_not))


def _compared(column: str, sign: int, lexicon: Lexicon, rows: Iterable[int], known: Range | None) -> Range:
    """For "older": below the middle of what was shown; of what was asked for, if nothing was; else of the catalogue."""
    values = sorted(v for row in rows if (v := lexicon.catalogue.number(row, column)) is not None)
    number = lexicon.numbers[column]
    if values:
        middle = float(median_low(values))
    elif known is not None and (known.low if sign < 0 else known.high) is not None:
        middle = float(known.low if sign < 0 else known.high)  # type: ignore[arg-type]
    else:
        middle = number.at(0.15 if number.role == "year" else 0.33) if sign < 0 else number.at(0.75)
    step = 1.0 if number.role == "year" else 0.0
    if sign > 0:
        high = known.high if known is not None and (known.high or 0) > middle else None
        return Range(column=column, low=middle + step, high=high)
    low = known.low if known is not None and known.low is not None and known.low < middle else None
    return Range(column=column, low=low, high=middle - step)


def _facts(
    old: Sequence[FactWanted], new: Sequence[FactWanted], gone: Sequence[FactWanted]
) -> tuple[FactWanted, ...]:
    lost = {fact.entity for fact in gone}
    return tuple(fact for fact in _unique([*old, *new]) if fact.entity not in lost)


def _unique(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))


def _joined(words: Sequence[str]) -> str:
    """Chinese words stand together, others apart."""
    out = ""
    for word in words:
        glue = " " if out and (out[-1].isascii() or word[0].isascii()) else ""
        out += glue + word
    return out
