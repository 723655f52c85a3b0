"""What users do with items, as words: from the schema, else from the name of the task."""

from __future__ import annotations

import re
from typing import Final, Literal

from motet.explain._ground import Ground
from motet.explain._tones import Language

__all__ = ["verb"]

_BY_TASK: Final[tuple[tuple[str, str, str], ...]] = (
    ("like|love|favou?rite", "liked", "喜欢"),
    ("buy|bought|purchase|conver", "bought", "买过"),
    ("order", "ordered", "订过"),
    ("click|open", "opened", "点开过"),
    ("watch", "watched", "看过"),
    ("view", "looked at", "看过"),
    ("read", "read", "读过"),
    ("play", "played", "玩过"),
    ("listen", "listened to", "听过"),
    ("save|cart|wish", "saved", "收藏过"),
    ("recommend", "recommended", "推荐过"),
)
_DEFAULT: Final = {
    ("liked", "en"): "chose",
    ("liked", "zh"): "选过",
    ("had", "en"): "tried",
    ("had", "zh"): "试过",
}


def verb(ground: Ground, which: Literal["liked", "had"], language: Language) -> str:
    """What a user did with an item that they liked, or with any item, in the past."""
    settings = ground.schema.explain
    said = (settings.liked if which == "liked" else settings.had).get(language)
    if said is not None:
        return said
    if which == "liked" and ground.task is not None:
        for names, english, chinese in _BY_TASK:
            if re.search(rf"(?:^|_)(?:{names})", ground.task.lower()):
                return english if language == "en" else chinese
    return _DEFAULT[which, language]
