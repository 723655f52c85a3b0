"""Three coupled tasks: preference, content understanding, and recommendation from both.

    p = σ(W₁·[u; c] + b₁)    does this user like such content
    f = σ(W₂·c + b₂)         what the content is
    r = σ(W₃·[u; f] + b₃)    is it recommended: from the user, and from what the content is

u is the input vector of the user, c that of the item with the context.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from motet.errors import ModelError
from motet.models import FactorisedLinear, Inputs, Widths
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part, require_known

__all__ = ["Coupled", "CoupledOptions"]


class CoupledOptions(Part):
    """Options of the coupled tasks.

    Attributes:
        preference: Tasks of the form p. All others have the form r.
        topics: Width of f where no task on items says what the content is.
    """

    preference: tuple[str, ...] = ()
    topics: int = Field(16, ge=1)


class Coupled(Architecture):
    """The three formulas; f is the tasks on items where the schema has some, else learnt topics."""

    about = About(
        "sharing", "preference, content, and recommendation from both", needs=("features of the user",)
    )

    def __init__(self, *, shape: Shape, options: CoupledOptions) -> None:
        super().__init__()
        for name in options.preference:
            require_known(name, shape.tasks, "model.options.preference: the task", ModelError)
        if not shape.widths.user:
            raise ModelError(
                "the architecture 'coupled' needs features of the user",
                "add one to features.user, or choose another architecture",
            )
        of_task = [name in options.preference for name in shape.tasks]
        outputs = [(is_p, k) for is_p, n in zip(of_task, shape.outputs, strict=True) for k in range(n)]
        self.of_items = tuple(shape.entity_outputs)
        facts = sum(shape.entity_outputs.values()) or options.topics
        w = shape.widths
        self.content = (
            None
            if self.of_items or all(of_task)
            else FactorisedLinear(widths=Widths(0, w.item, w.context), out=facts)
        )
        p_count = sum(is_p for is_p, _ in outputs)
        self.preference = FactorisedLinear(widths=w, out=p_count) if p_count else None
        self.recommendation = (
            nn.Linear(w.user + facts, len(outputs) - p_count) if p_count < len(outputs) else None
        )
        p_place = [i for i, (is_p, _) in enumerate(outputs) if is_p]
        r_place = [i for i, (is_p, _) in enumerate(outputs) if not is_p]
        self.register_buffer("order", torch.tensor(p_place + r_place).argsort(), persistent=False)

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        parts = []
        if self.preference is not None:
            parts.append(self.preference(inputs))
        if self.recommendation is not None:
            if self.of_items:
                f = torch.cat([item_logits[name] for name in self.of_items], 1).sigmoid()
                f = f.index_select(0, inputs.item_of_row)
            elif self.content is not None:
                f = self.content(inputs).sigmoid()
            u = inputs.user.index_select(0, inputs.user_of_row)
            parts.append(self.recommendation(torch.cat([u, f], 1)))
        return torch.cat(parts, 1).index_select(1, self.order)  # type: ignore[arg-type]
