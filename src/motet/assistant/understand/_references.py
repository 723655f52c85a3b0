"""What a request refers to: titles, what was shown, named persons, and years of a life."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from motet.assistant.understand._lexicon import Lexicon
from motet.assistant.understand._limits import FLIPPED, choice_said, direction_behind, narrow
from motet.assistant.understand._request import Reading
from motet.assistant.understand._titles import TitleMatch
from motet.assistant.understand._tokens import Scan, Span

__all__ = [
    "BIRTHS",
    "read_named_person",
    "read_ordinal",
    "read_pronoun",
    "read_title",
    "read_unknown_title",
    "with_years_of_lives",
]

_SAYS_WHEN: Final = ("stop", "from", "year_word", "that", "comma", "mark", "dash", "also")
_MOST_STEPS: Final = 8
BIRTHS: Final = frozenset(["born", "birth", "生"])
"""Words that may stand for a birth."""

_BEFORE_BORN: Final = frozenset("出诞")
_AFTER_BORN: Final = frozenset("于")
# words that begin a sentence that says when
_EXPLAINS: Final = frozenset(["thats", "that", "it", "which", "i", "im", "我"])
_SPEAKERS: Final = frozenset(["i", "im", "me", "myself", "my", "we", "us", "our", "then", "that", "it", "我"])


def with_years_of_lives(scan: Scan) -> Scan:
    """Put a year of birth where it limits something, and keep it from limiting anything else.

    In "nothing before I was born, that's 1982" the year stands for "I was born". Without such a limit
    ("I was born in 1975", "an actor born in 1950") it becomes an item ``life``, which is reported and not obeyed.

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
            words_of_life = scan.said(items[first].start, items[last].stop)
            items[at] = Span(frozenset({"life"}), words_of_life, items[at].start, items[at].stop)
        else:
            items[place] = Span(number.kinds, number.value, items[place].start, items[place].stop)
        items[year] = _silent(number)
        for other in events:  # said again: "before I was born, I was born in 1982"
            for k, words in ((other - 1, _BEFORE_BORN), (other, None), (other + 1, _AFTER_BORN)):
                if not 0 <= k < len(items) or "life" in items[k].kinds or k == place:
                    continue
                if words is None or scan.words[items[k].start] in words:
                    items[k] = _silent(items[k])
        break
    return replace(scan, items=items)


def _limited(scan: Scan, items: list[Span], events: list[int], at: int, year: int) -> int | None:
    """Place of what the year at an event limits: that event, another one of the same person, or "me"."""
    if _is_limited(scan, items, at):
        return at
    begins = min(at, year)
    if not any(scan.words[item.start] in _SPEAKERS for item in items[max(begins - 4, 0) : begins]):
        return None
    return next((other for other in events if _is_limited(scan, items, other)), None) or _speaker(scan, items)


def _silent(item: Span) -> Span:
    return Span(frozenset({"stop"}), item.value, item.start, item.stop)


def _is_event(scan: Scan, items: list[Span], at: int) -> bool:
    """Whether an item stands for a birth."""
    item = items[at]
    said = scan.words[item.start]
    if "born" in item.kinds or ("word" in item.kinds and said in ("born", "birth")):
        return True
    if said != "生" or "word" not in item.kinds:
        return False
    before = items[at - 1] if at else None
    after = scan.words[item.stop] if item.stop < len(scan.words) else ""
    return after == "于" or (
        before is not None and ("number" in before.kinds or scan.words[before.start] in _BEFORE_BORN)
    )


def _year_of(scan: Scan, items: list[Span], at: int) -> int | None:
    """Place of the year that says when it was: behind it, or else right before it."""
    for step in (1, -1):
        place = at + step
        for _ in range(_MOST_STEPS):
            if not 0 <= place < len(items):
                break
            item = items[place]
            if "number" in item.kinds:
                if item.value.unit == "year":
                    return place
                break
            if "end" in item.kinds:
                follows = items[place + 1] if place + 1 < len(items) else None
                explains = follows is not None and scan.words[follows.start] in _EXPLAINS
                if step < 0 or not (item.value in (":", ";") or explains):
                    break
            elif item.has("gt", "lt", "ge", "le") or (
                not item.has(*_SAYS_WHEN, "born", "or_later", "or_earlier", "noun", "not")
                and scan.words[item.start] not in ("出", "于")
            ):
                break
            place += step
    return None


