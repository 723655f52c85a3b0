"""Markup and templates cut out of a request, so that the plain words around them are still read."""

from __future__ import annotations

import re
from typing import Final

from motet.language import suspicion

__all__ = ["without_markup"]

_MOST: Final = 10_000  # characters that are looked at
_SCRIPTS: Final = re.compile(
    r"<(script|style|template|noscript|iframe|object|svg)\b[^<>]{0,500}>.{0,4000}?</\1\s{0,5}>",
    re.DOTALL | re.IGNORECASE,
)
_TAGS: Final = re.compile(
    r"</?(?:a|b|i|u|s|p|em|strong|br|hr|img|div|span|h[1-6]|ul|ol|li|table|tr|td|th|code|pre|font|small|big|center)"
    r"(?:\s[^<>]{0,500})?/?>",
    re.IGNORECASE,
)
_TEMPLATES: Final = re.compile(r"\{\{[^{}]{0,500}\}\}|\{%[^{}]{0,500}%\}|\$\{[^{}]{0,500}\}")
_ORDERS: Final = frozenset(["override", "role", "leak", "steer", "system", "tool", "encoded"])


def without_markup(text: str) -> str:
    """Leave out tags, scripts with their bodies, and expressions of templates.

    Where what is left gives orders that were hidden between them, the text stays as it is, so that
    the whole sentence is left out later.

    Example:
        >>> without_markup("{{7*7}} western"), without_markup("<script>x()</script> <b>no</b> comedy")
        ('western', 'no comedy')
    """
    if len(text) > _MOST:
        return text
    plain, joined = (_cut(text, glue) for glue in (" ", ""))
    known = {flag.kind for flag in suspicion(plain)}
    hidden = {flag.kind for flag in suspicion(joined)} - known
    return text if hidden & _ORDERS else plain


def _cut(text: str, glue: str) -> str:
    for pattern in (_SCRIPTS, _TAGS, _TEMPLATES):
        text = pattern.sub(glue, text)
    return re.sub(r" {2,}", " ", text).strip()
