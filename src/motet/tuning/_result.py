"""What tuning gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motet.data import Dataset
from motet.training import Trained

__all__ = ["JointlyTuned", "Tuned"]


@dataclass(frozen=True, slots=True)
class Tuned:
    """A tuned language model on disk.

    Attributes:
        directory: Holds ``tuning.json`` and the model's folder.
        model: The folder that ``language.encoder`` takes, or a generator's.
        report: What ``tuning.json`` says.
    """

    directory: Path
    model: Path
    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class JointlyTuned:
    """An encoder that was trained inside a recommender, and that recommender.

    Attributes:
        tuned: The encoder on disk.
        trained: The recommender.
        data: The data set as that recommender sees it: with the tuned vectors.
        frozen: The recommender trained with the encoder as it was; None unless ``compare``.
    """

    tuned: Tuned
    trained: Trained
    data: Dataset
    frozen: Trained | None
