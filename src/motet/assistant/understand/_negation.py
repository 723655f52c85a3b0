"""How far a "no" reaches: scopes, exceptions, two negations in a clause, and words that refuse what stands before them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping
from typing import Final, Literal

from motet.assistant.understand._limits import refusal_behind
from motet.assistant.understand._request import FactWanted, Reading, TagSaid
from motet.assistant.understand._tokens import Scan, Span
from motet.schema import is_chinese

__all__ = [
    "LACKS",
    "OBJECTS",
    "all_else_refused",
    "clause_end",
    "except_before",
    "exception_until",
    "fact_at",
    "is_liked",
    "is_part",
    "limit_of_refused",
    "list_goes_on",
    "negated_twice",
    "negates_backwards",
    "read_backwards",
    "refused_words",
]

OBJECTS: Final = (
    "tag",
    "title",
    "word",
    "number",
    "fact",
    "ordinal",
    "quote",
    "old",
    "new",
    "cheap",
    "dear",
)
"""What a negation may refuse."""

LACKS: Final = frozenset(
    {"不是", "非", "没有", "没", "无", "不带", "不含", "别太", "不要太", "不太", "不能太", "不"}
)
"""Cues that say what items do not have, and not what the user does not want."""

_THINGS: Final = ("tag", "title", "word", "fact")


def list_goes_on(items: list[Span], at: int) -> bool:
    """Whether a comma parts the members of a list that "or" or "and" closes."""
    place, objects = at + 1, 0
    unknown = at > 0 and "word" in items[at - 1].kinds  # "no robots, zombies and aliens"
    while place < len(items):
        item = items[place]
        if item.has("or", "and") and "but" not in item.kinds:
            return objects > 0 or "or" in item.kinds
        if item.has("tag", "title") or (unknown and "word" in item.kinds):
            objects += 1
        elif "comma" in item.kinds:
            if objects == 0:
                return False
        elif not item.has("stop", "noun"):
            return False
        place += 1
    return False


def negates_backwards(scan: Scan, reading: Reading, at: int) -> bool:
    """Whether a negation stands after what it negates, as in 恐怖片不要."""
    cue = at - 1
    while cue >= 0 and "not" not in scan.items[cue].kinds:
        if "stop" not in scan.items[cue].kinds:
            return False
        cue -= 1
    before = cue - 1
    while before >= 0 and scan.items[before].has("stop", "noun"):
        before -= 1
    if (
        before < 0
        or "tag" not in scan.items[before].kinds
        or scan.tokens[scan.items[cue].start].kind != "han"
    ):
        return False
    for said in reading.said:
        if said.at == before:
            said.excluded = True
            return True
    return False


def is_liked(items: list[Span], at: int) -> bool:
    """Whether the user says to like such items, which is no demand."""
    place = at - 1
    while place >= 0 and items[place].has("stop", "tag", "and", "or", "comma"):
        place -= 1
    return place >= 0 and "liked" in items[place].kinds


def limit_of_refused(
    scan: Scan, at: int, after: int, *, opened: int | None, has_object: bool, refused: Collection[int]
) -> str:
    """What a limit says that belongs to what is refused, which no slot can say: "no comedies before 1990".

    Args:
        scan: The request.
        at: Place of the number or title of the limit.
        after: Place of the first item behind the limit.
        opened: Place of the cue that refuses; None where nothing is refused before it.
        has_object: Whether that cue refuses something already.
        refused: Places of what is refused.

    Returns:
        The refusal with its limit, as it was said; empty if the limit stands for itself.
    """
    items, start = scan.items, at
    while start > 0 and not items[start - 1].has("comma", "end", "but"):
        start -= 1
    if opened is None:
        refusal = refusal_behind(scan, after)
        if refusal is None:
            return ""
        apart = not any(item.has(*_THINGS) for item in (*items[start:at], *items[after:refusal]))
    else:
        last = max((k for k in refused if k < at), default=start)
        apart = (
            not has_object
            or any(item.has(*_THINGS) for item in items[start:opened])
            or any(item.has("and", "also", "pos") for item in items[last + 1 : at])
        )
        start = opened
    return "" if apart else scan.said(items[start].start, items[after - 1].stop)


def is_part(scan: Scan, at: int) -> bool:
    """Whether a character stands in a word that is not known."""
    item = scan.items[at]
    if item.stop - item.start != 1:
        return False
    near = [scan.items[k] for k in (at - 1, at + 1) if 0 <= k < len(scan.items)]
    return any(
        "word" in other.kinds
        and scan.tokens[other.start].kind == "han"
        and (other.stop == item.start or other.start == item.stop)
        for other in near
    )


def except_before(scan: Scan, reading: Reading, at: int) -> None:
    """西部片以外的: what stands before is what is excluded."""
    start = at
    while start > 0 and not scan.items[start - 1].has("comma", "end"):
        start -= 1
    for said in reading.said:
        if start <= said.at < at:
            said.excluded = True


def refused_words(words: list[str]) -> str:
    """Words that are refused, as one part of a request: "no jump scares", 不要超级英雄."""
    han = is_chinese(words[0])
    joined = ("" if han else " ").join(words)
    return f"不要{joined}" if han else f"no {joined}"


def fact_at(items: list[Span], at: int) -> FactWanted:
    """The fact of the graph at an item, with the relation that is said before it."""
    fact: FactWanted = items[at].value[0]
    for place in range(at - 1, max(at - 4, -1), -1):
        if "relation" in items[place].kinds:
            return fact.model_copy(update={"relation": items[place].value[0]})
    return fact


# What things are not or lack: to refuse it is to want the thing.
_LACKING: Final = frozenset(
    ["isnt", "is not", "arent", "are not", "wasnt", "without", "free of", "devoid of", "不是", "没有", "无", "不带",
     "不含", "没", "非"]
)  # fmt: skip
# What the user feels or does: not to hate is not to want.
_FEELING: Final = frozenset(
    ["hate", "hated", "dislike", "disliked", "detest", "avoid", "avoiding", "exclude", "excluding", "leave out", "drop",
     "remove", "tired of", "sick of", "bored of", "bored with", "less", "allergic to", "minus", "fed up with", "cant stand",
     "讨厌", "不喜欢", "不爱看", "不爱", "避免", "排除", "拒绝", "不想看", "不想", "不看", "不要"]
)  # fmt: skip


def negated_twice(scan: Scan, first: int, second: int) -> Literal["wanted", "unsure"] | None:
    """What a negation inside the scope of another makes of what follows; None where it only says no again.

    Args:
        scan: The request.
        first: Place of the negation whose scope this is.
        second: Place of the other one.
    """
    items = scan.items
    if any(item.has("comma", "end", "but", "and", "or") for item in items[first + 1 : second]):
        return None
    glue = "" if scan.tokens[items[second].start].kind == "han" else " "
    said = glue.join(scan.words[items[second].start : items[second].stop])
    if said in _LACKING:
        outer = "".join(scan.words[items[first].start : items[first].stop])
        return "unsure" if outer in ("不是", "isnt", "isnot", "没有") else "wanted"
    return "unsure" if said in _FEELING else None


def clause_end(scan: Scan, at: int) -> int:
    """Place of the first item behind the clause of an item."""
    while at < len(scan.items) and not scan.items[at].has("comma", "end", "but"):
        at += 1
    return at


# "Everything except war" refuses war wherever it stands; these may also take something back.
_TAKES_BACK: Final = frozenset(
    [("except",), ("except", "for"), ("other", "than"), ("apart", "from"), ("aside", "from"),
     ("with", "the", "exception", "of"), ("除", "了")]
)  # fmt: skip
_REFUSES: Final = frozenset("外都也还")
_OBJECTS: Final = ("tag", "title", "word", "fact", "ordinal", "that", "those", "quote", "number",
                   "old", "new", "cheap", "dear")  # fmt: skip


_REFUSED_AT_END: Final = re.compile(r"都不(?:想|要|看|喜欢|爱|行|可以|能)*$")


def all_else_refused(scan: Scan, at: int) -> tuple[int, ...]:
    """Places of what refuses all else behind a cue, as in 除了喜剧我都不想看; none where it does not."""
    stop = at
    while stop < len(scan.items) and "end" not in scan.items[stop].kinds:
        if "comma" in scan.items[stop].kinds and any(item.has(*_OBJECTS) for item in scan.items[stop:]):
            break  # 除了恐怖片都可以，喜剧我都不想看
        stop += 1
    said = scan.said(scan.items[at].start, scan.items[stop - 1].stop)
    if not _REFUSED_AT_END.search(said):
        return ()
    return tuple(k for k in range(at + 1, stop) if scan.items[k].has("not", "except_end", "those"))


def exception_until(scan: Scan, at: int, refused: Mapping[int, str]) -> int | None:
    """Where an exception ends that begins at a cue; None if the cue refuses something as it usually does.

    It is one if the last thing that was said before is refused. What is refused stays so: the
    exception can only be reported as unmet.

    Args:
        scan: The request.
        at: Place of "unless" or "except".
        refused: Places of what was refused, with the kind of the cue that did it.
    """
    items, item = scan.items, scan.items[at]
    before = at - 1
    while before >= 0 and not items[before].has(*_OBJECTS, "end", "not"):
        before -= 1
    stop = at + 1
    while stop < len(items) and not items[stop].has("comma", "end", "but", "not", "except"):
        stop += 1
    said = tuple(scan.words[item.start : item.stop])
    if "unless" in item.kinds and said in (("unless",), ("除", "非")):
        return stop
    if "unless" in item.kinds and (before < 0 or scan.tokens[item.start].kind == "han"):
        return stop  # 除非是喜剧，不然不要
    if before < 0 or before not in refused:
        return None
    if "unless" in item.kinds:
        return stop
    again = refused[before] == "except" or _REFUSES & set(scan.words[item.stop : items[stop - 1].stop])
    return stop if said in _TAKES_BACK and not again else None


_BETWEEN_CHOICES: Final = ("or", "stop", "noun", "comma", "hedge", "from")


def read_backwards(scan: Scan, reading: Reading) -> None:
    """Let "… is fine", "… was awful", "a or b" and "something like it" change what was read before them."""
    kinds = scan.kinds
    if "hedge_after" in kinds:
        _hedge_backwards(scan, reading)
    if "not_after" in kinds:
        _refuse_backwards(scan, reading)
    if "or" in kinds:
        _join_choices(scan, reading)
    if reading.seen:
        _refer_to_seen(scan, reading)
    if "childhood" in kinds:
        _report_childhood(scan, reading)


def _report_childhood(scan: Scan, reading: Reading) -> None:
    """Say that "when I was a kid" is no limit, unless years were said, too."""
    if not any(limit.column for limit in reading.ranges.values()):
        reading.unmet += [
            scan.said(item.start, item.stop) for item in scan.items if "childhood" in item.kinds
        ]


def _by_place(reading: Reading) -> dict[int, list[TagSaid]]:
    """Tags by the place where they were said."""
    found: dict[int, list[TagSaid]] = {}
    for said in reading.said:
        found.setdefault(said.at, []).append(said)
    return found


def _hedge_backwards(scan: Scan, reading: Reading) -> None:
    by_place = _by_place(reading)
    for place, item in enumerate(scan.items):
        if "hedge_after" not in item.kinds:
            continue
        before = place - 1
        while before >= 0 and not scan.items[before].has("end", "comma", "but", "hedge_after"):
            for said in by_place.get(before, ()):
                said.hedged = said.hedged or not said.excluded
            before -= 1


def _refuse_backwards(scan: Scan, reading: Reading) -> None:
    """Take "X was awful" as a wish for no X."""
    by_place = _by_place(reading)
    for place, item in enumerate(scan.items):
        if "not_after" not in item.kinds:
            continue
        before = place - 1
        while before >= 0 and not scan.items[before].has("end", "comma", "but", "not_after"):
            for said in by_place.get(before, ()):
                said.excluded = True
            if "title" in scan.items[before].kinds:
                rows = scan.items[before].value.rows
                reading.like[:] = [row for row in reading.like if row not in rows]
                reading.without += [row for row in rows if row not in reading.without]
            before -= 1


def _join_choices(scan: Scan, reading: Reading) -> None:
    """Tags joined by "or" are wished for: none of them can be demanded."""
    wanted = [said for said in reading.said if not said.excluded]
    for first, second in itertools.pairwise(wanted):
        between = scan.items[first.at + 1 : second.at]
        if any("or" in item.kinds for item in between) and all(
            item.has(*_BETWEEN_CHOICES) for item in between
        ):
            first.hedged = second.hedged = first.choice = second.choice = True
            _join_list_before(scan, wanted, first)
    for said in wanted:  # "documentary or biography", of which the catalogue knows only one
        said.hedged = said.hedged or _or_unknown(scan, said.at)


def _or_unknown(scan: Scan, at: int) -> bool:
    """Whether "or" joins a tag to a word that is not known."""
    after = at + 1
    while after < len(scan.items) and "noun" in scan.items[after].kinds:
        after += 1
    rest = scan.items[after : after + 2]
    before = scan.items[max(at - 2, 0) : at]
    return (len(rest) == 2 and _is_or(scan, rest[0]) and "word" in rest[1].kinds) or (
        len(before) == 2 and "word" in before[0].kinds and _is_or(scan, before[1])
    )


def _is_or(scan: Scan, item: Span) -> bool:
    return "or" in item.kinds and scan.words[item.start] in ("or", "或", "或者")


def _join_list_before(scan: Scan, wanted: list[TagSaid], last: TagSaid) -> None:
    place = wanted.index(last)
    while place > 0:
        between = scan.items[wanted[place - 1].at + 1 : wanted[place].at]
        if not (any("comma" in i.kinds for i in between) and all(i.has("comma", "stop") for i in between)):
            return
        wanted[place - 1].hedged = True
        place -= 1


def _refer_to_seen(scan: Scan, reading: Reading) -> None:
    """What was seen in "I have seen X; something like it": what was seen is what it should be like."""
    if any(row not in reading.seen for row in reading.like):
        return
    for place, item in enumerate(scan.items):
        if item.has("like", "like_after") and "hedge" not in item.kinds:
            rest = scan.items[place + 1 : place + 3]
            if not any(later.has("title", "tag", "word", "ordinal") for later in rest):
                reading.like += [row for row in reading.seen if row not in reading.like]
                return
