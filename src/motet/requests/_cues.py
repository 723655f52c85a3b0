"""Cues of both languages in one table, and the words that carry no wish."""

from __future__ import annotations

from collections.abc import Iterator

from motet.requests._cues_en import ENGLISH, ENGLISH_ORDINALS, ENGLISH_STOP
from motet.requests._cues_zh import CHINESE, CHINESE_STOP
from motet.requests._phrases import Phrases
from motet.requests._tokens import words_of

__all__ = ["cue_table", "ordinals", "stop_table"]


def cue_table() -> Phrases[str]:
    """Kinds of cue under their phrases; a phrase may be of several kinds."""
    table = Phrases[str]()
    for kind, said in _said():
        for phrase in said.replace("\n", " ").split(","):
            table.add(words_of(phrase), kind)
    return table


def stop_table() -> Phrases[str]:
    """Words and phrases that are not searched for."""
    table = Phrases[str]()
    for word in [*ENGLISH_STOP.split(), *CHINESE_STOP.split()]:
        table.add(words_of(word), "stop")
    return table


def ordinals() -> dict[str, int]:
    """Places by their English words."""
    return dict(ENGLISH_ORDINALS)


def _said() -> Iterator[tuple[str, str]]:
    yield from ENGLISH.items()
    yield from CHINESE.items()
