"""Identities: further ids under which one user is recorded, such as one for each platform.

Records stay under the id that was sent. Reads by user take in the records of all linked ids, so that linking and
unlinking move no row, and unlinking restores what was.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select

from motet.errors import StoreError
from motet.service.store._database import Database
from motet.service.store._events import StorePart, Tombstones
from motet.service.store._queries import ids_of, insert_missing, note_changes, page, words_of
from motet.service.store._records import Page, check_text, check_time, from_us, now, to_us
from motet.service.store._tables import CHANGES, IDENTITIES, USERS
from motet.service.store._writer import Writer

__all__ = ["MOST_IDENTITIES", "Identity", "IdentityStore"]

MOST_IDENTITIES: Final = 50
"""Most identities of one user."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A further id of a user.

    Attributes:
        identity: The further id, for example ``app:123``.
        user: The user that it belongs to.
        time: When it was linked, in UTC; now by default.
    """

    identity: str
    user: str
    time: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        check_text(self.identity, "identity.identity")
        check_text(self.user, "identity.user")
        object.__setattr__(self, "time", check_time(self.time, "identity.time"))


class IdentityStore(StorePart):
    """The identities of a store, and the one place that says whose an id is.

    :meth:`resolve` and :meth:`group` answer from memory, which :meth:`follow` brings up to date: a process calls it when
    the log of changes has an entry of kind ``identity``, and a store when it is opened.

    Args:
        database: The store's connections.
        writer: The writer of the store.
        tombstones: The deleted users.
    """

    def __init__(self, database: Database, writer: Writer, tombstones: Tombstones) -> None:
        super().__init__(database, writer, tombstones)
        self._lock = threading.Lock()
        self._seq: int | None = None
        self._links: dict[str, tuple[str, int]] = {}
        self._others: dict[str, tuple[str, ...]] = {}

    # -- from memory ---------------------------------------------------------------------------

    def resolve(self, id: str) -> str:
        """The user that an id belongs to: itself, unless it is linked to another."""
        found = self._links.get(id)
        return id if found is None else found[0]

    def is_linked(self, id: str) -> bool:
        """Whether an id is an identity of another user."""
        return self.resolve(id) != id

    def group(self, id: str) -> tuple[str, ...]:
        """The user that an id belongs to, then its identities."""
        user = self.resolve(id)
        return (user, *self._others.get(user, ()))

    def follow(self) -> None:
        """Take in what changed in the store since the last call.

        Raises:
            StoreUnavailableError: If the store cannot be read; what was known before goes on.
        """
        with self._lock:
            with self._database.reading() as connection:
                last = int(connection.execute(select(func.coalesce(func.max(CHANGES.c.seq), 0))).scalar_one())
                changed = self._changed(connection)
                query = select(IDENTITIES)
                if changed is not None:
                    query = query.where(IDENTITIES.c.identity.in_(changed))
                rows = connection.execute(query).all() if changed is None or changed else []
            self._take(changed, {row.identity: (row.user_id, int(row.time)) for row in rows})
            self._seq = last

    def _changed(self, connection: Connection) -> list[str] | None:
        """Which identities changed; None for all of them."""
        if self._seq is None:
            return None
        after = select(CHANGES).where(CHANGES.c.seq > self._seq, CHANGES.c.what == "identity").limit(_AT_ONCE + 1)  # fmt: skip
        rows = connection.execute(after).all()
        if len(rows) > _AT_ONCE or any(row.deleted for row in rows):  # of a deleted one there is only a hash
            return None
        return [row.key for row in rows]

    def _take(self, changed: list[str] | None, found: dict[str, tuple[str, int]]) -> None:
        if changed is None:
            others: dict[str, list[str]] = {}
            for identity in sorted(found, key=lambda one: (found[one][1], one)):
                others.setdefault(found[identity][0], []).append(identity)
            self._others = {user: tuple(some) for user, some in others.items()}
            self._links = found
            return
        for identity in changed:  # a reader needs no lock: it looks at one entry
            before = self._links.get(identity)
            if before is not None:
                self._put_others(before[0], [one for one in self._others[before[0]] if one != identity])
            if identity in found:
                self._links[identity] = found[identity]
                user = found[identity][0]
                self._put_others(user, [*self._others.get(user, ()), identity])
            else:
                self._links.pop(identity, None)

    def _put_others(self, user: str, identities: list[str]) -> None:
        if identities:
            self._others[user] = tuple(sorted(identities, key=lambda one: (self._links[one][1], one)))
        else:
            self._others.pop(user, None)

    # -- from the store ------------------------------------------------------------------------

    def of_user(self, user: str) -> list[Identity]:
        """The identities of the user that an id belongs to, in the order of their linking."""
        with self._database.reading() as connection:
            owner = ids_of(connection, user)[0]
            query = select(IDENTITIES).where(IDENTITIES.c.user_id == owner)
            rows = connection.execute(query.order_by(IDENTITIES.c.time, IDENTITIES.c.identity)).all()
        return [_identity_of(row) for row in rows]

    def page(self, n: int = 10, cursor: str = "") -> Page[Identity]:
        """All identities, ordered by identity."""
        with self._database.reading() as connection:
            key = (IDENTITIES.c.identity,)
            return page(connection, select(IDENTITIES), key, _identity_of, "identities", n, cursor)

    def link(self, user: str, identity: str) -> bool:
        """Let an id be an identity of a user: what was and will be recorded under it is the user's.

        Args:
            user: The user; one that is an identity itself stands for the user that it belongs to. A user that is
                not there is added.
            identity: The other id.

        Returns:
            Whether it was not linked to this user before.

        Raises:
            StoreError: If it is the user's own id, is linked to another user, has identities itself, or the user has
                50 already.
        """
        row = Identity(identity, user)
        (refused,) = self._writer.write(self._link, [(row.user, row.identity, to_us(row.time))])
        if isinstance(refused, tuple):
            raise StoreError(*refused)
        return refused

    def _link(self, connection: Connection, rows: list[tuple[str, str, int]]) -> list[bool | tuple[str, str]]:
        answers: list[bool | tuple[str, str]] = []
        for id, identity, time_us in rows:
            user, *others = ids_of(connection, id)
            refusal, is_new = _refusal(connection, user, others, identity), identity not in others
            answers.append(is_new if refusal is None else refusal)
            if answers[-1] is True:
                connection.execute(IDENTITIES.insert(), {"identity": identity, "user_id": user, "time": time_us})  # fmt: skip
                plain = {"id": user, "labels": None, "comment": "", "time": time_us, "words": words_of(user)}
                insert_missing(connection, USERS, [plain])
                note_changes(connection, "identity", [identity])
        return answers

    def unlink(self, user: str, identity: str) -> bool:
        """Let an identity be a user of its own again, with all that was recorded under it.

        Returns:
            Whether it was linked to the user.
        """
        return self._writer.write(_unlink, [(user, identity)])[0]

    def restore(self, rows: Sequence[Identity]) -> list[bool]:
        """Put identities of an export back, but for those from before a deletion, and those that :meth:`link` refuses.

        Returns:
            Of each whether it was new.
        """
        found = [(one.user, one.identity, to_us(one.time)) for one in rows]
        return self._writer.write(self._restore, found) if found else []

    def _restore(self, connection: Connection, rows: list[tuple[str, str, int]]) -> list[bool]:
        late = [
            self._tombstones.late(connection, dated, ever=True)
            for dated in ([(user, time) for user, _, time in rows], [(id, time) for _, id, time in rows])
        ]
        kept = [not (user or identity) for user, identity in zip(*late, strict=True)]
        done = iter(self._link(connection, [row for row, keep in zip(rows, kept, strict=True) if keep]))
        return [keep and next(done) is True for keep in kept]


_AT_ONCE: Final = 500


def _identity_of(row: Any) -> Identity:
    return Identity(row.identity, row.user_id, from_us(row.time))


def _refusal(connection: Connection, user: str, others: list[str], identity: str) -> tuple[str, str] | None:
    """Why an id cannot become an identity of a user, with a cure."""
    if identity == user:
        return f"{identity[:80]!a} is the user's own id", "name another id"
    owner, *own = ids_of(connection, identity)
    if owner not in (user, identity):
        return (
            f"{identity[:80]!a} is an identity of another user",
            f"unlink it from {owner[:80]!a} first",
        )
    if own and owner == identity:
        return (
            f"{identity[:80]!a} has identities itself ({len(own)})",
            "unlink those from it first, or link the user to it instead",
        )
    if identity not in others and len(others) >= MOST_IDENTITIES:
        return f"the user has {len(others)} identities", "unlink one first"
    return None


def _unlink(connection: Connection, rows: list[tuple[str, str]]) -> list[bool]:
    answers = []
    for id, identity in rows:
        user = ids_of(connection, id)[0]
        gone = IDENTITIES.delete().where(IDENTITIES.c.identity == identity, IDENTITIES.c.user_id == user)
        answers.append(connection.execute(gone).rowcount > 0)
        if answers[-1]:
            note_changes(connection, "identity", [identity])
    return answers
