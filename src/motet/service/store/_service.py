"""By what a service is operated: API keys, model versions, settings that outlive a restart."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from sqlalchemy import Connection, select

from motet.errors import RequestError, StoreError, StoreUnavailableError
from motet.schema import require_known
from motet.service.store._database import Database
from motet.service.store._queries import upsert
from motet.service.store._records import (
    LONGEST_TEXT,
    check_json,
    check_text,
    check_time,
    from_us,
    now,
    read_json,
    to_us,
)
from motet.service.store._tables import KEYS, MODELS, SETTINGS
from motet.service.store._writer import Writer

__all__ = ["Key", "KeyStore", "ModelState", "ModelVersion", "Models", "Scope", "Values"]

Scope: TypeAlias = Literal["read", "write", "admin"]

_PREFIX: Final = "motet"
_FRESH_S: Final = 5.0
_STALE_S: Final = 300.0
_MOST_CACHED: Final = 1_000
_NOBODY: Final = b"\0" * 32


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of an API key, without the key.

    Attributes:
        id: Its id; the middle of the key, and no secret.
        scopes: What it allows.
        name: Whose it is, in words.
        created: When it was made, in UTC.
        revoked: When it was revoked, if it was.
    """

    id: str
    scopes: frozenset[Scope]
    name: str
    created: datetime
    revoked: datetime | None = None


class KeyStore:
    """The API keys of a store.

    A key is ``motet_ID_SECRET`` with a secret of 256 random bits; kept is its SHA-256. (A slow hash protects
    secrets that can be guessed; this one cannot.) What was read is believed for five seconds, so a key that
    another process revoked works that long at most; while the database is gone, for five minutes.

    Args:
        database: The store's connections.
        writer: What writes.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer
        self._cache: dict[str, tuple[float, Key | None, bytes]] = {}
        self._lock = threading.Lock()

    def create(self, scopes: Collection[Scope], name: str = "") -> tuple[str, Key]:
        """Make a key.

        Args:
            scopes: What it allows: ``read``, ``write``, ``admin``.
            name: Whose it is, in words.

        Returns:
            The key, which is never shown again, and what is kept of it.

        Raises:
            StoreError: If a scope is not known, or none is given.
        """
        for scope in scopes:
            require_known(scope, get_args(Scope), "the scope", StoreError)
        if not scopes:
            raise StoreError("the key has no scope", "give at least one of read, write, admin")
        check_text(name, "the name of the key", empty=True)
        id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        kept = Key(id, frozenset(scopes), name, now())
        row = {
            "id": id,
            "digest": _digest(secret),
            "scopes": " ".join(sorted(kept.scopes)),
            "name": name,
            "created": to_us(kept.created),
            "revoked": None,
        }
        self._writer.write(_insert, [row])
        with self._lock:
            self._cache.pop(id, None)
        return f"{_PREFIX}_{id}_{secret}", kept

    def verify(self, key: str) -> Key | None:
        """What is known of a key, if it is one and is not revoked.

        The time that this takes says nothing about the secret.

        Raises:
            StoreUnavailableError: If the database is gone and the key was not used for five minutes.
        """
        prefix, _, rest = key.partition("_")
        id, _, secret = rest.partition("_")
        if prefix != _PREFIX or not (id.isascii() and id.isalnum()) or len(id) != 16:
            return None
        known, digest = self._look(id)
        right = hmac.compare_digest(_digest(secret), digest)
        return known if right and known is not None and known.revoked is None else None

    def revoke(self, id: str) -> bool:
        """Make a key work no more, in this process at once; whether there is such a key that still worked."""
        done = self._writer.write(_revoke, [(id, to_us(now()))])[0]
        with self._lock:
            self._cache.pop(id, None)
        return done

    def all(self) -> list[Key]:
        """Every key, oldest first, revoked ones too."""
        with self._database.reading() as connection:
            return [
                _key_of(row) for row in connection.execute(select(KEYS).order_by(KEYS.c.created, KEYS.c.id))
            ]

    def any(self) -> bool:
        """Whether there is a key that works."""
        with self._database.reading() as connection:
            query = select(KEYS.c.id).where(KEYS.c.revoked.is_(None)).limit(1)
            return connection.execute(query).first() is not None

    def _look(self, id: str) -> tuple[Key | None, bytes]:
        time_s = time.monotonic()
        with self._lock:
            cached = self._cache.get(id)
        if cached and time_s - cached[0] < _FRESH_S:
            return cached[1:]
        try:
            with self._database.reading() as connection:
                row = connection.execute(select(KEYS).where(KEYS.c.id == id)).first()
        except StoreUnavailableError:
            if cached and time_s - cached[0] < _STALE_S:
                return cached[1:]
            raise
        if row is None:  # not kept: made-up ids would push the real ones out
            return None, _NOBODY
        found = (_key_of(row), bytes(row.digest))
        with self._lock:
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            self._cache[id] = (time_s, *found)
        return found

    def make_first(self, path: Path) -> bool:
        """Make a key with all scopes where the store has none, and write it to a file that its owner alone may read.

        The file is made before the key is, so that no key exists that nobody can read.

        Args:
            path: The file; one that is there already is replaced, for its key is not in this store.

        Returns:
            Whether there was none.

        Raises:
            RequestError: If the file cannot be written; no key is made then.
        """
        if self.any():
            return False
        temporary = path.with_name(path.name + ".new")
        try:
            temporary.unlink(missing_ok=True)
            place = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise RequestError(
                f"the first key cannot be written to {path} ({error.strerror})",
                "name a file in a directory of your own",
            ) from None
        with os.fdopen(place, "w") as file:
            key, _ = self.create({"read", "write", "admin"}, "the first key")
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        return True


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _key_of(row: Any) -> Key:
    revoked = None if row.revoked is None else from_us(row.revoked)
    return Key(row.id, frozenset(row.scopes.split()), row.name, from_us(row.created), revoked)


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
    connection.execute(KEYS.insert(), rows)
    return [True] * len(rows)


def _revoke(connection: Connection, rows: list[tuple[str, int]]) -> list[bool]:
    answers = []
    for id, time_us in rows:
        statement = KEYS.update().where(KEYS.c.id == id, KEYS.c.revoked.is_(None)).values(revoked=time_us)
        answers.append(connection.execute(statement).rowcount > 0)
    return answers


ModelState: TypeAlias = Literal["loaded", "active", "previous", "refused"]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of the model.

    Attributes:
        name: Its name.
        path: Where its bundle lies.
        state: ``loaded``, ``active`` (it serves), ``previous`` (it served last) or ``refused``.
        reason: Why it was refused.
        created: When first recorded, in UTC.
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
            raise StoreError(f"the model '{name}' was refused", "correct its bundle and load it again")

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
    # When it was first recorded stays, whatever comes later.
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


class Values:
    """Named values, each whatever JSON can say.

    Args:
        database: The store's connections.
        writer: What writes.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def put(self, name: str, value: Any) -> None:
        """Write a value in place of the one before."""
        check_text(name, "the name of the value")
        self._writer.write(_put_values, [{"name": name, "value": check_json(value, f"the value {name!a}")}])

    def get(self, name: str, default: Any = None) -> Any:
        """A value, or the default where there is none."""
        with self._database.reading() as connection:
            text = connection.execute(select(SETTINGS.c.value).where(SETTINGS.c.name == name)).scalar()
        return default if text is None else read_json(text)


def _put_values(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
    upsert(connection, SETTINGS, rows)
    return [True] * len(rows)
