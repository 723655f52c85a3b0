"""Users and items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, func, select

from motet.service.store._database import Database
from motet.service.store._events import StorePart
from motet.service.store._queries import (
    chunks,
    forget_changes,
    ids_of,
    known,
    matching,
    note_changes,
    page,
    upsert,
    words_of,
    write_cursor,
)
from motet.service.store._records import (
    Item,
    Page,
    User,
    check_json,
    check_text,
    from_us,
    now,
    read_json,
    to_us,
)
from motet.service.store._tables import (
    EVENTS,
    EXPOSURES,
    FEEDBACK,
    IDENTITIES,
    ITEMS,
    QUESTIONS,
    SATISFACTION,
    SHOWN,
    STATES,
    USERS,
)
from motet.service.store._writer import Writer

__all__ = ["Items", "Users", "item_of", "user_of"]


_IS_OWN: Final = USERS.c.id.not_in(select(IDENTITIES.c.identity))


def user_of(row: Any) -> User:
    """A row of the table as a user."""
    return User(row.id, read_json(row.labels), row.comment, from_us(row.time))


class Users(StorePart):
    """The users of a store."""

    def put(self, users: Sequence[User]) -> list[bool]:
        """Insert or replace users; a deleted user starts again without history.

        Returns:
            Of each whether it was new.
        """
        return self._writer.write(self._put, [_row(user) for user in users]) if users else []

    def _put(self, connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
        self._tombstones.lift(connection, {row["id"] for row in rows})
        return _put(connection, rows)

    def restore(self, users: Sequence[User]) -> list[bool]:
        """Put users of an old export back, but for rows from before their user's deletion.

        Returns:
            Of each whether it was new.
        """
        return self._writer.write(self._restore, [_row(user) for user in users]) if users else []

    def _restore(self, connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
        late = self._tombstones.late(connection, [(row["id"], row["time"]) for row in rows], ever=True)
        kept = [not one for one in late]
        new = iter(_put(connection, [row for row, keep in zip(rows, kept, strict=True) if keep]))
        return [keep and next(new) for keep in kept]

    def patch(self, id: str, *, labels: Any = None, comment: str | None = None) -> bool:
        """Change the given fields; None leaves a field.

        Returns:
            Whether there is such a user.
        """
        labels_json = check_json(labels, "user.labels", none=True)
        User(id, comment=comment or "")
        return self._writer.write(_patch, [(id, labels_json, comment)])[0]

    def get(self, id: str) -> User | None:
        """The user of an id, if there is one."""
        return self.get_many([id]).get(id)

    def get_many(self, ids: Iterable[str]) -> dict[str, User]:
        """Users by id; those not known are not in it."""
        found = {}
        with self._database.reading() as connection:
            for some in chunks(dict.fromkeys(ids)):
                for row in connection.execute(select(USERS).where(USERS.c.id.in_(some))):
                    found[row.id] = user_of(row)
        return found

    def page(self, n: int = 10, cursor: str = "", *, linked: bool = True) -> Page[User]:
        """All users, ordered by id; without those that are identities of others where ``linked`` is false."""
        with self._database.reading() as connection:
            query = select(USERS) if linked else select(USERS).where(_IS_OWN)
            return page(connection, query, (USERS.c.id,), user_of, "users", n, cursor)

    def after(self, id: str) -> str:
        """The cursor of what comes after an id."""
        return write_cursor("users", [id])

    def search(
        self, text: str, n: int = 10, cursor: str = "", *, prefix: bool = False, linked: bool = True
    ) -> Page[User]:
        """Users whose id, labels or comment hold a text, whatever its case, ordered by id; see :meth:`page`."""
        query = select(USERS).where(matching(USERS.c.words, text, prefix=prefix))
        query = query if linked else query.where(_IS_OWN)
        with self._database.reading() as connection:
            return page(connection, query, (USERS.c.id,), user_of, "users", n, cursor)

    def count(self) -> int:
        """Number of rows."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(USERS)).scalar_one())

    def delete(self, id: str) -> bool:
        """Delete everything of a user and of all its identities.

        That is: rows, feedback, events, shown lists, satisfaction, questions of surveys, sessions, exposures, and the identities. An id that
        is an identity stands for its user.

        A salted hash and the time are kept, so that older records of the user are refused and exports leave the user
        out. The write-ahead log of an SQLite file is emptied at once, or as soon as no reader uses an older state.

        Returns:
            Whether there was anything.
        """
        (had,) = self._writer.write(self._delete, [id])
        self._writer.empty_log()
        return had

    def _delete(self, connection: Connection, ids: list[str]) -> list[bool]:
        answers = []
        for id in ids:
            every = ids_of(connection, id)
            user, *others = every
            rows = connection.execute(IDENTITIES.delete().where(IDENTITIES.c.user_id == user)).rowcount
            rows += connection.execute(USERS.delete().where(USERS.c.id.in_(every))).rowcount
            for table in (FEEDBACK, EVENTS, SHOWN, SATISFACTION, STATES, EXPOSURES, QUESTIONS):
                rows += connection.execute(table.delete().where(table.c.user_id.in_(every))).rowcount
            for one in every:
                self._tombstones.put(connection, one, to_us(now()))
            forget_changes(connection, "user", every)
            forget_changes(connection, "identity", every)
            note_changes(connection, "identity", [self.digest(one) for one in others], deleted=True)
            note_changes(connection, "user", [self.digest(one) for one in every], deleted=True)
            answers.append(rows > 0)
        return answers

    def digest(self, id: str) -> str:
        """What :class:`Change` calls a deleted user, so that code that knows the id can recognise it."""
        return self._tombstones.digest(id).hex()

    def deleted_at(self, ids: Iterable[str]) -> dict[str, datetime]:
        """When users were deleted, for those that ever were: rows of theirs up to then must not be trained on."""
        found = {}
        with self._database.reading() as connection:
            for some in chunks(dict.fromkeys(ids)):
                found.update(self._tombstones.times(connection, some))
        return {id: from_us(time) for id, time in found.items()}


