"""What people ask and are told is nobody's to keep."""

from __future__ import annotations

from dataclasses import dataclass, field

from motet.language._cache import VectorCache
from motet.language._generation_cache import GenerationCache

__all__ = ["PrivateCaches"]


@dataclass(frozen=True, slots=True)
class PrivateCaches:
    """Caches of a service for the words of users and requests: in memory, the latest ones, until they are to be forgotten.

    Attributes:
        vectors: Of texts.
        answers: Of a language model.
    """

    vectors: VectorCache = field(default_factory=lambda: VectorCache(in_memory=16_384))
    answers: GenerationCache = field(default_factory=lambda: GenerationCache(in_memory=1024))

    def forget(self) -> None:
        """Let go of everything."""
        self.vectors.forget()
        self.answers.forget()
