from ._import import GorseImport, ImportedKind, import_gorse, open_gorse
from ._router import gorse_router
from ._shapes import read_duration, read_time, write_time
from ._sources import GorseKind, GorseRow, GorseRows, GorseSource

__all__ = [
    "GorseImport",
    "GorseKind",
    "GorseRow",
    "GorseRows",
    "GorseSource",
    "ImportedKind",
    "gorse_router",
    "import_gorse",
    "open_gorse",
    "read_duration",
    "read_time",
    "write_time",
]
