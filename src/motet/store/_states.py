"""Sessions and conversations: state that is read and written by id."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import Connection, select

from motet.errors import StoreError
from motet.schema import require_known
from motet.store._checks import check_json, check_text, check_time, from_us, now, read_json, to_us
from motet.store._database import Database
from motet.store._tables import STATES
from motet.store._tombstones import Tombstones
from motet.store._upsert import upsert
from motet.store._writer import Writer

__all__ = ["State", "StateKind", "States"]

StateKind: TypeAlias = Literal["session", "conversation"]


@dataclass(frozen=True, slots=True)
class State:
    """The state of a session or a conversation.

    Attributes:
        kind: Of which.
        id: Its id.
        state: Whatever JSON can say.
        user: Whose it is, if that is known.
        time: When what it comes from began, in UTC; now by default. Of who was deleted since, nothing is written.
    """

    kind: StateKind
    id: str
    state: Any
    user: str | None = None
    time: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        require_known(self.kind, get_args(StateKind), "the kind of state", StoreError)
        check_text(self.id, "state.id")
        if self.user is not None:
            check_text(self.user, "state.user")
        object.__setattr__(self, "time", check_time(self.time, "state.time"))


class States:
    """The sessions and conversations of a store.

    Args:
        database: The store's connections.
        writer: What writes.
        tombstones: Who was deleted.
    """

    def __init__(self, database: Database, writer: Writer, tombstones: Tombstones) -> None:
        self._database = database
        self._writer = writer
        self._tombstones = tombstones

    def put(self, state: State) -> bool:
        """Write a state in place of the one before; False where its user was deleted since its time.

        That holds for a user who came back as well: the state is of who was there before.
        """
        row = {
            "kind": state.kind,
            "id": state.id,
            "user_id": state.user,
            "state": check_json(state.state, "state.state"),
            "time": to_us(state.time),
        }
        return self._writer.write(self._put, [row])[0]

    def _put(self, connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
        told = [(row["user_id"], row["time"]) for row in rows]
        late = self._tombstones.late(connection, told, ever=True)
        kept = [not one for one in late]
        upsert(connection, STATES, [row for row, keep in zip(rows, kept, strict=True) if keep])
        return kept

    def get(self, kind: StateKind, id: str) -> State | None:
        """The state of an id, if there is one."""
        with self._database.reading() as connection:
            query = select(STATES).where(STATES.c.kind == kind, STATES.c.id == id)
            row = connection.execute(query).first()
        if row is None:
            return None
        return State(kind, id, read_json(row.state), row.user_id, from_us(row.time))

    def delete(self, kind: StateKind, id: str) -> bool:
        """Delete a state; whether there was one."""
        return self._writer.write(_delete, [(kind, id)])[0]


def _delete(connection: Connection, keys: list[tuple[StateKind, str]]) -> list[bool]:
    answers = []
    for kind, id in keys:
        statement = STATES.delete().where(STATES.c.kind == kind, STATES.c.id == id)
        answers.append(connection.execute(statement).rowcount > 0)
    return answers
