"""Users, items and feedback of a Gorse into a store, each once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from operator import and_
from pathlib import Path
from typing import Any, Final, Self, TypeAlias, TypeVar, get_args

from pydantic import ValidationError
from sqlalchemy import Engine, create_engine, make_url

from motet.errors import DataError, MotetError, StoreError
from motet.schema import Progress, silent
from motet.service.gorse._shapes import FeedbackIn, GorseItemIn, GorseUserIn, item_in, read_time
from motet.service.gorse._sources import (
    AT_ONCE,
    GorseDirectory,
    GorseDump,
    GorseKind,
    GorseRow,
    GorseRows,
    GorseService,
    GorseSource,
    GorseTables,
)
from motet.service.store import Event, Feedback, Item, Store, User, check_json, parse_url, store_version

__all__ = ["GorseImport", "ImportedKind", "import_gorse", "open_gorse"]

_SHOWN: Final = 10
_MOST_KEPT: Final = 100
_LONGEST_SHOWN: Final = 60
_CURE: Final = "correct them, or leave such rows out with --skip-bad"
_Record: TypeAlias = User | Item | Feedback
_Entity = TypeVar("_Entity", User, Item)


class _FeedbackRow(FeedbackIn):
    updated: str = ""


def open_gorse(address: str, *, key: str = "", prefix: str = "") -> GorseSource:
    """Data of a Gorse, by its address.

    Args:
        address: ``http://host:port`` of a running Gorse (its REST API); a directory with ``users``, ``items`` and
            ``feedback`` as ``.jsonl`` (Gorse 0.5) or ``.csv`` (Gorse 0.4); the file of ``GET /api/dump``; the SQLite file or the
            PostgreSQL URL of its data store.
        key: Key of the REST API.
        prefix: Prefix of the tables of the data store.

    Returns:
        The data.

    Raises:
        DataError: If there is no such thing, or it is of another kind.
    """
    if address.startswith(("http://", "https://")):
        return GorseService(address.rstrip("/"), key)
    if "://" in address and not address.startswith("sqlite://"):
        return GorseTables(_postgresql(address), prefix)
    path = Path(address.removeprefix("sqlite://"))
    if path.is_dir():
        return GorseDirectory(path)
    if not path.is_file():
        raise DataError(f"{path} is not there", "name a directory, a file, or http://host:port of a Gorse")
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"SQLite format 3\0"):
        url = make_url("sqlite://").set(
            database=f"file:{path.absolute()}", query={"mode": "ro", "uri": "true"}
        )
        return GorseTables(create_engine(url), prefix, path.name)
    if start.startswith((GorseDump.USERS, b"\x1f\x8b")):
        return GorseDump(path)
    if path.suffix == ".sql":
        raise DataError(
            f"{path.name} is a dump in SQL, which only its own database can read",
            "load it into PostgreSQL and name that (--from postgresql://user@host/name), or start Gorse on its database "
            "and name that (--from http://host:8088)",
        )
    raise DataError(
        f"{path.name} is no file of a Gorse that is known here",
        "name the directory that holds users, items and feedback as .jsonl or .csv, the file of GET /api/dump, or the "
        "SQLite file of the data store",
    )


def _postgresql(address: str) -> Engine:
    kind = address.partition("://")[0]
    if kind not in ("postgres", "postgresql"):
        raise DataError(
            f"a data store {kind}:// cannot be read from here",
            "start Gorse on it and name that (--from http://host:8088), or name the files of its dashboard",
        )
    try:
        return create_engine(parse_url(address), connect_args={"connect_timeout": 10})
    except StoreError as error:
        raise DataError(error.problem, error.cure) from None


@dataclass(slots=True)
class ImportedKind:
    """What became of the users, the items or the feedback.

    Attributes:
        rows: Rows read.
        new: Rows that were not in the store.
        changed: Rows that were there with other values, and were replaced.
        kept: Rows that were there with other values, and were left alone.
        same: Rows that were there.
        deleted: Rows of users who were deleted from the store, which do not come back.
        bad: Rows that were left out.
        untimed: New feedback without a time of its own, which has the time of the import.
    """

    rows: int = 0
    new: int = 0
    changed: int = 0
    kept: int = 0
    same: int = 0
    deleted: int = 0
    bad: int = 0
    untimed: int = 0


@dataclass(slots=True)
class GorseImport:
    """The result of an import.

    Attributes:
        users: What became of the users.
        items: What became of the items.
        feedback: What became of the feedback.
        resumed: Whether it went on where an earlier import of a running Gorse was interrupted.
        problems: What was wrong with rows that were left out, the first hundred.
    """

    users: ImportedKind = field(default_factory=ImportedKind)
    items: ImportedKind = field(default_factory=ImportedKind)
    feedback: ImportedKind = field(default_factory=ImportedKind)
    resumed: bool = False
    problems: list[str] = field(default_factory=list)

    def of(self, kind: GorseKind) -> ImportedKind:
        """What became of a kind."""
        found: ImportedKind = getattr(self, kind)
        return found


def import_gorse(
    store: Store | str,
    source: GorseSource,
    *,
    keep: bool = False,
    skip_bad: bool = False,
    only_check: bool = False,
    from_start: bool = False,
    progress: Progress = silent,
) -> GorseImport:
    """Read users, items and feedback of a Gorse into a store; a service of the store follows.

    Run twice, it changes nothing the second time; interrupted, the same call goes on. A piece of feedback is an event of
    its value at its time, once; one whose value or time is another in Gorse by then is a further event. Feedback and users
    from before the deletion of the user in this store do not come back.

    Args:
        store: Where to. What is named by its path or URL is made, or migrated, when there is a row to write.
        source: Where from; see :func:`open_gorse`.
        keep: Leave users and items alone that are in the store, instead of replacing them.
        skip_bad: Leave wrong rows out, instead of writing nothing.
        only_check: Write nothing.
        from_start: Forget where an earlier import of a running Gorse was interrupted.
        progress: Told what is done.

    Returns:
        What became of the rows.

    Raises:
        DataError: If rows are wrong: each is named with its place, its column and its value. Nothing is written then,
            unless it is a running Gorse, of which the pages before are.
        RequestError: If a running Gorse does not answer, or refuses.
        StoreUnavailableError: If the store cannot write; the same call goes on.
    """
    with ExitStack() as opened:
        run = _Run(store, source, opened, keep=keep, progress=progress)
        if source.rereadable or only_check:
            run.check(skip_bad=skip_bad)
            if only_check:
                return run.found
            run.found = GorseImport()
        run.write(skip_bad=skip_bad, from_start=from_start or run.is_new)
    return run.found


class _Run:
    """One import."""

    def __init__(
        self, store: Store | str, source: GorseSource, opened: ExitStack, *, keep: bool, progress: Progress
    ) -> None:
        self.found = GorseImport()
        self._source, self._keep, self._progress = source, keep, progress
        self._to, self._opened = store, opened
        self.is_new = isinstance(store, str) and store_version(store).version is None
        self._problems = 0

    @cached_property
    def _store(self) -> Store:
        return self._to if isinstance(self._to, Store) else self._opened.enter_context(Store(self._to))

    def check(self, *, skip_bad: bool) -> None:
        """Read every row once, and write none."""
        for kind in get_args(GorseKind):
            for some in self._batches(kind, "checking"):
                for row in some.rows:
                    self._record(kind, row)
        if self._problems and not skip_bad:
            raise self._refused("nothing was written")

    def write(self, *, skip_bad: bool, from_start: bool) -> None:
        """Write every row that is not wrong: users and items as they come, feedback in the order of its times."""
        name = f"gorse:{hashlib.sha256(self._source.where.encode()).hexdigest()[:32]}"
        place: dict[str, str] = {} if from_start else dict(self._store.values.get(name) or {})
        self.found.resumed = bool(place)
        puts: dict[GorseKind, Callable[[Any], None]] = {"users": self._put_users, "items": self._put_items}
        for kind, put in puts.items():
            if place.get(kind) == _DONE:
                continue
            for records, cursor in self._records(kind, place.get(kind, ""), skip_bad):
                if records:
                    put(records)
                if not self._source.rereadable:
                    place[kind] = cursor or _DONE
                    self._store.values.put(name, place)
        with _ByTime() as sorted_rows:
            for records, _ in self._records("feedback", "", skip_bad):
                sorted_rows.add(records)
            for done, some in sorted_rows.batches():
                self._put_feedback(some)
                self._progress("importing feedback (rows)", done, len(sorted_rows))
        if place:
            self._store.values.put(name, {})

    def _records(self, kind: GorseKind, cursor: str, skip_bad: bool) -> Iterator[tuple[list[Any], str]]:
        """Records that are not wrong, some at a time, each time with the cursor of the next."""
        for some in self._batches(kind, "reading" if kind == "feedback" else "importing", cursor):
            self._problems = 0
            made = [one for one in (self._record(kind, row) for row in some.rows) if one is not None]
            if self._problems and not skip_bad and not self._source.rereadable:
                raise self._refused(
                    "no feedback was written" if kind == "feedback" else "the pages before were written"
                )
            yield made, some.cursor

    def _batches(self, kind: GorseKind, what: str, cursor: str = "") -> Iterator[GorseRows]:
        for some in self._source.read(kind, cursor):
            yield some
            # Of a running Gorse nobody knows how much there is.
            label = f"{what} {kind} ({'so far' if some.total is None else some.unit})"
            self._progress(label, some.done, some.done + 1 if some.total is None else some.total)

    def _refused(self, written: str) -> DataError:
        shown = self.found.problems[-min(self._problems, _MOST_KEPT) :][:_SHOWN]
        more = f"\n  and {self._problems - len(shown):,} more" if self._problems > len(shown) else ""
        count = f"{self._problems:,} rows are" if self._problems > 1 else "a row is"
        lines = "".join(f"\n  {one}" for one in shown)
        return DataError(f"{count} wrong, and {written}:{lines}{more}", _CURE)

    # -- a row as a record -------------------------------------------------------------------------

    def _record(self, kind: GorseKind, row: GorseRow) -> _Record | None:
        """The record of a row; None where it is wrong, which is noted."""
        counts = self.found.of(kind)
        counts.rows += 1
        try:
            if row.wrong:
                raise DataError(row.wrong)
            return _MADE[kind](row.content)
        except ValidationError as error:
            first = error.errors()[0]
            column, *rest = [str(part) for part in first["loc"]] or [""]
            column = ".".join([row.columns.get(column, column), *rest])
            wrong = _fault(first)
            problem = f"{row.place}, column {column}: {wrong}" if column else f"{row.place}: {wrong}"
        except _WrongPartError as error:
            problem = f"{row.place}, column {row.columns.get(error.part, error.part)}: {error.problem}"
        except MotetError as error:
            problem = f"{row.place}: {error.problem}"
        counts.bad += 1
        self._problems += 1
        if len(self.found.problems) < _MOST_KEPT:
            self.found.problems.append(problem)
        return None

    # -- records into the store --------------------------------------------------------------------

    def _put_users(self, sent: Sequence[User]) -> None:
        counts, users = self.found.users, {one.id: one for one in sent}
        # The rows bear no time: whoever was ever deleted here may be from before that.
        gone, there = self._store.users.deleted_at(users), self._store.users.get_many(users)
        counts.deleted += len(gone)
        counts.same += len(sent) - len(users)
        wanted = {id: user for id, user in users.items() if id not in gone}
        as_before = {id for id, one in there.items() if (one.labels, one.comment) == (users[id].labels, users[id].comment)}  # fmt: skip
        self._store.users.restore(self._new_or_changed(counts, wanted, there, as_before))

    def _put_items(self, sent: Sequence[Item]) -> None:
        counts, items = self.found.items, {one.id: one for one in sent}
        there = self._store.items.get_many(items)
        counts.same += len(sent) - len(items)
        items |= {
            id: replace(items[id], fields=one.fields) for id, one in there.items()
        }  # Gorse has no fields
        as_before = {id for id, one in there.items() if one == items[id]}
        self._store.items.put(self._new_or_changed(counts, items, there, as_before))

    def _new_or_changed(
        self, counts: ImportedKind, wanted: Mapping[str, _Entity], there: Collection[str], same: set[str]
    ) -> list[_Entity]:
        """Those that are to be written, and the counts of all."""
        known = [id for id in wanted if id in there]
        changed = [id for id in known if id not in same]
        counts.same += len(known) - len(changed)
        counts.new += len(wanted) - len(known)
        if self._keep:
            counts.kept += len(changed)
        else:
            counts.changed += len(changed)
        return [one for id, one in wanted.items() if id not in there or (not self._keep and id not in same)]

    def _put_feedback(self, sent: Sequence[Feedback]) -> None:
        counts = self.found.feedback
        deleted = self._store.users.deleted_at({one.user for one in sent})
        written, ids, untimed = [], [], []
        for one in sent:
            is_timed = one.time > _NEVER
            if one.user in deleted and (not is_timed or one.time <= deleted[one.user]):
                counts.deleted += 1
                continue
            ids.append(_id_of(one))
            untimed.append(not is_timed)
            now = datetime.now(UTC)
            written.append(one if is_timed else replace(one, time=now, updated=now))
        answers = self._store.feedback.take_over(written, ids)
        counts.new += sum(answers)
        counts.same += len(answers) - sum(answers)
        counts.untimed += sum(map(and_, answers, untimed))


class _ByTime:
    """Feedback in the order of its times, on disk: events are learnt from, and judged on, in the order of the store."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="motet-import-")
        self._rows = sqlite3.connect(Path(self._folder.name) / "feedback.sqlite")
        self._rows.execute("PRAGMA journal_mode=OFF")
        self._rows.execute("PRAGMA synchronous=OFF")
        self._rows.execute("CREATE TABLE feedback (n INTEGER PRIMARY KEY, time TEXT, row TEXT)")
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rows: Sequence[Feedback]) -> None:
        """Take in some, in any order."""
        kept = []
        for one in rows:
            time, updated = one.time.isoformat(), str(one.updated and one.updated.isoformat())
            content = [one.type, one.user, one.item, one.value, time, updated, one.labels, one.comment]
            # What has no time gets that of the import, which is later than all.
            kept.append((time if one.time > _NEVER else "9999", json.dumps(content)))
        self._rows.executemany("INSERT INTO feedback (time, row) VALUES (?, ?)", kept)
        self._rows.commit()
        self._count += len(rows)

    def batches(self) -> Iterator[tuple[int, list[Feedback]]]:
        """All of it, oldest first, some at a time, each time with the number so far."""
        found = self._rows.execute("SELECT row FROM feedback ORDER BY time, n")
        done = 0
        while some := found.fetchmany(AT_ONCE):
            done += len(some)
            yield done, [_kept(json.loads(row)) for (row,) in some]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._rows.close()
        self._folder.cleanup()


