"""Words → a validated request."""

from motet.requests._request import FactWanted, Language, Range, Request, Tag

__all__ = ["FactWanted", "Language", "Range", "Request", "Tag"]
