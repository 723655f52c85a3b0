"""Events, records and shown lists: durable, each event once, in order."""

from motet.store._database import StoreSettings
from motet.store._entities import Items, Users
from motet.store._events import Events, Mode
from motet.store._feedback import FeedbackRows
from motet.store._queries import Changes
from motet.store._records import Change, Event, Feedback, Item, Page, User
from motet.store._service import Key, Keys, Models, ModelState, ModelVersion, Scope, Values
from motet.store._shown import (
    Answer,
    Counts,
    DayCount,
    Forgotten,
    Satisfaction,
    Shown,
    ShownItem,
    ShownLists,
    State,
    StateKind,
    States,
)
from motet.store._store import Store
from motet.store._tables import METADATA
from motet.store._transfer import Imported, Kind
from motet.store._writer import WriteCounts

__all__ = [
    "METADATA",
    "Answer",
    "Change",
    "Changes",
    "Counts",
    "DayCount",
    "Event",
    "Events",
    "Feedback",
    "FeedbackRows",
    "Forgotten",
    "Imported",
    "Item",
    "Items",
    "Key",
    "Keys",
    "Kind",
    "Mode",
    "ModelState",
    "ModelVersion",
    "Models",
    "Page",
    "Satisfaction",
    "Scope",
    "Shown",
    "ShownItem",
    "ShownLists",
    "State",
    "StateKind",
    "States",
    "Store",
    "StoreSettings",
    "User",
    "Users",
    "Values",
    "WriteCounts",
]