def _kept(content: Sequence[Any]) -> Feedback:
    type, user, item, value, time, updated, labels, comment = content
    times = datetime.fromisoformat(time), datetime.fromisoformat(updated)
    return Feedback(type, user, item, value, *times, labels, comment)


_DONE: Final = "\n"  # no cursor of Gorse, which are base64
_NEVER: Final = datetime(2, 1, 1, tzinfo=UTC)
"""Gorse writes the beginning of the year 1 where there is no time."""


class _WrongPartError(DataError):
    """A part of a row that the shapes of the API let through."""

    def __init__(self, part: str, problem: str) -> None:
        super().__init__(problem)
        self.part = part


def _user(content: Any) -> User:
    sent = GorseUserIn.model_validate(content)
    check_json(sent.labels, "Labels")
    return User(sent.user_id, sent.labels, sent.comment)


def _item(content: Any) -> Item:
    sent = GorseItemIn.model_validate(content)
    check_json(sent.labels, "Labels")
    time = _time("Timestamp", sent.timestamp)
    return item_in(sent.model_copy(update={"timestamp": "" if time <= _NEVER else sent.timestamp}))


def _feedback(content: Any) -> Feedback:
    sent = _FeedbackRow.model_validate(content)
    time, updated = _time("Timestamp", sent.timestamp), _time("Updated", sent.updated)
    found = Feedback(
        sent.feedback_type,
        sent.user_id,
        sent.item_id,
        sent.value or 1.0,  # 0 says that there is none
        time,
        max(time, updated),
        sent.labels,
        sent.comment,
    )
    check_json(sent.labels, "Labels")
    Event(found.type, found.user, found.item, found.value, found.time)  # its limits are narrower
    return found


