"""Operation of a service: API keys, model versions, persistent settings."""

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
    """An API key, without its secret.

    Attributes:
        id: Its id; the middle of the key, and no secret.
        scopes: Its scopes.
        name: A name, such as its owner.
        created: When it was created, in UTC.
        revoked: When it was revoked, if it was.
    """

    id: str
    scopes: frozenset[Scope]
    name: str
    created: datetime
    revoked: datetime | None = None


class KeyStore:
    """The API keys of a store.

    A key is ``motet_ID_SECRET`` with a secret of 256 random bits; the store holds its SHA-256. (A slow hash is for
    secrets that can be guessed; this one cannot.) Keys are cached for a second, so a key revoked by another process
    is valid for at most that long; while the database is unavailable, for five minutes.

    Args:
        database: The store's connections.
        writer: The writer of the store.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer
        self._cache: dict[str, tuple[float, Key | None, bytes]] = {}
        self._lock = threading.Lock()

    def create(self, scopes: Collection[Scope], name: str = "") -> tuple[str, Key]:
        """Create a key.

        Args:
            scopes: Its scopes: ``read``, ``write``, ``admin``.
            name: A name, such as its owner.

        Returns:
            The key, which is not stored, and its record.

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
        """The record of a key; None if it is unknown or revoked.

        The comparison takes constant time.

        Raises:
            StoreUnavailableError: If the database is unavailable and the key was not used for five minutes.
        """
        prefix, _, rest = key.partition("_")
        id, _, secret = rest.partition("_")
        if prefix != _PREFIX or not (id.isascii() and id.isalnum()) or len(id) != 16:
            return None
        known, digest = self._look(id)
        right = hmac.compare_digest(_digest(secret), digest)
        return known if right and known is not None and known.revoked is None else None

    def revoke(self, id: str) -> bool:
        """Revoke a key, in this process at once; returns whether there was such a valid key."""
        done = self._writer.write(_revoke, [(id, to_us(now()))])[0]
        with self._lock:
            self._cache.pop(id, None)
        return done

    def all(self) -> list[Key]:
        """All keys, oldest first, including revoked ones."""
        with self._database.reading() as connection:
            return [
                _key_of(row) for row in connection.execute(select(KEYS).order_by(KEYS.c.created, KEYS.c.id))
            ]

    def any(self) -> bool:
        """Whether there is a valid key."""
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
        if row is None:  # not cached: invented ids would evict real ones
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
        path: Directory of its bundle.
        state: ``loaded``, ``active``, ``previous`` (active before) or ``refused``.
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
        writer: The writer of the store.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def put(self, model: ModelVersion) -> None:
        """Write a loaded or refused version; :meth:`activate` makes it active.

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
        """Make a version active; the active one becomes the previous one.

        Raises:
            StoreError: If there is no such version, or it was refused.
        """
        found = self._writer.write(_activate, [name])[0]
        if found is None:
            raise StoreError(f"there is no model '{name}'", "load it first")
        if found == "refused":
            raise StoreError(f"the model '{name}' was refused", "correct its bundle and load it again")

    def all(self) -> list[ModelVersion]:
        """All versions, newest first."""
        query = select(MODELS).order_by(MODELS.c.created.desc(), MODELS.c.name)
        with self._database.reading() as connection:
            return [_model_of(row) for row in connection.execute(query)]

    def in_state(self, state: ModelState) -> ModelVersion | None:
        """The version that entered a state last, if there is one."""
        query = select(MODELS).where(MODELS.c.state == state).order_by(MODELS.c.changed.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else _model_of(row)

    def delete(self, name: str) -> bool:
        """Delete a version unless it is active; whether it was deleted."""
        return self._writer.write(_delete, [name])[0]


def _model_of(row: Any) -> ModelVersion:
    return ModelVersion(row.name, row.path, row.state, row.reason, from_us(row.created), from_us(row.changed))


def _put(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
    # The time of the first record is kept.
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
    """Named JSON values.

    Args:
        database: The store's connections.
        writer: The writer of the store.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def put(self, name: str, value: Any) -> None:
        """Write a value."""
        check_text(name, "the name of the value")
        self._writer.write(_put_values, [{"name": name, "value": check_json(value, f"the value {name!a}")}])

    def get(self, name: str, default: Any = None) -> Any:
        """Read a value, or the default."""
        with self._database.reading() as connection:
            text = connection.execute(select(SETTINGS.c.value).where(SETTINGS.c.name == name)).scalar()
        return default if text is None else read_json(text)


def _put_values(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
    upsert(connection, SETTINGS, rows)
    return [True] * len(rows)
