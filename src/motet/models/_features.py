"""The feature layer: one embedding table for every id, category, tag and event; adapters of vectors; sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motet.data import Batch, Dataset, Encoder, EventSequences, Layout, Side
from motet.errors import ModelError
from motet.models._content import Content, ItemContent, content_width, history_of_items
from motet.models._gates import FeatureGates, column_owners
from motet.models._sequences import MeanSequence
from motet.schema import ENTITIES, Entity, GateSettings

__all__ = [
    "EmbeddingTable",
    "FactorisedLinear",
    "FeatureLayer",
    "Inputs",
    "NamedModules",
    "Widths",
]


class EmbeddingTable(nn.Module):
    """All embeddings of a model in one table, gathered once a batch.

    The rows a batch needs become a small leaf of the graph; an optimiser updates those rows and
    writes them back, so that a step costs the same with a thousand ids or a hundred million.

    Args:
        rows: Rows of the table.
        width: Width d of an embedding.
        std: Standard deviation of the first values.

    Shapes:
        ids [R] → [R, d].
    """

    def __init__(self, *, rows: int, width: int, std: float = 0.05) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max(rows, 1), width))
        nn.init.normal_(self.weight, std=std)
        self.leaf: Tensor | None = None
        self.leaf_ids: Tensor | None = None

    @property
    def width(self) -> int:
        """Width d of an embedding."""
        return self.weight.shape[1]

    def take_in(self, ids: Tensor, like: Tensor) -> None:
        """Let some rows, which may be behind the last one, begin as others are now.

        Args:
            ids: Distinct rows, int64 [n].
            like: Rows that they are to be like, int64 [n].
        """
        weight = self.weight.detach()
        more = max(0, int(ids.max()) + 1 - len(weight)) if len(ids) else 0
        longer = torch.cat([weight, weight.new_zeros(more, self.width)]) if more else weight.clone()
        longer[ids] = weight[like]
        self.weight = nn.Parameter(longer, requires_grad=self.weight.requires_grad)

    def forward(self, ids: Tensor) -> Tensor:
        """Gather rows; with gradients on, they are the leaf that gradients stop at."""
        rows = self.weight.detach().index_select(0, ids)
        if torch.is_grad_enabled():
            self.leaf, self.leaf_ids = rows.requires_grad_(), ids
        return rows


class NamedModules(nn.Module):
    """A mapping from names to modules where every name goes, ``type`` and ``keys`` too.

    PyTorch's own mapping makes an attribute of each name, and refuses those that a module has.

    Example:
        >>> modules = NamedModules()
        >>> modules["type"] = nn.Linear(2, 3)
        >>> list(modules), list(modules.state_dict())
        (['type'], ['@type.weight', '@type.bias'])
    """

    def __setitem__(self, name: str, module: nn.Module) -> None:
        self.add_module(f"@{name}", module)

    def __getitem__(self, name: str) -> nn.Module:
        module = self._modules[f"@{name}"]
        assert module is not None  # noqa: S101 (only __setitem__ puts modules here)
        return module

    def __contains__(self, name: str) -> bool:
        return f"@{name}" in self._modules

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix("@") for name in self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def items(self) -> Iterator[tuple[str, nn.Module]]:
        """Names and modules, in order."""
        return ((name, self[name]) for name in self)


# The feature layer: a batch → input vectors of its users, items and rows.
#
# Legend of shapes: B rows, U unique users, I unique items, R embedding rows of the batch, d width of
# an embedding, H width of a first layer.

_GATHER_COLUMNS = 100  # gathering a wide product and scattering its gradient costs as much as so many inputs


@dataclass(frozen=True, slots=True)
class Widths:
    """Widths of the input vectors of a user, an item and a row."""

    user: int
    item: int
    context: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """Input vectors, each computed once for each unique user and item.

    Attributes:
        user: [U, Du].
        item: [I, Di].
        context: [B, Dc].
        user_of_row: int64 [B].
        item_of_row: int64 [B].
        scenario: int64 [B].
        visible: Per task on items or users, the inputs that it may see, [I or U, D'].
        as_event: Each item as it stands in a history, [I, d]; [I, 0] without a history of items.
        item_parts: Per first layer, its product with ``item`` where that was computed ahead.
    """

    user: Tensor
    item: Tensor
    context: Tensor
    user_of_row: Tensor
    item_of_row: Tensor
    scenario: Tensor
    visible: dict[str, Tensor]
    as_event: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    item_parts: dict[nn.Module, Tensor] = field(default_factory=dict)
    _rows: dict[Widths, Tensor] = field(default_factory=dict, repr=False)

    def rows(self, widths: Widths) -> Tensor:
        """[u; i; c] of every row, [B, Du + Di + Dc], put together once for all layers that ask."""
        if widths not in self._rows:
            user = F.embedding(self.user_of_row, self.user[:, : widths.user])
            item = F.embedding(self.item_of_row, self.item[:, : widths.item])
            self._rows[widths] = torch.cat([user, item, self.context.expand(len(user), -1)], 1)
        return self._rows[widths]


def _repeats(x: Tensor, of_row: Tensor) -> bool:
    """Whether rows repeat so much that the product of the distinct ones pays."""
    return (len(of_row) - len(x)) * x.shape[1] > len(of_row) * _GATHER_COLUMNS


class FactorisedLinear(nn.Module):
    """A linear layer over [user; item; context] that computes the part of a user or item once.

    y = Wᵤ·u[row] + Wᵢ·i[row] + W_c·c + b, which equals W·[u; i; c] + b on repeated rows. Where a
    batch repeats its users (or items) so little that gathering wide products would cost more than
    it saves, the narrow inputs are gathered instead.

    Shapes:
        Inputs → [B, out].
    """

    def __init__(self, *, widths: Widths, out: int) -> None:
        super().__init__()
        self.widths = widths
        total = widths.user + widths.item + widths.context
        # He et al. 2015: depends on the inputs alone, so that layers fused into one product keep their scale
        bound = (6.0 / total) ** 0.5 if total else 0.0
        self.weight = nn.Parameter(torch.empty(out, total).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, inputs: Inputs) -> Tensor:
        w = self.widths
        if self in inputs.item_parts or len(inputs.user) == 1:
            return self._for_one_user(inputs)
        user, item = inputs.user[:, : w.user], inputs.item[:, : w.item]
        once = [_repeats(user, inputs.user_of_row), _repeats(item, inputs.item_of_row)]
        if not any(once):
            return F.linear(inputs.rows(w), self.seen(), self.bias)
        of_user, of_item, of_context = self._columns()
        y = F.linear(inputs.context, of_context, self.bias)
        for x, of_row, weight in ((user, inputs.user_of_row, of_user), (item, inputs.item_of_row, of_item)):
            y = y.add_(F.embedding(of_row, F.linear(x, weight)))
        return y

    def _for_one_user(self, inputs: Inputs) -> Tensor:
        """Serving: one user, whose part is broadcast, and items that may be computed ahead."""
        of_user, _, of_context = self._columns()
        item = inputs.item_parts.get(self)
        item = self.item_part(inputs.item) if item is None else item
        user = F.linear(inputs.user[:, : self.widths.user], of_user, self.bias)
        rest = F.linear(inputs.context, of_context)
        rest = rest + (user if len(user) == 1 else user.index_select(0, inputs.user_of_row))
        return item.index_select(0, inputs.item_of_row).add_(rest)

    def _columns(self) -> tuple[Tensor, Tensor, Tensor]:
        w, weight = self.widths, self.seen()
        return weight[:, : w.user], weight[:, w.user : w.user + w.item], weight[:, w.user + w.item :]

    def seen(self) -> Tensor:
        """The weights that count, [out, D]."""
        return self.weight

    def item_part(self, item: Tensor) -> Tensor:
        """Wᵢ·i of some items, [I, Di] → [I, out]; may be computed ahead of any request."""
        return F.linear(item[:, : self.widths.item], self._columns()[1])


@dataclass(frozen=True, slots=True)
class _Places:
    """Which of an entity's columns of codes and of numbers some features have."""

    codes: tuple[int, ...]
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, feature: str, codes: tuple[str, ...], layout: Layout) -> _Places:
        """Those of one feature."""
        return cls(
            tuple(layout.codes.index(part) for part in codes),
            tuple(i for i, owner in enumerate(layout.number_features) if owner == feature),
        )

    @classmethod
    def rest(cls, layout: Layout, taken: Mapping[str, _Places]) -> _Places:
        """Those of no feature with a layer of its own."""
        codes = {i for places in taken.values() for i in places.codes}
        numbers = {i for places in taken.values() for i in places.numbers}
        return cls(
            tuple(i for i in range(len(layout.codes)) if i not in codes),
            tuple(i for i in range(len(layout.numbers)) if i not in numbers),
        )


