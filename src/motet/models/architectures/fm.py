"""Factorisation machine (Rendle 2010, "Factorization machines")."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from motet.models import FactorisedLinear, FieldSums, Inputs
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import ENTITIES, Entity, Part

__all__ = ["FactorisationMachine", "FmOptions"]


class FmOptions(Part):
    """Options of the factorisation machine.

    Attributes:
        rank: Width k of the vectors whose products are the weights of pairs of fields.
    """

    rank: int = Field(16, ge=1)


class FactorisationMachine(Architecture):
    """yₖ = bₖ + wₖ·x + Σ_{f<g} hₖ·(v_f ⊙ v_g), where field f has the vector v_f = P_f·x_f (eq. 1).

    x_f is the embedding of an id or a category, a number, or what a text, tags or a sequence give. Tasks share the
    vectors; hₖ, which starts as ones, weighs their dimensions for each output. With one task and h of ones this is
    the paper's machine of degree 2, whose pairs cost no more than the fields: ½((Σ_f v_f)² − Σ_f v_f²) (lemma 3.1).
    """

    about = About(
        "network", "factorisation machine over the fields of the input", "Rendle 2010, Factorization machines"
    )

    def __init__(self, *, shape: Shape, options: FmOptions) -> None:
        super().__init__()
        w = shape.widths
        sides: Mapping[Entity, tuple[int, ...]] = dict(
            zip(ENTITIES, ((one,) if one else () for one in (w.user, w.item, w.context)), strict=True)
        )
        self.linear = FactorisedLinear(widths=w, out=sum(shape.outputs))
        self.fields = FieldSums(fields=shape.fields or sides, rank=options.rank)
        self.weigh = nn.Parameter(torch.ones(sum(shape.outputs), options.rank))

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        s, q = self.fields(inputs)
        logits: Tensor = self.linear(inputs) + (0.5 * (s * s - q)) @ self.weigh.T
        return logits
