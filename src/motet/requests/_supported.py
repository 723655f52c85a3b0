"""Whether the words of a request support what a language model says it means."""

from __future__ import annotations

from typing import Final

from rapidfuzz import fuzz

from motet.requests._item import Scan
from motet.requests._lexicon import Lexicon
from motet.requests._request import Tag
from motet.requests._tokens import words_of

__all__ = ["numbers_said", "says_placement", "says_tag", "says_title"]

_STEM: Final = 5  # letters in which two words must agree to be of one family
_ALMOST: Final = 85.0


def says_tag(scan: Scan, lexicon: Lexicon, tag: Tag) -> bool:
    """Whether a word that was not understood otherwise is of the family of a tag's words ("musically")."""
    left = [scan.words[k] for item in scan.items if item.has("word") for k in range(item.start, item.stop)]
    for words, said in lexicon.values.items():
        if said[0].tag != tag or len(words) != 1:
            continue
        if any(_related(word, words[0]) for word in left):
            return True
    return False


def _related(word: str, other: str) -> bool:
    if not (word.isascii() and other.isascii()):
        return other in word
    if min(len(word), len(other)) < _STEM:
        return word == other
    return word[:_STEM] == other[:_STEM]


def says_title(scan: Scan, lexicon: Lexicon, title: str) -> list[int]:
    """Rows of a title whose words stand in the request, one after the other; [] if they do not."""
    words = words_of(title)
    if not words or all(lexicon.stop.get((word,)) or lexicon.values.get((word,)) for word in words):
        return []
    found = lexicon.titles.exact(words) or lexicon.titles.fuzzy(words)
    if found is None:
        return []
    spoken = [token.norm for token in scan.tokens if token.kind != "mark"]
    phrase = " ".join(words)
    if len(words) == 1 and lexicon.is_common(words):
        return []  # a model that takes "speed" for the film is believed no more than a guess
    for length in (len(words), len(words) - 1, len(words) + 1):
        for start in range(len(spoken) - length + 1 if length > 0 else 0):
            if fuzz.ratio(" ".join(spoken[start : start + length]), phrase) >= _ALMOST:
                return list(found.rows)
    return []


def says_placement(scan: Scan, lexicon: Lexicon, scenario: str) -> bool:
    """Whether a placement is said, by its name or another word for it."""
    spoken = set(scan.words)
    return (
        scenario in lexicon.scenarios
        and set(words_of(scenario)) <= spoken
        and _after_preposition(scan, scenario)
    )


def _after_preposition(scan: Scan, scenario: str) -> bool:
    at = scan.words.index(words_of(scenario)[0])
    return at > 0 and scan.words[at - 1] in ("the", "for", "at", "in", "on", "this", "during")


def numbers_said(scan: Scan, step: float) -> set[float]:
    """Numbers that a request says, and those one step beside them ("after 1990" is from 1991)."""
    said: set[float] = set()
    for item in scan.items:
        if item.has("number"):
            for value in (item.value.low, item.value.high):
                said |= {value - step, value, value + step}
    return said
