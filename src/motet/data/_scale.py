"""Scales of numbers, and whitening of vectors: fitted on training rows, applied everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["Scale", "Whitening"]

QUANTILES = 257


@dataclass(frozen=True, slots=True)
class Scale:
    """How one number enters the model: a transform, then (x − centre) / spread.

    Attributes:
        kind: ``standard``, ``log``, ``quantile`` or ``none``, as in the schema.
        centre: Mean of the training values after the transform; missing values take it.
        spread: Their standard deviation; 1 for a constant.
        knots: Quantiles of the training values, for ``quantile`` only.
    """

    kind: str
    centre: float = 0.0
    spread: float = 1.0
    knots: tuple[float, ...] = ()

    @classmethod
    def fit(cls, kind: str, values: NDArray[np.float64]) -> Scale:
        """Fit on training values; missing ones (NaN) are left out.

        Example:
            >>> Scale.fit("standard", np.array([1.0, 3.0, np.nan])).apply(np.array([3.0, np.nan]))
            array([1., 0.], dtype=float32)
        """
        values = values[np.isfinite(values)]
        if kind == "none" or not len(values):
            return cls(kind if kind != "quantile" else "none")
        if kind == "quantile":
            knots = np.quantile(values, np.linspace(0, 1, QUANTILES))
            return cls(kind, knots=tuple(float(k) for k in knots))
        values = cls(kind)._transform(values)
        spread = float(values.std())
        return cls(kind, float(values.mean()), spread if spread > 1e-12 else 1.0)

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Scale values; missing ones become 0, the centre. Shape as given."""
        scaled = (self._transform(values) - self.centre) / self.spread
        return np.where(np.isfinite(scaled), scaled, 0.0).astype(np.float32)

    def _transform(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.kind == "log":
            return np.asarray(np.sign(values) * np.log1p(np.abs(values)))
        if self.kind == "quantile":
            knots = np.asarray(self.knots)
            low = np.searchsorted(knots, values, "left")
            high = np.searchsorted(knots, values, "right")
            rank = (low + high) / 2 / QUANTILES
            normal = ndtri(np.clip(rank, 1e-3, 1 - 1e-3))
            return np.where(np.isfinite(values), normal, np.nan)
        return values

    def to_json(self) -> dict[str, Any]:
        """The scale as plain values."""
        return {"kind": self.kind, "centre": self.centre, "spread": self.spread, "knots": list(self.knots)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Scale:
        """Read what :meth:`to_json` wrote."""
        return cls(content["kind"], content["centre"], content["spread"], tuple(content["knots"]))


@dataclass(frozen=True, slots=True)
class Whitening:
    """PCA whitening z = (x − μ)·W: directions of small variance count as much as large ones.

    Su et al. 2021, "Whitening sentence representations", eq. 5–8; W = U·Λ^(−1/2) cut to its
    first columns.

    Attributes:
        mean: μ, shape [D].
        matrix: W, shape [D, width].
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]

    @classmethod
    def fit(cls, vectors: NDArray[np.float32], width: int) -> Whitening:
        """Fit on the vectors of training rows, shape [n, D], keeping ``width`` directions."""
        if not len(vectors):
            return cls(
                np.zeros(vectors.shape[1], np.float32), np.eye(vectors.shape[1], width, dtype=np.float32)
            )
        mean = vectors.mean(0)
        covariance = np.cov((vectors - mean).T.astype(np.float64), ddof=0).reshape(vectors.shape[1], -1)
        values, directions = np.linalg.eigh(covariance)
        order = np.argsort(values)[::-1][:width]
        spread = np.sqrt(np.maximum(values[order], max(values.max(), 0) * 1e-6 + 1e-12))
        return cls(mean.astype(np.float32), (directions[:, order] / spread).astype(np.float32))

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Whiten vectors, shape [n, D] → [n, width]; all-zero vectors (missing) stay zero."""
        missing = ~vectors.any(1)
        white = ((vectors - self.mean) @ self.matrix).astype(np.float32)
        white[missing] = 0.0
        return white
