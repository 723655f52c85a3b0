"""Connections: SQLite and PostgreSQL, each set so that what is committed is on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from motet.errors import StoreError, StoreUnavailableError
from motet.store._failures import translated
from motet.store._settings import StoreSettings

__all__ = ["Database", "parse_url"]

_LOG_S: Final = 0.05  # writers stand still while it waits for readers
_LOCK: Final = (
    0x6D6F746574  # one writer of a PostgreSQL store at a time, so that commits come in the order of seq
)


def parse_url(url: str | Path) -> URL:
    """Read a place: a path or ``sqlite:///path``, or ``postgresql://user:password@host/name``.

    Raises:
        StoreError: If it is neither.

    Example:
        >>> parse_url("postgresql://localhost/shop").drivername
        'postgresql+psycopg'
        >>> parse_url("store.sqlite").database
        'store.sqlite'
    """
    if isinstance(url, Path) or "://" not in url:
        return URL.create("sqlite", database=str(url))
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            "the store's URL cannot be read", "write postgresql://user@host/name or a path"
        ) from None
    kind = parsed.drivername.partition("+")[0]
    if kind == "sqlite" and parsed.database and parsed.database != ":memory:":
        return URL.create("sqlite", database=parsed.database)
    if kind in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    problem = f"the store '{parsed.render_as_string(hide_password=True)}' is of no known kind"
    raise StoreError(problem, "give the path of an SQLite file, or postgresql://user@host/name")


class Database:
    """The connections of one store.

    Args:
        url: See :func:`parse_url`.
        settings: How long to wait, and how many connections to hold.

    Attributes:
        dialect: ``sqlite`` or ``postgresql``.
        where: The URL without its password.
        path: The file, where it is SQLite.
    """

    def __init__(self, url: str | Path, settings: StoreSettings) -> None:
        self.url = parse_url(url)
        self.settings = settings
        self.dialect = self.url.get_backend_name()
        self.where = self.url.render_as_string(hide_password=True)
        self.path = Path(str(self.url.database)) if self.dialect == "sqlite" else None
        self._inode: tuple[int, int] | None = None
        # Writes have connections of their own: no crowd of readers keeps them waiting.
        make = self._sqlite if self.dialect == "sqlite" else self._postgresql
        self._readers, self._writers = make(settings.connections - 1), make(1)
        if self.dialect == "postgresql":
            self._readers = self._readers.execution_options(isolation_level="REPEATABLE READ")
        if self.dialect == "sqlite":
            event.listen(self._readers, "begin", _begin)
            event.listen(self._writers, "begin", _begin_writing)

    def _sqlite(self, connections: int) -> Engine:
        if self.path and not self.path.parent.is_dir():
            raise StoreError(f"the store's directory {self.path.parent} is not there", "make it")
        arguments = {"timeout": self.settings.patience_s, "check_same_thread": False}
        engine = create_engine(
            self.url,
            poolclass=QueuePool,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=self.settings.patience_s,
            connect_args=arguments,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        return engine

    def _postgresql(self, connections: int) -> Engine:
        patience_ms = int(self.settings.patience_s * 1000)
        asked = self.url.query.get("options", "")
        own = f"-c synchronous_commit=on -c lock_timeout={patience_ms}"
        return create_engine(
            self.url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=self.settings.patience_s,
            pool_pre_ping=True,  # a server that was restarted costs no failed call
            connect_args={
                "connect_timeout": max(2, int(self.settings.patience_s)),
                "tcp_user_timeout": patience_ms,
                "keepalives_idle": 5,
                "application_name": "motet",
                "options": f"{asked} {own}".strip(),
            },
        )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose reads all see one moment.

        Raises:
            StoreUnavailableError: If the database cannot be reached, or is damaged.
        """
        with translated(self.where):
            self._there()
            with self._readers.connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection that alone writes; what it wrote is on disk when the block ends without an error.

        Raises:
            StoreUnavailableError: If the database cannot be reached, cannot write, or is damaged.
        """
        with translated(self.where):
            self._there()
            with self._writers.connect() as connection, connection.begin():
                if self.dialect == "postgresql":
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
                yield connection

    def _there(self) -> None:
        """Refuse to write into an SQLite file that was taken away: SQLite itself would not notice."""
        if self.path is None or self._inode is None:
            return
        try:
            found = self.path.stat()
        except OSError as error:
            self.close()
            problem = f"the store {self.where} is gone ({error.strerror})"
            cure = "put the file back, or start anew with another"
            raise StoreUnavailableError(problem, cure, public="the store is gone") from None
        if (found.st_dev, found.st_ino) != self._inode:
            self.close()
            self._inode = (found.st_dev, found.st_ino)

    def remember_file(self) -> None:
        """Take note of which file this is, once it is there."""
        if self.path is not None:
            found = self.path.stat()
            self._inode = (found.st_dev, found.st_ino)

    def empty_log(self) -> bool:
        """Write the log of SQLite back and cut it, so that what was deleted is nowhere.

        While somebody reads what was before, the log has to stay; nobody's writing waits for that.

        Returns:
            Whether nothing is left to do.
        """
        if self.path is None:
            return True
        try:
            place = f"{self.path.absolute().as_uri()}?mode=rw"  # a file that was taken away is not begun anew
            with closing(sqlite3.connect(place, uri=True, timeout=_LOG_S)) as connection:
                # Most of it while others write, so that they stand still only for the rest.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (sqlite3.Error, OSError):
            return False
        return not busy

    def close(self) -> None:
        """Give every connection back."""
        self._readers.dispose()
        self._writers.dispose()


def _prepare_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise sqlite3.OperationalError(
            f"disk I/O of this file system allows no write-ahead log, but '{mode}'"
        )
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Connection) -> None:
    # A reader that became a writer half-way would be refused; a writer says so at once and waits its turn.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
