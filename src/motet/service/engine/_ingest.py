"""Conversion of stored events, items and users into the rows that a recommender ingests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motet.recommend.live import LiveEvent
from motet.schema import Schema
from motet.service.store import Event, Item, User
from motet.training import Bundle

__all__ = ["ItemColumns", "live_event", "user_row"]


def live_event(event: Event, user: str) -> LiveEvent:
    """Convert a stored event for the recommender.

    Args:
        event: As stored.
        user: The user id inside the model.
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

    Fields that other APIs have fill the matching columns where the item does not set them: the comment is the title,
    the categories are the tags.

    Args:
        bundle: With a catalogue.
    """

    def __init__(self, bundle: Bundle) -> None:
        catalogue = bundle.data.catalogue
        self.key = str(bundle.schema.keys.item)
        self._title = catalogue.title if catalogue is not None else None
        self._tags = catalogue.tags[0] if catalogue is not None and catalogue.tags else None

    def row(self, item: Item) -> dict[str, Any]:
        """A raw row with the id and all fields that were sent."""
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
    """A stored user as a raw row of the users table; None if no labels were sent."""
    if not isinstance(user.labels, Mapping) or not user.labels:
        return None
    return {**user.labels, str(schema.keys.user): known_as}
