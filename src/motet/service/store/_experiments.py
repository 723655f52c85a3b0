"""Experiments: their definitions, who was exposed to which variant, and what those users did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from sqlalchemy import Column, ColumnElement, Connection, and_, case, func, literal, or_, select

from motet.errors import StoreError
from motet.schema import require_known
from motet.service.store._events import StorePart
from motet.service.store._queries import upsert
from motet.service.store._records import check_json, check_text, check_time, from_us, now, read_json, to_us
from motet.service.store._tables import EVENTS, EXPERIMENTS, EXPOSURES, IDENTITIES, SHOWN

__all__ = [
    "ExperimentRecord",
    "ExperimentState",
    "ExperimentStore",
    "ExposedUser",
    "MixedList",
    "Outcome",
    "Taken",
]

ExperimentState: TypeAlias = Literal["draft", "running", "stopped"]

_MOST_OUTCOMES: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """An experiment as it is stored.

    Attributes:
        key: Its name.
        definition: Variants, metrics and the rest, as JSON.
        state: ``draft``, ``running`` or ``stopped``.
        created: When it was created, in UTC.
        started: When it was started, if it was.
        stopped: When it was stopped, if it was.
        reason: Why it was stopped.
    """

    key: str
    definition: Mapping[str, Any]
    state: ExperimentState = "draft"
    created: datetime = field(default_factory=now)
    started: datetime | None = None
    stopped: datetime | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        check_text(self.key, "experiment.key")
        check_text(self.reason, "experiment.reason", empty=True, longest=2_000)
        require_known(self.state, get_args(ExperimentState), "the state of an experiment", StoreError)


@dataclass(frozen=True, slots=True)
class ExposedUser:
    """The first time that a user got a variant of an experiment.

    Attributes:
        experiment: Key of the experiment.
        user: The user.
        variant: Name of the variant.
        seq: Number of the latest event at that time: what comes after it may be an outcome.
        time: When, in UTC.
    """

    experiment: str
    user: str
    variant: str
    seq: int
    time: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        for name in ("experiment", "user", "variant"):
            check_text(getattr(self, name), f"exposure.{name}")
        object.__setattr__(self, "time", check_time(self.time, "exposure.time"))


class Outcome(NamedTuple):
    """An event or a list of an exposed user.

    Attributes:
        user: The user.
        type: Type of the event; empty for a list.
        value: Value of the event.
        time_us: When, in microseconds since 1970.
        before: Whether it was before the exposure.
    """

    user: str
    type: str
    value: float
    time_us: int
    before: bool


class MixedList(NamedTuple):
    """A list of two rankings that an exposed user was shown.

    Attributes:
        user: The user.
        id: Of the list.
        time_us: When, in microseconds since 1970.
        placed: Name of the variant that placed each item.
    """

    user: str
    id: str
    time_us: int
    placed: Mapping[str, str]


class Taken(NamedTuple):
    """An event of an exposed user.

    Attributes:
        user: The user.
        item: The item.
        list_id: The list that it names, if it names one.
        value: Of the event.
        time_us: When, in microseconds since 1970.
    """

    user: str
    item: str
    list_id: str | None
    value: float
    time_us: int


class ExperimentStore(StorePart):
    """The experiments of a store."""

    def create(self, record: ExperimentRecord) -> bool:
        """Write a new experiment; False if there is one of that name, which is left as it is."""
        row = {
            "key": record.key,
            "definition": check_json(dict(record.definition), "experiment.definition"),
            "state": record.state,
            "created": to_us(record.created),
            "started": None if record.started is None else to_us(record.started),
            "stopped": None if record.stopped is None else to_us(record.stopped),
            "reason": record.reason,
        }
        return self._writer.write(_create, [row])[0]

    def get(self, key: str) -> ExperimentRecord | None:
        """The experiment of a name, if there is one."""
        with self._database.reading() as connection:
            row = connection.execute(select(EXPERIMENTS).where(EXPERIMENTS.c.key == key)).first()
        return None if row is None else _record_of(row)

    def all(self, state: ExperimentState | None = None) -> list[ExperimentRecord]:
        """Experiments, oldest first; those in a state alone where one is given."""
        query = select(EXPERIMENTS).order_by(EXPERIMENTS.c.created, EXPERIMENTS.c.key)
        if state is not None:
            query = query.where(EXPERIMENTS.c.state == state)
        with self._database.reading() as connection:
            return [_record_of(row) for row in connection.execute(query)]

    def move(self, key: str, before: ExperimentState, after: ExperimentState, reason: str = "") -> bool:
        """Move an experiment from one state to the next.

        Args:
            key: Its name.
            before: The state that it must be in.
            after: ``running`` or ``stopped``.
            reason: Why it is stopped.

        Returns:
            Whether it was in the state before.
        """
        check_text(reason, "the reason", empty=True, longest=2_000)
        return self._writer.write(_move, [(key, before, after, reason)])[0]

    def delete(self, key: str) -> bool:
        """Delete an experiment with its exposures, unless it is running; whether it was deleted."""
        return self._writer.write(_delete, [key])[0]

    def expose(self, exposures: Sequence[ExposedUser]) -> list[bool]:
        """Write exposures; the earliest of each user and experiment counts, whichever process writes it first.

        Returns:
            Of each whether its user was not deleted after its time.
        """
        rows = [
            {
                "experiment": one.experiment,
                "user_id": one.user,
                "variant": one.variant,
                "seq": one.seq,
                "time": to_us(one.time),
            }
            for one in exposures
        ]
        return self._writer.write(self._expose, rows) if rows else []

    def _expose(self, connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
        late = self._tombstones.late(connection, [(row["user_id"], row["time"]) for row in rows], ever=True)
        known = [row for row, gone in zip(rows, late, strict=True) if not gone]
        upsert(connection, EXPOSURES, known, _earliest)
        return [not one for one in late]

    def exposures(self, key: str) -> list[ExposedUser]:
        """All exposures of an experiment, in order of time."""
        query = select(EXPOSURES).where(EXPOSURES.c.experiment == key)
        query = query.order_by(EXPOSURES.c.time, EXPOSURES.c.user_id)
        with self._database.reading() as connection:
            return [
                ExposedUser(row.experiment, row.user_id, row.variant, row.seq, from_us(row.time))
                for row in connection.execute(query)
            ]

    def counts(self, key: str) -> dict[str, int]:
        """Exposed users by variant."""
        query = select(EXPOSURES.c.variant, func.count()).where(EXPOSURES.c.experiment == key)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(EXPOSURES.c.variant))
            return {str(name): int(count) for name, count in rows}

    def outcomes(
        self,
        key: str,
        types: Sequence[str],
        *,
        window: timedelta,
        before: timedelta,
        until: datetime,
        lists: bool = False,
    ) -> list[Outcome]:
        """What exposed users did after their exposure, and in some time before it.

        Args:
            key: The experiment.
            types: Types of events.
            window: After the exposure, what counts.
            before: Before it, what is compared with.
            until: The last moment that counts.
            lists: Whether lists that they were shown come as well.

        Raises:
            StoreError: If there are more than five million.
        """
        span, past = (int(one / timedelta(microseconds=1)) for one in (window, before))
        end = to_us(until)
        found: list[Outcome] = []
        with self._database.reading() as connection:
            for query in _queries(key, types, span, past, end, lists):
                rows: Iterator[Any] = iter(connection.execute(query.limit(_MOST_OUTCOMES + 1)))
                found += [
                    Outcome(user, type, value, time, bool(old)) for user, type, value, time, old in rows
                ]
        _check_number(found)
        return found

    def mixed(
        self, key: str, types: Sequence[str], *, window: timedelta, until: datetime
    ) -> tuple[list[MixedList], list[Taken]]:
        """Lists of two rankings that exposed users were shown, and what these users did, each in order of time.

        Args:
            key: The experiment.
            types: Types of events.
            window: After the exposure, what counts.
            until: The last moment that counts.

        Raises:
            StoreError: If there are more than five million of either.
        """
        span, end = int(window / timedelta(microseconds=1)), to_us(until)
        mine, user = EXPOSURES.c.experiment == key, EXPOSURES.c.user_id

        def counts(time: Column[int]) -> ColumnElement[bool]:
            return and_(time >= EXPOSURES.c.time, time <= EXPOSURES.c.time + span, time <= end)

        lists, taken = list[MixedList](), list[Taken]()
        with self._database.reading() as connection:
            for of_user in _records_of(SHOWN.c.user_id):
                query = select(user, SHOWN.c.id, SHOWN.c.time, SHOWN.c["items"])
                query = query.where(mine, of_user, counts(SHOWN.c.time)).limit(_MOST_OUTCOMES + 1)
                for who, id, time, items in connection.execute(query):
                    if placed := _placed(read_json(items), f"{key}:"):
                        lists.append(MixedList(who, id, time, placed))
            columns = (EVENTS.c.item_id, EVENTS.c.list_id, EVENTS.c.value, EVENTS.c.time)
            for of_user in _records_of(EVENTS.c.user_id):
                events = select(user, *columns).where(mine, of_user, counts(EVENTS.c.time))
                events = events.where(EVENTS.c.seq > EXPOSURES.c.seq, EVENTS.c.type.in_(types))
                taken += [Taken(*row) for row in connection.execute(events.limit(_MOST_OUTCOMES + 1))]
        _check_number(lists)
        _check_number(taken)
        return sorted(lists, key=lambda one: one.time_us), sorted(taken, key=lambda one: one.time_us)


def _queries(key: str, types: Sequence[str], span: int, past: int, end: int, lists: bool) -> Iterator[Any]:
    mine = EXPOSURES.c.experiment == key
    began, event, shown = EXPOSURES.c.time, EVENTS.c.time, SHOWN.c.time
    if types:
        # by number as well as by time, since an event may be sent later than it happened
        after = and_(EVENTS.c.seq > EXPOSURES.c.seq, event >= began, event <= began + span, event <= end)
        old = and_(EVENTS.c.seq <= EXPOSURES.c.seq, event < began, event >= began - past)
        columns = (EXPOSURES.c.user_id, EVENTS.c.type, EVENTS.c.value, event, EVENTS.c.seq <= EXPOSURES.c.seq)
        for of_user in _records_of(EVENTS.c.user_id):
            yield select(*columns).where(mine, of_user, EVENTS.c.type.in_(types), or_(after, old))
    if lists:
        after = and_(shown >= began, shown <= began + span, shown <= end)
        old = and_(shown < began, shown >= began - past)
        of_list = (EXPOSURES.c.user_id, literal(""), literal(1.0), shown, shown < began)
        for of_user in _records_of(SHOWN.c.user_id):
            yield select(*of_list).where(mine, of_user, or_(after, old))


def _earliest(new: Any) -> dict[str, Any]:
    is_earlier = new.time < EXPOSURES.c.time
    return {
        name: case((is_earlier, new[name]), else_=EXPOSURES.c[name]) for name in ("variant", "seq", "time")
    }


def _check_number(found: Sequence[object]) -> None:
    if len(found) > _MOST_OUTCOMES:
        raise StoreError(
            f"the experiment has more than {_MOST_OUTCOMES:,} outcomes",
            "count a rarer event, or shorten window_hours",
        )


def _placed(places: Sequence[Sequence[Any]], key: str) -> dict[str, str]:
    """Items of a logged list that an experiment placed, each with the variant."""
    found = {str(one[0]): str(one[5]) for one in places if len(one) > 5}
    return {item: what.removeprefix(key) for item, what in found.items() if what.startswith(key)}


def _records_of(user: Column[str]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Records of an exposed user, and those of its identities: two queries, each of which an index answers."""
    linked = and_(IDENTITIES.c.user_id == EXPOSURES.c.user_id, user == IDENTITIES.c.identity)
    return user == EXPOSURES.c.user_id, linked


