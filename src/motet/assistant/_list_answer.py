"""The answer to a request for a list: typed, and plain values when dumped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from motet.assistant._list_limits import LimitKind
from motet.assistant.understand import Language
from motet.schema import Part

__all__ = ["LimitReport", "ListAnswer", "ListConflict", "ListedItem", "WayOut"]


class ListedItem(Part):
    """An item of a list.

    Attributes:
        id: Of the item.
        name: What it is called.
        score: What the recommender ranks by.
        value: The same as a value: 1 for the best item that may come, ½ for the 100th.
        numbers: Its numbers in the columns whose sums are limited.
        goes_with: Ids of items, in the list or there already, that it is taken together with beyond chance.
    """

    id: str
    name: str
    score: float
    value: float
    numbers: Mapping[str, float]
    goes_with: tuple[str, ...] = ()


class LimitReport(Part):
    """Whether a list keeps a limit.

    Attributes:
        kind: What it is about.
        words: What it says.
        holds: Whether it is kept.
        found: The sum, the number of items, the greatest likeness, or the number of items that break it.
        low: Lowest value that was asked.
        high: Highest value that was asked.
    """

    kind: LimitKind
    words: str
    holds: bool
    found: float
    low: float | None = None
    high: float | None = None


class WayOut(Part):
    """A limit that, loosened alone and as little as possible, gives a list.

    Attributes:
        kind: What the limit is about.
        limit: What it says.
        needed: What it must be loosened to; the number of items that break it, where it has no number.
        words: The same as part of a sentence.
    """

    kind: LimitKind
    limit: str
    needed: float | None
    words: str


class ListConflict(Part):
    """Limits that cannot all be kept.

    Attributes:
        limits: What they say; without any one of them the others can be kept, if ``minimal``.
        kinds: What they are about, in the same order.
        minimal: Whether that was proven.
        ways: What loosening one of them would need.
    """

    limits: tuple[str, ...]
    kinds: tuple[LimitKind, ...]
    minimal: bool
    ways: tuple[WayOut, ...]


class ListAnswer(Part):
    """A list that keeps every limit, or which limits cannot be kept.

    Attributes:
        status: ``complete``: ``items`` keep every limit that the catalogue has a column for.
            ``infeasible``: there is no such list, which is proven; ``conflict`` says why.
            ``undecided``: none was found in the time given.
        words: The same as sentences.
        language: Of all words.
        items: The list, the most valuable first; empty unless complete.
        limits: Each limit with what the list makes of it.
        unmet: Limits that the catalogue has no column for, in words.
        candidates: Items that break no limit on single items.
        objective: What the list is worth: values, bonus for going together, variety.
        bound: No list is worth more; None where nothing is known.
        gap: Share of the bound that is missing at most; 0 for the best list there is.
        proven: Whether the list is the best there is, or its absence is certain.
        method: ``exact``, ``kernel`` or ``search``.
        elapsed_s: Seconds it took.
        conflict: Why there is no list.
        nearest: The list under the least loosened limits, with a conflict; never in place of ``items``.
        loosened: In ``nearest``: what was loosened, in words.
    """

    status: Literal["complete", "infeasible", "undecided"]
    words: str
    language: Language
    items: tuple[ListedItem, ...] = ()
    limits: tuple[LimitReport, ...] = ()
    unmet: tuple[str, ...] = ()
    candidates: int = 0
    objective: float | None = None
    bound: float | None = None
    gap: float | None = None
    proven: bool = False
    method: str = "exact"
    elapsed_s: float = 0.0
    conflict: ListConflict | None = None
    nearest: ListAnswer | None = None
    loosened: tuple[str, ...] = ()
