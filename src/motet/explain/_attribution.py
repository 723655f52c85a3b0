"""What moved the score: its difference from a baseline, divided among groups of features by Shapley values.

Legend of shapes: G groups, S = 2^G sets of groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.errors import MissingExtraError
from motet.explain._blocks import GROUPS, columns_of
from motet.explain._probe import Probe
from motet.explain._variants import users_with
from motet.models import Inputs

__all__ = ["TOLERANCE", "Attribution", "Attributor"]

TOLERANCE = 1e-3
"""Largest part of max(1, score − baseline, both ways) that the sum of the attributions may be off: float32."""

_MEAN_ROWS = 2000  # users and items that the baseline is the mean of


@dataclass(frozen=True, slots=True)
class Attribution:
    r"""A score divided among groups of features.

    .. math:: \sum_g \phi_g = s - s_0

    Attributes:
        task: Whose score it is, before the link function.
        score: :math:`s`, of the item for the user as they are.
        baseline: :math:`s_0`, of an average item for an average user without a past, at no special moment.
        parts: :math:`\phi_g` of each group that the model has, the largest first, either way.
    """

    task: str
    score: float
    baseline: float
    parts: tuple[tuple[str, float], ...]

    @property
    def gap(self) -> float:
        """What the parts lack of score − baseline, as a part of the larger of that and 1."""
        whole = self.score - self.baseline
        return abs(sum(part for _, part in self.parts) - whole) / max(1.0, abs(whole))


class Attributor:
    """Divides scores by sampled Shapley values (Castro et al. 2009), as Captum computes them.

    The model is asked once for every set of groups; permutations of the groups are then walked without it.
    Along each permutation the differences add up to score − baseline, so the sum is complete whatever the
    number of permutations; only how it is divided has a sampling error.

    Args:
        probe: Asks the model.
        permutations: Permutations of the groups that are walked, ≥ 1.
        seed: Of their draw.

    Raises:
        MissingExtraError: If Captum is not installed.
    """

    def __init__(self, probe: Probe, *, permutations: int = 64, seed: int = 0) -> None:
        try:
            from captum.attr import ShapleyValueSampling  # noqa: PLC0415 (an extra)
        except ImportError:
            raise MissingExtraError("captum", "explain") from None
        self._sampling = ShapleyValueSampling
        self.probe, self.permutations, self.seed = probe, permutations, seed
        self._columns = columns_of(probe.bundle)
        there = {group for blocks in self._columns.values() for group, _ in blocks} | {"context"}
        self.groups = tuple(group for group in GROUPS if group in there)
        self._baseline: tuple[Tensor, Tensor, Tensor] | None = None

    def attribute(
        self, user: int, item: int, past: Mapping[str, NDArray[np.int32]] | None = None
    ) -> Attribution:
        """Divide the score of an item for a user.

        Args:
            user: Row of the user; −1 for an average user without a past.
            item: Row of the item.
            past: What the user did, per sequence feature; as the bundle knows it when left out.
        """
        values = self._set_values(user, item, past)
        g = len(self.groups)
        place = 2 ** torch.arange(g)

        def value(sets: Tensor) -> Tensor:
            return values[(sets.round().long() * place).sum(1)]

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            parts = self._sampling(value).attribute(
                torch.ones(1, g), n_samples=self.permutations, perturbations_per_eval=g
            )[0]
        named = zip(self.groups, parts.tolist(), strict=True)
        order = sorted(named, key=lambda part: -abs(part[1]))
        return Attribution(self.probe.task, float(values[-1]), float(values[0]), tuple(order))

    def _set_values(
        self, user: int, item: int, past: Mapping[str, NDArray[np.int32]] | None = None
    ) -> Tensor:
        """Score with every set of groups as they are and the others at the baseline, [S]."""
        data, at = self.probe.moment.data, max(user, 0)
        if past is not None and user >= 0:
            data, at = users_with(data, user, [past]), 0
        pair = np.array([at], np.int32), np.array([item], np.int32)
        empty = self.probe.inputs(data, *pair, past=False)
        full = self.probe.inputs(data, *pair) if user >= 0 else empty
        mean_user, mean_item, mean_context = self._means()
        real_user = full.user if user >= 0 else self._with(mean_user, empty.user, "user", "history")
        sides = {
            "user": (real_user, self._with(mean_user, empty.user, "user", "history")),
            "item": (full.item, mean_item),
            "interaction": (full.context, self._with(mean_context, empty.context, "interaction", "history")),
        }
        # A group whose columns are as in the baseline moves nothing. The model is not asked with and without
        # it: kernels may round two equal rows of one batch differently, and its part is 0, not almost 0.
        g = len(self.groups)
        moving = self._moving(sides) | ({"context"} if bool((full.scenario != 0).any()) else set())
        active = torch.tensor([group in moving for group in self.groups])
        every = (torch.arange(2**g)[:, None] // 2 ** torch.arange(g)) % 2 == 1  # [S, G]
        sets, asked = torch.unique(every & active, dim=0, return_inverse=True)
        mixed = {}
        for entity, (real, base) in sides.items():
            on = torch.zeros(len(sets), real.shape[1], dtype=torch.bool)
            for group, columns in self._columns[entity]:  # type: ignore[index]
                on[:, columns] = sets[:, self.groups.index(group), None]
            mixed[entity] = torch.where(on, real, base)
        rows = torch.arange(len(sets))
        at_moment = sets[:, self.groups.index("context")]
        inputs = replace(
            full,
            user=mixed["user"],
            item=mixed["item"],
            context=mixed["interaction"],
            user_of_row=rows,
            item_of_row=rows,
            scenario=torch.where(at_moment, full.scenario, torch.zeros_like(full.scenario)),
            visible=self._visible(mixed),
            item_parts={},
            _rows={},
        )
        model = self.probe.bundle.model
        with torch.inference_mode():
            return self.probe.read(model.outputs_of(inputs))[asked]

    def _moving(self, sides: Mapping[str, tuple[Tensor, Tensor]]) -> set[str]:
        """Groups of which a column is another than in the baseline."""
        return {
            group
            for entity, (real, base) in sides.items()
            for group, columns in self._columns[entity]  # type: ignore[index]
            if not torch.equal(real[:, columns], base[:, columns])
        }

    def _visible(self, mixed: dict[str, Tensor]) -> dict[str, Tensor]:
        """What each task on items or users sees of the mixed inputs."""
        schema, encoder = self.probe.bundle.schema, self.probe.bundle.data.encoder
        visible = {}
        for name, task in schema.tasks.items():
            if task.on == "interaction":
                continue
            layout = encoder.layout(task.on)
            names = [*layout.codes, *layout.number_features, *layout.tags, *layout.vectors, *layout.sequences]
            blocks = zip(names, self._columns[task.on], strict=True)
            seen = [
                mixed[task.on][:, columns] for feature, (_, columns) in blocks if feature not in task.hide
            ]
            visible[name] = torch.cat(seen, 1) if seen else mixed[task.on][:, :0]
        return visible

    def _with(self, mean: Tensor, empty: Tensor, entity: str, group: str) -> Tensor:
        """The mean, with the columns of a group taken from an input without a past, [1, D]."""
        mixed = mean.clone()
        for name, columns in self._columns[entity]:  # type: ignore[index]
            if name == group:
                mixed[:, columns] = empty[:, columns]
        return mixed

    def _means(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean inputs of users without a past and of items, and of the moment itself, [1, D] each."""
        if self._baseline is None:
            data = self.probe.moment.data
            n_users, n_items = len(data.users), len(data.items)
            n = min(_MEAN_ROWS, max(n_users, n_items))
            users = np.linspace(0, n_users - 1, n).round().astype(np.int32)
            items = np.linspace(0, n_items - 1, n).round().astype(np.int32)
            inputs: Inputs = self.probe.inputs(data, users, items, past=False)
            of_rows = inputs.user[inputs.user_of_row], inputs.item[inputs.item_of_row], inputs.context
            user, item, context = (side.mean(0, keepdim=True) for side in of_rows)
            self._baseline = user, item, context
        return self._baseline
