"""What the model says with something taken away: scores without an item of the history, and Shapley values of groups of features.

Legend of shapes: n variants, m items, B = n · m rows, G groups, S = 2^G sets of groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.data import Batcher, Dataset, EntityTable, History, Ragged
from motet.errors import DataError, MissingExtraError, ModelError
from motet.models import Inputs, Outputs
from motet.recommend import ContextRows
from motet.schema import Entity, Schema
from motet.training import Bundle

__all__ = [
    "GROUPS",
    "TOLERANCE",
    "Attribution",
    "Attributor",
    "Columns",
    "Probe",
    "columns_of",
    "history_of",
    "items_without",
    "ranking_task",
    "users_with",
]


def history_of(data: Dataset, user: int) -> dict[str, NDArray[np.int32]]:
    """What the model sees of a user's history: per sequence feature, rows of items, oldest first."""
    found = {}
    for name, history in data.histories.items():
        start = int(history.items.offsets[user])
        found[name] = history.items.values[start : start + int(history.known[user])]
    return found


def users_with(data: Dataset, user: int, variants: Sequence[Mapping[str, NDArray[np.int32]]]) -> Dataset:
    """A data set whose users are one user, once for each of several histories.

    Args:
        data: The data set.
        user: Row of the user.
        variants: Per variant and sequence feature, rows of items, oldest first.
    """
    n = len(variants)
    at = np.full(n, user, np.int64)
    table = data.users
    users = EntityTable(
        table.codes[at],
        table.numbers[at],
        {name: lists.take(at) for name, lists in table.tags.items()},
        table.vector_rows[at],
    )
    histories = {}
    for name, history in data.histories.items():
        lengths = np.array([len(variant[name]) for variant in variants], np.int64)
        values = np.concatenate([variant[name] for variant in variants]).astype(np.int32)
        known = lengths.astype(np.int32)
        histories[name] = History(Ragged.from_lengths(values, lengths), history.before[:0], known, known)
    return replace(data, users=users, histories=histories)


def items_without(data: Dataset, item: int, tags: Sequence[Sequence[tuple[str, str]]]) -> Dataset:
    """A data set with one item once more at its end for each of several sets of tags taken from it.

    Args:
        data: The data set.
        item: Row of the item.
        tags: Per variant (feature, value) of tags and categories.
    """
    table = data.items
    at = np.full(len(tags), item, np.int64)
    codes = table.codes[at]
    layout = data.encoder.layout("item").codes
    lists: dict[str, list[NDArray[np.int32]]] = {name: [] for name in table.tags}
    for variant, gone in enumerate(tags):
        for name in table.tags:
            values = table.tags[name].take(at[:1]).values
            lists[name].append(values[~np.isin(values, _rows(data, name, gone))])
        for feature, value in gone:
            if feature in layout:
                column = layout.index(feature)
                if codes[variant, column] in _rows(data, feature, [(feature, value)]):
                    codes[variant, column] = data.encoder.vocabularies[feature].offset
    longer = {}
    for name, parts in lists.items():
        old = table.tags[name]
        lengths = np.concatenate([old.lengths(), [len(part) for part in parts]]).astype(np.int64)
        longer[name] = Ragged.from_lengths(np.concatenate([old.values, *parts]).astype(np.int32), lengths)
    items = EntityTable(
        np.concatenate([table.codes, codes]),
        np.concatenate([table.numbers, table.numbers[at]]),
        longer,
        np.concatenate([table.vector_rows, table.vector_rows[at]]),
    )
    return replace(data, items=items)


def _rows(data: Dataset, feature: str, tags: Sequence[tuple[str, str]]) -> list[int]:
    """Rows of the embedding table of some values of a feature."""
    words = data.encoder.vocabularies[feature].words.words.to_list()
    offset = data.encoder.vocabularies[feature].offset + 1
    return [offset + words.index(value) for name, value in tags if name == feature and value in words]


def ranking_task(schema: Schema) -> str:
    """The task that items are ranked by where a request says nothing.

    Raises:
        DataError: If there is none.
    """
    if schema.ranking_task is None:
        raise DataError(
            f"the schema '{schema.name}' has no task to rank by",
            "add a binary, regression or retrieval task on interactions",
        )
    return schema.ranking_task


