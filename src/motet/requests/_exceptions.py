"""Exceptions from what is refused: "no musicals unless it's Grease", which no slot of a request can say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from motet.requests._item import Scan

__all__ = ["all_else_refused", "exception_until"]

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
    while stop < len(scan.items) and not scan.items[stop].has("end"):
        if scan.items[stop].has("comma") and any(item.has(*_OBJECTS) for item in scan.items[stop:]):
            break  # 除了恐怖片都可以，喜剧我都不想看
        stop += 1
    said = scan.said(scan.items[at].start, scan.items[stop - 1].stop)
    if not _REFUSED_AT_END.search(said):
        return ()
    return tuple(k for k in range(at + 1, stop) if scan.items[k].has("not", "except_end", "those"))


def exception_until(scan: Scan, at: int, refused: Mapping[int, str]) -> int | None:
    """Where an exception ends that begins at a cue; None if the cue refuses something as it usually does.

    It is one if the last thing that was said before is refused. What is refused stays so: the
    exception can only be told.

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
    if item.has("unless") and said in (("unless",), ("除", "非")):
        return stop
    if item.has("unless") and (before < 0 or scan.tokens[item.start].kind == "han"):
        return stop  # 除非是喜剧，不然不要
    if before < 0 or before not in refused:
        return None
    if item.has("unless"):
        return stop
    again = refused[before] == "except" or _REFUSES & set(scan.words[item.stop : items[stop - 1].stop])
    return stop if said in _TAKES_BACK and not again else None
