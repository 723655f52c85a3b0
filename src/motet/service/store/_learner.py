"""What the learner does: its trainings with their outcomes, and who holds the learner."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, Connection, func, select

from motet.errors import StoreError
from motet.schema import require_known
from motet.service.store._database import Database
from motet.service.store._queries import check_limit, upsert
from motet.service.store._records import check_json, check_text, from_us, now, read_json, to_us
from motet.service.store._shown import Shown, shown_of
from motet.service.store._tables import EVENTS, LEASES, MODELS, SETTINGS, SHOWN, TRAININGS
from motet.service.store._writer import Writer

__all__ = ["ENDED", "UPDATE", "LearnerStore", "Training", "TrainingState"]

TrainingState: TypeAlias = Literal[
    "exporting",
    "training",
    "judging",
    "canary",
    "activating",
    "active",
    "kept",
    "failed",
    "rolled_back",
    "replaced",
]
ENDED: Final = frozenset({"active", "kept", "failed", "rolled_back", "replaced"})
"""States after which nothing more is done for a training."""
UPDATE: Final = "update"
"""Cause of a training in which the active model learns from the events since."""
_LEARNER: Final = "learner"
_CANARY: Final = "canary."  # names of figures: canary.NUMBER.PROCESS


@dataclass(frozen=True, slots=True)
class Training:
    """One training of the learner.

    Attributes:
        number: From 1.
        state: What is done now (in ``canary`` the model answers a share of the users), or how it ended: ``active``,
            ``kept`` (trained and not activated), ``failed``, ``rolled_back``, or ``replaced`` by a later one.
        cause: Why it was begun: ``first``, ``growth``, ``schedule``, ``events``, ``drift``, ``score`` or ``asked``; or
            :data:`UPDATE`, where the active model learns from new events and is not trained in full.
        until: ``seq`` of the last event that it learns from.
        judged_until: ``seq`` of the last event that it is judged on; those after ``until`` up to here.
        began: When, in UTC.
        changed: When its state changed last, in UTC.
        base: The model that was active then, whose weights it begins with as far as they fit; None for none.
        model: Name of what was trained; None before.
        details: Rows, scores, and the reason where it was not activated: plain values.
    """

    number: int
    state: TrainingState
    cause: str
    until: int
    judged_until: int
    began: datetime = field(default_factory=now)
    changed: datetime = field(default_factory=now)
    base: str | None = None
    model: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> datetime | None:
        """When it came to an end; what becomes of its model later changes nothing. None before, and where nobody noted it."""
        if text := self.details.get("ended"):
            return datetime.fromisoformat(text)
        return self.changed if self.state in ("kept", "failed") else None

    @property
    def is_update(self) -> bool:
        """Whether the active model learns from new events, and is not trained in full."""
        return self.cause == UPDATE

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done for it."""
        return self.state not in ENDED


