"""Requests in a language that is not read: told, and never guessed at by misspelling."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from motet.requests._lexicon import Lexicon
from motet.requests._tokens import Token

__all__ = ["FOREIGN_NOT", "is_foreign"]

_REFUSING: Final = """
ohne kein keine keinen keiner nicht sans sin senza zonder geen niet utan uten uden ingen inte ikke sem без не bez nie
"""
_CLEAR: Final = """
ein eine einen einem einer und oder bitte ich wie une avec je veux voudrais una unas unos quiero uno gli della delle
vorrei het een voor wil ett och eller jag vill jeg uma quero nao
"""
_UNCLEAR: Final = """
sin sem nie der das die des un le la les el il di en de du y e o van som film filme pelicula peliculas fur mit et ou est las
los con por pour um com para dos med che como comme
"""
FOREIGN_NOT: Final = frozenset(_REFUSING.split())
"""Words that refuse what stands behind them, in some languages; read so only where a request is in one of them."""

# Small words of other languages: those that are no English, and those that are a name or a word of it, too.
_WEAK: Final = FOREIGN_NOT.union(_CLEAR.split(), _UNCLEAR.split())
_STRONG: Final = _WEAK.difference(_UNCLEAR.split())
_FEWEST: Final = 2


def is_foreign(tokens: Sequence[Token], places: Iterable[int], lexicon: Lexicon) -> bool:
    """Whether a request is in neither English nor Chinese.

    It is if most of its letters are of another script, or if small words of another language are as many as those of English.

    Args:
        tokens: Of the request.
        places: Of the tokens that are no part of a title.
        lexicon: Knows the small words of English.
    """
    said = [tokens[k] for k in places if tokens[k].kind in ("word", "han")]
    other = sum(_is_of_another_script(token.norm) for token in said)
    if 2 * other > len(said):
        return True
    words = [token.norm for token in said if token.kind == "word"]
    strong = sum(word in _STRONG for word in words)
    weak = sum(word in _WEAK for word in words)
    english = sum(
        word not in _WEAK and bool(lexicon.stop.get((word,)) or lexicon.cues.get((word,))) for word in words
    )
    return len(words) >= _FEWEST and strong > 0 and weak > english


def _is_of_another_script(word: str) -> bool:
    names = (unicodedata.name(character, "") for character in word[:1])
    return any(not name.startswith(("LATIN", "CJK")) for name in names)
