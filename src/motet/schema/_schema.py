"""The schema: one file that says what the data is and what is predicted from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from motet._renamed import current_settings
from motet.errors import SchemaError
from motet.schema._base import (
    Part,
    check_expression,
    expression_columns,
    mistake,
    override,
    read_yaml,
    require_known,
    write_yaml,
)
from motet.schema._features import AnyFeature, Feature, expand_short_form
from motet.schema._settings import (
    CatalogueSettings,
    CleanSettings,
    ExplainSettings,
    KnowledgeSettings,
    LanguageSettings,
    ModelSettings,
    ObjectiveSettings,
    SplitSettings,
    Tables,
    TrainingSettings,
)
from motet.schema._tasks import AnyTask, Task

__all__ = ["ENTITIES", "Entity", "Features", "Keys", "Schema", "table_of"]

Entity = Literal["user", "item", "interaction"]
ENTITIES: tuple[Entity, ...] = ("user", "item", "interaction")


class Keys(Part):
    """Columns that say who, what, when and where. Each may be left out if the data has none.

    Attributes:
        user: Column of the user, in the interactions and in the users table.
        item: Column of the item, in the interactions and in the items table.
        time: Column of the time: ISO text, a date-time, or seconds, milliseconds or microseconds
            since 1970.
        scenario: Column of the placement or domain; may be derived.
    """

    user: str | None = None
    item: str | None = None
    time: str | None = None
    scenario: str | None = None


class Features(Part):
    """What the model sees of a user, an item and the context of an interaction."""

    user: dict[str, AnyFeature] = Field(default_factory=dict)
    item: dict[str, AnyFeature] = Field(default_factory=dict)
    interaction: dict[str, AnyFeature] = Field(default_factory=dict)

    @field_validator("user", "item", "interaction", mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: expand_short_form(feature) for name, feature in value.items()}
        return value

    def of(self, entity: Entity) -> Mapping[str, Feature]:
        """The features of one entity, by name, in schema order."""
        features: Mapping[str, Feature] = getattr(self, entity)
        return features

    def all(self) -> Iterator[tuple[Entity, str, Feature]]:
        """Every feature with its entity and name."""
        for entity in ENTITIES:
            for name, feature in self.of(entity).items():
                yield entity, name, feature


class Schema(Part):
    """What the data is, what is predicted from it, and how.

    Attributes:
        name: Name of the data set, for reports.
        tables: Its files.
        keys: Its key columns.
        derive: New columns by SQL expression, per table (``users``, ``items``, ``interactions``),
            computed in order, so that a later one may use an earlier one.
        features: Model inputs per entity.
        tasks: What is predicted, by name; predictions keep this order.
        without: Features that this run does without: they are taken out of ``features`` and of ``hide``, so that the
            schema that was read is as if they had never been there.

    Example:
        >>> schema = Schema.model_validate({
        ...     "name": "toy",
        ...     "tables": {"interactions": "clicks.csv"},
        ...     "keys": {"user": "user", "item": "item", "time": "at"},
        ...     "features": {"user": {"user": "id"}, "item": {"item": "id"}},
        ...     "tasks": {"click": {"kind": "binary", "label": "click"}},
        ... })
        >>> schema.tasks["click"].kind
        'binary'
    """

    name: str = Field(min_length=1)
    tables: Tables
    keys: Keys = Keys()
    derive: dict[Literal["users", "items", "interactions"], dict[str, str]] = Field(default_factory=dict)
    features: Features
    tasks: dict[str, AnyTask] = Field(min_length=1)
    without: tuple[str, ...] = ()
    catalogue: CatalogueSettings = CatalogueSettings()
    clean: CleanSettings = CleanSettings()
    split: SplitSettings = SplitSettings()
    model: ModelSettings = ModelSettings()
    language: LanguageSettings = LanguageSettings()
    knowledge: KnowledgeSettings | None = None
    explain: ExplainSettings = ExplainSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="before")
    @classmethod
    def _does_without(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or not value.get("without"):
            return value
        names = value["without"]
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"without: {names!r} is no list of features. Cure: write without: [NAME]")
        try:
            return _without(value, names)
        except SchemaError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _is_consistent(self) -> Schema:
        for table, columns in self.derive.items():
            for column, expression in columns.items():
                check_expression(expression, f"derive.{table}.{column}")
        if not any(True for _ in self.features.all()):
            raise ValueError(
                "features: there is none. Cure: name at least one feature, such as 'item: {COLUMN: id}'"
            )
        try:
            self._check_features()
            self._check_tasks()
            self._check_split()
            self._check_knowledge()
            for name in self.explain.mention:
                require_known(name, self.features.user, "explain.mention: the user feature")
        except SchemaError as error:
            raise ValueError(str(error)) from None
        return self

    def _check_features(self) -> None:
        homes: dict[str, str] = {"scenario": "the scenario of keys.scenario"}
        for entity, name, feature in self.features.all():
            where = f"features.{entity}.{name}"
            if name in homes:
                raise SchemaError(
                    f"{where}: the name is taken by {homes[name]}",
                    "name it otherwise, with 'column:' to say where it is",
                )
            _check_name(where, name)
            homes[name] = where
            if entity != "interaction" and getattr(self.keys, entity) is None:
                raise SchemaError(f"{where} needs keys.{entity}", f"name the {entity} key column")
            feature.check(name, entity, self)

    def _check_tasks(self) -> None:
        for name, task in self.tasks.items():
            where = f"tasks.{name}"
            _check_name(where, name)
            if task.on != "interaction" and getattr(self.keys, task.on) is None:
                raise SchemaError(f"{where}: 'on: {task.on}' needs keys.{task.on}", "name the key column")
            task.check(name, self)
            if task.after is not None:
                require_known(task.after, self.tasks, f"{where}.after: the task")
                first = self.tasks[task.after]
                if not first.is_chance or first.on != task.on or task.after == name:
                    raise SchemaError(
                        f"{where}.after: '{task.after}' is not another binary task on the same {task.on}",
                        "name a binary task that must happen first",
                    )
                self._check_order(name)
            for hidden in task.hide:
                require_known(hidden, self.features.of(task.on), f"{where}.hide: the feature")
            if task.hide and task.on == "interaction":
                raise SchemaError(
                    f"{where}.hide works for tasks on items or users only",
                    "remove 'hide', or the feature itself",
                )
            self._check_leak(name)

    def _check_order(self, name: str) -> None:
        """Refuse tasks that come after each other in a circle."""
        seen, parent = [name], self.tasks[name].after
        while parent is not None and parent in self.tasks:
            if parent in seen:
                circle = " after ".join([*seen, parent])
                raise SchemaError(
                    f"tasks.{name}.after: the tasks go in a circle: {circle}", "let one come first"
                )
            seen.append(parent)
            parent = self.tasks[parent].after

    def _check_leak(self, task_name: str) -> None:
        task = self.tasks[task_name]
        label_columns = set(self._source_columns(task.label, task.on))
        if task.on == "interaction" and self.keys.scenario is not None:
            scenario = self._source_columns(f'"{self.keys.scenario}"', "interaction")
            if label_columns & set(scenario):
                raise SchemaError(
                    f"keys.scenario reads '{', '.join(sorted(label_columns & set(scenario)))}', "
                    f"which gives away task '{task_name}'",
                    "name a column that is known before the label is",
                )
        for name in self.features.of(task.on):
            if name in task.hide:
                continue
            columns = set(self.feature_columns(task.on, name))
            sources = {c for column in columns for c in self._source_columns(f'"{column}"', task.on)}
            if label_columns & sources:
                shared = ", ".join(sorted(label_columns & sources))
                hide = "" if task.on == "interaction" else f", or add 'hide: [{name}]' to tasks.{task_name}"
                raise SchemaError(
                    f"features.{task.on}.{name} reads '{shared}', which gives away task '{task_name}'",
                    f"remove the feature{hide}",
                )

    def _check_split(self) -> None:
        if self.split.by == "user_time" and not (self.keys.user and self.keys.time):
            raise SchemaError(
                "split.by: user_time needs keys.user and keys.time", "name both, or split by random"
            )
        if self.split.by == "time" and not self.keys.time:
            raise SchemaError("split.by: time needs keys.time", "name it, or say 'split: {by: random}'")
        if self.split.hold_out_items and not self.keys.item:
            raise SchemaError("split.hold_out_items needs keys.item", "name it, or leave it at 0")

    def _check_knowledge(self) -> None:
        if self.knowledge is None:
            return
        if self.keys.item is None:
            raise SchemaError("knowledge needs keys.item", "name the item key column")
        for task in self.knowledge.hide:
            require_known(task, self.tasks, "knowledge.hide: the task")

    def _source_columns(self, expression: str, entity: Entity) -> list[str]:
        """Columns of the file that an expression rests on, through derived columns."""
        sources: dict[str, list[str]] = {}
        for name, derived in self.derive.get(table_of(entity), {}).items():
            sources[name] = [
                s for column in expression_columns(derived) for s in sources.get(column, [column])
            ]
        return [s for column in expression_columns(expression) for s in sources.get(column, [column])]

    def feature_columns(self, entity: Entity, name: str) -> list[str]:
        """Columns of the entity's own table that a feature reads."""
        return self.features.of(entity)[name].columns(name)

    # -- what the tasks are for: asked by training, evaluation, service, assistant and tuning alike ---------------

    @property
    def retrieval_task(self) -> str | None:
        """The task that a ranking of the whole catalogue is trained and measured for: the first retrieval task."""
        return next((name for name, task in self.tasks.items() if task.ranks_catalogue), None)

    @property
    def rankable_tasks(self) -> tuple[str, ...]:
        """Tasks that an objective may weigh: those that give one number of an item, for a user or for everybody."""
        return tuple(name for name, task in self.tasks.items() if task.on != "user" and task.ranks)

    @property
    def ranking_task(self) -> str | None:
        """The task that items are ranked by by default; None where there is none.

        The retrieval task, else the first binary or regression task on interactions. A task on items never ranks by
        itself, for it would give everybody the same list.
        """
        own = [name for name in self.rankable_tasks if self.tasks[name].on == "interaction"]
        return self.retrieval_task or next(iter(own), None)

    def default_objective(self) -> dict[str, float]:
        """Weights of tasks where a request names none: the ranking task alone; empty where there is none.

        Example:
            >>> schema = Schema.model_validate({
            ...     "name": "toy",
            ...     "tables": {"interactions": "clicks.csv", "items": "items.csv"},
            ...     "keys": {"user": "user", "item": "item", "time": "at"},
            ...     "features": {"user": {"user": "id"}, "item": {"item": "id"}},
            ...     "tasks": {
            ...         "premium": {"kind": "binary", "label": "premium", "on": "item"},
            ...         "click": {"kind": "binary", "label": "click"},
            ...     },
            ... })
            >>> schema.default_objective()
            {'click': 1.0}
        """
        return {} if self.ranking_task is None else {self.ranking_task: 1.0}

    @property
    def liking_task(self) -> str | None:
        """The task whose positive label says that a user liked an item; None where no task says it.

        The first binary task on interactions that comes after no other, else the retrieval task.
        """
        binary = (
            name
            for name, task in self.tasks.items()
            if task.is_chance and task.on == "interaction" and task.after is None
        )
        return next(binary, None) or self.retrieval_task

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Schema:
        """Read a schema from a YAML file, with ``a.b=c`` overrides.

        Raises:
            SchemaError: If the file is missing, is not YAML, or says something that is not known.
        """
        path = Path(path)
        try:
            content = read_yaml(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SchemaError(
                f"{path}: {error.strerror}", "name a schema file; 'motet inspect DIR' writes one"
            ) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SchemaError(
                f"{path} is not YAML: {' '.join(str(error).split())}", "fix the line it names"
            ) from None
        if not isinstance(content, dict):
            raise SchemaError(f"{path} holds no mapping", "'motet inspect DIR' writes a first schema")
        return cls.parse(content, overrides, source=str(path))

    @classmethod
    def infer(cls, tables: Any) -> Schema:
        """The schema of a data set that brings one; a proposal from the columns of your own tables.

        The proposal is what ``motet inspect`` prints; read it (:meth:`to_yaml`) and edit it: what a column means
        is a guess from its name and values.

        Args:
            tables: What :func:`motet.datasets.load` gives; a directory of CSV, TSV or Parquet files; a Polars,
                pandas or Arrow table of interactions; or such tables by ``interactions``, ``users`` and ``items``.

        Raises:
            DataError: If there is no table, or no column that could be a label.
        """
        shipped = getattr(tables, "schema", None)
        if isinstance(shipped, Schema):
            return shipped
        data = import_module("motet.data")  # which is built on this package: known by name only
        proposal: Schema = data.inspect_directory(data.as_tables(tables)).schema
        return proposal

    @classmethod
    def parse(
        cls, content: Mapping[str, Any], overrides: Sequence[str] = (), source: str = "schema"
    ) -> Schema:
        """Build a schema from plain values; errors name the field and the nearest right name.

        Old names work with a :class:`FutureWarning`.
        """
        values = dict(content)
        for change in overrides:
            override(values, change)
        try:
            return cls.model_validate(current_settings(values))
        except ValidationError as error:
            raise mistake(error, source) from None

    def with_overrides(self, *overrides: str) -> Schema:
        """The same schema with ``a.b=c`` changes."""
        return Schema.parse(self.model_dump(), overrides)

    def to_yaml(self, *, whole: bool = False) -> str:
        """Write the schema as YAML that :meth:`load` reads back to an equal schema.

        Args:
            whole: Whether the sections ``model`` and ``training`` are written with their defaults, which another
                version may have others of.
        """
        content = self.model_dump(mode="json", exclude_defaults=True, exclude={"features", "tasks"})
        if whole:
            every = self.model_dump(mode="json", exclude_none=True, include={"model", "training"})
            content |= every
        features = {
            entity: {name: _written(feature) for name, feature in self.features.of(entity).items()}
            for entity in ENTITIES
        }
        tasks = {name: _written(task) for name, task in self.tasks.items()}
        settings = ("clean", "split", "model", "language", "knowledge", "objective", "training")
        head = {key: value for key, value in content.items() if key not in settings}
        tail = {key: value for key, value in content.items() if key in settings}
        return write_yaml({**head, "features": features, "tasks": tasks, **tail})


def _without(content: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The plain values of a schema without some features.

    Raises:
        SchemaError: If there is no such feature, or another one is made of it.
    """
    given = content.get("features")
    sides = {entity: dict(of) for entity, of in given.items()} if isinstance(given, Mapping) else {}
    every = {name: feature for of in sides.values() for name, feature in of.items()}
    for name in names:
        require_known(name, every, "without: the feature")
    for name, feature in every.items():
        of = feature.get("of") if isinstance(feature, Mapping) else None
        if of in names and name not in names:
            raise SchemaError(f"without: the feature '{name}' is made of '{of}'", f"add {name} to the list")
    tasks = dict(content["tasks"]) if isinstance(content.get("tasks"), Mapping) else {}
    for name, task in tasks.items():
        if isinstance(task, Mapping) and isinstance(task.get("hide"), list | tuple):
            tasks[name] = {**task, "hide": [hidden for hidden in task["hide"] if hidden not in names]}
    features = {
        entity: {name: feature for name, feature in of.items() if name not in names}
        for entity, of in sides.items()
    }
    return {**content, "features": features, "tasks": tasks, "without": ()}


def table_of(entity: Entity) -> Literal["users", "items", "interactions"]:
    """Name of the table that holds an entity."""
    tables: dict[Entity, Literal["users", "items", "interactions"]] = {
        "user": "users",
        "item": "items",
        "interaction": "interactions",
    }
    return tables[entity]


def _written(part: Feature | Task) -> dict[str, Any]:
    """A feature or task with its kind first and only what differs from the defaults."""
    return {"kind": part.kind} | part.model_dump(mode="json", exclude_defaults=True)


def _check_name(where: str, name: str) -> None:
    if not name or "." in name:
        raise SchemaError(
            f"{where}: the name {name!r} is empty or holds a dot, which divides names in 'a.b=c'",
            "name it otherwise, with 'column:' to say where a feature is",
        )
