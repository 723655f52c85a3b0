"""Long operations of a service, such as imports: what runs, and how the latest ended."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from sqlalchemy import Connection, select

from motet.errors import MotetError, StoreError, StoreUnavailableError
from motet.schema import require_known
from motet.service.store._database import Database
from motet.service.store._queries import check_limit, upsert
from motet.service.store._records import check_json, check_text, from_us, now, read_json, to_us
from motet.service.store._tables import SETTINGS
from motet.service.store._writer import Writer

__all__ = ["Job", "JobKind", "Jobs", "has_ended", "this_process"]

JobKind: TypeAlias = Literal["import", "export", "load", "activate", "roll_back"]
_JOB: Final = "job."
_AFTER: Final = "job/"  # the text after all names of jobs
_KEPT: Final = 100
_LONGEST_REASON: Final = 1_000


@dataclass(frozen=True, slots=True)
class Job:
    """A long operation.

    Attributes:
        kind: What it does.
        what: To what: a kind of record, or the name of a model.
        state: ``running``, ``done``, ``failed``, or ``ended`` where its process ended before it did.
        began: When, in UTC.
        ended: When it ended, in UTC; None before, and where nobody saw it.
        reason: Why it failed.
        details: What came of it: plain values.
        process: Who does it: host, process and its start.
    """

    kind: JobKind
    what: str
    state: Literal["running", "done", "failed", "ended"] = "running"
    began: datetime = field(default_factory=now)
    ended: datetime | None = None
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    process: str = ""


class Jobs:
    """The latest long operations of all processes of a store; a hundred are kept.

    Args:
        database: The store's connections.
        writer: What writes.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database, self._writer = database, writer

    @contextmanager
    def record(self, kind: JobKind, what: str) -> Iterator[dict[str, Any]]:
        """Record an operation while it runs, and how it ends.

        Args:
            kind: What it does.
            what: To what.

        Yields:
            A dictionary for what comes of it.
        """
        require_known(kind, get_args(JobKind), "the kind of a job", StoreError)
        check_text(what := what[:200], "what a job is about", empty=True)
        job, details = Job(kind, what, process=this_process()), dict[str, Any]()
        name = f"{_JOB}{to_us(job.began):020d}.{uuid.uuid4().hex[:8]}"
        self._put(name, job)
        try:
            yield details
        except BaseException as error:
            reason = error.problem if isinstance(error, MotetError) else type(error).__name__
            self._end(name, replace(job, state="failed", reason=reason[:_LONGEST_REASON], details=details))
            raise
        self._end(name, replace(job, state="done", details=details))

    def latest(self, limit: int = 20) -> list[Job]:
        """The latest operations, newest first."""
        query = (
            select(SETTINGS.c.value)
            .where(SETTINGS.c.name >= _JOB, SETTINGS.c.name < _AFTER)
            .order_by(SETTINGS.c.name.desc())
            .limit(check_limit(limit))
        )
        with self._database.reading() as connection:
            return [_job_of(read_json(text)) for text in connection.execute(query).scalars()]

    def _end(self, name: str, job: Job) -> None:
        with suppress(StoreUnavailableError):  # the operation itself says what is wrong with the store
            self._put(name, replace(job, ended=now()))

    def _put(self, name: str, job: Job) -> None:
        ended = None if job.ended is None else to_us(job.ended)
        plain = {**asdict(job), "began": to_us(job.began), "ended": ended}
        self._writer.write(_put_job, [{"name": name, "value": check_json(plain, "a job")}])


def _put_job(connection: Connection, rows: list[dict[str, Any]]) -> list[None]:
    upsert(connection, SETTINGS, rows)
    is_job = (SETTINGS.c.name >= _JOB) & (SETTINGS.c.name < _AFTER)
    old = select(SETTINGS.c.name).where(is_job).order_by(SETTINGS.c.name.desc()).offset(_KEPT)
    if names := list(connection.execute(old).scalars()):
        connection.execute(SETTINGS.delete().where(SETTINGS.c.name.in_(names)))
    return [None] * len(rows)


def _job_of(plain: dict[str, Any]) -> Job:
    ended = None if plain["ended"] is None else from_us(plain["ended"])
    job = Job(**{**plain, "began": from_us(plain["began"]), "ended": ended})
    return replace(job, state="ended") if job.state == "running" and has_ended(job.process) else job


# -- processes -----------------------------------------------------------------------------------


def this_process() -> str:
    """A name of this process: host, number and start."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def has_ended(process: str) -> bool:
    """Whether a name of :func:`this_process` is that of a process of this machine that is gone.

    Example:
        >>> has_ended(this_process()), has_ended("another-machine:1:7")
        (False, False)
    """
    host, _, rest = process.rpartition(":")[0].rpartition(":")
    started = process.rpartition(":")[2]
    if host != socket.gethostname() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return bool(started) and _started(int(rest)) != started


def _started(process: int) -> str:
    """When a process of this machine started, as far as that can be known: its number may be used again."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
