"""Numbers as they are said: digits and words, years and decades, money, lengths of time, places in a list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from motet.assistant.understand._tokens import Span, Token

__all__ = ["NUMBER_WORDS", "QUANTITY_STARTS", "SMALL_NUMBERS", "Quantity", "place_at", "quantity_at"]

Unit = Literal["year", "money", "minutes", "none"]

SMALL_NUMBERS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
"""Words of the numbers from 0 to 20, in order."""

_SMALL: Final = {word: number for number, word in enumerate(SMALL_NUMBERS)}
_TENS: Final = {"twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
                "eighty": 80, "ninety": 90}  # fmt: skip
_DECADES: Final = {
    form: tens
    for word, tens in (_TENS | {"ten": 10}).items()
    for form in (
        (word[:-1] + "ies", word + "s", word[:-1] + "ie", word[:-1] + "ys")
        if word.endswith("y")
        else (word + "s",)
    )
}
NUMBER_WORDS: Final = frozenset({*_SMALL, *_TENS, *_DECADES, "hundred", "dozen"})
"""Words that are numbers or decades."""

_HAN: Final = {**{digit: number for number, digit in enumerate("零一二三四五六七八九")}, "两": 2, "〇": 0}
QUANTITY_STARTS: Final = frozenset(
    {*_SMALL, *_TENS, *_DECADES, *_HAN, "a", "an", "half", "couple", "半", "十", "百"}
)
"""Words with which a quantity may begin that does not begin with a digit or a sign of money."""

_MONEY: Final = frozenset(
    [
        "dollar",
        "dollars",
        "euro",
        "euros",
        "bucks",
        "buck",
        "usd",
        "eur",
        "pound",
        "pounds",
        "gbp",
        "yuan",
        "rmb",
        "yen",
        "cents",
        "quid",
        "chf",
        "francs",
    ]
)
_MONEY_MARKS: Final = frozenset("$€£¥￥")
_MONEY_HAN: Final = ("元", "块", "美元", "欧元", "人民币", "块钱", "美金", "英镑", "日元")
_MINUTES: Final = {
    "minute": 1,
    "minutes": 1,
    "min": 1,
    "mins": 1,
    "hour": 60,
    "hours": 60,
    "hrs": 60,
    "hr": 60,
    "h": 60,
}
_MINUTES_HAN: Final = {"小时": 60, "钟头": 60, "分钟": 1}
_GLUED: Final = re.compile(r"(\d+)(h|hrs?|mins?|m|eur|usd|k)(\d+)?")
_FIRST_YEAR, _LAST_YEAR = 1800, 2199
_SHORTEST_YEAR: Final = 4
_LARGEST: Final = 1e15  # as which every larger number is read
_FIRST_DECADE_OF_ITS_NAME: Final = 1900


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that was said, or a span of years.

    Attributes:
        low: Its lowest value.
        high: Its highest; the same, unless it is a decade.
        unit: What it measures, as far as it was said. Lengths of time are in minutes.
        length: Tokens it takes.
    """

    low: float
    high: float
    unit: Unit
    length: int

    @property
    def is_decade(self) -> bool:
        """Whether it is a span of years."""
        return self.low != self.high


def quantity_at(tokens: Sequence[Token], at: int, last_year: float = 2030) -> Quantity | None:
    """The quantity that begins at a token, or None.

    Args:
        tokens: Of the request.
        at: Where it would begin.
        last_year: The latest year there is, to distinguish the 1920s from the 2020s.
    """
    words = [token.norm for token in tokens[at : at + 12]]
    return (
        _decade(words, tokens[at], last_year)
        or _money_before(tokens, at, last_year)
        or _with_unit(words, tokens[at])
    )


