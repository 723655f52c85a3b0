"""Connections, failures and versions of SQLite and PostgreSQL, each set so that what is committed is on disk."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, make_url, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from motet.errors import StoreError, StoreUnavailableError
from motet.service.store._tables import META, METADATA, VERSION

__all__ = [
    "Database",
    "StoreSettings",
    "StoreVersion",
    "migrate",
    "parse_url",
    "store_version",
    "translated",
]


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Time limits, group commit and queue sizes of a store.

    Attributes:
        group_commit: Whether concurrent writes share transactions; without it each has its own.
        gather_s: Longest wait for as many callers as in the last transaction, in seconds; a single caller never waits.
        most_rows: Most rows in one transaction, and in one call.
        most_waiting: Most rows that wait to be written; further ones are refused.
        patience_s: Longest wait for a lock or a connection, in seconds.
        answer_s: Longest wait for the acknowledgement of a write, in seconds.
        connections: Most connections to the database.
    """

    group_commit: bool = True
    gather_s: float = 0.002
    most_rows: int = 10_000
    most_waiting: int = 50_000
    patience_s: float = 10.0
    answer_s: float = 30.0
    connections: int = 12

    def __post_init__(self) -> None:
        for name in ("most_rows", "most_waiting", "patience_s", "answer_s"):
            if not getattr(self, name) > 0:
                raise StoreError(f"the store's {name} is {getattr(self, name)}", "give a number above 0")
        if self.gather_s < 0:
            raise StoreError(f"the store's gather_s is {self.gather_s}", "give a number of at least 0")
        if self.connections < 2:
            raise StoreError(f"the store's connections are {self.connections}", "give at least 2")
        if self.most_rows > self.most_waiting:
            raise StoreError("the store's most_rows exceeds its most_waiting", "make it at most as large")


_AGAIN: Final = "send it again with the same ids: nothing counts twice"
_CURES: Final = (
    (("disk is full", "No space left", "could not extend file", "disk full"), f"make room; then {_AGAIN}"),
    (("locked", "busy", "lock timeout"), f"another process writes for long; {_AGAIN}"),
    (("readonly", "read-only"), f"let the service write there; then {_AGAIN}"),
    (("unable to open", "disk I/O"), f"see that directory and disk are there; then {_AGAIN}"),
    (("password", "authentication", "does not exist"), "correct user, password or name in the store's URL"),
)
_REACH: Final = f"see that the database runs; then {_AGAIN}"
_DAMAGED: Final = ("malformed", "not a database")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn errors of a database into a StoreError or a StoreUnavailableError.

    Args:
        where: The store's URL without its password.
    """
    try:
        yield
    except exc.TimeoutError as error:
        problem = f"the store {where} has no connection to spare"
        public = "the store has no connection to spare"
        raise StoreUnavailableError(problem, "send fewer requests at once", public=public) from error
    except exc.DBAPIError as error:
        raise _explained(error.orig or error, where, error.connection_invalidated) from error
    except (sqlite3.Error, OSError) as error:
        raise _explained(error, where, False) from error
    except exc.SQLAlchemyError as error:
        # The connection broke between two statements.
        problem = f"the store {where} failed ({_first(error)})"
        raise StoreUnavailableError(problem, _REACH, public="the store failed") from error


def _explained(error: BaseException, where: str, lost: bool) -> StoreError:
    message = _first(error)
    if any(word in message for word in _DAMAGED):
        # Not a mistake of the caller: parts without the store still answer, and the call may be sent again.
        problem = f"the store {where} is damaged ({message})"
        cure = f"put the file aside and restore the newest backup; then {_AGAIN}"
        return StoreUnavailableError(problem, cure, public="the store is damaged")
    names = {kind.__name__ for kind in type(error).__mro__}
    if "ProgramLimitExceeded" in names:  # of ids that fit into no index, though an OperationalError
        cure = "send shorter ids: an index of PostgreSQL holds 2,704 bytes of them together"
        return StoreError(f"the store {where} refused it ({message})", cure, public="the store refused it")
    if lost or isinstance(error, OSError) or names & {"OperationalError", "InterfaceError"}:
        cure = next((cure for words, cure in _CURES if any(word in message for word in words)), _REACH)
        problem, public = f"the store {where} cannot be used now ({message})", "the store cannot be used now"
        return StoreUnavailableError(problem, cure, public=public)
    return StoreError(
        f"the store {where} refused it ({message})", "see what was sent", public="the store refused it"
    )


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


_LOG_S: Final = 0.05  # writers wait while it waits for readers
_LOCK: Final = (
    0x6D6F746574  # one writer of a PostgreSQL store at a time, so that commits come in the order of seq
)


def parse_url(url: str | Path) -> URL:
    """Parse a URL: a path or ``sqlite:///path``, or ``postgresql://user:password@host/name``.

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
        # Writes have connections of their own: they do not wait for readers.
        make = self._sqlite if self.dialect == "sqlite" else self._postgresql
        self._readers, self._writers = make(settings.connections - 1), make(1)
        if self.dialect == "postgresql":
            self._readers = self._readers.execution_options(isolation_level="REPEATABLE READ")
            # Also where the server's default is another: a transaction that waited for its turn sees what was written.
            self._writers = self._writers.execution_options(isolation_level="READ COMMITTED")
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
            pool_pre_ping=True,  # no failed call after a restart of the server
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
        """A connection whose reads see one snapshot.

        Raises:
            StoreUnavailableError: If the database cannot be reached, or is damaged.
        """
        with translated(self.where):
            self._there()
            with self._readers.connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The only writing connection; its rows are on disk when the block ends without an error.

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
        """Refuse to write to an SQLite file that was removed, which SQLite does not notice."""
        if self.path is None or self._inode is None:
            return
        try:
            found = self.path.stat()
        except OSError as error:
            self.close()
            problem = f"the store {self.where} is gone ({error.strerror})"
            cure = "put the file back, or begin again with another"
            raise StoreUnavailableError(problem, cure, public="the store is gone") from None
        if (found.st_dev, found.st_ino) != self._inode:
            self.close()
            self._inode = (found.st_dev, found.st_ino)

    def remember_file(self) -> None:
        """Remember the identity of the file, once it exists."""
        if self.path is not None:
            found = self.path.stat()
            self._inode = (found.st_dev, found.st_ino)

    def empty_log(self) -> bool:
        """Checkpoint and truncate the write-ahead log of SQLite, so that it holds no deleted rows.

        While a reader uses an older state, the log has to stay; writers do not wait for that.

        Returns:
            Whether the log is empty.
        """
        if self.path is None:
            return True
        try:
            place = f"{self.path.absolute().as_uri()}?mode=rw"  # a removed file is not created again
            with closing(sqlite3.connect(place, uri=True, timeout=_LOG_S)) as connection:
                # The first checkpoint runs while others write; they only wait for the rest.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (sqlite3.Error, OSError):
            return False
        return not busy

    def close(self) -> None:
        """Close all connections."""
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
    # SQLite refuses a reader that becomes a writer; a transaction that starts as a writer waits for its turn.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


