"""Plain inflection: the forms in which a word of a catalogue is said."""

from __future__ import annotations

__all__ = ["forms"]

_TOO_SHORT = 3


def forms(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    """A phrase with its last word in singular and plural; misspelt plurals of -y words too.

    Example:
        >>> sorted(" ".join(form) for form in forms(("love", "story")))
        ['love stories', 'love story', 'love storys']
        >>> sorted(" ".join(form) for form in forms(("dresses",)))
        ['dress', 'dresse', 'dresses']
    """
    if not words:
        return set()
    *start, last = words
    return {(*start, form) for form in _word_forms(last)}


def _word_forms(word: str) -> set[str]:
    found = {word}
    if len(word) < _TOO_SHORT or not word.isascii() or not word.isalpha():
        return found
    if word.endswith("ies"):
        found |= {word[:-3] + "y", word[:-3] + "ys", word[:-1]}
    elif word.endswith("ss") or word.endswith(("x", "ch", "sh", "z")):
        found.add(word + "es")
    elif word.endswith("es"):
        found |= {word[:-1], word[:-2]}
    elif word.endswith("s"):
        found.add(word[:-1])
    elif word.endswith("y") and word[-2] not in "aeiou":
        found |= {word[:-1] + "ies", word + "s"}
    else:
        found.add(word + "s")
    return found
