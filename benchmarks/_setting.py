"""The one setting of the speed comparisons: the same network and the same step for every contender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["SETTING", "Setting"]


@dataclass(frozen=True, slots=True)
class Setting:
    """An MMoE and how it is trained.

    Attributes:
        embedding_width: Width of every id's vector.
        experts: Number of experts.
        expert_widths: Layer widths of one expert.
        tower_widths: Hidden layer widths of one task's tower; a last layer to one logit follows.
        batch_rows: Rows a step.
        learning_rate: Step size of Adam.
        warmup_batches: Steps made before the clock starts; their rows are the first of the training rows, so that
            warm-up and measured part together are exactly one epoch.
    """

    embedding_width: int = 16
    experts: int = 8
    expert_widths: tuple[int, int] = (128, 64)
    tower_widths: tuple[int] = (32,)
    batch_rows: int = 2048
    learning_rate: float = 1e-3
    warmup_batches: int = 4


SETTING: Final = Setting()