_MADE: Final[Mapping[GorseKind, Callable[[Any], _Record]]] = {
    "users": _user,
    "items": _item,
    "feedback": _feedback,
}


def _time(part: str, text: str) -> datetime:
    """A time; the beginning of all times where there is none."""
    try:
        return read_time(text) or datetime.min.replace(tzinfo=UTC)
    except MotetError:
        raise _WrongPartError(part, f"{_short(text)} is no time, such as 2026-01-02T15:04:05Z") from None


def _fault(error: Mapping[str, Any]) -> str:
    """What is wrong with a part, and its value."""
    kind, value = str(error["type"]), error["input"]
    if kind == "missing":
        return "there is none"
    if kind == "string_too_short":
        return "it is empty"
    if kind == "string_too_long":
        return f"{_short(value)} has {len(value):,} characters; at most {error['ctx']['max_length']:,} can be kept"
    if kind == "string_pattern_mismatch":
        return f"{_short(value)} holds a slash or a NUL character, so that no address could name it"
    return f"{_short(value)}: {error['msg']}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _id_of(one: Feedback) -> str:
    """The id under which a piece of feedback counts once, wherever it is read from."""
    time = one.time.isoformat() if one.time > _NEVER else None
    content = json.dumps([one.type, one.user, one.item, one.value, time])
    return f"gorse-import-{hashlib.sha256(content.encode()).hexdigest()}"
