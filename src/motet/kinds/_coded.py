"""What ids and categories share: one word a row, with a row of the embedding table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from motet.schema import ColumnSink, Feature, Parts

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CodedFeature"]


class CodedFeature(Feature):
    """One word a row; the words that training rows have get an embedding each."""

    min_count: int = Field(1, ge=1)

    is_event: ClassVar[bool] = True

    def parts(self, name: str) -> Parts:
        """Its words."""
        return Parts(codes=(name,))

    def read(
        self,
        name: str,
        frame: pl.DataFrame,
        column: Callable[[pl.DataFrame, str], pl.Series],
        sink: ColumnSink,
    ) -> None:
        """Read the column as words."""
        sink.words(name, column(frame, self.column or name))

    @property
    def fewest_rows(self) -> int:
        """``min_count``."""
        return self.min_count