def _is_limited(scan: Scan, items: list[Span], at: int) -> bool:
    """Whether "before", "since" or "from the year" stands right before, or 以前 right behind."""
    behind = at + 1
    if scan.tokens[items[at].start].kind == "han":
        while (
            behind < len(items)
            and "stop" in items[behind].kinds
            and scan.words[items[behind].start] in "的那了"
        ):
            behind += 1
        if behind < len(items) and items[behind].has("or_later", "or_earlier"):
            return True
    place = at - 1
    if behind < len(items) and "year_word" in items[behind].kinds:  # "from my birth year"
        while place >= 0 and "stop" in items[place].kinds:
            place -= 1
        return place >= 0 and "from" in items[place].kinds
    while place >= 0 and items[place].has("stop", "year_word"):
        if "year_word" in items[place].kinds:
            return place > 0 and "from" in items[place - 1].kinds
        place -= 1
    return place >= 0 and items[place].has("gt", "lt", "ge", "le")


def _speaker(scan: Scan, items: list[Span]) -> int | None:
    """Place of "me" in "nothing older than me", where it says with what something is compared."""
    for place in range(1, len(items)):
        if not items[place - 1].has("gt", "lt", "ge", "le"):
            continue
        if scan.words[items[place].start] in _SPEAKERS and not items[place].has("title", "tag", "number"):
            return place
    return None


_CARRY: Final = ("title", "ordinal", "and", "or", "comma", "also", "stop", "dash", "that", "those", "noun")
_LONGEST_NAME: Final = 4
_LIMITS: Final = ("gt", "lt", "ge", "le")
# "Not that one", and not "not that scary".
_AFTER_PRONOUN: Final = ("end", "comma", "stop", "noun", "but", "and", "or", "also", "not", "pos", "only")


def read_title(
    scan: Scan, at: int, lexicon: Lexicon, reading: Reading, negated: bool, *, turned: bool = False
) -> int:
    """Put the items that a title names where the words before it say.

    "Like" and no cue at all make them what the answer should be like; "seen" and a negation keep them
    out; after "newer than" their number is a limit, turned round by a negation right before that.
    A year right behind the title belongs to it.

    Returns:
        Place of the first item after it.
    """
    match: TitleMatch = scan.items[at].value
    rows, after = _of_year(scan, at, match.rows, lexicon)
    mode = _mode(scan, at)
    year = lexicon.column("year")
    if mode in _LIMITS and year is not None:
        return _limit_by(scan, at, after, rows, mode, year.name, lexicon, reading, turned)
    if negated or mode == "seen":
        _extend(reading.without, rows)
        if mode == "seen":
            _extend(reading.seen, rows)
    else:
        _extend(reading.like, rows)
    return after


def _limit_by(
    scan: Scan,
    at: int,
    after: int,
    rows: Sequence[int],
    mode: str,
    column: str,
    lexicon: Lexicon,
    reading: Reading,
    turned: bool,
) -> int:
    """Make the year of a title a limit; where several items have the title, the narrower one."""
    cue = next(k for k in range(at - 1, -1, -1) if scan.items[k].has(mode))
    limit: str | None = mode
    if mode == "gt":
        limit, after = direction_behind(scan, cue, after)
    years = [value for row in rows if (value := lexicon.catalogue.number(row, column)) is not None]
    if limit is None or not years:
        reading.unmet.append(scan.said(scan.items[cue].start, scan.items[after - 1].stop))
        return after
    if turned:
        limit = FLIPPED[limit]
    low = {"gt": max(years) + 1, "ge": max(years)}.get(limit)
    high = {"lt": min(years) - 1, "le": min(years)}.get(limit)
    narrow(reading, column, low, high, choice=choice_said(scan, cue, after))
    return after


def read_ordinal(scan: Scan, at: int, reading: Reading, shown: Sequence[int], negated: bool) -> None:
    """Put "the first", "the last two" of what was shown where the words around say."""
    rows = [shown[place] for place in scan.items[at].value if -len(shown) <= place < len(shown)]
    if not rows:
        return
    if negated or _mode(scan, at) == "seen":
        _extend(reading.without, rows)
    else:
        _extend(reading.like, rows)


def read_pronoun(scan: Scan, at: int, reading: Reading, shown: Sequence[int], negated: bool) -> None:
    """Put "that one" and "these" where the words before say; nothing where they say nothing."""
    item = scan.items[at]
    if not shown or (reading.like and "that" in item.kinds):
        return
    following = scan.items[at + 1] if at + 1 < len(scan.items) else None
    if negated and following is not None and not following.has(*_AFTER_PRONOUN):
        return
    rows = list(shown) if "those" in item.kinds else [shown[0]]
    mode = _mode(scan, at)
    if negated or mode == "seen":
        _extend(reading.without, rows)
    elif mode in ("like", "liked"):
        _extend(reading.like, rows)


