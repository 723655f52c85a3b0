"""Learnt gates of features: which of them a network can do without (L0 regularisation by hard concrete gates).

Legend of shapes: n rows of one side of a batch (users, items or rows), D input columns of that side, F features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from motet.data import Layout
from motet.schema import Entity, GateSettings, Parts

if TYPE_CHECKING:
    from motet.models._model import MultiTaskModel

__all__ = ["FeatureGates", "column_owners", "gate_report"]

_BETA: Final = 2 / 3  # temperature, and the ends of the stretched interval: Louizos et al. 2018, §4.1
_LOW, _HIGH = -0.1, 1.1
_OPEN: Final = 0.9  # σ(log α) of a gate at the beginning
_SPEED: Final = (
    10.0  # of log α beside the other weights: closing it at their learning rate would take thousands of steps
)


class FeatureGates(nn.Module):
    """A gate z in [0, 1] of each feature, by which all its input columns are multiplied, and what open gates cost.

    In training, z is drawn once a batch from the hard concrete distribution (Louizos, Welling & Kingma 2018,
    eq. 10–11): s = σ((log u − log(1 − u) + log α)/β) with u uniform in (0, 1), and
    z = min(1, max(0, s·(ζ − γ) + γ)), which is exactly 0 and exactly 1 with positive probability. Otherwise
    ẑ = min(1, max(0, σ(log α)·(ζ − γ) + γ)) (eq. 13). The loss grows by λ·Σ P(z ≠ 0), where
    P(z ≠ 0) = σ(log α − β·log(−γ/ζ)) (eq. 12); β = 2/3, γ = −0.1, ζ = 1.1. A gate with ẑ = 0 is closed: the
    network does not see its feature.

    Args:
        settings: λ.
        owners: Per entity, the feature of each input column; columns of none, such as the scenario's, have no gate.

    Shapes:
        Sides [n, D] of users, items and rows → the same.
    """

    def __init__(self, settings: GateSettings, owners: Mapping[Entity, Sequence[str]]) -> None:
        super().__init__()
        self.penalty = settings.penalty
        self.names = tuple(dict.fromkeys(name for of in owners.values() for name in of if name))
        self.scaled = nn.Parameter(torch.full((len(self.names),), math.log(_OPEN / (1 - _OPEN)) / _SPEED))
        place = {name: k for k, name in enumerate(self.names)} | {"": len(self.names)}
        for entity, of in owners.items():
            columns = torch.tensor([place[name] for name in of], dtype=torch.int64)
            self.register_buffer(f"of_{entity}", columns, persistent=False)

    @property
    def log_alpha(self) -> Tensor:
        """The learnt location of each gate, [F]."""
        return _SPEED * self.scaled

    def forward(self, sides: Mapping[Entity, Tensor]) -> dict[Entity, Tensor]:
        if self.training:
            u = torch.rand_like(self.scaled).clamp(1e-6, 1 - 1e-6)
            s = ((u.log() - (1 - u).log() + self.log_alpha) / _BETA).sigmoid()
            z = _stretched(s)
        else:
            z = self.values()
        every = torch.cat([z, z.new_ones(1)])
        return {entity: side * every[self.get_buffer(f"of_{entity}")] for entity, side in sides.items()}

    def values(self) -> Tensor:
        """ẑ of each feature, [F]."""
        return _stretched(self.log_alpha.sigmoid())

    def closed(self) -> list[str]:
        """Features that the network does not see, in order."""
        return [name for name, z in zip(self.names, self.values().tolist(), strict=True) if z == 0]

    def cost(self) -> Tensor:
        """λ·Σ P(z ≠ 0), a scalar."""
        return self.penalty * (self.log_alpha - _BETA * math.log(-_LOW / _HIGH)).sigmoid().sum()


def _stretched(s: Tensor) -> Tensor:
    return (s * (_HIGH - _LOW) + _LOW).clamp(0, 1)


def column_owners(
    parts: Mapping[str, Parts],
    layout: Layout,
    blocks: Mapping[str, int],
    plain: tuple[Iterable[int], Iterable[int]],
    width: int,
) -> tuple[str, ...]:
    """The feature of each input column of an entity, in order; that of the scenario, which is none, is empty.

    Args:
        parts: What each feature gives.
        layout: Of the entity.
        blocks: Width of each block of columns; ``.codes`` and ``.numbers`` hold several features.
        plain: Which codes and which numbers those two blocks hold.
        width: Of an embedding.
    """
    owner = {
        part: name
        for name, given in parts.items()
        for part in (name, *given.codes, *given.tags, *given.texts, *given.vectors, *given.events)
    } | dict(zip(layout.numbers, layout.number_features, strict=True))
    columns: list[str] = []
    for block, of in blocks.items():
        if block == ".codes":
            columns += [owner.get(layout.codes[i], "") for i in plain[0] for _ in range(width)]
        elif block == ".numbers":
            columns += [layout.number_features[i] for i in plain[1]]
        else:
            columns += [owner.get(block, "")] * of
    return tuple(columns)


def gate_report(model: MultiTaskModel) -> dict[str, Any] | None:
    """What the gates of a model say, as plain values; None where it has none.

    Args:
        model: The model; a feature is closed where it is in each of its networks.

    Returns:
        ``penalty``; ``gates``, ẑ by feature, the largest first (a mean where there are several networks); ``closed``,
        features that no network sees; ``without``, the change of the schema that trains without them.
    """
    every = [gates for one in model.networks if (gates := one.features.gates) is not None]
    if not every:
        return None
    values = torch.stack([gates.values().detach() for gates in every]).mean(0).tolist()
    of = sorted(zip(every[0].names, values, strict=True), key=lambda pair: -pair[1])
    closed = [name for name in every[0].names if dict(of)[name] == 0]
    return {
        "penalty": every[0].penalty,
        "gates": dict(of),
        "closed": closed,
        "without": f"without=[{', '.join(closed)}]" if closed else None,
    }
