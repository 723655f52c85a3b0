"""The base of a schema: frozen typed parts, SQL expressions, registries, YAML, overrides, error messages."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import polars as pl
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticKnownError

from motet.errors import MotetError, SchemaError

if TYPE_CHECKING:
    from torch import nn

    from motet.schema._features import Feature
    from motet.schema._tasks import Task

__all__ = [
    "FEATURE_KINDS",
    "SEQUENCE_ENCODERS",
    "TASK_KINDS",
    "TEXT_ENCODERS",
    "Part",
    "Registry",
    "check_expression",
    "check_options",
    "expression_columns",
    "in_order",
    "mistake",
    "nearest",
    "override",
    "parse_expression",
    "part_of_kind",
    "read_yaml",
    "register_kind",
    "require_known",
    "write_yaml",
]

_MOST_NAMED = 10


class Part(BaseModel):
    """One part of a schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    """Return a lowest and a highest value unchanged; raise ValueError for Pydantic unless low < high."""
    if not bounds[0] < bounds[1]:
        raise ValueError(f"the range {list(bounds)} is empty. Cure: give the lowest value first")
    return bounds


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is closest to a misspelt one, or list them, the first ten of many.

    Example:
        >>> nearest("mmoee", ["mmoe", "ple"])
        "did you mean 'mmoe'?"
        >>> nearest("zzz", ["mmoe", "ple"])
        'known: mmoe, ple'
        >>> nearest("zzz", [f"item {k:02}" for k in range(30)])[-19:]
        'item 09 and 20 more'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > 2 * _MOST_NAMED else ""
    return "known: " + ", ".join(names[:_MOST_NAMED] if more else names) + more


def require_known(name: str, known: Iterable[str], what: str, error: type[MotetError] = SchemaError) -> None:
    """Raise ``error`` that names the nearest right name unless ``name`` is known."""
    names = list(known)
    if name not in names:
        raise error(f"{what} '{name}' is not known", nearest(name, names))


Options = TypeVar("Options", bound=Part)


def check_options(
    part: type[Options],
    options: Mapping[str, Any],
    *,
    of: str,
    where: str,
    error: type[MotetError] = SchemaError,
) -> Options:
    """Validate what a schema says of a named method.

    Args:
        part: What may be said.
        options: What is said.
        of: The method's name.
        where: The setting that holds the options, such as ``model.options``.
        error: What is raised.

    Raises:
        MotetError: If an option is not known, with the nearest right one, or has a wrong value.
    """
    try:
        return part.model_validate(dict(options))
    except ValidationError as mistakes:
        first = mistakes.errors(include_url=False)[0]
        option = ".".join(str(step) for step in first["loc"])
        if first["type"] == "extra_forbidden":
            cure = nearest(option, part.model_fields)
            if not part.model_fields:
                cure = f"it has none: remove {where}, or say --set '{where}={{}}'"
            raise error(f"{where}.{option} is not an option of {of}", cure) from None
        raise error(f"{where}.{option}: {first['msg']}, but is {first['input']!r}", "fix the value") from None


# Label and filter expressions: SQL, parsed by the data engine, never by ``eval``.


def parse_expression(text: str, where: str) -> pl.Expr:
    """Parse one SQL expression over the columns of a table.

    Args:
        text: The expression, such as ``rating >= 4``.
        where: The field it comes from, for the error.

    Raises:
        SchemaError: If it does not parse.

    Example:
        >>> parse_expression("rating >= 4", "tasks.like.label").meta.root_names()
        ['rating']
    """
    try:
        return _parsed(text)
    except Exception as error:  # polars raises several kinds for one mistake: all mean "not SQL"
        reason = str(error).splitlines()[0]
        raise SchemaError(
            f"{where}: the expression {text!r} does not parse ({reason})",
            'write an SQL expression over the table\'s columns, such as "rating >= 4"; '
            "put names with spaces or dots in double quotes",
        ) from None


_parsed = lru_cache(1_000)(pl.sql_expr)


def check_expression(text: str, where: str) -> str:
    """Return the text unchanged if it parses; raise ValueError for Pydantic if not."""
    try:
        parse_expression(text, where)
    except SchemaError as error:
        raise ValueError(str(error)) from None
    return text


def expression_columns(text: str, where: str = "expression") -> list[str]:
    """List the columns an expression reads, sorted."""
    return sorted(set(parse_expression(text, where).meta.root_names()))


# Registries: what a name in a schema stands for, filled by motet and by whoever adds to it.

T = TypeVar("T")
P = TypeVar("P", bound=BaseModel)


