"""Assertions that several suites make."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motet.schema import Task

__all__ = ["assert_close", "assert_on_scale"]

TOLERANCE = 2e-5
"""Sums of float32 in another order differ by this much; anything that matters differs by more."""


def assert_close(one: NDArray[np.float32], two: NDArray[np.float32], broken: str) -> None:
    """Raise with ``broken`` and the largest difference unless two arrays agree."""
    assert one.shape == two.shape, f"{broken}: shapes {one.shape} and {two.shape}"
    difference = float(np.abs(one - two).max(initial=0.0))
    scale = max(1.0, float(np.abs(two).max(initial=0.0)))
    assert difference <= TOLERANCE * scale, f"{broken}: they differ by up to {difference:g}"


def assert_on_scale(name: str, task: Task, values: NDArray[np.float32], rows: int, classes: int) -> None:
    """Raise unless predictions have the shape and the range of their task."""
    assert values.dtype == np.float32, f"predictions of {name!r} are {values.dtype}, not float32"
    shape = (rows, classes) if task.has_classes and classes > 1 else (rows,)
    assert values.shape == shape, f"predictions of {name!r} have shape {values.shape}, not {shape}"
    assert bool(np.isfinite(values).all()), f"predictions of {name!r} are not finite"
    if task.is_probability:
        assert bool(((values >= 0) & (values <= 1)).all()), f"predictions of {name!r} are no probabilities"
    if task.has_classes and not task.has_sets and values.ndim > 1:
        sums = values.sum(1)
        assert bool(np.allclose(sums, 1, atol=1e-4)), f"the classes of {name!r} do not add up to 1"
    if task.bounds is not None:
        low, high = task.bounds
        inside = bool(((values >= low) & (values <= high)).all())
        assert inside, f"predictions of {name!r} leave the range {low:g} to {high:g}"
