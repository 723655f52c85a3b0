"""How exact matrix products are while training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

__all__ = ["matrix_products"]


@contextmanager
def matrix_products(precision: Literal["float32", "bf16"]) -> Iterator[None]:
    """Do matrix products within the block in the given precision; inputs and results stay float32.

    Args:
        precision: ``bf16`` rounds the factors to 8 bits of mantissa and sums in float32.
    """
    backend = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = backend.fp32_precision
    backend.fp32_precision = "bf16" if precision == "bf16" else "ieee"
    try:
        yield
    finally:
        backend.fp32_precision = before
