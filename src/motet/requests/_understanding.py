"""What a reader made of a request, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from motet.requests._request import Request

__all__ = ["Reader", "Understanding"]


@dataclass(frozen=True, slots=True)
class Understanding:
    """A request as it was understood.

    Attributes:
        request: What was understood.
        read_by: ``rules``, or the name of the language model that was believed where it could be.
        problem: Why a language model was not used though there is one; empty otherwise.
        agreed: What the language model said that the rules had read, too, as "slot: value".
        added: What it found beyond the rules.
        dropped: What it said that the request or the catalogue does not support.
    """

    request: Request
    read_by: str = "rules"
    problem: str = ""
    agreed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


class Reader(Protocol):
    """Understands requests in words."""

    def understand(
        self, text: str, previous: Request | None = None, shown: Sequence[str] = ()
    ) -> Understanding:
        """Understand what is said, on top of what was, perhaps about the items shown for that."""
        ...
