"""Every distinct text is encoded once, ever, as long as there is room to keep what was encoded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.errors import LanguageError
from motet.language._cache import VectorCache
from motet.language._protocol import Progress, TextEncoder

__all__ = ["encode_cached"]

_log: Final = logging.getLogger("motet.language")
_COMMIT: Final = 1024  # texts that an interruption may cost
_WARNED: Final = threading.Event()


def encode_cached(
    encoder: TextEncoder,
    texts: Sequence[str],
    cache: VectorCache,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Encode texts, asking the encoder only for what the cache does not hold.

    New vectors are committed as they are made, so an interrupted run loses at most its last 1,024
    texts. An empty text is zeros and is never sent. A cache that cannot be read or written costs time, never the
    vectors: the work goes on without it, and that is logged once for each process.

    Args:
        encoder: Turns texts into vectors.
        texts: n texts, repetitions welcome.
        cache: Where vectors are kept.
        progress: Called with what is going on, the distinct texts done, and the distinct texts in all.

    Returns:
        Shape [n, D], in the order of the texts.

    Raises:
        LanguageError: If the encoder fails or returns what is not a vector a text.
    """
    rows: dict[str, int] = {}
    places = np.array([rows.setdefault(t, len(rows)) if t.strip() else -1 for t in texts], np.int64)
    distinct = list(rows)
    kept: VectorCache | None = cache
    try:
        known_vectors, known = cache.get(encoder.settings_key, distinct)
    except LanguageError as error:
        _warn(error)
        kept, known = None, np.zeros(len(distinct), np.bool_)
    missing = np.flatnonzero(~known)
    if distinct and not len(missing):
        vectors = known_vectors
        if progress is not None:
            progress("encoding text", len(distinct), len(distinct))
    else:
        vectors = np.zeros((len(distinct), encoder.width), np.float32)
        if known.any():
            vectors[known] = known_vectors
        _encode_missing(encoder, distinct, missing, vectors, kept, progress)
    result = np.zeros((len(texts), vectors.shape[1]), np.float32)
    result[places >= 0] = vectors[places[places >= 0]]
    return result


def _encode_missing(
    encoder: TextEncoder,
    distinct: list[str],
    missing: NDArray[np.int64],
    vectors: NDArray[np.float32],
    cache: VectorCache | None,
    progress: Progress | None,
) -> None:
    # Similar lengths in one commit, so that batches are full and hardly padded.
    order = sorted(missing.tolist(), key=lambda row: -len(distinct[row]))
    before = len(distinct) - len(order)
    for start in range(0, len(order), _COMMIT):
        rows = order[start : start + _COMMIT]
        texts = [distinct[row] for row in rows]
        done = before + start

        def report(what: str, count: int, _: int, done: int = done) -> None:
            if progress is not None:
                progress(what, done + count, len(distinct))

        fresh = encoder.encode(texts, report)
        if fresh.shape != (len(texts), vectors.shape[1]) or not np.isfinite(fresh).all():
            raise LanguageError(
                f"the encoder {encoder.name!r} returned an array of shape {fresh.shape} for {len(texts)} "
                f"texts, not finite numbers of shape {(len(texts), vectors.shape[1])}",
                "mend the encoder: one finite vector a text",
            )
        vectors[rows] = fresh
        if cache is None:
            continue
        try:
            cache.put(encoder.settings_key, texts, fresh)
        except LanguageError as error:
            _warn(error)
            cache = None  # a cache that failed may fail slowly: it is not tried again for these texts


def _warn(error: LanguageError) -> None:
    if not _WARNED.is_set():
        _WARNED.set()
        _log.warning("texts are encoded anew each time: %s", error)
