"""Dense vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from motet.errors import SchemaError
from motet.schema import Cells, ColumnSink, Entity, Feature, Parts, ReduceSettings, Schema

if TYPE_CHECKING:
    import polars as pl
    from torch import nn

__all__ = ["VectorFeature"]


class VectorFeature(Feature):
    """A dense vector of fixed width; ``whiten``, ``reduce`` and ``adapter`` as for text.

    Attributes:
        source: A list ``column`` of the table, or the ``knowledge`` graph, whose vectors of the items
            are made as ``knowledge.vectors`` says.
    """

    kind: Literal["vector"] = "vector"
    source: Literal["column", "knowledge"] = "column"
    whiten: int = Field(0, ge=0)
    reduce: ReduceSettings | None = None
    adapter: Literal["linear", "mixture"] = "linear"

    cells: ClassVar[Cells] = "other"
    catalogue: ClassVar[Literal["hidden"]] = "hidden"

    def parts(self, name: str) -> Parts:
        """One vector."""
        return Parts(vectors=(name,))

    def columns(self, name: str) -> list[str]:
        """None if the vectors come from the graph."""
        return [] if self.from_graph else super().columns(name)

    @property
    def from_graph(self) -> bool:
        """Whether ``source`` is the graph."""
        return self.source == "knowledge"

    def check(self, name: str, entity: Entity, schema: Schema) -> None:
        """Vectors of the graph need a graph, and belong to items."""
        where = f"features.{entity}.{name}"
        if self.reduce is not None:
            self.reduce.check(where, entity, schema, whiten=self.whiten)
        if not self.from_graph:
            return
        if entity != "item" or self.whiten or self.reduce or self.column is not None:
            raise SchemaError(
                f"{where}: vectors of the knowledge graph are a feature of the item, with neither "
                "'column' nor 'whiten' nor 'reduce'",
                "move it to features.item; knowledge.width says how wide they are",
            )
        if schema.knowledge is None or schema.knowledge.vectors == "none":
            raise SchemaError(
                f"{where} needs knowledge.vectors", "say 'knowledge: {triples: FILE, vectors: transe}'"
            )

    def read(
        self,
        name: str,
        frame: pl.DataFrame,
        column: Callable[[pl.DataFrame, str], pl.Series],
        sink: ColumnSink,
    ) -> None:
        """Read the column as vectors."""
        sink.vectors(name, None if self.from_graph else column(frame, self.column or name))

    def module(self, name: str, *, encoder: Any, width: int, vector_width: int) -> nn.Module:
        """The adapter."""
        from motet.models import ADAPTERS  # noqa: PLC0415 (torch is slow to import, and a schema needs none)

        return ADAPTERS[self.adapter](inputs=encoder.vector_widths[name], width=vector_width)

    @property
    def whitened(self) -> int:
        """``whiten``."""
        return self.whiten

    @property
    def reduction(self) -> ReduceSettings | None:
        """``reduce``."""
        return self.reduce
