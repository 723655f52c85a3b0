from ._charts import chart_of, nice_scale, time_marks
from ._mount import mount
from ._operate import compared, waits_in_words
from ._shop import wishes_of
from ._shown import Pictures, area, bars, facts, price
from ._visit import Visit

__all__ = [
    "Pictures",
    "Visit",
    "area",
    "bars",
    "chart_of",
    "compared",
    "facts",
    "mount",
    "nice_scale",
    "price",
    "time_marks",
    "waits_in_words",
    "wishes_of",
]
