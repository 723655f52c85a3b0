"""The store of the service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import select

from motet.errors import StoreError, StoreUnavailableError
from motet.schema import require_known
from motet.service.store._counts import Counts
from motet.service.store._database import Database, StoreSettings, migrate
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
    backup,
    export_file,
    export_lines,
    import_file,
    import_lines,
)
from motet.service.store._writer import WriteCounts, Writer

__all__ = ["Store"]


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
        """Copy a consistent snapshot of an SQLite store while it is in use.

        Args:
            path: File of the copy; an existing one is replaced.

        Raises:
            StoreError: If it is PostgreSQL: the cure says which of its tools to use.
        """
        backup(self._database, Path(path))

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
