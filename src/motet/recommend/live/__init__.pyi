from ._events import FOUND, Cells, EventReader, Features, LiveEvent, ParsedEvent, SessionEvent
from ._history import Added, LiveHistory
from ._item_table import AppendOnlyArray, without_entities
from ._items import LiveItems, Upserted
from ._scorer import Scorer, plain_predictions
from ._snapshot import CatalogueSnapshot, DistinctItems, Eligible
from ._stages import Candidates, Clock, LiveRequest, Stages, answer_items, is_known
from ._users import EncodedUser, UserEncoder

__all__ = [
    "FOUND",
    "Added",
    "AppendOnlyArray",
    "Candidates",
    "CatalogueSnapshot",
    "Cells",
    "Clock",
    "DistinctItems",
    "Eligible",
    "EncodedUser",
    "EventReader",
    "Features",
    "LiveEvent",
    "LiveHistory",
    "LiveItems",
    "LiveRequest",
    "ParsedEvent",
    "Scorer",
    "SessionEvent",
    "Stages",
    "Upserted",
    "UserEncoder",
    "answer_items",
    "is_known",
    "plain_predictions",
    "without_entities",
]
