"""What a person should know about a choice of items."""

from __future__ import annotations

import polars as pl

from motet.assist._choose import Chosen
from motet.assist._list_words import column_limit, joined, number
from motet.assist._notes import note
from motet.assist._parts import part_mask, part_words
from motet.data import Catalogue
from motet.requests import Request

__all__ = ["told"]


def told(request: Request, chosen: Chosen, wanted: int, catalogue: Catalogue) -> list[str]:
    """Notes on a choice, in the language of the request.

    Args:
        request: What was asked.
        chosen: What came of it.
        wanted: Items asked for.
        catalogue: Its columns.
    """
    language, notes = request.language, []
    if chosen.missed and all(chosen.missed):
        notes.append(
            note("seen_better" if chosen.seen_better else "none_fits", language, count=chosen.seen_better)
        )
    elif any(chosen.missed):
        notes.append(note("some_fit", language, count=sum(not missed for missed in chosen.missed)))
    for limits in chosen.out_of_reach:
        numbers = catalogue.frame[limits.column].cast(pl.Float64).fill_nan(None).drop_nulls()
        if len(numbers):
            name = catalogue.column_name(limits.column, language)
            words = column_limit("range", name, limits.low, limits.high, language)
            ends = [number(float(end)) for end in sorted(numbers)[:: max(len(numbers) - 1, 1)]]
            notes.append(note("out_of_reach", language, limit=words, low=ends[0], high=ends[-1]))
    for part in request.quotas:
        found = int(part_mask(catalogue, part)[chosen.rows].sum())
        if found < (part.low or 0) or (part.high is not None and found > part.high):
            notes.append(
                note("part_short", language, part=part_words(catalogue, part, language), found=found)
            )
    clashing = [
        column_limit("range", catalogue.column_name(r.column, language), r.low, r.high, language)
        for r in request.ranges
        if sum(other.column == r.column for other in request.ranges) > 1
    ]
    if clashing:
        notes.append(note("contradictory", language, limits=joined(clashing, language)))
    if request.unmet:
        notes.append(note("unmet", language, parts=", ".join(request.unmet)))
    if chosen.seen_again:
        notes.append(note("seen_again", language))
    if len(chosen.rows) < wanted:
        notes.append(note("fewer", language, found=len(chosen.rows), wanted=wanted))
    if set(request.flags) - {"long"}:
        notes.append(note("flags", language))
    if "long" in request.flags:
        notes.append(note("long", language))
    return notes
