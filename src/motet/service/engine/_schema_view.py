"""What a model was trained for, as clients and pages need to know it."""

from __future__ import annotations

from typing import Any, Final, Literal

import polars as pl
from pydantic import BaseModel, Field

from motet.data import EventMeanings
from motet.schema import LANGUAGES
from motet.service.engine._served import ServedModel

__all__ = ["FieldView", "SchemaView", "TaskView", "schema_view"]

_MOST_VALUES: Final = 200


class TaskView(BaseModel):
    """A task."""

    name: str
    kind: str
    on: str
    display: Literal["chance", "number", "order", "names"] = Field(
        description="How to show a prediction: a share, a number, the order of items alone, or names."
    )
    range: tuple[float, float] | None = None
    in_objective: bool = Field(description="Whether an objective may weigh it.")


class FieldView(BaseModel):
    """A column of the catalogue, to filter by."""

    name: str
    kind: Literal["tags", "category", "number", "text"]
    title: dict[str, str] = Field(description="What it is called, by language.")
    values: list[str] | None = Field(None, description="The most frequent values first.")
    words: dict[str, dict[str, str]] | None = Field(None, description="Values in other languages.")
    low: float | None = None
    high: float | None = None


class LikeView(BaseModel):
    """The event that says that a user liked an item."""

    type: str = Field(examples=["rating"])
    value: float = Field(examples=[4.0])


class SchemaView(BaseModel):
    """What a model was trained for."""

    name: str
    users: int
    items: int
    tasks: list[TaskView]
    scenarios: list[str]
    fields: list[FieldView]
    objective: dict[str, float] = Field(description="Weights where a request names none.")
    like: LikeView = Field(description="The event that says that a user liked an item.")
    languages: list[str]
    noun: dict[str, tuple[str, ...]]
    image: str | None = Field(None, description="The column with the pictures of items.")
    price: str | None = Field(None, description="The column with their prices.")
    currency: str | None = Field(None, description="The currency of the prices (ISO 4217).", examples=["EUR"])
    user_columns: list[str] = Field(description="What user_features of a request may say.")


def schema_view(served: ServedModel) -> SchemaView:
    """What a served model was trained for."""
    schema, bundle = served.schema, served.bundle
    tasks = []
    for name, task in schema.tasks.items():
        limits: Any = getattr(task, "range", None)
        can = name in schema.rankable_tasks
        tasks.append(
            TaskView(
                name=name, kind=task.kind, on=task.on, display=task.display, range=limits, in_objective=can
            )
        )
    columns = [c for name in schema.features.user for c in schema.feature_columns("user", name)]
    type, value = EventMeanings(schema).like()
    taken = {str(schema.keys.user), str(schema.keys.item)}
    catalogue = bundle.data.catalogue
    is_priced = catalogue is not None and schema.catalogue.price in catalogue.numbers
    return SchemaView(
        name=schema.name,
        users=len(bundle.data.user_ids),
        items=int(served.parts.live.items.now.shown.sum()),
        tasks=tasks,
        scenarios=list(bundle.data.encoder.scenarios[1:]) if schema.keys.scenario is not None else [],
        fields=_fields(served),
        objective=schema.default_objective(),
        like=LikeView(type=type, value=value),
        languages=list(LANGUAGES),
        noun={language: tuple(words) for language, words in schema.explain.noun.items()},
        image=catalogue.image if catalogue is not None else None,
        price=schema.catalogue.price if is_priced else None,
        currency=schema.catalogue.currency if is_priced else None,
        user_columns=[c for c in dict.fromkeys(columns) if c not in taken],
    )


def _fields(served: ServedModel) -> list[FieldView]:
    catalogue = served.bundle.data.catalogue
    if catalogue is None:
        return []
    frame = served.parts.live.items.now.view.frame
    fields = []
    kinds: list[tuple[Literal["tags", "category", "number", "text"], tuple[str, ...]]] = [
        ("tags", catalogue.tags),
        ("category", catalogue.categories),
        ("number", catalogue.numbers),
        ("text", catalogue.texts),
    ]
    for kind, names in kinds:
        for name in names:
            cells = frame[name]
            found = FieldView(
                name=name, kind=kind, title={lang: catalogue.column_name(name, lang) for lang in LANGUAGES}
            )
            if kind in ("tags", "category"):
                words = cells.explode() if kind == "tags" else cells
                counts = words.drop_nulls().value_counts(sort=True).head(_MOST_VALUES)
                values = counts[name].cast(pl.String).to_list()
                named = {
                    value: {"zh": word} for value in values if (word := catalogue.word(value, "zh")) != value
                }
                found = found.model_copy(update={"values": values, "words": named or None})
            elif kind == "number" and cells.drop_nulls().len():
                low, high = cells.min(), cells.max()
                found = found.model_copy(update={"low": low, "high": high})
            fields.append(found)
    return fields
