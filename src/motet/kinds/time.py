"""Points in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np

from motet.schema import Cells, ColumnSink, Feature, Parts

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["TimeFeature"]

_PARTS: Final = ("hour sin", "hour cos", "weekday sin", "weekday cos", "season sin", "season cos", "trend")
_PERIODS_S: Final = (86_400.0, 7 * 86_400.0, 365.25 * 86_400.0)


class TimeFeature(Feature):
    """A point in time, seen as hour, weekday and season on circles, and as a trend."""

    kind: Literal["time"] = "time"

    cells: ClassVar[Cells] = "time"
    catalogue: ClassVar[Literal["hidden"]] = "hidden"

    def parts(self, name: str) -> Parts:
        """Two numbers a circle, and the trend in days."""
        return Parts(numbers=tuple(f"{name} {part}" for part in _PARTS))

    def read(
        self,
        name: str,
        frame: pl.DataFrame,
        column: Callable[[pl.DataFrame, str], pl.Series],
        sink: ColumnSink,
    ) -> None:
        """Turn the times into the numbers."""
        found = _values(column(frame, self.column or name))
        for part, values in zip(self.parts(name).numbers, found, strict=True):
            sink.numbers(part, values)


def _values(column: pl.Series) -> list[NDArray[Any]]:
    import polars as pl  # noqa: PLC0415 (a schema alone needs no tables)

    if column.dtype != pl.Datetime("us"):
        return [np.full(len(column), np.nan, np.float32)] * len(_PARTS)
    present = column.is_not_null().to_numpy()
    seconds = np.where(present, column.dt.timestamp("us").fill_null(0).to_numpy() / 1e6, np.nan)
    parts: list[NDArray[Any]] = []
    for period_s in _PERIODS_S:
        angle = 2 * np.pi * np.mod(seconds, period_s) / period_s
        parts += [np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)]
    return [*parts, (seconds / 86_400.0).astype(np.float32)]