class Registry(Mapping[str, T]):
    """A table of names that others may add to.

    Args:
        what: What an entry is, for errors: "architecture".
        entries: What motet has: the things themselves, or ``"module:name"``, imported when first asked for.
        error: What is raised for a name that is taken.

    Example:
        >>> greetings = Registry("greeting", {"plain": "hello"}, lazy=False)
        >>> greetings.register("warm", "dear friend")
        'dear friend'
        >>> list(greetings)
        ['plain', 'warm']
        >>> greetings.register("plain", "hi")
        Traceback (most recent call last):
        motet.errors.SchemaError: the greeting 'plain' is there already. Cure: register yours under another name.
    """

    def __init__(
        self,
        what: str,
        entries: Mapping[str, T | str],
        *,
        error: type[MotetError] = SchemaError,
        lazy: bool = True,
    ) -> None:
        self.what = what
        self._entries: dict[str, T | str] = dict(entries)
        self._own = frozenset(entries)
        self._waiting = {name for name, entry in entries.items() if lazy and isinstance(entry, str)}
        self._error = error

    def __getitem__(self, name: str) -> T:
        if name not in self:
            raise KeyError(name)
        if name in self._waiting:
            module, _, attribute = str(self._entries[name]).partition(":")
            self._entries[name] = getattr(import_module(module), attribute)
            self._waiting.discard(name)
        return cast("T", self._entries[name])

    def __contains__(self, name: object) -> bool:
        return name in self._entries or (_load_extensions() and name in self._entries)

    def __iter__(self) -> Iterator[str]:
        _load_extensions()
        return iter(list(self._entries))

    def __len__(self) -> int:
        _load_extensions()
        return len(self._entries)

    def register(self, name: str, entry: T) -> T:
        """Add an entry and return it; the same one may be added twice.

        Raises:
            MotetError: If the name is empty, or another entry has it.
        """
        if not name or not isinstance(name, str):
            raise self._error(f"the name {name!r} of the {self.what} is empty or no text", "give it a name")
        if name in self and self[name] is not entry:
            raise self._error(
                f"the {self.what} '{name}' is there already", "register yours under another name"
            )
        self._entries[name] = entry
        return entry

    def remove(self, name: str) -> None:
        """Take out an entry that was added; what motet has itself stays.

        Raises:
            MotetError: If it was not added.
        """
        if name in self._own or name not in self._entries:
            raise self._error(f"the {self.what} '{name}' was not added", nearest(name, self._added()))
        del self._entries[name]

    def _added(self) -> list[str]:
        return [name for name in self._entries if name not in self._own]

    def adder(self, name: str) -> Callable[[T], T]:
        """A decorator that adds what it stands above."""
        return lambda entry: self.register(name, entry)


_GROUP: Final = "motet"
_loaded: list[str] = []


def _load_extensions() -> bool:
    """Import what installed packages name as entry points of the group ``motet``, once; True the first time.

    That is done when a name is asked for that motet does not have, or all names are.

    Raises:
        SchemaError: If one cannot be imported.
    """
    if _loaded:
        return False
    _loaded.append(_GROUP)
    for entry in entry_points(group=_GROUP):
        try:
            entry.load()
        except Exception as error:
            raise SchemaError(
                f"the extension '{entry.name}' ({entry.value}) cannot be imported: {error}",
                "install it as its authors say, or uninstall it",
            ) from error
    return True


FEATURE_KINDS: Final[Registry[type[Feature]]] = Registry(
    "feature kind",
    {
        "id": "motet.kinds.id:IdFeature",
        "categorical": "motet.kinds.categorical:CategoricalFeature",
        "numeric": "motet.kinds.numeric:NumericFeature",
        "tags": "motet.kinds.tags:TagsFeature",
        "time": "motet.kinds.time:TimeFeature",
        "text": "motet.kinds.text:TextFeature",
        "vector": "motet.kinds.vector:VectorFeature",
        "sequence": "motet.kinds.sequence:SequenceFeature",
    },
)
"""Every feature kind by name; a class is imported when it is first needed."""

TASK_KINDS: Final[Registry[type[Task]]] = Registry(
    "task kind",
    {
        "binary": "motet.kinds.binary:BinaryTask",
        "regression": "motet.kinds.regression:RegressionTask",
        "multiclass": "motet.kinds.multiclass:MulticlassTask",
        "multilabel": "motet.kinds.multilabel:MultilabelTask",
        "retrieval": "motet.kinds.retrieval:RetrievalTask",
    },
)
"""Every task kind by name."""

TEXT_ENCODERS: Final[Registry[Any]] = Registry(
    "text encoder",
    {
        "ctranslate2": "motet.text.encode._build:ctranslate2_encoder",
        "torch": "motet.text.encode._build:torch_encoder",
        "endpoint": "motet.text.encode._build:endpoint_encoder",
    },
)
"""What makes a text encoder of the settings of a schema, by the name of its backend."""

SEQUENCE_ENCODERS: Final[Registry[type[nn.Module]]] = Registry(
    "sequence encoder",
    {
        "mean": "motet.models._sequences:MeanSequence",
        "gru": "motet.models._sequences:RecurrentSequence",
        "lstm": "motet.models._sequences:LstmSequence",
        "cnn": "motet.models._sequences:ConvolutionSequence",
        "attention": "motet.models._sequences:AttentionSequence",
        "target": "motet.models._sequences:TargetAttention",
    },
)
"""How the events of a user become one vector, by name."""


