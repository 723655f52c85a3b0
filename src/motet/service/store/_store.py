"""The store of the service, and copies of it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from sqlalchemy import URL, select

from motet.errors import StoreError, StoreUnavailableError
from motet.schema import require_known
from motet.service.store._counts import Counts
from motet.service.store._database import (
    Database,
    StoreSettings,
    migrate,
    parse_url,
    store_version,
    translated,
)
from motet.service.store._entities import Items, Users
from motet.service.store._events import EventStore, EventWriter, Mode, Tombstones
from motet.service.store._experiments import ExperimentStore
from motet.service.store._feedback import FeedbackRows
from motet.service.store._identities import IdentityStore
from motet.service.store._jobs import Jobs
from motet.service.store._learner import LearnerStore
from motet.service.store._queries import Changes
from motet.service.store._service import KeyStore, Models, Values
from motet.service.store._shown import Forgotten, Satisfaction, ShownLists, States, forget_before
from motet.service.store._surveys import SurveyStore
from motet.service.store._tables import META
from motet.service.store._transfer import (
    RECORDS,
    ExportedRecords,
    Imported,
    Kind,
    check_file,
    export_file,
    export_lines,
    import_file,
    import_lines,
)
from motet.service.store._writer import WriteCounts, Writer

_IN_USE_S: Final = 0.5

__all__ = ["Restored", "Store", "backup_store", "restore_store"]


class Store:
    """Events, records and the recommendation log: durable, each event once, in order.

    Any number of threads and processes may use the same store. When a write returns, its rows are on
    disk. While the database cannot be reached or written, or is damaged, calls raise StoreUnavailableError; once it
    is back they work again, without a restart.

    Args:
        url: The path of an SQLite file, which is created if missing, or ``postgresql://user@host/name``.
        settings: Time limits and sizes.

    Attributes:
        events: Events.
        feedback: Feedback by type, user and item.
        users: Users.
        items: Items.
        identities: Further ids of users, and whose an id is.
        changes: The log of changed users, items and identities.
        shown: The recommendation log.
        satisfaction: Satisfaction with lists.
        states: Sessions and conversations.
        experiments: Experiments, and who was exposed to what.
        surveys: Surveys, who was asked, and the answers.
        models: Model versions.
        learner: Trainings of the learner.
        keys: API keys.
        values: Persistent settings.
        jobs: Imports and other long operations.
        counts: Counts by day.

    Raises:
        StoreError: If it is not a store, or of a newer version.
        StoreUnavailableError: If it cannot be reached, or is damaged.

    Example:
        >>> import tempfile
        >>> from motet.service.store import Event
        >>> with Store(Path(tempfile.mkdtemp()) / "shop.sqlite") as store:
        ...     _ = store.events.add([Event("click", "ann", "tea", id="1")])
        ...     new = store.events.add([Event("click", "ann", "tea", id="1"), Event("click", "ann", "tea", id="2")])
        ...     clicks = store.feedback.of_user("ann")
        >>> new, clicks[0].value
        ([False, True], 2.0)
    """

    def __init__(self, url: str | Path, settings: StoreSettings | None = None) -> None:
        self._database = Database(url, settings or StoreSettings())
        try:
            migrate(self._database)
            with self._database.reading() as connection:
                tombstones = Tombstones.of(connection)
        except BaseException:
            self._database.close()
            raise
        self._writer = Writer(self._database)
        self._writer.empty_log()  # left by a process that was killed during a read
        database, writer, event_writer = self._database, self._writer, EventWriter(tombstones)
        self.events = EventStore(database, writer, event_writer)
        self.feedback = FeedbackRows(database, writer, event_writer)
        self.users = Users(database, writer, tombstones)
        self.items = Items(database, writer)
        self.identities = IdentityStore(database, writer, tombstones)
        self.identities.follow()
        self.surveys = SurveyStore(database, writer, tombstones)
        self._exported = ExportedRecords(
            self.users, self.items, self.events, self.feedback, self.identities, self.surveys
        )
        self.changes = Changes(database)
        self.shown = ShownLists(database, writer, tombstones)
        self.satisfaction = Satisfaction(database, writer)
        self.states = States(database, writer, tombstones)
        self.experiments = ExperimentStore(database, writer, tombstones)
        self.models = Models(database, writer)
        self.learner = LearnerStore(database, writer)
        self.keys = KeyStore(database, writer)
        self.values = Values(database, writer)
        self.jobs = Jobs(database, writer)
        self.counts = Counts(database)

    @property
    def where(self) -> str:
        """The URL without its password."""
        return self._database.where

    @property
    def path(self) -> Path | None:
        """The file of an SQLite store; None of PostgreSQL."""
        return self._database.path

    @property
    def written(self) -> WriteCounts:
        """Counters of writes since it was opened, and of waiting rows."""
        return self._writer.counts

    def can_read(self) -> bool:
        """Whether the database answers and is readable."""
        try:
            with self._database.reading() as connection:
                connection.execute(select(META.c.value).where(META.c.key == "version")).all()
        except StoreUnavailableError:
            return False
        return True

    def forget_before(self, time: datetime, *, most: int | None = None) -> Forgotten:
        """Delete logged lists, sessions and conversations older than a time.

        Users, items, events, feedback and satisfaction are kept. With ``most``, other writers can run between calls.

        Args:
            time: The first moment that is kept.
            most: Most rows of each kind in this call; all by default.
        """
        return forget_before(self._writer, time, most)

    def backup(self, path: str | Path) -> None:
        """Copy a consistent snapshot of an SQLite store while it is in use; see :func:`backup_store`.

        Args:
            path: File of the copy; an existing one is replaced.

        Raises:
            StoreError: If it is PostgreSQL: the cure says which of its tools to use.
        """
        _backup(self._database, Path(path))

    @staticmethod
    def check_file(kind: Kind, path: str | Path) -> int:
        """Read a file as :meth:`import_file` does, and write nothing; no store needs to be there.

        Returns:
            How many records there are.

        Raises:
            StoreError: If a record is wrong.
        """
        require_known(kind, RECORDS, "the kind of record", StoreError)
        return check_file(kind, Path(path))

    def export_lines(self, kind: Kind) -> Iterator[bytes]:
        """Every record of a kind as a line of JSON, in order, a few in memory at a time."""
        require_known(kind, RECORDS, "the kind of record", StoreError)
        return export_lines(self._exported, kind)

    def export_file(self, kind: Kind, path: str | Path) -> int:
        """Write every record of a kind into a file that appears whole or not at all.

        Args:
            kind: ``users``, ``items``, ``events``, ``feedback``, ``identities`` or ``answers``.
            path: Ending in ``.jsonl`` or ``.parquet``; what is there is replaced.

        Returns:
            How many there were.
        """
        require_known(kind, RECORDS, "the kind of record", StoreError)
        return export_file(self._exported, kind, Path(path))

    def import_lines(self, kind: Kind, lines: Iterable[bytes], *, feedback: Mode = "add") -> Imported:
        """Read lines of JSON, a record each; read twice, they count once.

        Args:
            kind: ``users``, ``items``, ``events``, ``feedback``, ``identities`` or ``answers``.
            lines: The lines.
            feedback: What events do to feedback: ``none`` where feedback is read as well.

        Raises:
            StoreError: If a line is wrong: it is named, and what stood before it may be written already.
        """
        require_known(kind, RECORDS, "the kind of record", StoreError)
        return import_lines(self._exported, kind, lines, feedback=feedback)

    def import_file(self, kind: Kind, path: str | Path, *, feedback: Mode = "add") -> Imported:
        """Read a file that ends in ``.jsonl`` or ``.parquet``; as :meth:`import_lines` otherwise."""
        require_known(kind, RECORDS, "the kind of record", StoreError)
        return import_file(self._exported, kind, Path(path), feedback=feedback)

    def close(self) -> None:
        """Write the queued rows and close the connections."""
        self._writer.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# -- copies ------------------------------------------------------------------------------------


def backup_store(url: str | Path, path: str | Path) -> None:
    """Copy an SQLite store as it is at one moment, while it is read and written, and whatever its version.

    The copy is checked, and appears whole or not at all.

    Args:
        url: The store.
        path: File of the copy; an existing one is replaced.

    Raises:
        StoreError: If it is no store, or PostgreSQL, which has tools of its own: the cure names the command.
        StoreUnavailableError: If there is no room, or the store is damaged.
    """
    database = Database(url, StoreSettings())
    try:
        if database.path is not None and store_version(url).version is None:
            raise StoreError(f"{database.where} holds no store", "name the file of a store")
        _backup(database, Path(path))
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class Restored:
    """A restored store.

    Attributes:
        version: The version of the backup.
        deleted_again: Users who were deleted after the backup, and were deleted again; None where that is not known,
            for no readable store of the same origin was there.
    """

    version: str
    deleted_again: int | None


def restore_store(path: str | Path, url: str | Path, *, overwrite: bool = False) -> Restored:
    """Put a backup where a store is to be; it appears whole or not at all.

    Users who were deleted from the replaced store after the backup are deleted again.

    Args:
        path: The file that :func:`backup_store` wrote; it stays as it is.
        url: Where the store is to be: the path of an SQLite file.
        overwrite: Replace the store that is there; no process may have it open.

    Returns:
        What was restored.

    Raises:
        StoreError: If there is a store already, or it is in use; if the file is no backup of a store, or of a newer
            version; if the store is to be in PostgreSQL, which has tools of its own.
        StoreUnavailableError: If the file is damaged, or there is no room.
    """
    path, parsed = Path(path), parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise StoreError(
            "a PostgreSQL store is not restored from here",
            f"make an empty database, and run pg_restore --no-owner --dbname={_plain(parsed)} store.dump",
        )
    target = Path(str(parsed.database))
    if not path.is_file():
        raise StoreError(f"the backup {path} is not there", "name one that is")
    if target.exists() and target.samefile(path):
        raise StoreError(f"the backup {path} is the store itself", "name another file")
    if target.exists() and not overwrite:
        raise StoreError(f"there is a file {target} already", "name another place, or add --overwrite")
    if not target.parent.is_dir():
        raise StoreError(f"the store's directory {target.parent} is not there", "make it")
    with _copied(path, target, StoreSettings().patience_s, what="backup") as part:
        try:
            version = store_version(part).version
        except StoreError as error:  # of a copy that the caller does not know
            problem = error.problem.replace(f"sqlite:///{part}", str(path))
            raise type(error)(problem, _ANOTHER) from None
        if version is None:
            raise StoreError(f"the file {path} holds no store", _ANOTHER)
        with _alone(target) as replaced:
            gone = None if replaced is None else _deleted_in(replaced)
            again = None if gone is None else _delete_again(part, *gone)
            _one_file(part)
            for ending in ("-wal", "-shm"):
                target.with_name(target.name + ending).unlink(missing_ok=True)
            _replace(part, target)
    return Restored(version, again)


def _deleted_in(connection: sqlite3.Connection) -> tuple[str, set[str]] | None:
    """The salt of a store and the digests of its deleted users; None where it cannot be read."""
    try:
        (salt,) = connection.execute("SELECT value FROM meta WHERE key = 'salt'").fetchone()
        return salt, {bytes(row[0]).hex() for row in connection.execute("SELECT digest FROM tombstones")}
    except (sqlite3.Error, TypeError):
        return None


def _delete_again(part: Path, salt: str, digests: set[str]) -> int | None:
    """Delete users of a restored store whom its successor had deleted; returns how many there were."""
    with Store(part) as store:
        with closing(sqlite3.connect(part)) as connection:
            mine = _deleted_in(connection)
            every = "SELECT id FROM users UNION SELECT user_id FROM events"
            ids = [str(row[0]) for row in connection.execute(every)]
        if mine is None or mine[0] != salt:  # another store: its digests say nothing here
            return None
        new = digests - mine[1]
        return sum(store.users.delete(id) for id in ids if store.users.digest(id) in new)


_ANOTHER: Final = "name a file that motet store backup wrote"


def _backup(database: Database, path: Path) -> None:
    if database.path is None:
        raise StoreError(
            "a PostgreSQL store is not copied from here",
            f"run pg_dump --format=custom --file=store.dump {_plain(database.url)}",
        )
    if path.resolve() == database.path.resolve():
        raise StoreError(f"the backup {path} would replace the store itself", "name another file")
    if not path.parent.is_dir():
        raise StoreError(f"the directory {path.parent} of the backup is not there", "make it")
    with _copied(database.path, path, database.settings.patience_s) as part:
        _replace(part, path)


def _plain(url: URL) -> str:
    """A URL as PostgreSQL's own programs read it, without a password."""
    return url.set(drivername="postgresql", password=None).render_as_string()


