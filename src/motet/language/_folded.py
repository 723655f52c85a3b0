"""Text as it reads, with the place of every character in the text as it was written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["INVISIBLE", "FoldedText", "fold", "is_invisible"]

# Letters and marks without a shape of their own, which no category tells: joiners, fillers, blanks,
# variation selectors, and the tag characters in which whole sentences can be hidden.
INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_LONGEST_PLAIN: Final = 4  # a sign for a whole phrase, of up to 18 letters, hides nothing: it stays a sign
_BLANK: Final = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85")
_WITHOUT_SHAPE: Final = frozenset({"Cf", "Cc", "Cs", "Co", "Cn"})


def is_invisible(character: str) -> bool:
    """Whether a character takes no place where it is shown and is no white space."""
    if INVISIBLE.match(character):
        return True
    return character not in _BLANK and unicodedata.category(character) in _WITHOUT_SHAPE


@dataclass(frozen=True, slots=True)
class FoldedText:
    """A text made plain.

    Attributes:
        text: The plain text.
        places: Where each of its characters stood.
    """

    text: str
    places: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of the plain text, not empty, stood."""
        return self.places[start], self.places[end - 1] + 1


def fold(text: str) -> FoldedText:
    r"""Remove what is invisible; write wide, circled and other compatible letters and all digits plainly.

    Example:
        >>> fold("Ｃａ\u200bll ٣").text
        'Call 3'
    """
    if text.isascii() and text.isprintable():
        return FoldedText(text, range(len(text)))
    kept: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if not is_invisible(character):
            plain = _plain(character)
            kept.append(plain)
            places.extend([place] * len(plain))
    return FoldedText("".join(kept), places)


def _plain(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.digit(character))
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) <= _LONGEST_PLAIN else character