def _decade(words: list[str], token: Token, last_year: float) -> Quantity | None:
    if token.kind == "decade":
        digits = re.sub(r"\D", "", words[0])
        return _ten_years(int(digits), last_year, 1)
    if words[0] in _DECADES:
        return _ten_years(_DECADES[words[0]], last_year, 1)
    if (
        words[0] in ("nineteen", "twenty")
        and len(words) > 1
        and words[1] in _DECADES
        and words[0] == "nineteen"
    ):
        return _ten_years(1900 + _DECADES[words[1]], last_year, 2)
    number = _number(words, token)
    if number is None:
        return None
    value, length = number
    rest = "".join(words[length : length + 4])
    if rest.startswith("世纪"):
        decade = _number(words[length + 2 :], None)
        if decade is None or "".join(words[length + 2 + decade[1] :][:2]) != "年代":
            return None
        start = 100 * (value - 1) + decade[0]
        return Quantity(start, start + 9, "year", length + 4 + decade[1])
    if rest.startswith("年代"):
        both = re.fullmatch(r"([二三四五六七八九])([二三四五六七八九])十", "".join(words[:length]))
        if both:
            first, second = (_ten_years(10 * _HAN[digit], last_year, 0) for digit in both.groups())
            return Quantity(first.low, second.high, "year", length + 2)
        if value % 10 == 0 and (value < 100 or _FIRST_YEAR <= value <= _LAST_YEAR):
            return _ten_years(int(value), last_year, length + 2)
    return None


def _ten_years(start: float, last_year: float, length: int) -> Quantity:
    if start < 100:
        start += 2000 if 2000 + start <= last_year else 1900
    if start % 100 == 0 and start < _FIRST_DECADE_OF_ITS_NAME:  # "the 1800s" are a century
        return Quantity(start, start + 99, "year", length)
    return Quantity(start, start + 9, "year", length)


def _money_before(tokens: Sequence[Token], at: int, last_year: float) -> Quantity | None:
    if tokens[at].norm not in _MONEY_MARKS or at + 1 >= len(tokens):
        return None
    number = _number([token.norm for token in tokens[at + 1 : at + 8]], tokens[at + 1])
    return Quantity(number[0], number[0], "money", number[1] + 1) if number else None


def _with_unit(words: list[str], token: Token) -> Quantity | None:
    glued = _GLUED.fullmatch(words[0])
    if glued:
        value, unit = _value(glued[1]), glued[2]
        if unit == "k":
            return Quantity(1000 * value, 1000 * value, "none", 1)
        if unit in ("eur", "usd"):
            return Quantity(value, value, "money", 1)
        minutes = value * (60 if unit.startswith("h") else 1) + _value(glued[3] or "0")
        return Quantity(minutes, minutes, "minutes", 1)
    if words[:2] in (["an", "hour"], ["one", "hour"]):
        minutes, length = (90.0, 5) if words[2:5] == ["and", "a", "half"] else (60.0, 2)
        return Quantity(minutes, minutes, "minutes", length)
    if words[:3] == ["half", "an", "hour"]:
        return Quantity(30, 30, "minutes", 3)
    number = _number(words, token)
    if number is None:
        return None
    value, length = number
    if words[length : length + 3] == ["and", "a", "half"]:
        value, length = value + 0.5, length + 3
    rest = words[length : length + 4]
    han = "".join(rest)
    if rest and (rest[0] in _MONEY or rest[0] in _MONEY_MARKS):
        return Quantity(value, value, "money", length + 1)
    for name in sorted(_MONEY_HAN, key=len, reverse=True):
        if han.startswith(name):
            return Quantity(value, value, "money", length + len(name))
    half, counted = 0.0, 0
    if han.startswith("个"):
        counted, han = 1, han[1:]
        if han.startswith("半"):
            half, counted, han = 0.5, 2, han[1:]
    for name, factor in _MINUTES_HAN.items():
        if han.startswith(name):
            value = (value + half) * factor
            return Quantity(value, value, "minutes", length + counted + len(name))
    if rest and rest[0] in _MINUTES:
        value *= _MINUTES[rest[0]]
        return Quantity(value, value, "minutes", length + 1)
    if value == int(value) and _FIRST_YEAR <= value <= _LAST_YEAR and len(words[0]) >= 1:
        return Quantity(value, value, "year", length + (1 if rest[:1] == ["年"] else 0))
    return Quantity(value, value, "none", length)