def _row(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "labels": check_json(user.labels, "user.labels", none=True),
        "comment": user.comment,
        "time": None if user.time is None else to_us(user.time),
        "words": words_of(user.id, user.labels, user.comment),
    }


def _put(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
    ids = [row["id"] for row in rows]
    seen = known(connection, USERS.c.id, ids)
    time = to_us(now())
    for dated, group in groupby(rows, key=lambda row: row["time"] is not None):
        if dated:
            upsert(connection, USERS, list(group))
        else:
            upsert(connection, USERS, [{**row, "time": time} for row in group], _but_time)
    note_changes(connection, "user", ids)
    answers = []
    for id in ids:
        answers.append(id not in seen)
        seen.add(id)
    return answers


def _but_time(new: Any) -> dict[str, Any]:
    return {name: new[name] for name in ("labels", "comment", "words")}


def _patch(connection: Connection, rows: list[tuple[str, str | None, str | None]]) -> list[bool]:
    answers = []
    for id, labels, comment in rows:
        found = connection.execute(select(USERS).where(USERS.c.id == id)).first()
        answers.append(found is not None)
        if found is None:
            continue
        new = {
            "labels": found.labels if labels is None else labels,
            "comment": found.comment if comment is None else comment,
        }
        words = words_of(id, read_json(new["labels"]), new["comment"])
        connection.execute(USERS.update().where(USERS.c.id == id).values(**new, words=words))
        note_changes(connection, "user", [id])
    return answers


_Edit: TypeAlias = Callable[[Item], Item]


def item_of(row: Any) -> Item:
    """A row of the table as an item."""
    return Item(
        id=row.id,
        is_hidden=row.is_hidden,
        categories=tuple(read_json(row.categories)),
        timestamp=None if row.time is None else from_us(row.time),
        labels=read_json(row.labels),
        comment=row.comment,
        fields=read_json(row.fields),
    )


class Items:
    """The items of a store.

    Args:
        database: The store's connections.
        writer: The writer of the store.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def put(self, items: Sequence[Item]) -> list[bool]:
        """Insert items, or replace them.

        Returns:
            Of each whether it was new.
        """
        return self._writer.write(_put_items, [_row_items(item) for item in items]) if items else []

    def patch(
        self,
        id: str,
        *,
        is_hidden: bool | None = None,
        categories: Sequence[str] | None = None,
        timestamp: datetime | None = None,
        labels: Any = None,
        comment: str | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> bool:
        """Change what is given, and leave what is None; of ``fields`` those that are named.

        Returns:
            Whether there is such an item.
        """
        given = {
            "is_hidden": is_hidden,
            "categories": categories,
            "timestamp": timestamp,
            "labels": labels,
            "comment": comment,
        }
        given = {name: value for name, value in given.items() if value is not None}
        new_fields = dict(fields or {})
        _row_items(
            Item(id, **given, fields=new_fields)
        )  # refused here instead of within a transaction shared with other calls

        def edit(item: Item) -> Item:
            return replace(item, **given, fields={**item.fields, **new_fields})

        return self._edit(id, edit)

    def add_category(self, id: str, category: str) -> bool:
        """Add an item to a category; whether there is such an item."""
        check_text(category, "the category")
        return self._edit(
            id, lambda item: replace(item, categories=tuple(dict.fromkeys((*item.categories, category))))
        )

    def remove_category(self, id: str, category: str) -> bool:
        """Remove an item from a category; whether there is such an item."""
        check_text(category, "the category")
        return self._edit(
            id, lambda item: replace(item, categories=tuple(c for c in item.categories if c != category))
        )

    def _edit(self, id: str, edit: _Edit) -> bool:
        return self._writer.write(_edit, [(id, edit)])[0]

    def get(self, id: str) -> Item | None:
        """The item of an id, if there is one."""
        return self.get_many([id]).get(id)

    def get_many(self, ids: Iterable[str]) -> dict[str, Item]:
        """Items by id; those not known are not in it."""
        found = {}
        with self._database.reading() as connection:
            for some in chunks(dict.fromkeys(ids)):
                for row in connection.execute(select(ITEMS).where(ITEMS.c.id.in_(some))):
                    found[row.id] = item_of(row)
        return found

    def page(self, n: int = 10, cursor: str = "") -> Page[Item]:
        """All items, hidden ones too, ordered by id."""
        with self._database.reading() as connection:
            return page(connection, select(ITEMS), (ITEMS.c.id,), item_of, "items", n, cursor)

    def after(self, id: str) -> str:
        """The cursor of what comes after an id."""
        return write_cursor("items", [id])

    def search(self, text: str, n: int = 10, cursor: str = "", *, prefix: bool = False) -> Page[Item]:
        """Items whose id, fields, labels or comment hold a text, whatever its case, ordered by id."""
        query = select(ITEMS).where(matching(ITEMS.c.words, text, prefix=prefix))
        with self._database.reading() as connection:
            return page(connection, query, (ITEMS.c.id,), item_of, "items", n, cursor)

    def count(self) -> int:
        """Number of rows."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(ITEMS)).scalar_one())

    def delete(self, id: str) -> bool:
        """Delete an item with its feedback; events and logged lists stay, as they are history.

        Returns:
            Whether there was such an item.
        """
        return self._writer.write(_delete, [id])[0]


def _row_items(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "is_hidden": item.is_hidden,
        "categories": check_json(item.categories, "item.categories"),
        "time": None if item.timestamp is None else to_us(item.timestamp),
        "labels": check_json(item.labels, "item.labels", none=True),
        "comment": item.comment,
        "fields": check_json(dict(item.fields), "item.fields"),
        "words": words_of(item.id, dict(item.fields), item.labels, item.comment),
    }


def _put_items(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
    ids = [row["id"] for row in rows]
    seen = known(connection, ITEMS.c.id, ids)
    upsert(connection, ITEMS, rows)
    note_changes(connection, "item", ids)
    answers = []
    for id in ids:
        answers.append(id not in seen)
        seen.add(id)
    return answers


def _edit(connection: Connection, rows: list[tuple[str, _Edit]]) -> list[bool]:
    answers = []
    for id, edit in rows:
        found = connection.execute(select(ITEMS).where(ITEMS.c.id == id)).first()
        answers.append(found is not None)
        if found is not None:
            new = _row_items(edit(item_of(found)))
            connection.execute(ITEMS.update().where(ITEMS.c.id == id).values(**new))
            note_changes(connection, "item", [id])
    return answers


def _delete(connection: Connection, ids: list[str]) -> list[bool]:
    answers = []
    for id in ids:
        gone = connection.execute(ITEMS.delete().where(ITEMS.c.id == id)).rowcount > 0
        connection.execute(FEEDBACK.delete().where(FEEDBACK.c.item_id == id))
        if gone:
            note_changes(connection, "item", [id], deleted=True)
        answers.append(gone)
    return answers
