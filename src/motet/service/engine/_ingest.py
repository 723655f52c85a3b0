"""From what the store holds to what a recommender ingests, and what a user did since the model was trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motet.recommend.live import LiveEvent
from motet.schema import Schema
from motet.service.store import Event, Item, User
from motet.training import Bundle

__all__ = ["ItemColumns", "live_event", "user_row"]


def live_event(event: Event, user: str) -> LiveEvent:
    """An event of the store as the recommender is told of it.

    Args:
        event: As stored.
        user: As whom the model knows its user.
    """
    return LiveEvent(
        user=user,
        item=event.item,
        type=event.type,
        value=event.value,
        at_s=event.time.timestamp(),
        scenario=event.scenario,
        columns=dict(event.context),
    )


class ItemColumns:
    """Turns stored items into raw rows of a bundle's items table.

    What a client of another API says only in general terms fills the columns that mean it: a comment is the
    title, categories are the tags, where the item's fields do not say them.

    Args:
        bundle: With a catalogue.
    """

    def __init__(self, bundle: Bundle) -> None:
        catalogue = bundle.data.catalogue
        self.key = str(bundle.schema.keys.item)
        self._title = catalogue.title if catalogue is not None else None
        self._tags = catalogue.tags[0] if catalogue is not None and catalogue.tags else None

    def row(self, item: Item) -> dict[str, Any]:
        """A raw row, with the id and all that is said."""
        row: dict[str, Any] = dict(item.fields)
        if isinstance(item.labels, Mapping):
            row = {**item.labels, **row}
        if self._title is not None and item.comment and self._title not in row:
            row[self._title] = item.comment[:2000]
        if self._tags is not None and item.categories and self._tags not in row:
            row[self._tags] = list(item.categories)
        row[self.key] = item.id
        return row


def user_row(schema: Schema, user: User, known_as: str) -> dict[str, Any] | None:
    """A stored user as a raw row of the users table; None where nothing is said that could be a column."""
    if not isinstance(user.labels, Mapping) or not user.labels:
        return None
    return {**user.labels, str(schema.keys.user): known_as}
