"""What moved a score: Shapley values of groups of features in the network, and the parts of plain members.

Legend of shapes: B rows, D width of the retrieval vectors, G groups, S = 2^G sets of groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.assistant.explain._probe import Probe, Scored
from motet.errors import MissingExtraError, ModelError
from motet.models import Inputs, Outputs
from motet.schema import Entity
from motet.training import NETWORK, Bundle

__all__ = ["GROUPS", "PLAIN", "TOLERANCE", "Attribution", "Attributor", "Columns", "columns_of"]

GROUPS = (
    "history",
    "user_id",
    "profile",
    "item_id",
    "tags",
    "numbers",
    "text",
    "vectors",
    "graph",
    "context",
)
"""What a score is divided among: the history, the id and the other features of the user; the id, the tags and
categories, the numbers, the texts, the other vectors and the graph's vectors of the item; the context."""

PLAIN = "plain: "
"""Stands before the names of plain members among the parts of a score, as in ``plain: ease``."""

Columns = dict[Entity, list[tuple[str, slice]]]


def columns_of(bundle: Bundle) -> Columns:
    """Per side of the input, the group and the columns of each of its blocks, in order.

    Raises:
        ModelError: If the model's inputs are not laid out so.
    """
    features = bundle.model.features
    found: Columns = {}
    for entity, width in (("user", features.widths.user), ("item", features.widths.item), ("interaction", features.widths.context)):  # fmt: skip
        start, blocks = 0, []
        for group, size in [*_blocks(bundle, entity)] * features.copies:  # type: ignore[arg-type]
            blocks.append((group, slice(start, start + size)))
            start += size
        if start != width:
            raise ModelError(
                f"the inputs of the {entity} are {width} columns wide, but {start} are known",
                "attribute with the version that trained the model",
            )
        found[entity] = blocks  # type: ignore[index]
    return found


def _blocks(bundle: Bundle, entity: Entity) -> Iterator[tuple[str, int]]:
    """Group and width of each block, in the order of the feature layer."""
    schema, layout = bundle.schema, bundle.data.encoder.layout(entity)
    is_id = dict(zip(layout.codes, layout.is_id, strict=True))
    own = {name: width for name, width in bundle.model.features.blocks(entity).items() if name in bundle.model.features.own}  # fmt: skip
    parts = {part for name in own for part in bundle.data.encoder.parts(entity)[name].codes}
    for name in layout.codes:
        if name not in parts:
            yield _group(entity, "item_id" if is_id[name] else "tags"), schema.model.width
    for owner in layout.number_features:
        if owner not in own:
            yield _group(entity, "numbers"), 1
    for name, width in bundle.model.features.blocks(entity).items():
        feature = next((f for _, n, f in schema.features.all() if n == name), None)
        if name in (*layout.codes, *layout.numbers) or feature is None:  # said above, or all in one block
            continue
        if feature.history is not None:
            yield "history", width
        elif name in own:
            yield _group(entity, "numbers"), width
        elif name in layout.tags:
            yield _group(entity, "tags"), width
        else:
            vectors = "graph" if feature.from_graph else "text" if feature.is_text else "vectors"
            yield _group(entity, vectors), width


def _group(entity: Entity, kind: str) -> str:
    if entity == "item":
        return kind
    if entity == "interaction":
        return "context"
    return "user_id" if kind == "item_id" else "profile"


TOLERANCE = 1e-3
"""Largest part of max(1, score − baseline, both ways) that the sum of the attributions may be off: float32."""

_MEAN_ROWS = 2000  # users and items that the baseline is the mean of


