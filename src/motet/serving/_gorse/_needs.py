"""What Gorse's routes need of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from motet.errors import MotetError
from motet.serving._engine import Engine
from motet.serving._gorse._ranks import Ranks
from motet.store import Event, Feedback, Item

__all__ = ["Needs"]


class Needs:
    """The engine, as Gorse's routes use it.

    Args:
        engine: What answers.

    Attributes:
        store: What was told.
        items: The live catalogue.
        users: Users.
        ranks: Lists.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.store, self.items, self.users = engine.store, engine.items, engine.users
        self.ranks = Ranks(engine)

    @property
    def has_model(self) -> bool:
        """Whether a model answers."""
        return self._engine.model.is_there

    @property
    def is_ending(self) -> bool:
        """Whether the process is about to end."""
        return self._engine.is_ending

    def tell(self, rows: Sequence[Feedback], mode: Literal["add", "put"], ids: Sequence[str] | None) -> None:
        """Store feedback, and take it into account from the next request on.

        Args:
            rows: The feedback.
            mode: Whether values are added, or overwrite.
            ids: An id for each, by which it counts once.

        Raises:
            DataError: If a value is not of its column's kind; nothing is stored then.
        """
        served, watch = self._engine.active, self._engine.watch
        events = [Event(one.type, one.user, one.item, one.value, one.time) for one in rows]
        try:
            served.check(events)
        except MotetError:
            watch.say("rejected", "event", len(events))
            raise
        write = self.store.feedback.add if mode == "add" else self.store.feedback.put
        write(rows, ids=ids, insert_missing=True)
        self._engine.note_telling(served, events)
        self._engine.model.follow_now()

    def meant_value(self, type: str, value: float) -> float:
        """The value that feedback means.

        In Gorse 0 means that there is none; of a type that is a task of the schema, 0 would mean the opposite of what
        was told, and so becomes 1.
        """
        meanings = self._engine.active.parts.live.history.reader.meanings
        return meanings.value_of_none(type) if value == 0 else value

    def item(self, id: str) -> Item | None:
        """An item that was told, or one that only the model knows, as a client would have told it."""
        found = self.store.items.get(id)
        return self._item_of_bundle(id) if found is None else found

    def item_page(self, n: int, after: str, words: str) -> tuple[list[Item], str]:
        """Items ordered by id, and the id after which the next page begins.

        Args:
            n: Most items, ≥ 1.
            after: Where the page before ended.
            words: Only items that hold them.
        """
        page = self.items.page(n, after, words)
        ids = [one.id for one in page.items]
        more = bool(page.cursor)
        if words:  # of what was told, labels and comments are searched too
            items = self.store.items
            told = items.search(words, n + 1, items.after(after) if after else "")
            both = sorted({*ids, *(one.id for one in told.rows)})
            ids, more = both[:n], more or len(both) > n
        stored = self.store.items.get_many(ids)
        found = [stored.get(id) or self._item_of_bundle(id) for id in ids]
        return [one for one in found if one is not None], ids[-1] if more else ""

    def here(self, id: str) -> bool:
        """Let an item that only the model knows stand in the store; whether there is such an item."""
        if self.store.items.get(id) is None:
            found = self._item_of_bundle(id)
            if found is None:
                return False
            self.items.put([found])
        return True

    def edited(self) -> None:
        """Take into account what was stored, from the next request on."""
        self._engine.model.follow_now()

    def _item_of_bundle(self, id: str) -> Item | None:
        live = self._engine.active.parts.live
        row = live.items.told(id)
        if row is None:
            return None
        catalogue = live.items.catalogue
        row.pop(live.items.key, None)
        title = row.pop(catalogue.title, None) if catalogue.title is not None else None
        tags = row.pop(catalogue.tags[0], None) if catalogue.tags else None
        labels = {name: value for name, value in row.items() if _is_plain(value)}
        categories = tuple(dict.fromkeys(str(tag) for tag in tags or () if tag))
        return Item(id, live.items.hidden(id), categories, None, labels or None, str(title or "")[:2000])

    def forget_user(self, id: str) -> bool:
        """Delete all that is kept of a user; whether there was anything."""
        known = self._engine.active.is_of_bundle(id)
        return self._engine.delete_user(id) or known


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return abs(value) < float("inf")
    return isinstance(value, bool | int | str) or (isinstance(value, list) and all(map(_is_plain, value)))
