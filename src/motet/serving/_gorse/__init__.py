"""Gorse's REST API over the engine."""

from motet.serving._gorse._router import gorse_router

__all__ = ["gorse_router"]
