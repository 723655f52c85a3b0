"""A data set as a stream of records: its items, its users, and its interactions in the order of their times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from motet.errors import DataError
from motet.schema import Schema, expression_columns

__all__ = ["DatasetStream"]


@dataclass(frozen=True, slots=True)
class DatasetStream:
    """Items, users and events of a data set, as a service takes them.

    Attributes:
        schema: Of the data set.
        directory: Its tables.

    Raises:
        DataError: If the data set has no users, no items or no times, so that nothing can be replayed.
    """

    schema: Schema
    directory: Path

    def __post_init__(self) -> None:
        keys = self.schema.keys
        if keys.user is None or keys.item is None or keys.time is None:
            raise DataError(
                f"the data set '{self.schema.name}' has no users, items and times to replay",
                "name one that has, such as movielens-100k",
            )

    def __len__(self) -> int:
        """Number of events."""
        table = self._table(str(self.schema.tables.interactions))
        types = self._types(table)
        return sum(len(table) - table[type].null_count() for type in types) if types else len(table)

    def sizes(self) -> dict[str, int]:
        """Numbers of items and of users."""
        tables = {"items": self.schema.tables.items, "users": self.schema.tables.users}
        return {name: 0 if table is None else len(self._table(table)) for name, table in tables.items()}

    def items(self) -> Iterator[dict[str, Any]]:
        """Bodies of items: ``id``, ``comment`` (the title) and ``fields``."""
        title = self.schema.catalogue.title
        for row in self._rows(self.schema.tables.items):
            id = str(row.pop(str(self.schema.keys.item)))
            name = next(
                (str(row.pop(c)) for c in (title, "title", "name") if c in row and row[c] is not None), ""
            )
            yield {"id": id, "comment": name, "fields": row}

    def users(self) -> Iterator[dict[str, Any]]:
        """Bodies of users: ``id`` and ``labels``."""
        for row in self._rows(self.schema.tables.users):
            yield {"id": str(row.pop(str(self.schema.keys.user))), "labels": row}

    def events(self, start: int = 0) -> Iterator[dict[str, Any]]:
        """Bodies of events, the oldest first: one for each cell that a label is read from.

        Their ids say which row they are, so an event that is sent twice counts once.

        Args:
            start: Events that are left out at the beginning.
        """
        keys, at = self.schema.keys, 0
        table = self._table(str(self.schema.tables.interactions))
        types = self._types(table)
        order = table[str(keys.time)].arg_sort()  # stable: equal times as they stand in the file
        for row, cells in zip(order.to_list(), table[order].iter_rows(named=True), strict=True):
            for type in types or ("interaction",):
                value = cells.get(type, 1)
                if value is None:
                    continue
                at += 1
                if at <= start:
                    continue
                body = {
                    "id": f"{self.schema.name}-{type}-{row}",
                    "type": type,
                    "user": str(cells[str(keys.user)]),
                    "item": str(cells[str(keys.item)]),
                    "value": float(value),
                    "time": _time(cells[str(keys.time)]),
                }
                scenario = None if keys.scenario is None else cells.get(keys.scenario)
                yield body if scenario is None else {**body, "scenario": str(scenario)}

    def _types(self, table: pl.DataFrame) -> tuple[str, ...]:
        found = []
        for task in self.schema.tasks.values():
            if task.on == "interaction" and task.label:
                found += [c for c in expression_columns(task.label) if c in table.columns]
        numbers = [
            c for c in dict.fromkeys(found) if table[c].dtype.is_numeric() or table[c].dtype == pl.Boolean
        ]
        return tuple(numbers)

    def _table(self, name: str) -> pl.DataFrame:
        path = self.directory / name
        return (
            pl.read_parquet(path)
            if path.suffix == ".parquet"
            else pl.read_csv(path, infer_schema_length=None)
        )

    def _rows(self, name: str | None) -> Iterator[dict[str, Any]]:
        if name is not None:
            for row in self._table(name).iter_rows(named=True):
                yield {column: _plain(cell) for column, cell in row.items() if cell is not None}


def _time(value: Any) -> str:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return datetime.fromtimestamp(float(value), UTC).isoformat()


def _plain(cell: Any) -> Any:
    if isinstance(cell, str | int | float | bool):
        return cell
    if isinstance(cell, list):
        return [str(one) for one in cell]
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)
