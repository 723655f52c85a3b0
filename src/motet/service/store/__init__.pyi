from ._database import StoreSettings
from ._entities import Items
from ._events import event_row
from ._experiments import ExperimentRecord, ExperimentStore, ExposedUser, Outcome
from ._identities import MOST_IDENTITIES, Identity, IdentityStore
from ._learner import UPDATE, Training, TrainingState
from ._queries import read_cursor, write_cursor
from ._records import Change, Event, Feedback, Item, Page, User
from ._service import Key, KeyStore, ModelState, ModelVersion, Scope
from ._shown import DayCount, Forgotten, Shown, ShownItem, State, SurveyAnswer
from ._store import Store
from ._surveys import AskedQuestion, SurveyRecord, SurveyStore
from ._tables import METADATA
from ._transfer import Imported, Kind

__all__ = [
    "METADATA",
    "MOST_IDENTITIES",
    "UPDATE",
    "AskedQuestion",
    "Change",
    "DayCount",
    "Event",
    "ExperimentRecord",
    "ExperimentStore",
    "ExposedUser",
    "Feedback",
    "Forgotten",
    "Identity",
    "IdentityStore",
    "Imported",
    "Item",
    "Items",
    "Key",
    "KeyStore",
    "Kind",
    "ModelState",
    "ModelVersion",
    "Outcome",
    "Page",
    "Scope",
    "Shown",
    "ShownItem",
    "State",
    "Store",
    "StoreSettings",
    "SurveyAnswer",
    "SurveyRecord",
    "SurveyStore",
    "Training",
    "TrainingState",
    "User",
    "event_row",
    "read_cursor",
    "write_cursor",
]
