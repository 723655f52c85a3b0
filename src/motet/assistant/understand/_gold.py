"""Annotated requests, and how well a reader understands them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from motet.assistant.understand._request import Reader, Request, Tag
from motet.assistant.understand._tokens import tokenize
from motet.data import Catalogue
from motet.errors import RequestError
from motet.schema import nearest

__all__ = [
    "SCORED_SLOTS",
    "Bound",
    "GoldRequest",
    "GoldTurn",
    "RequestScore",
    "f1_interval",
    "load_gold",
    "read_gold",
    "slot_counts",
]

_TAG_SLOTS: Final = ("must", "prefer", "must_not")
_ITEM_SLOTS: Final = ("like", "without")
_PLAIN_SLOTS: Final = ("count", "scenario", "tone")
_LISTS: Final = ("wants", "unmet")

Bound = tuple[float, float] | None
"""The values that a limit may have, both inclusive; None for no limit."""


@dataclass(frozen=True, slots=True)
class GoldTurn:
    """One thing that is said, and what it means together with what was said before.

    Attributes:
        say: The text.
        tags: Tags of ``must``, ``prefer`` and ``must_not``.
        items: Of ``like`` and ``without``: for each title its ids.
        bounds: Lowest and highest value by column.
        plain: ``count``, ``scenario`` and ``tone``, where they are said.
        wants: Words that no slot takes.
        unmet: Words of each part that cannot be met.
        may: By slot, values that are neither right nor wrong; items as ids.
        flagged: Whether the text must be flagged.
        shown: Ids shown after this turn.
    """

    say: str
    tags: Mapping[str, frozenset[Tag]]
    items: Mapping[str, tuple[frozenset[str], ...]]
    bounds: Mapping[str, tuple[Bound, Bound]]
    plain: Mapping[str, Any]
    wants: tuple[str, ...]
    unmet: tuple[str, ...]
    may: Mapping[str, frozenset[Any]]
    flagged: bool
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GoldRequest:
    """A request, or a little dialogue.

    Attributes:
        id: Its name in the file.
        kind: The heading it stands under.
        turns: What is said, one thing after the other.
    """

    id: str
    kind: str
    turns: tuple[GoldTurn, ...]

    @property
    def held(self) -> bool:
        """Whether it is kept for scoring only: by a hash of its id, half of them are."""
        return hashlib.sha256(self.id.encode()).digest()[0] % 2 == 1


def load_gold(path: Path, catalogue: Catalogue) -> list[GoldRequest]:
    """Read a file of requests.

    Args:
        path: YAML: under each heading a list of requests with their slots; titles instead of ids.
        catalogue: With the titles, tags and columns that they name.

    Raises:
        RequestError: If a key is not known, or a title or value is not in the catalogue.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = _Names.of(catalogue)
    found = []
    for kind, entries in content.items():
        for entry in entries:
            turns = entry.get("turns", [entry])
            found.append(
                GoldRequest(
                    entry["id"],
                    kind,
                    tuple(_turn(turn, names, f"{path.name}: {entry['id']}") for turn in turns),
                )
            )
    return found


@dataclass(slots=True)
class _Names:
    numbers: tuple[str, ...]
    items: dict[str, frozenset[str]] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)

    @classmethod
    def of(cls, catalogue: Catalogue) -> _Names:
        names = cls(catalogue.numbers)
        for row, item in enumerate(catalogue.frame["id"].to_list()):
            name = catalogue.name(row)
            names.items[name] = names.items.get(name, frozenset()) | {item}
            for column in (*catalogue.tags, *catalogue.categories):
                for value in catalogue.values(row, column):
                    names.tags.setdefault(value, Tag(column=column, value=value))
        return names

    def ids(self, title: str, where: str) -> frozenset[str]:
        if title not in self.items:
            raise RequestError(f"{where}: there is no '{title}'", nearest(title, self.items))
        return self.items[title]

    def tag(self, value: str, where: str) -> Tag:
        if value not in self.tags:
            raise RequestError(f"{where}: no item has '{value}'", nearest(value, self.tags))
        return self.tags[value]


