from ._counts import DayCount
from ._database import StoreSettings, StoreVersion, parse_url, store_version
from ._entities import Items
from ._events import event_row
from ._experiments import ExperimentRecord, ExperimentStore, ExposedUser, MixedList, Outcome, Taken
from ._identities import MOST_IDENTITIES, Identity, IdentityStore
from ._jobs import Job, JobKind, has_ended, this_process
from ._learner import UPDATE, Training, TrainingState
from ._queries import read_cursor, write_cursor
from ._records import Change, Event, Feedback, Item, Page, User, check_json
from ._service import Key, KeyStore, ModelState, ModelVersion, Scope
from ._shown import Forgotten, Shown, ShownItem, State, SurveyAnswer
from ._store import Restored, Store, backup_store, restore_store
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
    "Job",
    "JobKind",
    "Key",
    "KeyStore",
    "Kind",
    "MixedList",
    "ModelState",
    "ModelVersion",
    "Outcome",
    "Page",
    "Restored",
    "Scope",
    "Shown",
    "ShownItem",
    "State",
    "Store",
    "StoreSettings",
    "StoreVersion",
    "SurveyAnswer",
    "SurveyRecord",
    "SurveyStore",
    "Taken",
    "Training",
    "TrainingState",
    "User",
    "backup_store",
    "check_json",
    "event_row",
    "has_ended",
    "parse_url",
    "read_cursor",
    "restore_store",
    "store_version",
    "this_process",
    "write_cursor",
]