@dataclass(frozen=True, slots=True)
class Attribution:
    r"""A score divided among groups of features and plain members.

    .. math:: \sum_g \phi_g + \sum_m \phi_m = s - s_0

    The network's share of a score is linear in what the network says, so that its Shapley values are scaled as it is:
    for retrieval by its weight over the deviation of its scores for this user, for a task by its weight. A plain
    member is one part, less what it says where it knows nothing: the mean of its scores over the items for this user,
    which is 0 in the sum of standardised scores; for a task the mean of the training labels.

    Attributes:
        task: Whose score it is, before the link function; the score that lists are ranked by.
        score: :math:`s`, of the item for the user as they are.
        baseline: :math:`s_0`, of an average item for an average user without a history, in no special context.
        parts: :math:`\phi_g` of each group that the network has and, as ``plain: ease``, :math:`\phi_m` of each plain
            member, the largest first, either way.
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
        probe: Scores with the model.
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
        self.columns = columns_of(probe.bundle)
        there = {group for blocks in self.columns.values() for group, _ in blocks} | {"context"}
        self.groups = tuple(group for group in GROUPS if group in there)
        self._baseline: tuple[Tensor, Tensor, Tensor, Tensor] | None = None

    def attribute(
        self, user: int, item: int, history: Mapping[str, NDArray[np.int32]] | None = None
    ) -> Attribution:
        """Divide the score of an item for a user.

        Args:
            user: Row of the user; −1 for one the bundle does not know, or, without a history, an average one.
            item: Row of the item.
            history: What the user did, as :meth:`Probe.history` gives it; as the bundle knows it when left out.
        """
        values, query = self._values(user, item, history)
        values, members, usual = self._with_members(values, query, user, item, history)
        g = len(self.groups)
        place = 2 ** torch.arange(g)

        def value(sets: Tensor) -> Tensor:
            return values[(sets.round().long() * place).sum(1)]

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            parts = self._sampling(value).attribute(
                torch.ones(1, g), n_samples=self.permutations, perturbations_per_eval=g
            )[0]
        named = [*zip(self.groups, parts.tolist(), strict=True)]
        named += [(PLAIN + name, part - usual.get(name, 0.0)) for name, part in members.items()]
        order = sorted(named, key=lambda part: -abs(part[1]))
        score, baseline = float(values[-1]) + sum(members.values()), float(values[0]) + sum(usual.values())
        return Attribution(self.probe.task, score, baseline, tuple(order))

    def _with_members(
        self,
        values: Tensor,
        query: Tensor,
        user: int,
        item: int,
        history: Mapping[str, NDArray[np.int32]] | None,
    ) -> tuple[Tensor, dict[str, float], dict[str, float]]:
        """The network's part of the score with every set of groups, [S], the plain members' parts, and their baselines."""
        probe = self.probe
        if not probe.is_blended:
            return values, {}, {}
        history = probe.history(user) if history is None else history
        data, network = probe.users_with(user, [history]), values.numpy()
        # one user as they are: the user's own scale is the same for all of the network's scores
        at, queries = np.array([item], np.int32), query.numpy()[None]
        if probe.ranking is not None:
            scored, known = Scored(network[None], queries, data, 0, at), at.repeat(len(network))
        else:
            scored, known = Scored(network[:, None], queries, data, 0, at), at
        parts = dict(probe.parts(scored, [history], user, known))
        of_network = torch.from_numpy(parts.pop(NETWORK).reshape(-1).astype(np.float32))
        usual = dict(probe.usual_parts()) if probe.ranking is None else {}
        return of_network, {name: float(part.flat[0]) for name, part in parts.items()}, usual

    def set_values(
        self, user: int, item: int, history: Mapping[str, NDArray[np.int32]] | None = None
    ) -> Tensor:
        """The network's score with every set of groups as they are and the others at the baseline, [S]."""
        return self._values(user, item, history)[0]

    def _values(
        self, user: int, item: int, history: Mapping[str, NDArray[np.int32]] | None
    ) -> tuple[Tensor, Tensor]:
        """The same with the retrieval vector of the user as they are, [S] and [D]."""
        data, at = self.probe.context_rows.data, max(user, 0)
        if history is not None:
            data, at = self.probe.users_with(user, [history]), 0
        pair = np.array([at], np.int32), np.array([item], np.int32)
        empty = self.probe.inputs(data, *pair, with_history=False)
        is_average = user < 0 and history is None
        full = empty if is_average else self.probe.inputs(data, *pair)
        mean_user, mean_item, mean_context, mean_event = self._means()
        real_user = self._with(mean_user, empty.user, "user", "history") if is_average else full.user
        sides = {
            "user": (real_user, self._with(mean_user, empty.user, "user", "history")),
            "item": (full.item, mean_item),
            "interaction": (full.context, self._with(mean_context, empty.context, "interaction", "history")),
        }
        # A group whose columns are as in the baseline moves nothing. The model is not asked with and without
        # it: kernels may round two equal rows of one batch differently, and its part is 0, not almost 0.
        g = len(self.groups)
        moving = self._moving(sides) | ({"context"} if bool((full.scenario != 0).any()) else set())
        moving |= set() if torch.equal(full.as_event, mean_event) else {"item_id"}
        active = torch.tensor([group in moving for group in self.groups])
        every = (torch.arange(2**g)[:, None] // 2 ** torch.arange(g)) % 2 == 1  # [S, G]
        sets, asked = torch.unique(every & active, dim=0, return_inverse=True)
        mixed = {}
        for entity, (real, base) in sides.items():
            on = torch.zeros(len(sets), real.shape[1], dtype=torch.bool)
            for group, columns in self.columns[entity]:  # type: ignore[index]
                on[:, columns] = sets[:, self.groups.index(group), None]
            mixed[entity] = torch.where(on, real, base)
        rows = torch.arange(len(sets))
        with_context = sets[:, self.groups.index("context")]
        as_event = full.as_event
        if as_event.shape[1]:  # then the item has an id
            as_event = torch.where(sets[:, self.groups.index("item_id"), None], as_event, mean_event)
        inputs = replace(
            full,
            user=mixed["user"],
            item=mixed["item"],
            context=mixed["interaction"],
            user_of_row=rows,
            item_of_row=rows,
            scenario=torch.where(with_context, full.scenario, torch.zeros_like(full.scenario)),
            visible=self._visible(mixed),
            as_event=as_event,
            item_parts={},
            _rows={},
        )
        model = self.probe.bundle.model
        with torch.inference_mode():
            outputs: Outputs = model.outputs_of(inputs)
            return self.probe.read(outputs)[asked], self.probe.queries(outputs)[asked[-1]]

    def _moving(self, sides: Mapping[str, tuple[Tensor, Tensor]]) -> set[str]:
        """Groups of which a column is another than in the baseline."""
        return {
            group
            for entity, (real, base) in sides.items()
            for group, columns in self.columns[entity]  # type: ignore[index]
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
            copies = self.probe.bundle.model.features.copies
            blocks = zip(names * copies, self.columns[task.on], strict=True)
            seen = [
                mixed[task.on][:, columns] for feature, (_, columns) in blocks if feature not in task.hide
            ]
            visible[name] = torch.cat(seen, 1) if seen else mixed[task.on][:, :0]
        return visible

    def _with(self, mean: Tensor, empty: Tensor, entity: str, group: str) -> Tensor:
        """The mean, with the columns of a group taken from an input without a history, [1, D]."""
        mixed = mean.clone()
        for name, columns in self.columns[entity]:  # type: ignore[index]
            if name == group:
                mixed[:, columns] = empty[:, columns]
        return mixed

    def _means(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean inputs of users without a history, of items, of the context itself, of items as events, [1, D] each."""
        if self._baseline is None:
            data = self.probe.context_rows.data
            n_users, n_items = len(data.users), len(data.items)
            n = min(_MEAN_ROWS, max(n_users, n_items))
            users = np.linspace(0, n_users - 1, n).round().astype(np.int32)
            items = np.linspace(0, n_items - 1, n).round().astype(np.int32)
            inputs: Inputs = self.probe.inputs(data, users, items, with_history=False)
            of_rows = inputs.user[inputs.user_of_row], inputs.item[inputs.item_of_row], inputs.context
            user, item, context = (side.mean(0, keepdim=True) for side in of_rows)
            as_event = inputs.as_event[inputs.item_of_row] if inputs.as_event.shape[1] else inputs.as_event
            self._baseline = user, item, context, as_event.mean(0, keepdim=True)
        return self._baseline