class LearnerStore:
    """The trainings of a store, and the one process at a time that may begin them.

    Args:
        database: The store's connections.
        writer: What writes.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database, self._writer = database, writer

    # -- one learner at a time ---------------------------------------------------------------

    def hold(self, owner: str, seconds: float, *, instead_of: str | None = None) -> str:
        """Hold the learner for some time, or go on holding it.

        Args:
            owner: Who, such as host, process and its start.
            seconds: For how long, unless it is held again before.
            instead_of: An owner that is known to have died: what it holds is free.

        Returns:
            Who holds it now.
        """
        check_text(owner, "the owner")
        return self._writer.write(_hold, [(owner, to_us(now() + timedelta(seconds=seconds)), instead_of)])[0]

    def release(self, owner: str) -> None:
        """Let another hold it at once."""
        self._writer.write(_release, [owner])

    def owner(self) -> str | None:
        """Who holds the learner now; None for nobody."""
        query = select(LEASES).where(LEASES.c.name == _LEARNER)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return row.owner if row is not None and row.until > to_us(now()) else None

    # -- trainings -----------------------------------------------------------------------------

    def begin(self, cause: str, until: int, judged_until: int, base: str | None = None) -> Training:
        """Record that a training begins.

        Raises:
            StoreError: If another one is not ended.
        """
        check_text(cause, "the cause")
        row = {"cause": cause, "until": until, "judged_until": judged_until, "base": base}
        number = self._writer.write(_begin, [row])[0]
        if number is None:
            raise StoreError("a training is under way already", "wait until it has ended")
        found = self.get(number)
        assert found is not None  # noqa: S101 (it was just written, and none is ever deleted)
        return found

    def change(
        self,
        number: int,
        state: TrainingState,
        *,
        model: str | None = None,
        before: TrainingState | None = None,
        **details: Any,
    ) -> bool:
        """Write the state of a training; details are added to those that are there.

        Args:
            number: Of the training.
            state: The state.
            model: Name of what was trained.
            before: The state that it must be in; any when left out.
            **details: Plain values.

        Returns:
            Whether it was written.
        """
        require_known(state, get_args(TrainingState), "the state of a training", StoreError)
        return self._writer.write(_change, [(number, state, model, before, details)])[0]

    def get(self, number: int) -> Training | None:
        """A training; None if there is none of this number."""
        return next(iter(self._read(TRAININGS.c.number == number, 1)), None)

    def latest(self, limit: int = 20, *, full: bool = False) -> list[Training]:
        """The latest trainings, newest first.

        Args:
            limit: Most of them.
            full: Whether updates are left out.
        """
        return self._read(TRAININGS.c.cause != UPDATE if full else None, check_limit(limit))

    def of_model(self, model: str) -> Training | None:
        """The training that a model comes from; None where it comes from elsewhere."""
        return next(iter(self._read(TRAININGS.c.model == model, 1)), None)

    def updates_of(self, base: str) -> int:
        """How many updates of a model were begun."""
        query = select(func.count()).select_from(TRAININGS)
        query = query.where(TRAININGS.c.base == base, TRAININGS.c.cause == UPDATE)
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def open(self) -> Training | None:
        """The training that is not ended; None if there is none."""
        return next(iter(self._read(TRAININGS.c.state.not_in(ENDED), 1)), None)

    def _read(self, wanted: Any, limit: int) -> list[Training]:
        query = select(TRAININGS).order_by(TRAININGS.c.number.desc()).limit(limit)
        with self._database.reading() as connection:
            found = connection.execute(query if wanted is None else query.where(wanted)).all()
        return [
            Training(
                row.number, row.state, row.cause, row.until, row.judged_until, from_us(row.began),
                from_us(row.changed), row.base, row.model, json.loads(row.details),
            )
            for row in found
        ]  # fmt: skip

    # -- a canary ------------------------------------------------------------------------------

    def canary(self) -> Training | None:
        """The training whose model answers a share of the users; None if there is none."""
        found = self.latest(1)  # none begins before it has ended
        return found[0] if found and found[0].state == "canary" else None

    def put_figures(self, number: int, process: str, figures: Mapping[str, Any]) -> bool:
        """Write what a process has counted in a canary, in place of what it wrote before.

        Args:
            number: Of the training.
            process: See :func:`motet.service.store.this_process`.
            figures: Plain values.

        Returns:
            Whether it was written; not after the canary has ended.
        """
        row = {"name": f"{_CANARY}{number}.{process}", "value": check_json(dict(figures), "the figures")}
        return self._writer.write(_put_figures, [(number, row)])[0]

    def figures(self, number: int) -> list[Any]:
        """What each process has counted in a canary."""
        query = select(SETTINGS.c.value).where(_figures_of(number)).order_by(SETTINGS.c.name)
        with self._database.reading() as connection:
            return [read_json(text) for text in connection.execute(query).scalars()]

    # -- how much there is to learn from -------------------------------------------------------

    def events_after(self, seq: int) -> int:
        """Number of events after a place."""
        query = select(func.count()).select_from(EVENTS).where(EVENTS.c.seq > seq)
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def seq_before_last(self, events: int) -> int:
        """The place before the last so many events; 0 if there are no more than these."""
        query = select(EVENTS.c.seq).order_by(EVENTS.c.seq.desc()).offset(events).limit(1)
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar() or 0)

    def seq_after(self, seq: int, events: int) -> int | None:
        """The place of the last of so many events after a place; None if there are fewer."""
        query = (
            select(EVENTS.c.seq).where(EVENTS.c.seq > seq).order_by(EVENTS.c.seq).offset(events - 1).limit(1)
        )
        with self._database.reading() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else int(found)

    def users_with(self, items: int, *, without: frozenset[str] = frozenset()) -> int:
        """Number of users with events of at least so many different items.

        Args:
            items: How many, ≥ 1.
            without: Types of events that do not count.
        """
        of_users = (
            select(EVENTS.c.user_id)
            .where(EVENTS.c.type.not_in(sorted(without)))
            .group_by(EVENTS.c.user_id)
            .having(func.count(func.distinct(EVENTS.c.item_id)) >= items)
        )
        with self._database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(of_users.subquery())).scalar_one())

    def shown_by(
        self, model: str, before: datetime, limit: int, since: datetime | None = None
    ) -> list[Shown]:
        """The latest lists of a model that were shown to users before a time, newest first.

        Args:
            model: Its name.
            before: The time.
            limit: Most lists, up to 10,000.
            since: The first moment that counts; all when left out.
        """
        query = (
            select(SHOWN)
            .where(SHOWN.c.model == model, SHOWN.c.time < to_us(before), SHOWN.c.user_id.is_not(None))
            .order_by(SHOWN.c.time.desc(), SHOWN.c.id)
            .limit(check_limit(limit))
        )
        query = query if since is None else query.where(SHOWN.c.time >= to_us(since))
        with self._database.reading() as connection:
            return [shown_of(row) for row in connection.execute(query)]


def _hold(connection: Connection, rows: list[tuple[str, int, str | None]]) -> list[str]:
    answers = []
    for owner, until, instead_of in rows:
        held = connection.execute(select(LEASES).where(LEASES.c.name == _LEARNER)).first()
        is_free = held is None or held.owner in (owner, instead_of) or held.until <= to_us(now())
        if is_free:
            upsert(connection, LEASES, [{"name": _LEARNER, "owner": owner, "until": until}])
        answers.append(owner if held is None or is_free else str(held.owner))
    return answers


def _release(connection: Connection, owners: list[str]) -> list[None]:
    for owner in owners:
        connection.execute(LEASES.delete().where(LEASES.c.name == _LEARNER, LEASES.c.owner == owner))
    return [None] * len(owners)


def _begin(connection: Connection, rows: list[dict[str, Any]]) -> list[int | None]:
    answers: list[int | None] = []
    for row in rows:
        if connection.execute(select(TRAININGS.c.number).where(TRAININGS.c.state.not_in(ENDED))).first():
            answers.append(None)
            continue
        last = connection.execute(select(func.coalesce(func.max(TRAININGS.c.number), 0))).scalar_one()
        time = to_us(now())
        new = {**row, "number": int(last) + 1, "state": "exporting", "began": time, "changed": time}
        connection.execute(TRAININGS.insert(), [{**new, "model": None, "details": "{}"}])
        answers.append(int(last) + 1)
    return answers


def _change(
    connection: Connection,
    rows: list[tuple[int, TrainingState, str | None, TrainingState | None, dict[str, Any]]],
) -> list[bool]:
    answers = []
    for number, state, model, before, details in rows:
        here = TRAININGS.c.number == number
        known = connection.execute(select(TRAININGS).where(here)).first()
        if known is None or before not in (None, known.state):
            answers.append(False)
            continue
        time = now()
        merged = {**json.loads(known.details), **details}
        if state in ENDED and known.state not in ENDED:
            merged["ended"] = time.isoformat()
        values = {
            "state": state,
            "model": model or known.model,
            "details": json.dumps(merged, ensure_ascii=False),
            "changed": to_us(time),
        }
        connection.execute(TRAININGS.update().where(here).values(**values))
        if known.state == "canary" != state:
            connection.execute(SETTINGS.delete().where(_figures_of(number)))
            if state == "kept":  # the list of models says why, too
                of_model = MODELS.update().where(MODELS.c.name == known.model, MODELS.c.state == "loaded")
                connection.execute(of_model.values(reason=str(merged.get("reason", ""))))
        answers.append(True)
    return answers


def _figures_of(number: int) -> ColumnElement[bool]:
    return SETTINGS.c.name.startswith(f"{_CANARY}{number}.", autoescape=True)


def _put_figures(connection: Connection, rows: list[tuple[int, dict[str, Any]]]) -> list[bool]:
    answers = []
    for number, row in rows:
        state = connection.execute(select(TRAININGS.c.state).where(TRAININGS.c.number == number)).scalar()
        if state == "canary":
            upsert(connection, SETTINGS, [row])
        answers.append(state == "canary")
    return answers
