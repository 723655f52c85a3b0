"""Places in a list that was shown: "the first", "number 2", 第一部."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from motet.requests._item import Item
from motet.requests._quantities import quantity_at
from motet.requests._tokens import Token

__all__ = ["place_at"]

_MOST: Final = 100  # items in one answer
_ORDINAL: Final = frozenset({"ordinal"})
_ORDINAL_HAN: Final = re.compile(r"第([一二三四五六七八九十\d]+)[部个本件款首张条]")
_LAST_HAN: Final = re.compile(r"最后[一]?[部个本件款首张条]")
_FIRST_OF: Final = re.compile(r"前([一二两三四五六七八九十\d]+)[部个本件款首张条]")


def place_at(tokens: list[Token], words: list[str], at: int, ordinals: Mapping[str, int]) -> Item | None:
    """Places in a list that was shown: "the first", "number 2", 第一部."""
    if words[at] in ("第", "最", "前"):
        joined = "".join(words[at : at + 6])
        for pattern, many in ((_ORDINAL_HAN, False), (_FIRST_OF, True)):
            found = pattern.match(joined)
            if found:
                inner = found.group(1)
                token = Token(inner[0], "number" if inner.isdigit() else "han", 0, 1, False)
                tokens = [token] if inner.isdigit() else tokens[at + 1 : at + 1 + len(inner)]
                number = quantity_at(tokens, 0)
                if number is None:
                    return None
                stop = at + 2 + (1 if inner.isdigit() else len(inner))
                places = tuple(range(min(int(number.low), _MOST))) if many else (int(number.low) - 1,)
                return Item(_ORDINAL, places, at, stop)
        found = _LAST_HAN.match(joined)
        return Item(_ORDINAL, (-1,), at, at + found.end()) if found else None
    start = at + (words[at] == "the")
    if start < len(words) and words[start] in ordinals and not _counts_years(words, start + 1):
        if start == at and words[start] != "last" and at and words[at - 1] not in ("the", "and", "or", "not"):
            return None
        stop = start + 1
        if words[start] in ("first", "last") and stop < len(words) and words[stop] in ("two", "three"):
            count = 2 if words[stop] == "two" else 3
            places = tuple(range(count)) if words[start] == "first" else tuple(range(-count, 0))
            return Item(_ORDINAL, places, at, stop + 1)
        while stop < len(words) and words[stop] in ("one", "film", "movie", "item", "product", "book"):
            stop += 1
        return Item(_ORDINAL, (ordinals[words[start]],), at, stop)
    if words[at] in ("number", "no") and at + 1 < len(words) and tokens[at + 1].kind == "number":
        place = float(tokens[at + 1].norm)
        if 1 <= place <= _MOST and place == int(place) and words[at] == "number":
            return Item(_ORDINAL, (int(place) - 1,), at, at + 2)
    return None


def _counts_years(words: list[str], at: int) -> bool:
    """Whether years follow: "the last 10 years"."""
    return any(word in ("year", "years") for word in words[at : at + 3])
