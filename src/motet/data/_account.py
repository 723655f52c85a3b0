"""The written account of cleaning: what was found, in how many rows, and what was done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Account", "Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of flaw in one column.

    Attributes:
        table: File or table it was found in.
        column: Column, or "" for the row as a whole.
        found: What was found, with an example where that helps.
        action: What was done.
        rows: In how many rows.
    """

    table: str
    column: str
    found: str
    action: str
    rows: int

    def __str__(self) -> str:
        place = f"{self.table}.{self.column}" if self.column else self.table
        return f"{place}: {self.found} in {self.rows:,} rows: {self.action}"


class Account:
    """Collects findings; the same flaw found in several chunks is one finding.

    Example:
        >>> account = Account()
        >>> account.note("ratings", "rating", "outside 1 to 5", "taken as missing", 2)
        >>> account.note("ratings", "rating", "outside 1 to 5", "taken as missing", 1)
        >>> [str(finding) for finding in account]
        ['ratings.rating: outside 1 to 5 in 3 rows: taken as missing']
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str, str], int] = {}
        self._closed = False

    def note(self, table: str, column: str, found: str, action: str, rows: int) -> None:
        """Add a finding; nothing is noted for no rows, or after :meth:`close`."""
        if rows and not self._closed:
            key = (table, column, found, action)
            self._rows[key] = self._rows.get(key, 0) + int(rows)

    def close(self) -> None:
        """Stop noting: later passes read the same rows again."""
        self._closed = True

    def __iter__(self) -> Iterator[Finding]:
        for (table, column, found, action), rows in self._rows.items():
            yield Finding(table, column, found, action, rows)

    def __len__(self) -> int:
        return len(self._rows)
