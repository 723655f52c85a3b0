"""What can be wrong with a request beyond its content."""

from __future__ import annotations

from motet.errors import MotetError

__all__ = ["ConflictError", "NoModelError", "NotFoundError"]


class NotFoundError(MotetError):
    """What was named in the address is not there."""


class ConflictError(MotetError):
    """What was asked for does not fit the present state."""


class NoModelError(MotetError):
    """No model answers yet."""
