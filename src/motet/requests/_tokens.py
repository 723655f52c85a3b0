"""A request cut into words, numbers, Chinese characters and marks."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Kind", "Token", "fold_word", "tokenize", "words_of"]

Kind = Literal["word", "number", "decade", "han", "mark"]

_HAN: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN: Final = re.compile(
    rf"""(?P<decade>['’]?\b(?:1[89]|20)?\d0['’]?s\b)
    |(?P<number>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?(?![^\W_{_HAN}])|\d+(?:\.\d+)?(?![^\W_{_HAN}]))
    |(?P<han>[{_HAN}])
    |(?P<word>\bw/o?\b(?=\s)|(?:[A-Za-z]\.){{2,}}|[^\W_{_HAN}]+(?:['’ʼ`´][^\W_{_HAN}]+)*)
    |(?P<mark>[^\s\w])""",
    re.VERBOSE | re.IGNORECASE,
)
_APOSTROPHES: Final = str.maketrans("", "", "'’ʼ`´.")
_ABBREVIATIONS: Final = frozenset(
    {"mr", "mrs", "ms", "dr", "st", "sgt", "vs", "jr", "sr", "blvd", "prof", "no", "vol"}
)
_SHORT_FORMS: Final = {"w/o": "without", "w/": "with"}
_JOINS: Final = frozenset("-*·・'’_")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a request.

    Attributes:
        norm: As it is compared: lower case, no accents, no apostrophes.
        kind: A word, a number, a decade such as ``80s``, a Chinese character, or a mark.
        start: Its first character in the text.
        end: One past its last character.
        capital: Whether it begins with a capital letter, or is a number.
    """

    norm: str
    kind: Kind
    start: int
    end: int
    capital: bool


def fold_word(word: str) -> str:
    """Lower case, without accents, apostrophes and full stops.

    Example:
        >>> fold_word("L'Été"), fold_word("E.T.")
        ('lete', 'et')
    """
    plain = word.casefold()
    if not plain.isascii():
        parts = unicodedata.normalize("NFKD", plain)
        plain = "".join(part for part in parts if not unicodedata.combining(part))
    return plain.translate(_APOSTROPHES)


def tokenize(text: str) -> list[Token]:
    """Cut a text into tokens; a hyphen inside a word is a gap, ``&`` is "and".

    Example:
        >>> [token.norm for token in tokenize("Sci-fi & '80s: 像E.T.")]
        ['sci', 'fi', 'and', '80s', ':', '像', 'et']
    """
    tokens: list[Token] = []
    for found in _TOKEN.finditer(text):
        start, end, piece = found.start(), found.end(), found.group()
        kind: Kind = found.lastgroup  # type: ignore[assignment]
        if kind == "mark":
            if piece == "&":
                tokens.append(Token("and", "word", start, end, True))
                continue
            piece = _MARK_NAMES.get(piece, piece)
            if _joins(text, start, piece) or (piece == "." and tokens and _abbreviates(tokens[-1], start)):
                continue
            tokens.append(Token(piece, kind, start, end, False))
        elif kind == "number":
            tokens.append(Token(piece.replace(",", ""), kind, start, end, True))
        else:
            norm = _SHORT_FORMS.get(piece.casefold()) or fold_word(piece)
            if norm:
                tokens.append(Token(norm, kind, start, end, piece[0].isupper() or piece[0].isdigit()))
    return tokens


def words_of(text: str) -> tuple[str, ...]:
    """The words of a phrase, as they are compared; no marks.

    Example:
        >>> words_of("Children's films!")
        ('childrens', 'films')
    """
    return tuple(token.norm for token in tokenize(text) if token.kind != "mark")


_MARK_NAMES: Final = {
    **dict(zip("，。！？；：（）", ",.!?;:()", strict=True)),
    **dict.fromkeys("“”„«»《》「」『』〈〉", '"'),
    **dict.fromkeys("–—―−～~", "-"),
    "／": "/",
    "…": ".",
}


def _joins(text: str, at: int, mark: str) -> bool:
    """Whether a mark stands inside a word, as in "sci-fi"."""
    if mark not in _JOINS or not 0 < at < len(text) - 1:
        return False
    before, after = text[at - 1], text[at + 1]
    return before.isalnum() and after.isalnum() and not (before.isdigit() and after.isdigit())


def _abbreviates(token: Token, at: int) -> bool:
    return token.end == at and token.norm in _ABBREVIATIONS