def _number(words: Sequence[str], token: Token | None) -> tuple[float, int] | None:
    """A number in digits, words or Chinese, and how many tokens it takes."""
    if not words:
        return None
    first = words[0]
    dozens = _dozens(words)
    if dozens is not None:
        return dozens
    if (token is not None and token.kind == "number") or re.fullmatch(r"\d+(?:\.\d+)?", first):
        return _value(first), 1
    if first in _TENS:
        if len(words) > 1 and 0 < _SMALL.get(words[1], 0) < 10:
            return float(_TENS[first] + _SMALL[words[1]]), 2
        return float(_TENS[first]), 1
    if first in _SMALL:
        if len(words) > 1 and words[1] == "hundred":
            return 100.0 * _SMALL[first], 2
        return float(_SMALL[first]), 1
    if first in ("a", "one") and words[1:2] == ["hundred"]:
        return 100.0, 2
    if first == "a" and words[1:3] == ["couple", "of"]:
        return 2.0, 3
    if first == "a" and words[1:2] == ["couple"]:
        return 2.0, 2
    if first == "couple" and words[1:2] == ["of"]:
        return 2.0, 2
    run = 0
    while run < len(words) and (words[run] in _HAN or words[run] in ("十", "百")):
        run += 1
    return (_chinese("".join(words[:run])), run) if run else None


def _value(digits: str) -> float:
    """The value of digits, at most a number that is still finite when it is multiplied."""
    return min(float(digits), _LARGEST)


def _dozens(words: Sequence[str]) -> tuple[float, int] | None:
    """Dozens and their halves, which are one number, never two beside each other.

    Example:
        >>> [_dozens(said.split()) for said in ("half a dozen", "a half dozen", "two dozen", "半 打", "half")]
        [(6.0, 3), (6.0, 3), (24.0, 2), (6.0, 2), None]
    """
    for said in (("half", "a"), ("a", "half"), ("half",), ("半",)):
        if tuple(words[: len(said)]) == said and words[len(said) : len(said) + 1] in (["dozen"], ["打"]):
            return 6.0, len(said) + 1
    if words[1:2] in (["dozen"], ["打"]):
        many = 1 if words[0] == "a" else _SMALL.get(words[0]) or _HAN.get(words[0])
        if many is None and words[0].isdigit():
            many = int(_value(words[0]))
        return (12.0 * many, 2) if many else None
    return None


def _chinese(digits: str) -> float:
    """The value of Chinese digits.

    Example:
        >>> [_chinese(digits) for digits in ("三", "十二", "九十", "一九九四", "一百二十")]
        [3.0, 12.0, 90.0, 1994.0, 120.0]
    """
    if not any(mark in digits for mark in "十百"):
        return float("".join(str(_HAN[digit]) for digit in digits))
    total = current = 0
    for digit in digits:
        if digit in _HAN:
            current = _HAN[digit]
        else:
            total += max(current, 1) * (10 if digit == "十" else 100)
            current = 0
    return float(total + current)


_MOST: Final = 100  # items in one answer
_ORDINAL: Final = frozenset({"ordinal"})
_ORDINAL_HAN: Final = re.compile(r"第([一二三四五六七八九十\d]+)[部个本件款首张条]")
_LAST_HAN: Final = re.compile(r"最后[一]?[部个本件款首张条]")
_FIRST_OF: Final = re.compile(r"前([一二两三四五六七八九十\d]+)[部个本件款首张条]")


def place_at(tokens: list[Token], words: list[str], at: int, ordinals: Mapping[str, int]) -> Span | None:
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
                return Span(_ORDINAL, places, at, stop)
        found = _LAST_HAN.match(joined)
        return Span(_ORDINAL, (-1,), at, at + found.end()) if found else None
    start = at + (words[at] == "the")
    if start < len(words) and words[start] in ordinals and not _counts_years(words, start + 1):
        if start == at and words[start] != "last" and at and words[at - 1] not in ("the", "and", "or", "not"):
            return None
        stop = start + 1
        if words[start] in ("first", "last") and stop < len(words) and words[stop] in ("two", "three"):
            count = 2 if words[stop] == "two" else 3
            places = tuple(range(count)) if words[start] == "first" else tuple(range(-count, 0))
            return Span(_ORDINAL, places, at, stop + 1)
        while stop < len(words) and words[stop] in ("one", "film", "movie", "item", "product", "book"):
            stop += 1
        return Span(_ORDINAL, (ordinals[words[start]],), at, stop)
    if words[at] in ("number", "no") and at + 1 < len(words) and tokens[at + 1].kind == "number":
        place = float(tokens[at + 1].norm)
        if 1 <= place <= _MOST and place == int(place) and words[at] == "number":
            return Span(_ORDINAL, (int(place) - 1,), at, at + 2)
    return None


def _counts_years(words: list[str], at: int) -> bool:
    """Whether years follow: "the last 10 years"."""
    return any(word in ("year", "years") for word in words[at : at + 3])
