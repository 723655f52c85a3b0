"""How a store waits, gathers and refuses."""

from __future__ import annotations

from dataclasses import dataclass

from motet.errors import StoreError

__all__ = ["StoreSettings"]


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """How a store waits, gathers and refuses.

    Attributes:
        group_commit: Whether concurrent writes share transactions; without it each has its own.
        gather_s: Longest wait for as many writers as came last time, in seconds; a lone writer never waits.
        most_rows: Most rows in one transaction, and in one call.
        most_waiting: Most rows that wait to be written; what comes on top is refused.
        patience_s: Longest wait for a lock or a connection, in seconds.
        answer_s: Longest wait for the acknowledgement of a write, in seconds.
        connections: Most connections to the database.
    """

    group_commit: bool = True
    gather_s: float = 0.002
    most_rows: int = 10_000
    most_waiting: int = 50_000
    patience_s: float = 10.0
    answer_s: float = 30.0
    connections: int = 12

    def __post_init__(self) -> None:
        for name in ("most_rows", "most_waiting", "patience_s", "answer_s"):
            if not getattr(self, name) > 0:
                raise StoreError(f"the store's {name} is {getattr(self, name)}", "give a number above 0")
        if self.gather_s < 0:
            raise StoreError(f"the store's gather_s is {self.gather_s}", "give a number of at least 0")
        if self.connections < 2:
            raise StoreError(f"the store's connections are {self.connections}", "give at least 2")
        if self.most_rows > self.most_waiting:
            raise StoreError("the store's most_rows exceeds its most_waiting", "make it at most as large")