def _turn(entry: Mapping[str, Any], names: _Names, where: str) -> GoldTurn:
    known = {
        "id",
        "say",
        "shown",
        "may",
        "flagged",
        *_TAG_SLOTS,
        *_ITEM_SLOTS,
        *_PLAIN_SLOTS,
        *_LISTS,
        *names.numbers,
    }
    unknown = set(entry) - known
    if unknown:
        raise RequestError(f"{where}: '{min(unknown)}' is no slot", nearest(min(unknown), known))
    return GoldTurn(
        say=entry["say"],
        tags={slot: frozenset(names.tag(v, where) for v in entry.get(slot, ())) for slot in _TAG_SLOTS},
        items={slot: tuple(names.ids(title, where) for title in entry.get(slot, ())) for slot in _ITEM_SLOTS},
        bounds={c: (_bound(entry[c][0]), _bound(entry[c][1])) for c in names.numbers if c in entry},
        plain={slot: entry[slot] for slot in _PLAIN_SLOTS if slot in entry},
        wants=tuple(str(word) for word in entry.get("wants", ())),
        unmet=tuple(str(part) for part in entry.get("unmet", ())),
        may={slot: _allowed(slot, values, names, where) for slot, values in entry.get("may", {}).items()},
        flagged=bool(entry.get("flagged", False)),
        shown=tuple(min(names.ids(title, where)) for title in entry.get("shown", ())),
    )


def _allowed(slot: str, values: Any, names: _Names, where: str) -> frozenset[Any]:
    listed = values if isinstance(values, list) else [values]
    if slot in _TAG_SLOTS:
        return frozenset(names.tag(value, where) for value in listed)
    if slot in _ITEM_SLOTS:
        return frozenset().union(*(names.ids(title, where) for title in listed))
    return frozenset(listed)


def _bound(value: Any) -> Bound:
    if value is None:
        return None
    low, _, high = str(value).partition("..")
    return float(low), float(high or low)


SCORED_SLOTS: Final = (
    "must", "prefer", "must_not", "range", "like", "without", "count", "scenario", "tone", "unmet", "flags", "wants",
)  # fmt: skip
"""Slots that are scored; ``wants``, free words, stands apart and counts in neither the whole nor exactness."""

_WHOLE: Final = len(SCORED_SLOTS) - 1


@dataclass(frozen=True, slots=True)
class RequestScore:
    """How one request was read, all of its turns together.

    Attributes:
        gold: What was expected.
        read: What was understood, a turn each.
        counts: Right, invented and missed values per slot of :data:`SCORED_SLOTS`, int [slots, 3].
        exact: Whether every slot of every turn is right, free words aside.
        missed: Exclusions that were not understood.
        inverted: Exclusions that were understood as wishes.
        exclusions: Exclusions there are.
        elapsed_ms: Time of each turn.
    """

    gold: GoldRequest
    read: tuple[Request, ...]
    counts: NDArray[np.int64]
    exact: bool
    missed: int
    inverted: int
    exclusions: int
    elapsed_ms: tuple[float, ...]


def read_gold(reader: Reader, gold: Iterable[GoldRequest]) -> Iterator[RequestScore]:
    """Have a reader read requests, dialogues on top of its own understanding, and score each."""
    for request in gold:
        previous: Request | None = None
        shown: tuple[str, ...] = ()
        counts = np.zeros((len(SCORED_SLOTS), 3), np.int64)
        missed = inverted = exclusions = 0
        read, elapsed = [], []
        for turn in request.turns:
            start = time.perf_counter()
            previous = reader.understand(turn.say, previous, shown).request
            elapsed.append(1000 * (time.perf_counter() - start))
            read.append(previous)
            counts += slot_counts(turn, previous)
            lost, turned, there = _exclusions(turn, previous)
            missed, inverted, exclusions = missed + lost, inverted + turned, exclusions + there
            shown = turn.shown
        exact = not counts[:_WHOLE, 1:].any()
        yield RequestScore(request, tuple(read), counts, exact, missed, inverted, exclusions, tuple(elapsed))


def slot_counts(gold: GoldTurn, read: Request) -> NDArray[np.int64]:
    """Right, invented and missed values of each slot, int [slots, 3]."""
    counts = np.zeros((len(SCORED_SLOTS), 3), np.int64)

    def add(slot: str, right: int, invented: int, missed: int) -> None:
        counts[SCORED_SLOTS.index(slot)] += (right, invented, missed)

    for slot, expected in gold.tags.items():
        found = set(getattr(read, slot))
        may = gold.may.get(slot, frozenset())
        add(slot, len(expected & found), len(found - expected - may), len(expected - found))
    for slot, titles in gold.items.items():
        ids = set(getattr(read, slot))
        allowed = frozenset().union(*titles, gold.may.get(slot, frozenset()))
        hits = sum(bool(title & ids) for title in titles)
        add(slot, hits, len(ids - allowed), len(titles) - hits)
    limits = {limit.column: limit for limit in read.ranges}
    for column in {*limits, *gold.bounds}:
        low, high = gold.bounds.get(column, (None, None))
        limit = limits.get(column)
        add("range", *_limit(low, limit.low if limit else None))
        add("range", *_limit(high, limit.high if limit else None))
    for slot in ("count", "scenario", "tone"):
        value = getattr(read, slot)
        value = None if value in ("plain", *gold.may.get(slot, ())) and slot not in gold.plain else value
        add(slot, *_same(gold.plain.get(slot), value))
    add("unmet", *_unmet(gold, read))
    add("flags", *_same(True if gold.flagged else None, True if read.flags else None))
    add("wants", *_words(gold, read))
    return counts


