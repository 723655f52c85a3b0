"""Text made safe to encode, and several fields made into one input."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["SEPARATOR", "characters_for", "clean_text", "fuse"]

SEPARATOR: Final = " [SEP] "

_WHITE: Final = re.compile(r"\s+")
# Control characters, lone surrogates (not encodable), and marks that turn the direction of text.
_UNWANTED: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
_CHARACTERS_PER_TOKEN: Final = 32


def characters_for(max_tokens: int) -> int:
    """Characters that are surely enough for some tokens: cutting there saves tokenising a whole book.

    Example:
        >>> characters_for(128)
        4096
    """
    return _CHARACTERS_PER_TOKEN * max_tokens


def clean_text(text: str, max_characters: int = 100_000) -> str:
    r"""Remove control characters, make every run of white space one space, cut the length.

    Args:
        text: Any text.
        max_characters: Longest result, ≥ 1.

    Example:
        >>> clean_text("  silky\x00 and\n\n soft ")
        'silky and soft'
    """
    # Cut twice: once so that a huge text is not scanned, once because white space has gone.
    text = _UNWANTED.sub("", text[: 4 * max_characters])
    return _WHITE.sub(" ", text).strip()[:max_characters].rstrip()


def fuse(fields: Iterable[str | None], separator: str = SEPARATOR) -> str:
    """Make several fields one input; an empty field drops out together with its separator.

    A separator that stands inside a field is taken out, so that a field cannot pretend to be two.

    Args:
        fields: For example a user's interests, then an item's attributes.
        separator: Put between fields; the default is BERT's own mark.

    Example:
        >>> fuse(["likes jazz", "", None, "Kind of Blue (1959)"])
        'likes jazz [SEP] Kind of Blue (1959)'
        >>> fuse(["a [SEP] b", "c"])
        'a b [SEP] c'
    """
    mark = separator.strip()
    cleaned = (clean_text(field.replace(mark, " ") if mark else field) for field in fields if field)
    return separator.join(field for field in cleaned if field)