class Probe:
    """Scores of one task, before the link function.

    Args:
        bundle: The trained model with its data.
        context_rows: Gives the context row in which items are scored.
        items: Gives the items, where they are others than the bundle's, when they are first looked at.
    """

    def __init__(
        self,
        bundle: Bundle,
        context_rows: Callable[[], ContextRows],
        items: Callable[[], Dataset] | None = None,
    ) -> None:
        self.bundle, self.task = bundle, ranking_task(bundle.schema)
        self._context_rows, self._items = context_rows, items

    def history(self, user: int) -> dict[str, NDArray[np.int32]]:
        """What the model sees of a user's history, per sequence feature."""
        return history_of(self.bundle.data, user)

    def with_histories(
        self, user: int, items: Sequence[int], variants: Sequence[Mapping[str, NDArray[np.int32]]]
    ) -> NDArray[np.float32]:
        """Scores of items for a user with each of several histories, [n, m]."""
        if not len(variants) or not len(items):
            return np.zeros((len(variants), len(items)), np.float32)
        data = users_with(self.context_rows.data, user, variants)
        users = np.repeat(np.arange(len(variants), dtype=np.int32), len(items))
        rows = np.tile(np.asarray(items, np.int32), len(variants))
        return self.score(data, users, rows).reshape(len(variants), len(items))

    def without_tags(
        self, user: int, item: int, tags: Sequence[Sequence[tuple[str, str]]]
    ) -> NDArray[np.float32]:
        """Scores of an item for a user without each of several sets of its tags, [n]."""
        if not len(tags):
            return np.zeros(0, np.float32)
        data = items_without(self.context_rows.data, item, tags)
        rows = np.arange(len(data.items) - len(tags), len(data.items), dtype=np.int32)
        return self.score(data, np.full(len(tags), user, np.int32), rows)

    @cached_property
    def context_rows(self) -> ContextRows:
        """The context row in which items are scored."""
        context_rows = self._context_rows()
        if self._items is None:
            return context_rows
        data = self._items()
        vectors = {name: data.vectors[name] for name in data.encoder.layout("item").vectors}
        vectors = {**context_rows.data.vectors, **vectors}
        return replace(context_rows, data=replace(context_rows.data, items=data.items, vectors=vectors))

    def inputs(
        self, data: Dataset, users: NDArray[np.int32], items: NDArray[np.int32], *, with_history: bool = True
    ) -> Inputs:
        """Input vectors of pairs of users and items, with their histories or as if they had none."""
        context_rows = self.context_rows
        before = {
            name: history.known[users] if with_history else np.zeros(len(users), np.int32)
            for name, history in data.histories.items()
        }
        batch = Batcher(data).assemble(
            users,
            items,
            before,
            np.zeros(len(users), np.int64),
            context=(context_rows.table, context_rows.scenario),
        )
        with torch.inference_mode():
            inputs: Inputs = self.bundle.model.features(batch)
        return inputs

    def score(self, data: Dataset, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of pairs, [B]."""
        with torch.inference_mode():
            return self.read(self.bundle.model.outputs_of(self.inputs(data, users, items))).numpy()

    def read(self, outputs: Outputs) -> Tensor:
        """The score of each row of a model's outputs, [B]."""
        if not self.bundle.schema.tasks[self.task].ranks_catalogue:
            return outputs.logits[self.task]
        of_user, of_item = outputs.inputs.user_of_row, outputs.inputs.item_of_row
        products: Tensor = (outputs.user_vectors[of_user] * outputs.item_vectors[of_item]).sum(1)
        return products + outputs.item_bias[of_item]


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
        for group, size in _blocks(bundle, entity):  # type: ignore[arg-type]
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
    r"""A score divided among groups of features.

    .. math:: \sum_g \phi_g = s - s_0

    Attributes:
        task: Whose score it is, before the link function.
        score: :math:`s`, of the item for the user as they are.
        baseline: :math:`s_0`, of an average item for an average user without a history, in no special context.
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
            user: Row of the user; −1 for an average user without a history.
            item: Row of the item.
            history: What the user did, per sequence feature; as the bundle knows it when left out.
        """
        values = self.set_values(user, item, history)
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

    def set_values(
        self, user: int, item: int, history: Mapping[str, NDArray[np.int32]] | None = None
    ) -> Tensor:
        """Score with every set of groups as they are and the others at the baseline, [S]."""
        data, at = self.probe.context_rows.data, max(user, 0)
        if history is not None and user >= 0:
            data, at = users_with(data, user, [history]), 0
        pair = np.array([at], np.int32), np.array([item], np.int32)
        empty = self.probe.inputs(data, *pair, with_history=False)
        full = self.probe.inputs(data, *pair) if user >= 0 else empty
        mean_user, mean_item, mean_context, mean_event = self._means()
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
            return self.probe.read(model.outputs_of(inputs))[asked]

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
            blocks = zip(names, self.columns[task.on], strict=True)
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
