"""Tables of names: what a name in a schema stands for, filled by motet and by whoever adds to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from pydantic import BaseModel
from pydantic_core import PydanticKnownError

from motet.errors import MotetError, SchemaError
from motet.schema._base import nearest

if TYPE_CHECKING:
    from torch import nn

    from motet.schema._features import Feature
    from motet.schema._tasks import Task

__all__ = [
    "FEATURE_KINDS",
    "SEQUENCE_ENCODERS",
    "TASK_KINDS",
    "TEXT_ENCODERS",
    "Registry",
    "part_of_kind",
    "register_kind",
]


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
        "ctranslate2": "motet.language.encode._build:ctranslate2_encoder",
        "torch": "motet.language.encode._build:torch_encoder",
        "endpoint": "motet.language.encode._build:endpoint_encoder",
    },
)
"""What makes a text encoder of the settings of a schema, by the name of its backend."""

SEQUENCE_ENCODERS: Final[Registry[type[nn.Module]]] = Registry(
    "sequence encoder",
    {
        "mean": "motet.models._sequence:MeanSequence",
        "gru": "motet.models._sequence:RecurrentSequence",
        "lstm": "motet.models._sequence:LstmSequence",
        "cnn": "motet.models._sequence:ConvolutionSequence",
        "attention": "motet.models._sequence:AttentionSequence",
        "target": "motet.models._sequence:TargetAttention",
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
