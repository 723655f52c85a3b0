"""Which columns of the model's inputs belong to which group of features."""

from __future__ import annotations

from collections.abc import Iterator

from motet.bundle import Bundle
from motet.errors import ModelError
from motet.schema import Entity, VectorFeature

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
    d, vector_width = schema.model.width, schema.model.vector_width
    for is_id in layout.is_id:
        yield _group(entity, "item_id" if is_id else "tags"), d
    for _ in layout.numbers:
        yield _group(entity, "numbers"), 1
    for _ in layout.tags:
        yield _group(entity, "tags"), d
    for name in layout.vectors:
        feature = schema.features.of(entity)[name]
        kind = "text" if feature.kind == "text" else "vectors"
        if isinstance(feature, VectorFeature) and feature.source == "knowledge":
            kind = "graph"
        yield _group(entity, kind), vector_width
    targets = [
        name
        for name in bundle.data.encoder.layout("user").sequences
        if getattr(schema.features.user[name], "encoder", "") == "target"
    ]
    for name in layout.sequences:
        yield "history", 1 if name in targets else d + 1
    if entity == "interaction":
        for _ in targets:
            yield "history", d


def _group(entity: Entity, kind: str) -> str:
    if entity == "item":
        return kind
    if entity == "interaction":
        return "context"
    return "user_id" if kind == "item_id" else "profile"
