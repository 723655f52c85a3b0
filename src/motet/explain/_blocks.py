"""Which columns of the model's inputs belong to which group of features."""

from __future__ import annotations

from collections.abc import Iterator

from motet.bundle import Bundle
from motet.errors import ModelError
from motet.schema import Entity

__all__ = ["GROUPS", "Columns", "columns_of"]

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
"""What a score is divided among: the past, the id and the other features of the user; the id, the tags and
categories, the numbers, the texts, the other vectors and the graph's vectors of the item; the moment."""

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