def register_kind(kinds: Registry[type[P]], base: type[P], kind: type[P]) -> None:
    """Add a class to the kinds under the default of its field ``kind``.

    Raises:
        SchemaError: If it is no such class, lacks a name or a method, or the name is taken.
    """
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise SchemaError(
            f"{kind!r} is no {kinds.what}: it is not derived from {base.__name__}",
            f"derive a class from motet.kinds.{base.__name__}",
        )
    field = kind.model_fields.get("kind")
    name = None if field is None else field.default
    if not isinstance(name, str):
        raise SchemaError(
            f"the {kinds.what} {kind.__name__} does not say its name",
            'add \'kind: Literal["mine"] = "mine"\' to the class',
        )
    missing = sorted(getattr(kind, "__abstractmethods__", ()))
    if missing:
        raise SchemaError(f"the {kinds.what} {kind.__name__} lacks {', '.join(missing)}", "define them")
    kinds.register(name, kind)


def part_of_kind(value: Any, kinds: Mapping[str, type[BaseModel]]) -> Any:
    """Turn a mapping with a ``kind`` into a part of that kind, for Pydantic.

    Raises:
        PydanticKnownError: If it names no kind, or one that is not known.
        ValidationError: If a setting is wrong; its place is kept.
    """
    if isinstance(value, BaseModel):
        return value
    if not isinstance(value, Mapping):
        raise PydanticKnownError("model_attributes_type")
    kind = value.get("kind")
    if kind is None:
        raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
    if not isinstance(kind, str) or kind not in kinds:
        tags = ", ".join(f"'{name}'" for name in kinds)
        raise PydanticKnownError(
            "union_tag_invalid", {"discriminator": "'kind'", "tag": str(kind), "expected_tags": tags}
        )
    return kinds[kind].model_validate(value)


# Error messages for schema files: the field, and the nearest right name.


def mistake(error: ValidationError, source: str) -> SchemaError:
    """The error of a schema that did not validate.

    Args:
        error: What pydantic found; the most specific of its findings is reported.
        source: The file, or whatever else it came from.
    """
    found = error.errors(include_url=False)
    # a misspelt name says more than the name that is missing because of it
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    place = ".".join(str(step) for step in first["loc"])
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        return SchemaError(f"{source}: '{place}' is not an option{more}", nearest(name, _option_names()))
    if first["type"] == "union_tag_invalid":
        context = first["ctx"]
        kinds = [kind.strip("' ") for kind in str(context["expected_tags"]).split(",")]
        return SchemaError(
            f"{source}: {place}: the kind '{context['tag']}' is not known{more}",
            nearest(context["tag"], kinds),
        )
    if first["type"] == "missing":
        return SchemaError(f"{source}: '{place}' is missing{more}", "add it")
    problem, _, cure = message.partition(". Cure: ")
    if first["type"] != "value_error":
        problem = f"{problem}, but is {str(first['input'])[:80]!r}"
    where = f"{source}: {place}: " if place else f"{source}: "
    return SchemaError(f"{where}{problem}{more}", cure or "fix the value")


def _option_names() -> set[str]:
    names = {name for kinds in (FEATURE_KINDS, TASK_KINDS) for k in kinds for name in kinds[k].model_fields}
    parts: list[type[Part]] = [Part]
    while parts:
        part = parts.pop()
        names.update(part.model_fields)
        parts.extend(part.__subclasses__())
    return names


# YAML 1.2 booleans: ``on``, ``off``, ``yes`` and ``no`` are strings.


class _Loader(yaml.SafeLoader):
    """The safe loader, with only true and false as truth values, and each key once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping; a repeated key would silently lose its first value."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key}' stands twice", key_node.start_mark
                )
            seen |= {key} if isinstance(key, str) else set()
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def read_yaml(text: str) -> Any:
    """Parse YAML text.

    Raises:
        yaml.YAMLError: If the text is not YAML.

    Example:
        >>> read_yaml("{on: item, keep: true}")
        {'on': 'item', 'keep': True}
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 (the safe loader with fewer booleans)


def write_yaml(content: Any) -> str:
    """Write plain values as YAML, keys in their order."""
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return text


def override(values: dict[str, Any], change: str) -> None:
    """Change plain values in place, with copies of the mappings on the way.

    Args:
        values: Of a schema.
        change: Such as ``training.epochs=5``; what follows the sign is YAML.

    Raises:
        SchemaError: If it has another form.
    """
    path, equals, text = change.partition("=")
    if not equals or not path.strip():
        raise SchemaError(f"the override {change!r} has no form a.b=c", "write --set training.epochs=5")
    try:
        value = read_yaml(text)
    except yaml.YAMLError:
        raise SchemaError(f"the override {change!r}: {text!r} is not YAML", "quote the value") from None
    *parents, last = path.strip().split(".")
    node = values
    for parent in parents:
        below = node.get(parent)
        node[parent] = dict(below) if isinstance(below, Mapping) else {} if below is None else {"kind": below}
        node = node[parent]
    node[last] = value
