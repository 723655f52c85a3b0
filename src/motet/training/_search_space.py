"""What a search tries: its time and trials, and the settings of the network that change neither data nor encoding."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from motet.data import Dataset
from motet.errors import TrainingError
from motet.models.architectures import ARCHITECTURES
from motet.schema import Schema

__all__ = ["RATE", "Axis", "SearchSettings", "plain_value", "read_duration", "space_of", "with_values"]

RATE: Final = "training.learning_rate"
WIDTHS: Final = "model.options.hidden"

_MOST_TRIALS: Final = 1000
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_OTHER_ARCHITECTURES: Final = ("shared_bottom", "mmoe", "ple")
_LOWEST_RATE, _HIGHEST_RATE = 1e-4, 3e-2  # where trials are; the schema may be elsewhere
_HIDDEN: Final = ((64, 32), (128, 64), (256, 128), (512, 256))


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How long to search, and how many trials at the most.

    Attributes:
        time_s: Seconds for the whole run, reading and measuring included, > 0.
        trials: Finished trials after which the search ends, the schema's own settings among them, ≥ 1.
    """

    time_s: float
    trials: int = _MOST_TRIALS

    @classmethod
    def parse(cls, search: str | float | SearchSettings, trials: int | None = None) -> SearchSettings:
        """Read a duration such as ``90s``, ``20m`` or ``1.5h``; a number is of seconds.

        Raises:
            TrainingError: If it is none, or not above 0.

        Example:
            >>> SearchSettings.parse("20m").time_s, SearchSettings.parse(90).time_s
            (1200.0, 90.0)
        """
        found = search if isinstance(search, SearchSettings) else cls(read_duration(search))
        if not 0 < found.time_s < math.inf:
            raise TrainingError(
                f"the time of the search is {search!r}", "write a number above 0 with s, m or h: --search 20m"
            )
        found = found if trials is None else replace(found, trials=trials)
        if found.trials < 1:
            raise TrainingError(f"the search may do {found.trials} trials", "write at least 1: --trials 20")
        return found


def read_duration(duration: str | float) -> float:
    """Seconds of a duration such as ``90s``, ``20m`` or ``1.5h``; a number is of seconds, and 0 is what cannot be read.

    Example:
        >>> read_duration("2h"), read_duration(90), read_duration("soon")
        (7200.0, 90.0, 0.0)
    """
    if isinstance(duration, int | float):
        return float(duration)
    read = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([smh]?)\s*", duration)
    return float(read[1]) * _UNITS[read[2] or "s"] if read else 0.0


# What is searched: settings that change neither the data nor its encoding.


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting: the value of the schema, and what else it may be; a range on the log scale where no choices are given."""

    default: Any
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0

    @classmethod
    def of(cls, default: Any, *choices: Any) -> Axis:
        return cls(default, tuple(sorted({default, *choices})))


def space_of(schema: Schema, data: Dataset) -> dict[str, Axis]:
    """Every setting that is searched, by its path in the schema."""
    training, model = schema.training, schema.model
    rows = len(data.rows("train"))
    batch, most = training.rows_a_step(rows), max(256, rows // 4)
    space = {
        RATE: Axis(training.learning_rate, low=_LOWEST_RATE, high=_HIGHEST_RATE),
        "training.batch_size": Axis.of(
            batch,
            *(n for n in (batch // 4, batch // 2, batch * 2, batch * 4) if 32 <= n <= most),
        ),
        "training.weight_decay": Axis.of(training.weight_decay, 0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
        "training.embedding_l2": Axis.of(training.embedding_l2, 0.0, 1e-6, 1e-5, 1e-4, 1e-3),
        "training.embedding_rate": Axis.of(training.embedding_rate, 0.3, 1.0, 3.0),
        "model.dropout": Axis.of(model.dropout, 0.0, 0.1, 0.2, 0.3, 0.5),
        "model.id_dropout": Axis.of(model.id_dropout, 0.0, 0.05, 0.1, 0.2, 0.4),
        "model.width": Axis.of(model.width, 8, 16, 32, 64),
    }
    if schema.retrieval_task is not None:
        space["model.retrieval_width"] = Axis.of(model.retrieval_width, 32, 64, 128)
    towers = [t for t in schema.tasks.values() if t.on == "interaction" and not t.ranks_catalogue]
    if len(towers) > 1 and not model.options and model.architecture in _OTHER_ARCHITECTURES:
        space["model.architecture"] = Axis.of(model.architecture, *_OTHER_ARCHITECTURES)
    if towers:
        own = ARCHITECTURES[model.architecture][1].model_validate(model.options)
        hidden = getattr(own, "hidden", None)
        if isinstance(hidden, tuple):
            space[WIDTHS] = Axis.of(_widths(hidden), *map(_widths, _HIDDEN))
    for name, task in schema.tasks.items():
        if task.ranks_catalogue and task.drawn_items < len(data.items):
            few = (n for n in (256, 1024, 2048, 8192) if n < len(data.items))
            space[f"tasks.{name}.negatives"] = Axis.of(task.drawn_items, *few)
    return space


def _widths(hidden: tuple[int, ...]) -> str:
    return "-".join(map(str, hidden))


def with_values(schema: Schema, space: Mapping[str, Axis], values: Mapping[str, Any]) -> Schema:
    """The schema with other values of some settings."""
    architecture, content = "model.architecture", schema.model_dump()
    for path, value in values.items():
        # another architecture has other widths of its own
        moved = (
            path == WIDTHS and architecture in space and values[architecture] != space[architecture].default
        )
        if value != space[path].default or moved:
            *parents, last = path.split(".")
            node = content
            for parent in parents:
                node = node[parent]
            node[last] = plain_value(path, value)
    return Schema.parse(content)


def plain_value(path: str, value: Any) -> Any:
    """A value as the schema writes it: choices are single words and numbers, widths are several."""
    return [int(width) for width in value.split("-")] if path == WIDTHS else value
