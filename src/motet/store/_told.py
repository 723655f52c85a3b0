"""The four kinds of record that a store is told, together."""

from __future__ import annotations

from dataclasses import dataclass

from motet.store._events import Events
from motet.store._feedback import FeedbackRows
from motet.store._items import Items
from motet.store._users import Users

__all__ = ["Told"]


@dataclass(frozen=True, slots=True)
class Told:
    """What an export holds and an import brings back; shown lists, keys and models stay where they are.

    Attributes:
        users: Users.
        items: Items.
        events: What happened.
        feedback: The same by type, user and item.
    """

    users: Users
    items: Items
    events: Events
    feedback: FeedbackRows
