"""Sets of values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from motet.schema import ColumnSink, Feature, Parts

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TagsFeature"]


class TagsFeature(Feature):
    """A set of values in one cell: a list column, or text with a separator.

    Attributes:
        separator: What divides the values of a text cell.
        words: Take the words of a text as tags, in lower case and without punctuation, instead:
            1 for single words, 2 for pairs of neighbours as well; 0 turns it off.
        min_count: Training rows a tag needs before it gets its own embedding.
    """

    kind: Literal["tags"] = "tags"
    separator: str = Field("|", min_length=1)
    words: int = Field(0, ge=0, le=2)
    min_count: int = Field(1, ge=1)

    catalogue: ClassVar[Literal["tags"]] = "tags"

    def parts(self, name: str) -> Parts:
        """A set of words."""
        return Parts(tags=(name,))

    def read(
        self,
        name: str,
        frame: pl.DataFrame,
        column: Callable[[pl.DataFrame, str], pl.Series],
        sink: ColumnSink,
    ) -> None:
        """Split the cells."""
        from motet.data import split_words  # noqa: PLC0415 (a schema alone needs no tables)

        cells = column(frame, self.column or name)
        sink.tags(name, split_words(cells, self.separator, words=self.words))

    def shown_as(self) -> str:
        """Words of a text are shown as the text that they are."""
        return "text" if self.words else "tags"

    @property
    def fewest_rows(self) -> int:
        """``min_count``."""
        return self.min_count

    @property
    def cell_separator(self) -> str | None:
        """``separator``."""
        return self.separator
