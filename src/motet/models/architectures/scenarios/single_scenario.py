"""One perceptron a scenario: scenarios share the embeddings and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, PositiveInt
from torch import Tensor

from motet.models import Inputs
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.models.architectures.scenarios._parts import (
    RoutedLayers,
    RoutedTowers,
    RowGroups,
    ScenarioCodes,
    ScenarioOptions,
    require_scenarios,
)

__all__ = ["SingleScenario", "SingleScenarioOptions"]


class SingleScenarioOptions(ScenarioOptions):
    """Options of the separate perceptrons.

    Attributes:
        hidden: Layer widths of each trunk.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    hidden: tuple[PositiveInt, ...] = Field((128, 64), min_length=1)
    tower: int = Field(32, ge=0)


class SingleScenario(Architecture):
    """yₖ = hᵏˢ(fˢ(x)): a trunk fˢ and towers hᵏˢ for every scenario; an unknown scenario has its own."""

    about = About(
        "scenario",
        "one perceptron a scenario; scenarios share the embeddings and nothing else",
        needs=("a scenario",),
    )

    def __init__(self, *, shape: Shape, options: SingleScenarioOptions) -> None:
        super().__init__()
        self.count = require_scenarios(shape, "single_scenario")
        self.widths = shape.widths
        self.codes = ScenarioCodes(shape=shape, unknown=options.unknown)
        self.trunks = RoutedLayers(
            scenarios=self.count,
            inputs=shape.widths.user + shape.widths.item + shape.widths.context,
            hidden=options.hidden,
            dropout=shape.dropout,
        )
        self.towers = RoutedTowers(
            scenarios=self.count,
            width=self.trunks.width,
            outputs=shape.outputs,
            hidden=options.tower,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        inputs, codes = self.codes(inputs)
        groups = RowGroups.of(codes, self.count)
        h = self.trunks(groups.spread(inputs.rows(self.widths)), groups)  # [C, 1, L, H]
        logits: Tensor = self.towers(groups.collect(h.squeeze(1)).unsqueeze(0), groups)
        return logits
