from ._router import gorse_router
from ._shapes import read_duration, read_time, write_time

__all__ = [
    "gorse_router",
    "read_duration",
    "read_time",
    "write_time",
]
