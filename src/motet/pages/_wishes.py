"""What the shop's controls say: for whom, where, by what, and which items."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from motet.pages._shown import rankable
from motet.pages._visit import Visit

__all__ = ["Wishes", "wishes_of"]

_MOST_TURNS: Final = 8
_MOST_IDS: Final = 100
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked of the shop.

    Attributes:
        user: Id of the user; empty for somebody new.
        me: How somebody new describes themselves.
        scenario: Where; empty for anywhere.
        turns: What was said, oldest first; empty where nothing was.
        is_list: Whether a list is to be built of what was said.
        weights: Of each task that can be weighed, 0 to 1, as the sliders stand.
        is_usual: Whether they stand as the schema has them.
        fields: Wanted values by column: words, or lowest and highest as texts.
        liked: Ids that somebody new liked.
        hidden: Ids that somebody new hid.
    """

    user: str
    me: str
    scenario: str
    turns: tuple[str, ...]
    is_list: bool
    weights: Mapping[str, float]
    is_usual: bool
    fields: Mapping[str, tuple[str, ...]]
    liked: tuple[str, ...]
    hidden: tuple[str, ...]

    @property
    def objective(self) -> dict[str, Any] | None:
        """For the API; None for the usual one, and where nothing is weighed."""
        weighed = {task: weight for task, weight in self.weights.items() if weight > 0}
        return None if self.is_usual or not weighed else {"weights": weighed}

    @property
    def is_nothing(self) -> bool:
        """Whether every slider is at zero."""
        return not any(self.weights.values())

    def filter(self, schema: Mapping[str, Any]) -> dict[str, Any] | None:
        """Which items may come, as the API wants it; None for all."""
        parts: list[dict[str, Any]] = []
        for field in schema.get("fields", ()):
            wanted = self.fields.get(field["name"], ())
            if field["kind"] == "number":
                low, high = (_number(text) for text in wanted) if len(wanted) == 2 else (None, None)
                if low is not None:
                    parts.append({"field": field["name"], "op": "ge", "value": low})
                if high is not None:
                    parts.append({"field": field["name"], "op": "le", "value": high})
            elif field["kind"] == "tags" and wanted:
                parts.append({"any": [{"field": field["name"], "op": "has", "value": one} for one in wanted]})
            elif field["kind"] == "category" and wanted:
                parts.append({"field": field["name"], "op": "in", "value": list(wanted)})
            elif field["kind"] == "text" and wanted:
                parts.append({"field": field["name"], "op": "contains", "value": wanted[0]})
        return {"all": parts} if parts else None

    def query(self, schema: Mapping[str, Any], k: int) -> dict[str, Any]:
        """The body of a recommendation."""
        body: dict[str, Any] = {"k": k}
        if self.user:
            body["user"] = self.user
        else:
            body["history"] = list(self.liked)
            body["exclude"] = [*self.hidden, *self.liked]
            if self.me:
                body["text"] = self.me
        if self.scenario:
            body["scenario"] = self.scenario
        if (objective := self.objective) is not None:
            body["objective"] = objective
        if (wanted := self.filter(schema)) is not None:
            body["filter"] = wanted
        return {name: value for name, value in body.items() if value != []}


def wishes_of(visit: Visit, schema: Mapping[str, Any], users: Sequence[str]) -> Wishes:
    """Read the controls.

    Args:
        visit: Its address or form.
        schema: Names tasks, scenarios and columns.
        users: Some users; the first is taken where nobody is named.
    """
    usual = {name: float(weight) for name, weight in (schema.get("objective") or {}).items()}
    top = max((abs(weight) for weight in usual.values()), default=1.0) or 1.0
    start = {
        task["name"]: round(max(0.0, usual.get(task["name"], 0.0)) / top, 2) for task in rankable(schema)
    }
    weights = {task: _weight(visit.one(f"w.{task}"), weight) for task, weight in start.items()}
    default = users[0] if users else ""
    user = (visit.one("other").strip() or visit.one("user", default)).strip()[:_LONGEST]
    turns = [turn[:_LONGEST] for turn in visit.all("t")]
    if text := visit.one("text").strip():
        turns.append(text[:_LONGEST])
    if visit.has("over"):
        turns = []
    return Wishes(
        user=user,
        me="" if user else visit.one("me").strip()[:_LONGEST],
        scenario=visit.one("scenario")[:_LONGEST],
        turns=tuple(turns[-_MOST_TURNS:]),
        is_list=(visit.one("do") or visit.one("mode")) in ("build", "list") and bool(turns),
        weights=start if visit.has("usual") else weights,
        is_usual=visit.has("usual") or weights == start,
        fields={
            field["name"]: wanted
            for field in schema.get("fields", ())
            if (wanted := _wanted(visit, field["name"], field["kind"]))
        },
        liked=tuple(dict.fromkeys(visit.all("h")))[-_MOST_IDS:],
        hidden=tuple(dict.fromkeys(visit.all("x")))[-_MOST_IDS:],
    )


def _wanted(visit: Visit, name: str, kind: str) -> tuple[str, ...]:
    if kind == "number":
        low, high = visit.one(f"f.{name}.low").strip(), visit.one(f"f.{name}.high").strip()
        return (low, high) if low or high else ()
    return tuple(one.strip()[:_LONGEST] for one in visit.all(f"f.{name}") if one.strip())[:_MOST_IDS]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _weight(text: str, usual: float) -> float:
    value = _number(text)
    return usual if value is None else round(min(1.0, max(0.0, value)), 2)
