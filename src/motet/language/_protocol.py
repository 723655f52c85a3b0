"""What a text encoder is: texts in, vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from motet.assets import Progress

__all__ = ["Progress", "TextEncoder"]


class TextEncoder(Protocol):
    """Turns texts into vectors.

    The vector of a text depends on that text and the settings alone, never on its neighbours in a
    call: otherwise a cached vector and a fresh one would differ. (The last bits of float32 sums may
    still vary with the shape of a batch.)

    Attributes:
        name: What a person calls it.
        settings_key: Hash of everything that changes its output; equal keys may share a cache.
        width: D, the length of a vector.
    """

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    @property
    def settings_key(self) -> str:
        """Hash of everything that changes the output."""
        ...

    @property
    def width(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Encode texts.

        Args:
            texts: n texts; an empty one is zeros.
            progress: Called with what is going on, the texts done, and the texts in all.

        Returns:
            Shape [n, D], finite, in the order of the texts.

        Raises:
            LanguageError: If the model cannot be loaded or the endpoint fails.
        """
        ...
