"""Model versions: what was loaded, what serves, what served before, what was refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import Connection, select

from motet.errors import StoreError
from motet.schema import require_known
from motet.store._checks import LONGEST_TEXT, check_text, check_time, from_us, now, to_us
from motet.store._database import Database
from motet.store._tables import MODELS
from motet.store._upsert import upsert
from motet.store._writer import Writer

__all__ = ["ModelState", "ModelVersion", "Models"]

ModelState: TypeAlias = Literal["loaded", "active", "previous", "refused"]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of the model.

    Attributes:
        name: Its name.
        path: Where its bundle lies.
        state: ``loaded``, ``active`` (it serves), ``previous`` (it served last) or ``refused``.
        reason: Why it was refused.
        created: When first told of, in UTC.
        changed: When its state changed last, in UTC.
    """

    name: str
    path: str
    state: ModelState = "loaded"
    reason: str = ""
    created: datetime = field(default_factory=now)
    changed: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        check_text(self.name, "model.name")
        check_text(self.path, "model.path", longest=4096)
        check_text(self.reason, "model.reason", longest=LONGEST_TEXT, empty=True)
        require_known(self.state, get_args(ModelState), "the state of a model", StoreError)
        for name in ("created", "changed"):
            object.__setattr__(self, name, check_time(getattr(self, name), f"model.{name}"))


class Models:
    """The model versions of a store.

    Args:
        database: The store's connections.
        writer: What writes.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def put(self, model: ModelVersion) -> None:
        """Write a version that is loaded or refused; :meth:`activate` makes it serve.

        Raises:
            StoreError: If it is written as active or previous.
        """
        if model.state not in ("loaded", "refused"):
            raise StoreError(
                f"the model '{model.name}' is to be written as {model.state}", "activate it instead"
            )
        row = {
            "name": model.name,
            "path": model.path,
            "state": model.state,
            "reason": model.reason,
            "created": to_us(model.created),
            "changed": to_us(model.changed),
        }
        self._writer.write(_put, [row])

    def activate(self, name: str) -> None:
        """Make a version the one that serves; the one before becomes the previous one.

        Raises:
            StoreError: If there is no such version, or it was refused.
        """
        found = self._writer.write(_activate, [name])[0]
        if found is None:
            raise StoreError(f"there is no model '{name}'", "load it first")
        if found == "refused":
            raise StoreError(f"the model '{name}' was refused", "mend its bundle and load it again")

    def all(self) -> list[ModelVersion]:
        """Every version, newest first."""
        query = select(MODELS).order_by(MODELS.c.created.desc(), MODELS.c.name)
        with self._database.reading() as connection:
            return [_model_of(row) for row in connection.execute(query)]

    def in_state(self, state: ModelState) -> ModelVersion | None:
        """The version that was last brought into a state, if there is one."""
        query = select(MODELS).where(MODELS.c.state == state).order_by(MODELS.c.changed.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else _model_of(row)

    def delete(self, name: str) -> bool:
        """Take a version out of the list, unless it serves; whether it went."""
        return self._writer.write(_delete, [name])[0]


def _model_of(row: Any) -> ModelVersion:
    return ModelVersion(row.name, row.path, row.state, row.reason, from_us(row.created), from_us(row.changed))


def _put(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
    # When it was first told of stays, whatever comes later.
    upsert(
        connection,
        MODELS,
        rows,
        lambda new: {name: new[name] for name in ("path", "state", "reason", "changed")},
    )
    return [True] * len(rows)


def _activate(connection: Connection, names: list[str]) -> list[str | None]:
    answers = []
    for name in names:
        state = connection.execute(select(MODELS.c.state).where(MODELS.c.name == name)).scalar()
        answers.append(state)
        if state in (None, "active", "refused"):
            continue
        time = to_us(now())
        for before, after in (("previous", "loaded"), ("active", "previous")):
            moved = MODELS.update().where(MODELS.c.state == before, MODELS.c.name != name)
            connection.execute(moved.values(state=after, changed=time))
        connection.execute(MODELS.update().where(MODELS.c.name == name).values(state="active", changed=time))
    return answers


def _delete(connection: Connection, names: list[str]) -> list[bool]:
    answers = []
    for name in names:
        statement = MODELS.delete().where(MODELS.c.name == name, MODELS.c.state != "active")
        answers.append(connection.execute(statement).rowcount > 0)
    return answers
