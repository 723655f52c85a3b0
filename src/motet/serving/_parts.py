"""What one bundle brings to the service, opened by functions that are handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from motet.assist import Assistant
from motet.explain import Explainer, Profiler
from motet.recommend import LiveEvent, LiveRecommender

__all__ = ["LoadPast", "ModelParts", "OpenModel"]

LoadPast: TypeAlias = Callable[[str], Sequence[LiveEvent]]
"""Gives the live events of a user whom memory does not hold."""


@dataclass(frozen=True, slots=True)
class ModelParts:
    """One bundle, opened.

    Attributes:
        live: Recommends.
        assistant: Answers requests in words; its explainer gives reasons.
        profiler: Says what users like.
        forget: Lets go of what is kept of the words of users and requests.
    """

    live: LiveRecommender
    assistant: Assistant
    profiler: Profiler
    forget: Callable[[], None] = lambda: None

    @property
    def explainer(self) -> Explainer:
        """Gives reasons."""
        return self.assistant.explainer


OpenModel: TypeAlias = Callable[[Path, LoadPast], ModelParts]
"""Opens the bundle in a directory."""