@contextmanager
def _reading(source: Path, what: Literal["store", "backup"]) -> Iterator[None]:
    """Errors of a file that is copied; of a damaged backup no newer one can be restored."""
    try:
        with translated(str(source)):
            yield
    except StoreUnavailableError as error:
        if what == "store":
            raise
        problem = error.problem.replace(f"the store {source}", f"the backup {source}")
        raise StoreUnavailableError(problem, _ANOTHER) from None


@contextmanager
def _copied(
    source: Path, target: Path, patience_s: float, what: Literal["store", "backup"] = "store"
) -> Iterator[Path]:
    """A checked copy of an SQLite file beside another; it is removed at the end if it was not put in place."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        place = f"{source.absolute().as_uri()}?mode=rw"  # a file that is gone is not made again
        with _reading(source, what), closing(sqlite3.connect(place, uri=True, timeout=patience_s)) as from_:
            from_.execute("PRAGMA schema_version").fetchone()  # reads it
            with translated(str(target)), closing(sqlite3.connect(part)) as copy:
                # In one step: in several, every write of another process would make it begin again.
                from_.backup(copy, pages=-1)
                copy.execute("PRAGMA journal_mode=DELETE")
                with _reading(source, what):  # the copy is as the source is
                    (found,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
                    if found != "ok":
                        raise sqlite3.DatabaseError(f"database disk image is malformed: {found}")
        with translated(str(target)):
            yield part
    finally:
        for ending in ("", "-wal", "-shm"):
            part.with_name(part.name + ending).unlink(missing_ok=True)


def _one_file(path: Path) -> None:
    """Put the write-ahead log of an SQLite file into it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


@contextmanager
def _alone(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Keep an SQLite file locked while it is replaced; one that is damaged or not there needs no lock."""
    if not path.exists():
        yield None
        return
    with closing(sqlite3.connect(path, timeout=_IN_USE_S, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                problem = f"the store {path} is in use"
                raise StoreError(problem, "stop the services and learners of it first") from None
        yield connection


def _replace(part: Path, path: Path) -> None:
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
