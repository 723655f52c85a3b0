"""The model: features → trunk → one tower a task, plus heads on items and users, plus retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motet.data import Batch, Encoder
from motet.errors import ModelError
from motet.models._added import AddedShape, AddedTower
from motet.models._blocks import FieldSums
from motet.models._features import FactorisedLinear, FeatureLayer, Inputs, NamedModules, Widths
from motet.models._sequences import Dropout
from motet.models.architectures import Architecture, Shape, build_architecture, check_architecture
from motet.schema import ENTITIES, Schema

__all__ = ["MultiTaskModel", "Outputs", "build_model", "link", "output_width"]

_NONE = slice(0, 0)
_TOGETHER = 5.0  # embeddings begin small: so much makes their products count beside the towers
_UNKNOWN_SCENARIO = 0.2  # of training rows are taken to be in no known scenario


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model computes for a batch, before link functions.

    Attributes:
        logits: Per task on interactions with a tower, [B] or [B, K].
        entity: Per task on items or users, [I or U] or [I or U, K].
        user_vectors: For retrieval, [U, Dr]; empty without.
        item_vectors: [I, Dr].
        item_bias: [I].
        inputs: The shared representation that gradient methods act on.
        query_shift: What the scenario of each row adds to its user's vector, [B, Dr]; [B, 0] without scenarios.
        extra: What the losses of the architecture need beside the logits, [B, X]; [B, 0] for most.
    """

    logits: dict[str, Tensor]
    entity: dict[str, Tensor]
    user_vectors: Tensor
    item_vectors: Tensor
    item_bias: Tensor
    inputs: Inputs
    query_shift: Tensor
    extra: Tensor