def _present(layer: nn.Module | None, name: str, what: str) -> nn.Module:
    if layer is None:
        raise ModelError(f"the kind of the feature '{name}' gives {what} but no layer for them", "give one")
    return layer


class FeatureLayer(nn.Module):
    """Embeds ids, tags and events, projects vectors, and lays them out beside the numbers.

    Args:
        encoder: Says which columns there are.
        width: Width d of an embedding.
        vector_width: Width that text and other vectors are projected to.
        histories: Whether events of histories are items with their content, and items can be compared with them.
        gates: How a gate of each feature is learnt; none are when left out.
    """

    copies = 1  # of its blocks, one behind the other

    def __init__(
        self,
        *,
        encoder: Encoder,
        width: int,
        vector_width: int,
        histories: bool = True,
        gates: GateSettings | None = None,
    ) -> None:
        super().__init__()
        self.table = EmbeddingTable(rows=encoder.table_rows, width=width)
        self._layouts = {entity: encoder.layout(entity) for entity in ENTITIES}
        schema = encoder.schema

        def layer(entity: Entity, name: str) -> nn.Module | None:
            feature = schema.features.of(entity)[name]
            return feature.module(name, encoder=encoder, width=width, vector_width=vector_width)

        self.adapters = NamedModules()
        for entity in ENTITIES:
            for name in self._layouts[entity].vectors:
                self.adapters[name] = _present(layer(entity, name), name, "vectors")
        self.sequences = NamedModules()
        self._target_column: dict[str, int] = {}
        for name in self._layouts["user"].sequences:
            self.sequences[name] = _present(layer("user", name), name, "events")
            feature = schema.features.user[name]
            if feature.sees_item and feature.history is not None:
                self._target_column[name] = self._layouts["item"].codes.index(feature.history.of)
        self.history = history_of_items(schema, self._layouts) if histories else None
        self.content: ItemContent | None = None
        if self.history is not None:
            ids = encoder.vocabularies[self.history[1]]
            events = schema.features.user[self.history[0]].history
            content: Content = "all" if events is None else events.content
            inputs = content_width(encoder, ids.rows, content)
            if inputs:
                self.content = ItemContent(
                    rows=ids.rows, first=ids.offset, inputs=inputs, width=width, content=content
                )
        self.own = NamedModules()
        self._own: dict[Entity, dict[str, _Places]] = {}
        for entity in ENTITIES:
            self._own[entity] = {}
            for name, parts in encoder.parts(entity).items():
                other = parts.texts or parts.vectors or parts.events or parts.tags
                if other or not (parts.codes or parts.numbers):
                    continue
                if (found := layer(entity, name)) is not None:
                    self.own[name] = found
                    self._own[entity][name] = _Places.of(name, parts.codes, self._layouts[entity])
        self._plain = {entity: _Places.rest(self._layouts[entity], self._own[entity]) for entity in ENTITIES}
        self._hidden = {
            name: (task.on, task.hide) for name, task in schema.tasks.items() if task.on != "interaction"
        }
        self._block_widths = {entity: self._blocks_of(entity, width, vector_width) for entity in ENTITIES}
        self.widths = Widths(*(sum(self._block_widths[entity].values()) for entity in ENTITIES))
        self.owners: dict[Entity, tuple[str, ...]] = {
            entity: column_owners(
                encoder.parts(entity) | (encoder.parts("user") if self._target_column else {}),
                self._layouts[entity],
                self._block_widths[entity],
                (self._plain[entity].codes, self._plain[entity].numbers),
                width,
            )
            for entity in ENTITIES
        }
        self.gates = None if gates is None else FeatureGates(gates, self.owners)

    def take_content(self, data: Dataset) -> None:
        """Take the content of a data set's items, where events of histories have any."""
        if self.content is not None and self.history is not None:
            self.content.fill(data, self.history[1])

    def blocks(self, entity: Entity) -> dict[str, int]:
        """Width of each block of an entity's inputs, in order, by feature; those in common begin with a dot."""
        return dict(self._block_widths[entity])

    def fields(self, entity: Entity) -> tuple[int, ...]:
        """Width of each field of an entity's inputs, in order: a code, a number, or what a feature gives as a whole."""
        found: list[int] = []
        for name, width in self._block_widths[entity].items():
            each = {".codes": self.table.width, ".numbers": 1}.get(name, width)
            found += [each] * (width // each)
        return tuple(found)

    def column(self, entity: Entity, code: str) -> int | None:
        """The first input column of the embedding of an id or category; None where it has none of its own."""
        start, plain = 0, [self._layouts[entity].codes[i] for i in self._plain[entity].codes]
        for name, width in self._block_widths[entity].items():
            if name == ".codes" and code in plain:
                return start + self.table.width * plain.index(code)
            if name == code:
                return start
            start += width
        return None

    @property
    def summaries(self) -> dict[str, tuple[int, int]]:
        """First column of the user's inputs that sums up the events of each sequence, and the one behind the last."""
        found, start = {}, 0
        for name, width in self._block_widths["user"].items():
            if name in self.sequences and name not in self._target_column:
                found[name] = (start, start + width - 1)  # the last one is the number of events
            start += width
        return found

    @property
    def history_columns(self) -> slice:
        """Columns of the user's inputs that sum up the items the user had; none without a history of items."""
        return slice(*(self.summaries[self.history[0]] if self.history is not None else (0, 0)))

    def visible_width(self, task: str) -> int:
        """Width of the inputs that a task on items or users may see."""
        entity, hide = self._hidden[task]
        return sum(w for name, w in self._block_widths[entity].items() if self._of(entity, name) not in hide)

    def forward(self, batch: Batch) -> Inputs:
        """Compute the inputs of a batch."""
        rows = self.table(batch.ids)
        events = rows if self.content is None else rows + self.content(batch.ids)
        blocks = {entity: self._side(entity, batch.side(entity), rows, events) for entity in ENTITIES}
        for name, column in self._target_column.items():
            had = batch.user.events[name]
            target = F.embedding(batch.item.codes[:, column], events).index_select(0, batch.item_of_row)
            keys = F.embedding(had.positions, events)
            blocks["interaction"][name] = self.sequences[name](keys, had.lengths, target, batch.user_of_row)
        sides = {
            entity: torch.cat(list(blocks[entity].values()), 1)
            if blocks[entity]
            else rows.new_zeros(len(batch.side(entity)), 0)
            for entity in ENTITIES
        }
        if self.gates is not None:
            sides = self.gates(sides)
        visible = {}
        for task, (entity, hide) in self._hidden.items():
            # cut from the whole side, so that gradient methods see what these tasks do to it
            visible[task] = side = sides[entity]
            if hide:
                parts = zip(
                    blocks[entity], side.split([b.shape[1] for b in blocks[entity].values()], 1), strict=True
                )
                seen = [part for name, part in parts if self._of(entity, name) not in hide]
                visible[task] = torch.cat(seen, 1) if seen else side[:, :0]
        as_event = sides["item"][:, :0]
        if self.history is not None:
            column = self._layouts["item"].codes.index(self.history[1])
            as_event = F.embedding(batch.item.codes[:, column], events)
        return Inputs(
            user=sides["user"],
            item=sides["item"],
            context=sides["interaction"],
            user_of_row=batch.user_of_row,
            item_of_row=batch.item_of_row,
            scenario=batch.scenario,
            visible=visible,
            as_event=as_event,
        )

    def _side(self, entity: Entity, side: Side, rows: Tensor, as_events: Tensor) -> dict[str, Tensor]:
        """Blocks of input columns by feature name, in the order of ``_blocks_of``."""
        layout = self._layouts[entity]
        blocks: dict[str, Tensor] = {}
        plain, own = self._plain[entity], self._own[entity]
        embedded = rows.new_zeros(len(side), 0, rows.shape[1])
        if layout.codes:
            embedded = F.embedding(side.codes, rows)
            if self._hides(entity):
                blocks |= {layout.codes[i]: embedded[:, i] for i in plain.codes}
            elif own:
                blocks[".codes"] = embedded[:, list(plain.codes)].flatten(1)
            else:
                blocks[".codes"] = embedded.flatten(1)
        if layout.numbers:
            if self._hides(entity):
                blocks |= {layout.numbers[i]: side.numbers[:, i : i + 1] for i in plain.numbers}
            else:
                blocks[".numbers"] = side.numbers[:, list(plain.numbers)] if own else side.numbers
        for name in layout.tags:
            tags = side.tags[name]
            blocks[name] = F.embedding_bag(tags.positions, rows, tags.starts, mode="mean")
        for name in layout.vectors:
            blocks[name] = self.adapters[name](side.vectors[name])
        for name in layout.sequences:
            events = side.events[name]
            count = torch.log1p(events.total)[:, None]
            if name in self._target_column:
                blocks[name] = count
            else:
                summary = self._summary(name, events, as_events)
                blocks[name] = torch.cat([summary, count], 1)
        for name, places in own.items():
            blocks[name] = self.own[name](
                embedded[:, list(places.codes)], side.numbers[:, list(places.numbers)]
            )
        return blocks

    def _of(self, entity: Entity, block: str) -> str:
        """The feature that a block belongs to: a time gives several numbers, a gap an indicator."""
        layout = self._layouts[entity]
        return dict(zip(layout.numbers, layout.number_features, strict=True)).get(block, block)

    def _summary(self, name: str, events: EventSequences, rows: Tensor) -> Tensor:
        encoder = self.sequences[name]
        if isinstance(encoder, MeanSequence):
            return encoder.pool(rows, events.positions, events.lengths)
        summary: Tensor = encoder(F.embedding(events.positions, rows), events.lengths)
        return summary

    def _hides(self, entity: Entity) -> bool:
        return any(on == entity and hide for on, hide in self._hidden.values())

    def _blocks_of(self, entity: Entity, width: int, vector_width: int) -> dict[str, int]:
        layout, plain = self._layouts[entity], self._plain[entity]
        blocks: dict[str, int] = {}
        if self._hides(entity):
            blocks |= {layout.codes[i]: width for i in plain.codes}
            blocks |= {layout.numbers[i]: 1 for i in plain.numbers}
        else:
            blocks |= {".codes": width * len(plain.codes), ".numbers": len(plain.numbers)}
        blocks |= dict.fromkeys(layout.tags, width) | dict.fromkeys(layout.vectors, vector_width)
        for name in layout.sequences:
            blocks[name] = 1 if name in self._target_column else width + 1
        for name in self._own[entity]:
            blocks[name] = int(self.own[name].out_width)  # type: ignore[arg-type]
        if entity == "interaction":
            blocks |= dict.fromkeys(self._target_column, width)
        return blocks
