"""Events, records and shown lists: durable, each event once, in order."""

from motet.store._queries import Changes
from motet.store._shown import Counts, DayCount
from motet.store._events import Events
from motet.store._feedback import FeedbackRows
from motet.store._events import Mode
from motet.store._shown import Forgotten
from motet.store._transfer import Imported
from motet.store._entities import Items
from motet.store._service import Key, Keys, Scope
from motet.store._service import Models, ModelState, ModelVersion
from motet.store._transfer import Kind
from motet.store._records import Change, Event, Feedback, Item, Page, User
from motet.store._shown import Answer, Satisfaction
from motet.store._database import StoreSettings
from motet.store._shown import Shown, ShownItem, ShownLists
from motet.store._shown import State, StateKind, States
from motet.store._store import Store
from motet.store._tables import METADATA
from motet.store._entities import Users
from motet.store._service import Values
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
