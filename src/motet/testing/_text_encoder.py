"""The conformance suite of text encoders."""

from __future__ import annotations

import numpy as np

from motet.language import TextEncoder

__all__ = ["check_text_encoder"]

_TEXTS = (
    "red wine",
    "a much longer text about a garden, a river and the train that crosses both every morning",
    "emoji 🎻 and ümläuts",
    "two\nlines",
    "red wine",
    "",
)


def check_text_encoder(encoder: TextEncoder, *, tolerance: float = 1e-4) -> None:
    """Check that a text encoder keeps its promises.

    Shape [n, width], float32, finite; an empty text gives zeros, a text does not; equal texts give
    equal vectors, different ones do not; order and neighbours do not matter; no texts give no rows.

    Args:
        encoder: The encoder.
        tolerance: Largest difference that the shape of a batch may make.

    Raises:
        AssertionError: If a promise is broken; the text says which.

    Example:
        >>> from motet.testing import HashedWordsForTests
        >>> check_text_encoder(HashedWordsForTests())
    """
    assert encoder.name, "it has no name"
    assert encoder.settings_key, "it has no settings key"
    texts = list(_TEXTS)
    vectors = encoder.encode(texts)
    shape = (len(texts), encoder.width)
    assert vectors.shape == shape, f"vectors have shape {vectors.shape}, not {shape}"
    assert vectors.dtype == np.float32, f"vectors are {vectors.dtype}, not float32"
    assert bool(np.isfinite(vectors).all()), "vectors are not finite"
    assert not bool(vectors[-1].any()), "an empty text does not give zeros"
    assert bool(vectors[:-1].any(1).all()), "a text gives only zeros"
    assert float(np.abs(vectors[0] - vectors[4]).max()) <= tolerance, "equal texts give different vectors"
    assert float(np.abs(vectors[0] - vectors[1]).max()) > tolerance, "different texts give equal vectors"
    for row, text in enumerate(texts):
        difference = float(np.abs(encoder.encode([text])[0] - vectors[row]).max())
        assert difference <= tolerance, f"neighbours change the vector of {text!r} by up to {difference:g}"
    backwards = encoder.encode(texts[::-1])[::-1]
    assert float(np.abs(backwards - vectors).max()) <= tolerance, "the order of texts matters"
    nothing = encoder.encode([])
    assert nothing.shape == (0, encoder.width), f"no texts give shape {nothing.shape}, not (0, width)"
