"""Events written once, and folded into feedback in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, case, func

from motet.store._changes import note_changes
from motet.store._checks import MOST_SUM, check_json, now, to_us
from motet.store._records import Event
from motet.store._search import words_of
from motet.store._tables import EVENTS, FEEDBACK, ITEMS, USERS
from motet.store._tombstones import Tombstones
from motet.store._upsert import insert_missing, known, upsert

__all__ = ["Fold", "Mode", "Said", "check_context", "fold_feedback", "said_of"]

Mode: TypeAlias = Literal["add", "overwrite", "none"]

LONGEST_CONTEXT: Final = 8_192


@dataclass(frozen=True, slots=True)
class Said:
    """A row of events, and what it does to feedback.

    Attributes:
        row: Values of the columns of ``events``.
        mode: Whether its value is added to the feedback, overwrites it, or leaves it alone.
        labels: Labels of the feedback as JSON; None leaves them, or empties them where it overwrites.
        comment: Comment of the feedback, likewise.
        creates: Whether an unknown user or item is made.
    """

    row: dict[str, Any]
    mode: Mode
    labels: str | None = None
    comment: str = ""
    creates: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """The feedback that it belongs to."""
        return self.row["type"], self.row["user_id"], self.row["item_id"]


def check_context(event: Event) -> str:
    """The context of an event as JSON.

    Raises:
        StoreError: If it is too long.
    """
    return check_json(dict(event.context), "event.context", longest=LONGEST_CONTEXT)


def said_of(
    event: Event, mode: Mode, *, labels: Any = None, comment: str = "", creates: bool = False
) -> Said:
    """An event as it is written."""
    row = {
        "id": event.id,
        "type": event.type,
        "user_id": event.user,
        "item_id": event.item,
        "value": event.value,
        "time": to_us(event.time),
        "scenario": event.scenario,
        "context": check_context(event),
        "list_id": event.list_id,
        "propensity": event.propensity,
    }
    return Said(row, mode, check_json(labels, "feedback.labels", none=True), comment, creates)


class Fold:
    """Writes events that are new, and their feedback.

    An event whose id is known, or came twice in the same call, is left out. So is one from before its user was
    deleted: what was forgotten does not come back by a late sender, unless the user was put anew, and never by an old
    export.

    Args:
        tombstones: Who was deleted.
    """

    def __init__(self, tombstones: Tombstones) -> None:
        self._tombstones = tombstones

    def write(self, connection: Connection, rows: list[Said]) -> list[bool]:
        """Write them; of each, whether it was new."""
        return self._write(connection, rows, ever=False)

    def restore(self, connection: Connection, rows: list[Said]) -> list[bool]:
        """Write those of an export; of each, whether it was new."""
        return self._write(connection, rows, ever=True)

    def _write(self, connection: Connection, rows: list[Said], *, ever: bool) -> list[bool]:
        seen = known(connection, EVENTS.c.id, (said.row["id"] for said in rows))
        told = [(said.row["user_id"], said.row["time"]) for said in rows]
        late_ones = self._tombstones.late(connection, told, ever=ever)
        fresh = []
        answers = []
        for said, late in zip(rows, late_ones, strict=True):
            new = not late and said.row["id"] not in seen
            answers.append(new)
            if new:
                seen.add(said.row["id"])
                fresh.append(said)
        if fresh:
            connection.execute(EVENTS.insert(), [said.row for said in fresh])
            fold_feedback(connection, fresh)
            _create(connection, fresh)
        return answers

    def restore_feedback(self, connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
        """Overwrite rows of feedback with no event, but for those from before their user was deleted."""
        told = [(row["user_id"], row["updated"]) for row in rows]
        late = self._tombstones.late(connection, told, ever=True)
        kept = [not one for one in late]
        upsert(connection, FEEDBACK, [row for row, keep in zip(rows, kept, strict=True) if keep])
        return kept


def fold_feedback(connection: Connection, said: Iterable[Said]) -> None:
    """Add to feedback, or overwrite it, in the order in which it was said."""
    by_key: dict[tuple[str, str, str], Said] = {}
    updated: dict[tuple[str, str, str], int] = {}
    for one in said:
        if one.mode == "none":
            continue
        before = by_key.get(one.key)
        if before is None or one.mode == "overwrite":
            by_key[one.key] = one
            updated[one.key] = one.row["time"]
            continue
        sum_row = {**before.row, "value": before.row["value"] + one.row["value"]}
        labels = before.labels if one.labels is None else one.labels
        by_key[one.key] = replace(before, row=sum_row, labels=labels, comment=one.comment or before.comment)
        updated[one.key] = max(updated[one.key], one.row["time"])
    rows: dict[str, list[dict[str, Any]]] = {"add": [], "overwrite": []}
    for key, one in by_key.items():
        row = {name: one.row[name] for name in ("type", "user_id", "item_id", "value", "time")}
        row |= {"updated": updated[key], "labels": one.labels, "comment": one.comment}
        rows[one.mode].append(row)
    upsert(connection, FEEDBACK, rows["overwrite"])
    # The larger and the smaller of two: functions of other names in PostgreSQL than in SQLite.
    is_sqlite = connection.dialect.name == "sqlite"
    larger, smaller = (func.max, func.min) if is_sqlite else (func.greatest, func.least)
    upsert(connection, FEEDBACK, rows["add"], lambda new: _sum(new, larger, smaller))


def _sum(
    new: Any, larger: Callable[..., ColumnElement[Any]], smaller: Callable[..., ColumnElement[Any]]
) -> dict[str, Any]:
    return {
        "value": smaller(MOST_SUM, larger(-MOST_SUM, FEEDBACK.c.value + new.value)),
        "updated": larger(FEEDBACK.c.updated, new.updated),
        "labels": func.coalesce(new.labels, FEEDBACK.c.labels),
        "comment": case((new.comment == "", FEEDBACK.c.comment), else_=new.comment),
    }


def _create(connection: Connection, said: list[Said]) -> None:
    asking = [one for one in said if one.creates]
    users = {one.row["user_id"] for one in asking}
    items = {one.row["item_id"] for one in asking}
    if users := users - known(connection, USERS.c.id, users):
        time = to_us(now())
        rows = [
            {"id": id, "labels": None, "comment": "", "time": time, "words": words_of(id)} for id in users
        ]
        insert_missing(connection, USERS, rows)
        note_changes(connection, "user", sorted(users))
    if items := items - known(connection, ITEMS.c.id, items):
        plain = {
            "is_hidden": False,
            "categories": "[]",
            "time": None,
            "labels": None,
            "comment": "",
            "fields": "{}",
        }
        insert_missing(connection, ITEMS, [{"id": id, **plain, "words": words_of(id)} for id in items])
        note_changes(connection, "item", sorted(items))
