"""Plain members of a bundle: fitted one after the other, written into it and read from it, scores on one scale.

Legend of shapes: U users, I items, D width of the retrieval vectors.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from motet.schema import Progress, silent

__all__ = [
    "LEAST_DEVIATION",
    "NETWORK",
    "Members",
    "NetworkMoments",
    "fit_each",
    "joined",
    "of_member",
    "read_members",
    "standard",
    "standardised",
    "write_members",
]

Floats = NDArray[np.float32]
M = TypeVar("M")

NETWORK: Final = "network"
"""The network's name among the members."""

_LIMIT_SHARE: Final = 0.2  # of a time limit may go into members
LEAST_DEVIATION: Final = 1e-9
"""Below it, scores are all alike."""


@dataclass(frozen=True)
class Members(Generic[M]):
    """Plain members, fitted on training rows.

    Attributes:
        fitted: By name.
        settings: That were chosen, by name.
        seconds: That this took, by name.
    """

    fitted: dict[str, M] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def facts(self, name: str) -> dict[str, Any]:
        """Seconds and settings of a member as plain values; both are None for the network."""
        settings = self.settings.get(name)
        return {
            "fit_s": self.seconds.get(name),
            "settings": asdict(settings) if is_dataclass(settings) else settings,  # type: ignore[arg-type]
        }


def fit_each(
    names: Sequence[str],
    fit: Callable[[str, float | None], tuple[Any, M]],
    *,
    limit_s: float = 0.0,
    progress: Progress = silent,
) -> Members[M]:
    """Fit members one after the other.

    Args:
        names: Of the members.
        fit: Settings and the fitted member, by name; it tries no other settings once
            :func:`time.monotonic` reads more than its second argument.
        limit_s: Of the whole run, 0 for none: once a fifth of it is spent here, the others are left out.
        progress: Progress callback.
    """
    members = Members[M]()
    until_s = time.monotonic() + _LIMIT_SHARE * limit_s if limit_s else None
    for done, name in enumerate(names):
        if until_s is not None and time.monotonic() > until_s:
            break
        progress(f"fitting {name}", done, len(names))
        start_s = time.perf_counter()
        members.settings[name], members.fitted[name] = fit(name, until_s)
        members.seconds[name] = time.perf_counter() - start_s
    return members


def write_members(
    directory: Path, stem: str, arrays: Mapping[str, NDArray[Any]], content: Mapping[str, Any]
) -> None:
    """Write ``<stem>.safetensors`` and, of plain values, ``<stem>.json``."""
    save_file({k: np.ascontiguousarray(a) for k, a in arrays.items()}, str(directory / f"{stem}.safetensors"))
    (directory / f"{stem}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_members(directory: Path, stem: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
    """Read what :func:`write_members` wrote; None if it is absent."""
    if not (directory / f"{stem}.json").is_file():
        return None
    content = json.loads((directory / f"{stem}.json").read_text(encoding="utf-8"))
    return load_file(str(directory / f"{stem}.safetensors")), content


def joined(arrays: Mapping[str, Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Arrays of several members under one name each, ``<member>.<array>``."""
    return {f"{name}.{part}": array for name, of in arrays.items() for part, array in of.items()}


def of_member(arrays: Mapping[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    """One member's arrays among :func:`joined` ones."""
    return {key.removeprefix(f"{name}."): a for key, a in arrays.items() if key.startswith(f"{name}.")}


# Scores of members on one scale.


class NetworkMoments:
    """Mean and deviation of the network's scores over the items that occur, from moments of their vectors.

    Args:
        vectors: Retrieval vectors of the items, [I, D].
        bias: [I].
        occurs: [I].
    """

    def __init__(self, vectors: Floats, bias: Floats, occurs: NDArray[np.bool_]) -> None:
        items = np.column_stack([vectors[occurs], bias[occurs]]).astype(np.float64)
        self._mean = items.mean(axis=0) if len(items) else np.zeros(items.shape[1])
        centred = items - self._mean
        self._covariance = centred.T @ centred / max(len(items), 1)

    def of(self, query: Floats) -> tuple[float, float]:
        """For one user's vector, [D]."""
        q = np.append(query.astype(np.float64), 1.0)
        return float(q @ self._mean), float(np.sqrt(max(q @ self._covariance @ q, 0.0)))


def standardised(scores: Floats, occurs: NDArray[np.bool_]) -> Floats:
    """Scores less their mean over some items, over their deviation, for each user; 0 where all are alike, [U, I]."""
    some = scores[:, occurs].astype(np.float64)
    mean, deviation = some.mean(axis=1, keepdims=True), some.std(axis=1, keepdims=True)
    return standard(scores, mean, deviation)


def standard(scores: Floats, mean: Any, deviation: Any) -> Floats:
    """Scores less a mean, over a deviation; 0 where the deviation is."""
    found: Floats = (
        (scores - mean) / np.where(np.asarray(deviation) > LEAST_DEVIATION, deviation, np.inf)
    ).astype(np.float32)
    return found
