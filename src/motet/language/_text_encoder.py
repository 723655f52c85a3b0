"""From settings to a function that turns texts into vectors, and keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from motet.language._build import build_encoder
from motet.language._cache import VectorCache
from motet.language._encode_cached import encode_cached
from motet.language._protocol import TextEncoder
from motet.schema import LanguageSettings, Progress, silent

__all__ = ["text_encoder"]


def text_encoder(
    settings: LanguageSettings, progress: Progress = silent, cache: VectorCache | None = None
) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """A function from texts to vectors that keeps what it has encoded; no model is loaded before it is called.

    Args:
        settings: Name the encoder.
        progress: Called with what is going on.
        cache: Where vectors are kept; motet's cache on disk when left out.
    """
    kept = cache or VectorCache()
    built: list[TextEncoder] = []  # of the first call: a service is told one item after the other
    lock = Lock()

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        with lock:
            if not built:
                built.append(build_encoder(settings))
        return encode_cached(built[0], texts, kept, progress)

    return encode
