"""What is compared: schemas, methods, seeds and the tuning budget, in one file; read and checked before any work."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from motet.errors import MotetError, SchemaError
from motet.metrics import METRICS, metrics_of
from motet.models.architectures import ARCHITECTURES, PLAIN, check_architecture
from motet.models.baselines import MEMBERS, PAIR_MEMBERS
from motet.schema import Part, Schema, mistake, nearest, override, read_yaml, require_known
from motet.training._search_space import read_duration
from motet.training.balancing import build_balancer
from motet.training.blending import check_plain

__all__ = ["ComparedMethod", "ComparedSchema", "ComparisonSpec", "read_spec"]

# Settings that would give a method other test rows or labels than the baseline has.
_OF_ALL: Final = ("name", "tables", "keys", "derive", "clean", "split")
_OF_LABELS: Final = ("kind", "label", "positive", "on", "after", "repeats", "range")


def _with_settings(value: Any, fields: Mapping[str, Any]) -> Any:
    """Keys with a dot are changes of the schema, as those of ``--set``."""
    if not isinstance(value, Mapping) or "settings" in value:
        return value
    dotted = {key: one for key, one in value.items() if "." in str(key) and key not in fields}
    return {key: one for key, one in value.items() if key not in dotted} | (
        {"settings": dotted} if dotted else {}
    )


class ComparedMethod(Part):
    """A method: what it changes in the schema. Keys with a dot are changes as those of ``--set``.

    Attributes:
        architecture: Its name; the method's own name where that is one, else that of the schema.
        options: Options of the architecture.
        balancer: How the losses of the tasks become one step.
        balancer_options: Options of the balancer.
        search: More settings that trials choose from, by path: ``{model.options.experts: [2, 4, 8]}``.
        settings: Changes of the schema by path; what stands here is not searched.
    """

    architecture: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    balancer: str | None = None
    balancer_options: dict[str, Any] = Field(default_factory=dict)
    search: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return _with_settings({} if value is None else value, cls.model_fields)

    @field_validator("search")
    @classmethod
    def _has_choices(cls, value: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for path, choices in value.items():
            if not choices or "." not in path:
                raise ValueError(
                    f"'{path}' has no choices, or is no path. Cure: write such as 'model.options.experts: [2, 4]'"
                )
        return value

    @property
    def changes(self) -> dict[str, Any]:
        """Everything it sets, by path."""
        found: dict[str, Any] = {} if self.architecture is None else {"model.architecture": self.architecture}
        found |= {f"model.options.{name}": value for name, value in self.options.items()}
        found |= {} if self.balancer is None else {"objective.balancer": self.balancer}
        found |= {
            f"objective.balancer_options.{name}": value for name, value in self.balancer_options.items()
        }
        return found | self.settings


class ComparedSchema(Part):
    """A schema that the methods are compared on. Keys with a dot are changes of it, for all methods.

    Attributes:
        path: Its file, relative to that of the comparison.
        inline: The schema itself, in the place of a file.
        data: Directory of its tables, below that of ``--data``.
        name: What it is called in the tables; its own name when left out.
        settings: Changes by path.
    """

    path: str | None = None
    inline: dict[str, Any] | None = None
    data: str = ""
    name: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, Schema):
            return {"inline": value.model_dump()}
        value = {"path": value} if isinstance(value, str) else value
        return _with_settings(value, cls.model_fields)

    @model_validator(mode="after")
    def _is_one(self) -> ComparedSchema:
        if (self.path is None) == (self.inline is None):
            raise ValueError(
                "a schema has either a 'path' or 'inline'. Cure: name its file, as in 'path: schema.yaml'"
            )
        return self


class ComparisonSpec(Part):
    """What is compared.

    Attributes:
        schemas: One or several.
        methods: By name.
        baseline: The method that all others are compared with.
        seeds: Each method is trained once a seed.
        trials: Settings that are tried for each method, on validation rows with the first seed; the first trial is
            the method as it is; 0 to train it as it is.
        time_limit: Of the whole run, such as ``2h``; what is finished by then is compared, and the next run goes on.
        processes: Processes that work beside each other, with one thread each.
        members: Whether plain methods may work beside each network, as in a bundle.
        metrics: More metrics beside the primary one of each task, without p-values.
    """

    schemas: tuple[ComparedSchema, ...] = Field(min_length=1)
    methods: dict[str, ComparedMethod] = Field(min_length=2)
    baseline: str
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)
    trials: int = Field(0, ge=0, le=1000)
    time_limit: str | float | None = None
    processes: int = Field(1, ge=1, le=256)
    members: bool = False
    metrics: tuple[str, ...] = ()

    @field_validator("schemas", mode="before")
    @classmethod
    def _one_is_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str | Mapping | Schema) else value

    @field_validator("methods", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        return {name: {} for name in value} if isinstance(value, list | tuple) else value

    @field_validator("methods")
    @classmethod
    def _names_are_architectures(cls, value: dict[str, ComparedMethod]) -> dict[str, ComparedMethod]:
        found = {}
        for name, method in value.items():
            if not name or "/" in name:
                raise ValueError(
                    f"the method {name!r} has no name, or a slash in it. Cure: name it otherwise"
                )
            own = method.architecture is None and "model.architecture" not in method.settings
            update = {"architecture": name} if own and name in ARCHITECTURES else {}
            if not method.changes and not method.search and not update:
                raise ValueError(
                    f"the method '{name}' changes nothing, and no architecture has its name. "
                    f"Cure: {nearest(name, ARCHITECTURES)}"
                )
            found[name] = method.model_copy(update=update)
        return found

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value) or min(value) < 0:
            raise ValueError("a seed stands twice, or is below 0. Cure: write such as [0, 1, 2]")
        return value

    @field_validator("time_limit")
    @classmethod
    def _time_is_a_duration(cls, value: str | float | None) -> str | float | None:
        if value is not None and not 0 < read_duration(value) < math.inf:
            raise ValueError(f"{value!r} is no time. Cure: write a number above 0 with s, m or h, as in 2h")
        return value

    @field_validator("metrics")
    @classmethod
    def _metrics_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in METRICS:
                raise ValueError(f"the metric '{name}' is not known. Cure: {nearest(name, METRICS)}")
        return value

    @model_validator(mode="after")
    def _baseline_is_a_method(self) -> ComparisonSpec:
        if self.baseline not in self.methods:
            raise ValueError(
                f"the baseline '{self.baseline}' is no method. Cure: {nearest(self.baseline, self.methods)}"
            )
        return self

    @property
    def limit_s(self) -> float | None:
        """Seconds of the whole run."""
        return None if self.time_limit is None else read_duration(self.time_limit)


def read_spec(spec: str | Path | Mapping[str, Any] | ComparisonSpec) -> tuple[ComparisonSpec, Path, str]:
    """Read a comparison from a YAML file, or from plain values.

    Args:
        spec: The file, or its content; a schema may be a :class:`~motet.schema.Schema` there.

    Returns:
        The comparison, the directory that paths of schemas are relative to, and what errors call it.

    Raises:
        SchemaError: If it cannot be read, or a key or value is wrong.
    """
    if isinstance(spec, ComparisonSpec):
        return spec, Path(), "comparison"
    content, directory, source = spec, Path(), "comparison"
    if not isinstance(spec, Mapping):
        path = Path(spec)
        directory, source = path.parent, str(path)
        try:
            content = read_yaml(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SchemaError(
                f"{path}: {error.strerror}",
                "name a file that says what is compared; docs/guide/compare.md has one",
            ) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SchemaError(
                f"{path} is not YAML: {' '.join(str(error).split())}", "fix the line it names"
            ) from None
    try:
        return ComparisonSpec.model_validate(content), directory, source
    except ValidationError as error:
        raise _mistake(error, source) from None


def _mistake(error: ValidationError, source: str) -> SchemaError:
    for found in error.errors(include_url=False):
        if found["type"] == "extra_forbidden":
            place = [str(step) for step in found["loc"]]
            parts: dict[str, type[Part]] = {"methods": ComparedMethod, "schemas": ComparedSchema}
            part = parts.get(place[0], ComparisonSpec) if len(place) > 1 else ComparisonSpec
            cure = nearest(place[-1], part.model_fields)
            if part is not ComparisonSpec and not cure.startswith("did"):
                cure += "; a setting of the schema has a dot, as in training.epochs: 5"
            return SchemaError(f"{source}: '{'.'.join(place)}' is not an option", cure)
    return mistake(error, source)


# From the comparison to the schema of each method.


def base_schemas(spec: ComparisonSpec, directory: Path, source: str) -> dict[str, tuple[Schema, str]]:
    """The schemas by name, each with its directory of data below ``--data``."""
    found: dict[str, tuple[Schema, str]] = {}
    for place, entry in enumerate(spec.schemas):
        changes = _as_overrides(entry.settings)
        if entry.path is not None:
            schema = Schema.load(directory / entry.path, changes)
        else:
            schema = Schema.parse(entry.inline or {}, changes, source=f"{source}: schemas.{place}.inline")
        name = entry.name or schema.name
        if name in found:
            raise SchemaError(
                f"{source}: two schemas are called '{name}'",
                f"give one a 'name': {{path: …, name: {name}-2}}",
            )
        found[name] = (schema, entry.data)
    for metric in spec.metrics:
        if not any(metric in metrics_of(t) for schema, _ in found.values() for t in schema.tasks.values()):
            known = {m for schema, _ in found.values() for t in schema.tasks.values() for m in metrics_of(t)}
            raise SchemaError(f"{source}: metrics: no task has the metric '{metric}'", nearest(metric, known))
    return found


def method_schema(base: Schema, name: str, method: ComparedMethod, *, members: bool, source: str) -> Schema:
    """The schema of a method, checked: its architecture, options, balancer and members exist and fit.

    Args:
        base: That of the comparison.
        name: Of the method.
        method: What it changes.
        members: Whether plain methods may work beside the network.
        source: What errors call the comparison.

    Raises:
        MotetError: Names the method and what is wrong.
    """
    where = f"{source}: methods.{name}"
    for path in (*method.changes, *method.search):
        _check_path(path, where)
    content = base.model_dump()
    model = content["model"]
    architecture = method.settings.get("model.architecture", method.architecture)
    if architecture is not None:
        require_known(
            str(architecture), ARCHITECTURES, f"{where}.architecture: the architecture", SchemaError
        )
        if architecture != model["architecture"]:
            model["options"] = {}  # which are of another architecture
    balancer = method.settings.get("objective.balancer", method.balancer)
    if balancer is not None and balancer != content["objective"]["balancer"]:
        content["objective"]["balancer_options"] = {}
    if (architecture or model["architecture"]) in PLAIN:
        model["members"] = None  # it has none beside it
    elif not members:
        model["members"] = []
    try:
        for change in _as_overrides(method.changes):
            override(content, change)
        schema = Schema.parse(content, source="settings")
        check_architecture(schema.model.architecture, schema.model.options)
        check_plain(schema)
        for member in schema.model.members or ():
            require_known(member, (*MEMBERS, *PAIR_MEMBERS), "model.members: the plain method")
        objective = schema.objective
        build_balancer(objective.balancer, dict.fromkeys(schema.tasks, 1.0), objective.balancer_options)
        for path, choices in method.search.items():
            for choice in choices:
                tried = schema_with(schema, {path: choice})
                check_architecture(tried.model.architecture, tried.model.options)
    except MotetError as error:
        raise type(error)(f"{where}: {error.problem}", error.cure) from None
    return schema


def schema_with(schema: Schema, changes: Mapping[str, Any]) -> Schema:
    """The schema with changes by path."""
    content = schema.model_dump()
    for change in _as_overrides(changes):
        override(content, change)
    return Schema.parse(content, source="settings")


def _check_path(path: str, where: str) -> None:
    first, *rest = path.split(".")
    if path == "training.seed":
        raise SchemaError(
            f"{where}: '{path}' is the seed, which all methods share", "write 'seeds: [0, 1, 2]' at the top"
        )
    if first in _OF_ALL or (first == "tasks" and (len(rest) < 2 or rest[1] in _OF_LABELS)):
        raise SchemaError(
            f"{where}: '{path}' would give the method other rows or labels than the baseline has",
            f"set it for all methods: 'schemas: [{{path: …, {path}: …}}]'",
        )


def _as_overrides(changes: Mapping[str, Any]) -> list[str]:
    return [f"{path}={json.dumps(value)}" for path, value in changes.items()]
