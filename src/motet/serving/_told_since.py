"""What a user did since the model was trained, as words are said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from motet.errors import MotetError
from motet.explain import Ground, Told
from motet.recommend import DistinctItems, LiveEvent, Meant
from motet.serving._parts import ModelParts
from motet.serving._tell import AGAINST

__all__ = ["MOST_EVENTS", "told_since"]

MOST_EVENTS: Final = 500


def told_since(
    parts: ModelParts,
    items: DistinctItems,
    ground: Ground,
    user: str,
    events: Sequence[tuple[str, LiveEvent]],
) -> Told | None:
    """Events as a ground takes them; None for none.

    Args:
        parts: The model.
        items: The catalogue.
        ground: Says what a rating is.
        user: As whom the model knows the user.
        events: Types as they were told, with their events, in any order.
    """
    live = parts.live
    there = [(type, one) for type, one in events if items.place(one.item) >= 0]
    if not there:
        return None
    meant = _read(parts, [one for _, one in there])
    kept = [(type, one) for (type, _), one in zip(there, meant, strict=True) if one is not None]
    time_us = np.array([round(one.event.at_s * 1e6) for _, one in kept], np.int64)
    # an event of a session that names no time is after all others
    order = np.argsort(np.where(time_us == 0, np.iinfo(np.int64).max, time_us), kind="stable")
    column = None
    if ground.rating is not None:
        column = live.schema.tasks[ground.rating].label
    past = live.history.of(user, items.now)
    return Told(
        items=np.array([items.place(one.event.item) for _, one in kept], np.int64)[order],
        time_us=time_us[order],
        likes=np.array([np.nan if one.liked is None else float(one.liked) for _, one in kept])[order],
        values=np.array([_value(one.event, column, ground.rating) for _, one in kept])[order],
        refused=np.array([type in AGAINST and one.liked is False for type, one in kept], bool)[order],
        pasts={name: items.places(found.rows).astype(np.int32) for name, found in past.sequences.items()},
    )


def _read(parts: ModelParts, events: Sequence[LiveEvent]) -> list[Meant | None]:
    reader = parts.live.history.reader
    try:
        return list(reader.read(events))
    except MotetError:
        found: list[Meant | None] = []
        for one in events:
            try:
                found += reader.read([one])
            except MotetError:
                found.append(None)
        return found


def _value(event: LiveEvent, column: str | None, task: str | None) -> float:
    if column is None:
        return np.nan
    value = event.value if event.type in (column, task) else event.columns.get(column)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan
