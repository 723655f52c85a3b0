"""Items of the live catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, func, select

from motet.store._changes import note_changes
from motet.store._checks import check_json, check_text, from_us, read_json, to_us
from motet.store._cursors import page, write_cursor
from motet.store._database import Database
from motet.store._records import Item, Page
from motet.store._search import matching, words_of
from motet.store._tables import FEEDBACK, ITEMS
from motet.store._upsert import chunks, known, upsert
from motet.store._writer import Writer

__all__ = ["Items", "item_of"]

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
        writer: What writes.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def put(self, items: Sequence[Item]) -> list[bool]:
        """Insert items, or replace them.

        Returns:
            Of each whether it was new.
        """
        return self._writer.write(_put, [_row(item) for item in items]) if items else []

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
        _row(
            Item(id, **given, fields=new_fields)
        )  # refused here, and not in the middle of others' transaction

        def edit(item: Item) -> Item:
            return replace(item, **given, fields={**item.fields, **new_fields})

        return self._edit(id, edit)

    def add_category(self, id: str, category: str) -> bool:
        """Put an item into a category too; whether there is such an item."""
        check_text(category, "the category")
        return self._edit(
            id, lambda item: replace(item, categories=tuple(dict.fromkeys((*item.categories, category))))
        )

    def remove_category(self, id: str, category: str) -> bool:
        """Take an item out of a category; whether there is such an item."""
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
        """How many there are."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(ITEMS)).scalar_one())

    def delete(self, id: str) -> bool:
        """Delete an item with its feedback; events and shown lists stay, for they tell what happened.

        Returns:
            Whether there was such an item.
        """
        return self._writer.write(_delete, [id])[0]


def _row(item: Item) -> dict[str, Any]:
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


def _put(connection: Connection, rows: list[dict[str, Any]]) -> list[bool]:
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
            new = _row(edit(item_of(found)))
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
