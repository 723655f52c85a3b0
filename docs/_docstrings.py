"""Reads docstrings as the site shows them: examples as code, Sphinx roles as links where their target is public."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc|obj):`(~?)([\w.]+)`")


def _link(found: re.Match[str]) -> str:
    short, target = found.groups()
    shown = target.rpartition(".")[2] if short else target
    return f'<autoref identifier="{target}" optional><code>{shown}</code></autoref>'


class Docstrings(griffe.Extension):  # type: ignore[misc]
    """``Example:`` is a section as ``Examples:`` is, and not a quotation; roles become optional references."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object before it is parsed."""
        if obj.docstring is not None:
            value = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = ROLE.sub(_link, value)
