"""What a profile never says of a person, however well the behaviour would support it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_sensitive"]

# The special categories of Article 9 of the GDPR, and what is next to them; stems, where a word begins.
_ENGLISH: Final = re.compile(
    r"(?<![a-z])(?:ethnic|racial|race(?![a-z])|religio|christian|catholic|protestant|evangelical|muslim|islam|"
    r"jewish|judais|hindu|buddhis|atheis|church|mosque|synagogue|bible|quran|koran|politic|republican|democrat|"
    r"conservative|liberal(?![a-z])|socialis|communis|fascis|election|trade union|health|disease|illness|cancer|"
    r"diabet|hiv(?![a-z])|depress(?:ion|ive)|anxiety|therap|addict|alcoholi|disab|pregnan|fertility|abortion|"
    r"gay(?![a-z])|lesbian|bisexual|transgender|queer|lgbt|homosexual|sexual|erotic|gender|sex(?![a-z]))"
)
_CHINESE: Final = re.compile(
    "民族|种族|宗教|基督|天主教|佛教|道教|伊斯兰|穆斯林|政治|党派|选举|工会|健康|疾病|癌|糖尿|艾滋|抑郁|焦虑症|"
    "残疾|怀孕|孕妇|不孕|堕胎|同性恋|双性恋|跨性别|性取向|性别|情色"
)


def is_sensitive(text: str) -> bool:
    """Whether a column, a tag or a word names health, belief, politics, origin or sexuality.

    An interest in such a trait would be an inference about the person; it is not mined at all. The
    list is short and errs on the side of silence; name further columns in
    ``ProfileSettings.leave_out``.

    Example:
        >>> is_sensitive("Religion & Spirituality"), is_sensitive("Sci-Fi"), is_sensitive("健康")
        (True, False, True)
    """
    return bool(_ENGLISH.search(text.lower().replace("_", " ")) or _CHINESE.search(text))
