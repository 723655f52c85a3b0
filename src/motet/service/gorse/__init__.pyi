from ._router import gorse_router
from ._shapes import NO_TIME, read_duration, read_time, write_time

__all__ = [
    "NO_TIME",
    "gorse_router",
    "read_duration",
    "read_time",
    "write_time",
]