def _record_of(row: Any) -> ExperimentRecord:
    return ExperimentRecord(
        row.key,
        read_json(row.definition),
        row.state,
        from_us(row.created),
        None if row.started is None else from_us(row.started),
        None if row.stopped is None else from_us(row.stopped),
        row.reason,
    )


def _create(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
    answers = []
    for row in rows:
        there = connection.execute(select(EXPERIMENTS.c.key).where(EXPERIMENTS.c.key == row["key"])).first()
        if there is None:
            connection.execute(EXPERIMENTS.insert(), [row])
        answers.append(there is None)
    return answers


def _move(
    connection: Connection, rows: list[tuple[str, ExperimentState, ExperimentState, str]]
) -> list[bool]:
    answers = []
    for key, before, after, reason in rows:
        at = {"started" if after == "running" else "stopped": to_us(now())}
        statement = EXPERIMENTS.update().where(EXPERIMENTS.c.key == key, EXPERIMENTS.c.state == before)
        done = connection.execute(statement.values(state=after, reason=reason, **at))
        answers.append(done.rowcount > 0)
    return answers


def _delete(connection: Connection, keys: list[str]) -> list[bool]:
    answers = []
    for key in keys:
        statement = EXPERIMENTS.delete().where(EXPERIMENTS.c.key == key, EXPERIMENTS.c.state != "running")
        gone = connection.execute(statement).rowcount > 0
        if gone:
            connection.execute(EXPOSURES.delete().where(EXPOSURES.c.experiment == key))
        answers.append(gone)
    return answers