def _limit(gold: Bound, read: float | None) -> tuple[int, int, int]:
    if gold is None or read is None:
        return 0, int(read is not None), int(gold is not None)
    return (1, 0, 0) if gold[0] <= read <= gold[1] else (0, 1, 1)


def _same(gold: object, read: object) -> tuple[int, int, int]:
    if gold == read:
        return int(gold is not None), 0, 0
    return 0, int(read is not None), int(gold is not None)


def _unmet(gold: GoldTurn, read: Request) -> tuple[int, int, int]:
    parts = [part.casefold() for part in read.unmet]
    expected = [part.casefold() for part in gold.unmet]
    may = [str(part).casefold() for part in gold.may.get("unmet", ())]
    hits = sum(any(part in read_part for read_part in parts) for part in expected)
    return (
        hits,
        sum(not any(part in read_part for part in (*expected, *may)) for read_part in parts),
        len(expected) - hits,
    )


def _words(gold: GoldTurn, read: Request) -> tuple[int, int, int]:
    found = _units(read.wants)
    expected = set().union(*(_units(word) for word in gold.wants)) if gold.wants else set()
    may = set().union(*(_units(str(word)) for word in gold.may.get("wants", ())), set())
    return len(expected & found), len(found - expected - may), len(expected - found)


def _units(text: str) -> set[str]:
    return {token.norm for token in tokenize(text) if token.kind != "mark"}


def _exclusions(gold: GoldTurn, read: Request) -> tuple[int, int, int]:
    tags, wanted = gold.tags["must_not"], {*read.must, *read.prefer}
    ids = set(read.without)
    liked_too = gold.items["like"]
    items = gold.items["without"]
    missed = len(tags - set(read.must_not)) + sum(not (title & ids) for title in items)
    inverted = len(tags & wanted) + sum(bool(t & set(read.like)) for t in items if t not in liked_too)
    return missed, inverted, len(tags) + len(items)


def f1_interval(
    scores: Sequence[RequestScore], slot: str | None = None, *, draws: int = 1000, seed: int = 0
) -> Mapping[str, float]:
    """Precision, recall and F1 over requests, with a 95 % interval of F1 by the bootstrap over requests.

    Args:
        scores: Of n requests.
        slot: One of :data:`SCORED_SLOTS`; all but free words together when left out.
        draws: Resamples of the requests.
        seed: Of the draws.

    Returns:
        ``precision``, ``recall``, ``f1``, ``low`` and ``high``; NaN where there is nothing to find and nothing found.
    """
    rows = slice(0, _WHOLE) if slot is None else slice(SCORED_SLOTS.index(slot), SCORED_SLOTS.index(slot) + 1)
    counts = (
        np.stack([score.counts[rows].sum(0) for score in scores]) if scores else np.zeros((0, 3))
    )  # [n, 3]
    right, invented, missed = counts.sum(0)
    draw = np.random.default_rng(seed).integers(0, max(len(counts), 1), (draws, len(counts)))
    totals = counts[draw].sum(1) if len(counts) else np.zeros((draws, 3))  # [draws, 3]
    low, high = np.nan, np.nan
    sampled = _f1(totals)
    if np.isfinite(sampled).any():
        low, high = np.nanquantile(sampled, [0.025, 0.975])
    return {
        "precision": _share(right, right + invented),
        "recall": _share(right, right + missed),
        "f1": float(_f1(counts.sum(0)[None])[0]),
        "low": float(low),
        "high": float(high),
    }


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _f1(counts: NDArray[np.number[Any]]) -> NDArray[np.float64]:
    right = counts[:, 0].astype(np.float64)
    whole = 2 * right + counts[:, 1] + counts[:, 2]
    shares = np.full(len(counts), np.nan)
    np.divide(2 * right, whole, out=shares, where=whole > 0)
    return shares