class MultiTaskModel(nn.Module):
    """One model for every task.

    Args:
        features: The feature layer.
        architecture: Trunk and towers; None where no task has a tower.
        outputs: Outputs of each task with a tower, in order.
        entity_heads: Linear heads of the tasks on items and users, by task.
        retrieval: The two towers of retrieval, if there is such a task.
        added: Adapters and towers of the tasks that were added later, by task; see :meth:`add`.

    Attributes:
        shape: What surrounds the architecture.
    """

    def __init__(
        self,
        *,
        features: FeatureLayer,
        architecture: Architecture | None,
        shape: Shape,
        outputs: dict[str, int],
        item_tasks: tuple[str, ...],
        entity_heads: NamedModules,
        retrieval: TwoTowers | None,
        added: Mapping[str, AddedTower] | None = None,
    ) -> None:
        super().__init__()
        self.features = features
        self.architecture = architecture
        self.shape = shape
        self._own_outputs, self.outputs = list(outputs.values()), dict(outputs)
        self.item_tasks = item_tasks
        self.entity_heads = entity_heads
        self.retrieval = retrieval
        self.added = NamedModules()
        for task, tower in (added or {}).items():
            self.add(task, tower)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.features.table.weight.device

    def add(self, task: str, tower: AddedTower) -> None:
        """Add a task on interactions; what is computed for the others does not change."""
        self.added[task] = tower
        self.outputs[task] = tower.outputs

    @property
    def added_shapes(self) -> dict[str, AddedShape]:
        """Sizes of the tasks that were added, by task."""
        return {task: tower.shape for task, tower in self.added.items() if isinstance(tower, AddedTower)}

    @property
    def networks(self) -> tuple[MultiTaskModel, ...]:
        """The networks it is made of: itself, or the members of an ensemble."""
        return (self,)

    def item_parts(self, item: Tensor) -> dict[nn.Module, Tensor]:
        """What first layers make of some items, [I, Di], by layer; may be computed ahead of any request."""
        kinds = FactorisedLinear, FieldSums
        return {m: m.item_part(item) for m in self.modules() if isinstance(m, kinds) and m.widths.item}

    def forward(self, batch: Batch) -> Outputs:
        """Compute all outputs of a batch."""
        inputs = self.features(batch)
        return self.outputs_of(inputs)

    def logits_of(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits of the tasks with a tower, [B] or [B, K] each.

        Args:
            inputs: Input vectors.
            item_logits: Logits of the tasks on items, [I, K] each.
        """
        own = None if self.architecture is None else self.architecture(inputs, item_logits)
        return self._by_task(inputs, own)

    def _by_task(self, inputs: Inputs, own: Tensor | None) -> dict[str, Tensor]:
        parts = [] if own is None else list(torch.split(own, self._own_outputs, 1))
        parts += [tower(inputs) for _, tower in self.added.items()]
        return {
            task: part if n > 1 else part.squeeze(1)
            for (task, n), part in zip(self.outputs.items(), parts, strict=True)
        }

    def outputs_of(self, inputs: Inputs) -> Outputs:
        """Compute all outputs from the input vectors."""
        entity = {task: head(inputs.visible[task]) for task, head in self.entity_heads.items()}
        own, extra = None, inputs.context.new_zeros(len(inputs.scenario), 0)
        if self.architecture is not None:
            item_logits = {task: entity[task] for task in self.item_tasks}
            own, extra = self.architecture.with_extra(inputs, item_logits)
        logits = self._by_task(inputs, own)
        return self._with_retrieval(inputs, logits, entity, extra)

    def _with_retrieval(
        self, inputs: Inputs, logits: dict[str, Tensor], entity: dict[str, Tensor], extra: Tensor
    ) -> Outputs:
        users, vectors, bias = inputs.user[:, :0], inputs.item[:, :0], inputs.item.new_zeros(len(inputs.item))
        shift = inputs.context.new_zeros(len(inputs.scenario), 0)
        if self.retrieval is not None:
            users = self.retrieval.user(inputs.user)
            vectors, bias = self.retrieval.item(inputs.item, inputs.as_event)
            shift = self.retrieval.shift(inputs.scenario)
        squeezed = {task: y.squeeze(1) if y.shape[1] == 1 else y for task, y in entity.items()}
        return Outputs(logits, squeezed, users, vectors, bias, inputs, shift, extra)


class TwoTowers(nn.Module):
    """User and item vectors over the shared inputs; score = (u + s)·v + b, with a vector s for each scenario.

    Behind what the towers make of a user stands the summary h of the items that the user had, behind what they make
    of an item the item r as it stands in a history: the score holds h·diag(t)·r, so that items that go together find
    each other without a way through the towers (Kabbur, Ning & Karypis 2013, eq. 4).

    With dropout, a fifth of the training rows are taken to be in no known scenario, whose s is 0, so that u alone
    ranks well too.

    Args:
        widths: Of the inputs.
        width: Dr, of the vectors.
        dropout: Share of hidden units dropped in training.
        scenarios: Number of scenarios, the unknown one included; 0 where there are none.
        history: Columns of the user's inputs that are h, d of them; none where there is no history of items.
    """

    def __init__(
        self, *, widths: Widths, width: int, dropout: float, scenarios: int = 0, history: slice = _NONE
    ) -> None:
        super().__init__()
        together, self.history = history.stop - history.start, history
        self.together = nn.Parameter(torch.full((together,), _TOGETHER)) if together else None
        self.scenario = nn.Parameter(torch.zeros(scenarios, width)) if scenarios else None
        self.unknown = _UNKNOWN_SCENARIO if dropout else 0.0
        self.user_direct = nn.Linear(widths.user, width)
        self.user_hidden = nn.Sequential(
            nn.Linear(widths.user, 2 * width), nn.ReLU(), Dropout(dropout), nn.Linear(2 * width, width)
        )
        self.item_direct = nn.Linear(widths.item, width + 1)
        self.item_hidden = nn.Sequential(
            nn.Linear(widths.item, 2 * width), nn.ReLU(), Dropout(dropout), nn.Linear(2 * width, width + 1)
        )

    def user(self, x: Tensor) -> Tensor:
        """User vectors, [U, Du] → [U, Dr]."""
        vectors: Tensor = self.user_direct(x) + self.user_hidden(x)
        if self.together is None:
            return vectors
        return torch.cat([vectors, x[:, self.history] * self.together], 1)

    def shift(self, scenario: Tensor) -> Tensor:
        """What scenarios add to the vectors of users, [n] → [n, Dr]; [n, 0] where there are none."""
        if self.scenario is None:
            return self.user_direct.weight.new_zeros(len(scenario), 0)
        if self.training and self.unknown:
            known = torch.rand(len(scenario), device=scenario.device) >= self.unknown
            scenario = scenario * known
        found = F.embedding(scenario, self.scenario) * (scenario > 0)[:, None]
        return found if self.together is None else F.pad(found, (0, len(self.together)))

    def query(self, x: Tensor, scenario: Tensor) -> Tensor:
        """Vectors of users in scenarios, [U, Du], [U] → [U, Dr]."""
        shift, users = self.shift(scenario), self.user(x)
        return users + shift if shift.shape[1] else users

    def item(self, x: Tensor, as_event: Tensor) -> tuple[Tensor, Tensor]:
        """Item vectors and biases, [I, Di], [I, d] → [I, Dr], [I]."""
        y = self.item_direct(x) + self.item_hidden(x)
        vectors = y[:, :-1]
        return vectors if self.together is None else torch.cat([vectors, as_event], 1), y[:, -1]


def build_model(
    schema: Schema,
    encoder: Encoder,
    *,
    seed: int = 0,
    histories: bool = True,
    added: Mapping[str, AddedShape] | None = None,
) -> MultiTaskModel:
    """Build the model that a schema describes, with weights drawn from a seed.

    Args:
        schema: What it is.
        encoder: Fitted.
        seed: Of the weights.
        histories: Whether events are items with their content; bundles older than that have events of ids alone.
        added: Tasks of the schema that were added to the network later, with their sizes.

    Raises:
        ModelError: If the architecture or one of its options is not known, or does not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _build(schema, encoder, histories, added or {})


def scenario_columns(features: FeatureLayer) -> tuple[int, int]:
    """First column of the inputs of rows that embeds the scenario, and the one behind the last."""
    start = features.column("interaction", "scenario")
    return (0, 0) if start is None else (start, start + features.table.width)


def output_width(schema: Schema, encoder: Encoder, task: str) -> int:
    """Outputs of a task: its number of classes, or 1."""
    return max(1, len(encoder.classes[task])) if task in encoder.classes else 1


def _build(
    schema: Schema, encoder: Encoder, histories: bool, added: Mapping[str, AddedShape]
) -> MultiTaskModel:
    settings = schema.model
    features = FeatureLayer(
        encoder=encoder,
        width=settings.width,
        vector_width=settings.vector_width,
        histories=histories,
        gates=settings.feature_gates,
    )
    towers = [
        name
        for name, t in schema.tasks.items()
        if t.on == "interaction" and not t.ranks_catalogue and name not in added
    ]
    outputs = {name: output_width(schema, encoder, name) for name in towers}
    on_items = tuple(name for name, t in schema.tasks.items() if t.on == "item")
    shape = Shape(
        widths=features.widths,
        tasks=tuple(outputs),
        outputs=tuple(outputs.values()),
        entity_outputs={name: output_width(schema, encoder, name) for name in on_items},
        scenarios=len(encoder.scenarios) if settings.scenario_gate and schema.keys.scenario else 0,
        dropout=settings.dropout,
        fields={entity: features.fields(entity) for entity in ENTITIES},
        scenario_codes=len(encoder.scenarios) if schema.keys.scenario else 0,
        scenario_columns=scenario_columns(features),
        histories=tuple(features.summaries.values()),
        after={name: first for name in towers if (first := schema.tasks[name].after) in outputs},
        chances=frozenset(name for name in towers if _is_sigmoid(schema, encoder, name)),
    )
    check_architecture(settings.architecture, settings.options)
    architecture = build_architecture(settings.architecture, shape, settings.options) if outputs else None
    heads = NamedModules()
    for name, task in schema.tasks.items():
        if task.on != "interaction":
            width = features.visible_width(name)
            if not width:
                raise ModelError(
                    f"task '{name}' sees no feature of the {task.on}", "hide fewer features, or add one"
                )
            heads[name] = nn.Linear(width, output_width(schema, encoder, name))
    retrieval = None
    if any(task.ranks_catalogue for task in schema.tasks.values()):
        if not (features.widths.user and features.widths.item):
            raise ModelError("retrieval needs features of users and of items", "add an id feature to each")
        retrieval = TwoTowers(
            widths=features.widths,
            width=settings.retrieval_width,
            dropout=settings.dropout,
            scenarios=len(encoder.scenarios) if schema.keys.scenario else 0,
            history=features.history_columns,
        )
    return MultiTaskModel(
        features=features,
        architecture=architecture,
        shape=shape,
        outputs=outputs,
        item_tasks=on_items,
        entity_heads=heads,
        retrieval=retrieval,
        added={
            name: AddedTower(
                widths=features.widths,
                outputs=output_width(schema, encoder, name),
                shape=of,
                dropout=settings.dropout,
            )
            for name, of in added.items()
        },
    )


def _is_sigmoid(schema: Schema, encoder: Encoder, task: str) -> bool:
    """Whether a prediction is a chance, and σ of the logit: not where positives have a weight."""
    if not schema.tasks[task].is_chance:
        return False
    some = torch.tensor([-1.0, 0.0, 2.0])
    return bool(torch.allclose(link(schema, encoder, task, some), some.sigmoid()))


def link(schema: Schema, encoder: Encoder, task: str, logits: Tensor) -> Tensor:
    """From logits to the label's own scale: probability, number or distribution."""
    return schema.tasks[task].link(logits, encoder.statistics(task))
