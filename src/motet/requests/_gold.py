"""Requests with what a person means by them, read from YAML, to measure readers with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from motet.data import Catalogue
from motet.errors import RequestError
from motet.requests._request import Tag
from motet.schema import nearest

__all__ = ["Bound", "GoldRequest", "GoldTurn", "load_gold"]

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
        catalogue: Whose titles, tags and columns are meant.

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
