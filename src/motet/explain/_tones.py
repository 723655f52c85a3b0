"""Languages and tones in which claims are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

__all__ = ["Language", "Templates", "Tone"]

Language = Literal["en", "zh"]
Tone = Literal["plain", "warm", "brief"]
Templates = Mapping[str, Mapping[Tone, tuple[str, ...]]]
