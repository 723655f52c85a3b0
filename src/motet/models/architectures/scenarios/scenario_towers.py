"""Shared bottom with a tower for every scenario and task.

The usual baseline of work on several scenarios ("shared bottom" in Sheng et al. 2021, section 4.2), after Caruana 1997.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, PositiveInt
from torch import Tensor

from motet.models import FirstExperts, Inputs
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.models.architectures.scenarios._parts import (
    RoutedTowers,
    RowGroups,
    ScenarioCodes,
    ScenarioOptions,
    require_scenarios,
)

__all__ = ["ScenarioTowers", "ScenarioTowersOptions"]


class ScenarioTowersOptions(ScenarioOptions):
    """Options of the towers.

    Attributes:
        hidden: Layer widths of the shared trunk.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    hidden: tuple[PositiveInt, ...] = Field((256, 128), min_length=1)
    tower: int = Field(32, ge=0)


class ScenarioTowers(Architecture):
    """yₖ = hᵏˢ(f(x)): one trunk f, a tower hᵏˢ for each task k and scenario s; an unknown scenario has its own towers."""

    about = About(
        "scenario",
        "one shared perceptron, one tower a scenario and task",
        "Sheng et al. 2021, section 4.2 (baseline)",
        ("a scenario",),
    )

    def __init__(self, *, shape: Shape, options: ScenarioTowersOptions) -> None:
        super().__init__()
        self.count = require_scenarios(shape, "scenario_towers")
        self.codes = ScenarioCodes(shape=shape, unknown=options.unknown)
        self.trunk = FirstExperts(widths=shape.widths, count=1, hidden=options.hidden, dropout=shape.dropout)
        self.towers = RoutedTowers(
            scenarios=self.count,
            width=self.trunk.width,
            outputs=shape.outputs,
            hidden=options.tower,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        inputs, codes = self.codes(inputs)
        h, _ = self.trunk(inputs)  # [1, B, H]
        logits: Tensor = self.towers(h, RowGroups.of(codes, self.count))
        return logits