def read_unknown_title(scan: Scan, at: int, lexicon: Lexicon, reading: Reading) -> int:
    """Report that what the answer should be like is not in the catalogue; the place after it, or ``at`` if it is no title.

    So is one that would be a limit ("newer than" it). It is one if it is quoted or has capitals, or if "films like" or "similar to" stands right before it
    and no word of it is a common one.
    """
    item = scan.items[at]
    if not item.has("word", "quote") and not (item.has("stop", "noun") and _capital(scan, item)):
        return at
    mode = _mode(scan, at)
    limits = mode in _LIMITS and at > 0 and scan.items[at - 1].has(mode) and _capital(scan, item)
    if not limits and mode not in ("like", "liked"):
        return at
    stop = at
    while stop < len(scan.items) and scan.items[stop].has("word", "quote") | (
        scan.items[stop].has("stop", "noun", "number") and stop > at and _capital(scan, scan.items[stop])
    ):
        stop += 1
    if stop == at:
        stop = at + 1
    words = [k for part in scan.items[at:stop] for k in range(part.start, part.stop)]
    if "quote" in item.kinds or any(scan.tokens[k].capital for k in words):
        known = False
    else:
        known = any(scan.words[k] in lexicon.common for k in words) or any(
            scan.tokens[k].kind == "han" for k in words
        )
    if known:
        return at
    named = scan.said(item.start, scan.items[stop - 1].stop)
    cue = scan.said(scan.items[at - 1].start, scan.items[at - 1].stop) if limits else "like"
    reading.unmet.append(f"{cue} {named}")
    return stop


def read_named_person(scan: Scan, at: int, lexicon: Lexicon, reading: Reading) -> int:
    """Report that a person cannot be asked for by name; the place after the name, or ``at``."""
    items = scan.items
    if "by_after" in items[at].kinds:
        return _person_before(scan, at, reading)
    if "word" not in items[at].kinds:
        return at
    before = items[at - 1] if at else None
    if before is None:
        return at
    said = scan.words[before.stop - 1]
    by = "by" in before.kinds or said == "by"
    stop = at
    while (
        stop < len(items)
        and stop - at < _LONGEST_NAME
        and items[stop].has("word", "title")
        and (by or _capital(scan, items[stop]))
    ):
        if stop > at and not _capital(scan, items[stop]) and _capital(scan, items[at]):
            break
        stop += 1
    capital = stop > at and _capital(scan, items[at])
    if not (
        (capital and by)
        or ("by" in before.kinds and stop > at)
        or (capital and said == "with" and stop - at > 1)
    ):
        return at
    words = scan.said(items[at].start, items[stop - 1].stop)
    cue = scan.said(before.start, before.stop)
    reading.unmet.append(f"{cue} {words}")
    return stop


def _person_before(scan: Scan, at: int, reading: Reading) -> int:
    start = at
    while start > 0 and scan.items[start - 1].has("word", "mark", "stop"):
        start -= 1
    while start < at and "stop" in scan.items[start].kinds:
        start += 1
    if start < at:
        named = scan.said(scan.items[start].start, scan.items[at].stop)
        pieces = {scan.said(item.start, item.stop) for item in scan.items[start:at]}
        reading.wants[:] = [word for word in reading.wants if word not in pieces]
        reading.unmet.append(named)
    return at + 1


def _mode(scan: Scan, at: int) -> str | None:
    """The cue that says what a reference is for."""
    place = at - 1
    while place >= 0:
        item = scan.items[place]
        for kind in ("like", "seen", "liked", *_LIMITS):
            if item.has(kind):
                return kind
        if not item.has(*_CARRY):
            break
        place -= 1
    for item in scan.items[at + 1 : at + 3]:
        if "liked" in item.kinds:
            return "liked"
        if "seen" in item.kinds:
            return "seen"
        if "stop" not in item.kinds:
            break
    return None


def _of_year(scan: Scan, at: int, rows: tuple[int, ...], lexicon: Lexicon) -> tuple[list[int], int]:
    """Of several items of one name, those of the year that stands behind it; and the place after that year."""
    year, items = lexicon.column("year"), scan.items
    place = at + 1
    bracket = place < len(items) and "mark" in items[place].kinds and items[place].value == "("
    place += bracket
    if year is None or place >= len(items) or "number" not in items[place].kinds:
        return list(rows), at + 1
    said = items[place].value
    same = [row for row in rows if lexicon.catalogue.number(row, year.name) == said.low]
    if said.unit != "year" or said.is_decade or not (same or bracket):
        return list(rows), at + 1
    return same or list(rows), place + 1 + bracket


def _capital(scan: Scan, item: Span) -> bool:
    return scan.tokens[item.start].capital


def _extend(rows: list[int], more: Sequence[int]) -> None:
    rows += [row for row in dict.fromkeys(more) if row not in rows]
