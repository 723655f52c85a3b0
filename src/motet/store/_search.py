"""What a user or an item can be found by."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, ColumnElement, or_

from motet.store._checks import check_text

__all__ = ["matching", "words_of"]

_LONGEST: Final = 20_000
_LONGEST_QUERY: Final = 256


def words_of(*values: Any) -> str:
    r"""Every text in some values, each on a line of its own, as it is searched: without case.

    Example:
        >>> words_of("p1", {"title": "Green TEA", "tags": ["hot"]}, "")
        'p1\ngreen tea\nhot'
    """
    found: list[str] = []
    todo = list(reversed(values))
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            if value:
                found.append(" ".join(value.casefold().split()))
        elif isinstance(value, dict):
            todo += reversed(list(value.values()))
        elif isinstance(value, list | tuple):
            todo += reversed(value)
    return "\n".join(found)[:_LONGEST].replace("\0", "")


def matching(words: Column[str], text: str, *, prefix: bool = False) -> ColumnElement[bool]:
    """Whether a row's words hold a text: anywhere, or as the beginning of its id or of any text of it.

    Args:
        words: The column that :func:`words_of` filled.
        text: What is looked for, taken literally: ``%`` and ``_`` mean themselves.
        prefix: Whether only beginnings count.

    Raises:
        StoreError: If the text is empty or longer than 256 characters.
    """
    check_text(text, "the searched text", longest=_LONGEST_QUERY)
    sought = " ".join(text.casefold().split())
    if not prefix:
        return words.contains(sought, autoescape=True)
    return or_(words.startswith(sought, autoescape=True), words.contains("\n" + sought, autoescape=True))
