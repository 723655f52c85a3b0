"""Numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator

from motet.schema import Cells, ColumnSink, Feature, Parts, in_order

if TYPE_CHECKING:
    import polars as pl

__all__ = ["NumericFeature"]


class NumericFeature(Feature):
    """A number; missing values become the mean, with an indicator beside them.

    Attributes:
        scale: ``standard`` (x−μ)/σ, ``log`` the same of sign(x)·log(1+|x|), ``quantile`` the
            normal score of the empirical rank, ``none`` as it is. Fitted on training rows.
        range: Lowest and highest valid value; values outside count as missing, and are counted.
    """

    kind: Literal["numeric"] = "numeric"
    scale: Literal["standard", "log", "quantile", "none"] = "standard"
    range: Annotated[tuple[float, float], AfterValidator(in_order)] | None = None

    cells: ClassVar[Cells] = "number"
    catalogue: ClassVar[Literal["number"]] = "number"

    def parts(self, name: str) -> Parts:
        """One number."""
        return Parts(numbers=(name,))

    def read(
        self,
        name: str,
        frame: pl.DataFrame,
        column: Callable[[pl.DataFrame, str], pl.Series],
        sink: ColumnSink,
    ) -> None:
        """Read the column as numbers."""
        import polars as pl  # noqa: PLC0415 (a schema alone needs no tables)

        values = column(frame, self.column or name).cast(pl.Float32, strict=False)
        sink.numbers(name, values.fill_null(np.nan).to_numpy())

    @property
    def scaling(self) -> Literal["standard", "log", "quantile", "none"]:
        """``scale``."""
        return self.scale

    def valid_range(self, column: str) -> tuple[float, float] | None:
        """``range``."""
        return self.range
