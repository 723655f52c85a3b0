"""Two negations in one clause: a wish ("nothing that isn't a thriller"), or nobody knows ("I don't hate westerns")."""

from __future__ import annotations

from typing import Final, Literal

from motet.requests._item import Scan

__all__ = ["clause_end", "negated_twice"]

# What things are not or lack: to refuse it is to want the thing.
_LACKING: Final = frozenset(
    ["isnt", "is not", "arent", "are not", "wasnt", "without", "free of", "devoid of", "不是", "没有", "无", "不带",
     "不含", "没", "非"]
)  # fmt: skip
# What somebody feels or does: not to hate is not to want.
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
