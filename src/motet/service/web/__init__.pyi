from ._mount import mount
from ._operate import compared, requests_by_minute, traffic_by_route
from ._shop import wishes_of
from ._shown import area, bars, facts
from ._visit import Visit

__all__ = [
    "Visit",
    "area",
    "bars",
    "compared",
    "facts",
    "mount",
    "requests_by_minute",
    "traffic_by_route",
    "wishes_of",
]
