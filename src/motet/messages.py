"""What motet says to people, in English and Chinese: gettext catalogues, read with Babel.

A catalogue is ``locale/<language>/LC_MESSAGES/motet.po``. Messages have short keys, not English sentences: many
names are only known at run time (``task.like``, ``state.active``), and English can be reworded without a change
of the code or of another language.
"""

from __future__ import annotations

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

__all__ = ["LANGUAGES", "say"]

LANGUAGES: Final = ("en", "zh")
_CATALOGUES = Path(__file__).parent / "locale"


class _NoMessage(NullTranslations):
    """The end of every search: an unknown key is a mistake, never a text to show."""

    def gettext(self, message: str) -> str:
        raise KeyError(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        raise KeyError(msgid1)


@cache
def _translations(language: str) -> GNUTranslations:
    from babel.messages.mofile import write_mo  # noqa: PLC0415 (commands that print no message need none of it)
    from babel.messages.pofile import read_po  # noqa: PLC0415

    compiled = BytesIO()
    with (_CATALOGUES / language / "LC_MESSAGES" / "motet.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    found = GNUTranslations(compiled)
    found.add_fallback(_NoMessage() if language == "en" else _translations("en"))
    return found


def say(key: str, language: str, /, *, count: int | None = None, **values: object) -> str:
    """A message in a language; in English where that language has no such message.

    Args:
        key: Of the message in the catalogues.
        language: ``en`` or ``zh``.
        count: Chooses between singular and plural, for a message that has both.
        values: What stands in for the names in braces.

    Raises:
        KeyError: If no catalogue has the message.

    Example:
        >>> say("user_n", "zh", id="7")
        '用户 7'
        >>> say("ratings_n", "en", count=1, n="1"), say("ratings_n", "en", count=1200, n="1,200")
        ('1 rating', '1,200 ratings')
    """
    found = _translations(language)
    words = found.gettext(key) if count is None else found.ngettext(key, key, count)
    return words.format(**values) if values else words