_SCRIPTS: Final = "motet.service.store:migrations"
# What the store itself wrote into its table meta, before Alembic kept the version.
_BEFORE_ALEMBIC: Final = {"1": "0001", "2": "0002", "3": "0003"}
_ONE_AT_A_TIME: Final = threading.Lock()  # Alembic's context is global to the process


def migrate(database: Database) -> None:
    """Migrate a store to the newest version, or create it.

    All steps are one transaction, run by the first of several processes: after a failure the store has its old version.

    Args:
        database: Its connections.

    Raises:
        StoreError: If the store is of a newer version, or is not a store of motet.
        StoreUnavailableError: If it cannot be reached or written.
    """
    config, scripts = _scripts()
    with _ONE_AT_A_TIME, database.writing() as connection:
        version, is_alembic = _version(connection, database.where, scripts)
        if version != scripts[0].revision:
            config.attributes.update(connection=connection, version_table=VERSION.name)
            if version is not None and not is_alembic:
                command.stamp(config, version)
            command.upgrade(config, "head")
    database.remember_file()


def _scripts() -> tuple[Config, list[Script]]:
    """The steps of the versions, the newest first."""
    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.set_main_option("path_separator", "os")
    return config, list(ScriptDirectory.from_config(config).walk_revisions())


@dataclass(frozen=True, slots=True)
class StoreVersion:
    """The version of a store.

    Attributes:
        where: The store, without its password.
        version: Its version; None of an empty database, and of a file that is not there.
        newest: The version that this motet brings it to when it opens it.
        steps: What is to be done for that, in order: each version with its purpose.
    """

    where: str
    version: str | None
    newest: str
    steps: tuple[tuple[str, str], ...]


def store_version(url: str | Path) -> StoreVersion:
    """Read the version of a store, and leave it as it is: a file that is not there is not made.

    Raises:
        StoreError: If it is not a store of motet, or of a newer version.
        StoreUnavailableError: If it cannot be reached, or is damaged.
    """
    database = Database(url, StoreSettings())
    try:
        _, scripts = _scripts()
        version = None
        if database.path is None or database.path.exists():
            with database.reading() as connection:
                version, _ = _version(connection, database.where, scripts)
    finally:
        database.close()
    known = [str(script.revision) for script in reversed(scripts)]
    first = 0 if version is None else known.index(version) + 1
    steps = [(str(one.revision), (one.doc or "").partition(". ")[0].rstrip(".")) for one in reversed(scripts)]
    return StoreVersion(database.where, version, known[-1], tuple(steps[first:]))


def _version(connection: Connection, where: str, scripts: Sequence[Script]) -> tuple[str | None, bool]:
    """The version of a store, None of an empty database; and whether Alembic keeps it."""
    tables = set(inspect(connection).get_table_names())
    if META.name not in tables:
        if clash := tables & set(METADATA.tables):
            problem = f"the database {where} holds other tables ({', '.join(sorted(clash))})"
            raise StoreError(problem, "give the store a database of its own")
        return None, False
    is_alembic = VERSION.name in tables
    own = select(META.c.value).where(META.c.key == "version")
    value = connection.execute(select(VERSION.c.version_num) if is_alembic else own).scalar()
    if value is None:
        raise StoreError(f"the database {where} is no store of motet", "give the store a database of its own")
    version = value if is_alembic else _BEFORE_ALEMBIC.get(value, value)
    known = [script.revision for script in scripts]
    if version not in known:
        problem = f"the store {where} has version {version}, and this motet knows versions up to {known[0]}"
        raise StoreError(problem, "use the newer motet that made it, or restore a backup made before")
    return version, is_alembic
