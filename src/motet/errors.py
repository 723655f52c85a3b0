"""The error tree: every mistake motet can explain, and what to do about it.

MotetError
├── SchemaError          the schema file or a setting in it
├── DataError            a table, a column, a value
├── AssetError           a package, a hub or a cached file
├── LanguageError        an encoder or an endpoint
│   └── GenerationError  a language model gave no usable text
├── KnowledgeError       a knowledge graph
├── RequestError         a request in words, or a limit in it
├── ModelError           an architecture or its options
├── TrainingError        a run that cannot go on
├── BundleError          a trained bundle that cannot be written or read
├── StoreError           what is to be stored, or the store itself, is wrong
│   └── StoreUnavailableError  the store cannot be reached, or cannot write now
├── StreamError          the address of a stream, or the stream itself, is wrong
│   └── StreamUnavailableError  the broker cannot be reached now
└── MissingExtraError    an optional dependency that is not installed
"""

from __future__ import annotations

from importlib.util import find_spec

__all__ = [
    "AssetError",
    "BundleError",
    "DataError",
    "GenerationError",
    "KnowledgeError",
    "LanguageError",
    "MissingExtraError",
    "ModelError",
    "MotetError",
    "RequestError",
    "SchemaError",
    "StoreError",
    "StoreUnavailableError",
    "StreamError",
    "StreamUnavailableError",
    "TrainingError",
    "require_packages",
]


class MotetError(Exception):
    """A mistake that motet can explain.

    Args:
        problem: What is wrong: the file or field, the rule, and the value received.
        cure: What to do about it, as an instruction.

    Example:
        >>> print(MotetError("ratings.csv has no column 'user'", "name it in keys.user"))
        ratings.csv has no column 'user'. Cure: name it in keys.user.
    """

    def __init__(self, problem: str, cure: str = "") -> None:
        self.problem = problem.rstrip(".")
        self.cure = cure.rstrip(".")
        super().__init__(problem, cure)

    def __str__(self) -> str:
        if not self.cure:
            return f"{self.problem}."
        stop = "" if self.cure.endswith("?") else "."
        return f"{self.problem}. Cure: {self.cure}{stop}"


class SchemaError(MotetError):
    """The schema file, or a setting in it, is wrong."""


class DataError(MotetError):
    """A table, a column or a value is wrong."""


class AssetError(MotetError):
    """A file that comes from a package or a hub is missing or not what it should be."""


class LanguageError(MotetError):
    """A text encoder or an endpoint failed."""


class GenerationError(LanguageError):
    """A language model gave no usable text: it is missing, failed, was cut off, or answered wrongly."""


class KnowledgeError(MotetError):
    """A knowledge graph, or a link to it, is wrong."""


class RequestError(MotetError):
    """A request in words cannot be read, or asks for what does not exist."""


class ModelError(MotetError):
    """An architecture, or an option of it, is wrong."""


class TrainingError(MotetError):
    """A training run cannot go on."""


class BundleError(MotetError):
    """A trained bundle cannot be written or read."""


class StoreError(MotetError):
    """What is to be stored, or the store itself, is wrong.

    Args:
        problem: What is wrong.
        cure: What to do about it.
        public: What a service says of it to whoever asks: nothing of where the store is. The problem when left out.
    """

    def __init__(self, problem: str, cure: str = "", *, public: str = "") -> None:
        super().__init__(problem, cure)
        self.public = public or self.problem


class StoreUnavailableError(StoreError):
    """The store cannot be reached, or cannot write now: nothing was acknowledged, and the same call may be sent again."""


class StreamError(MotetError):
    """The address of a stream, or the stream that it names, is wrong."""


class StreamUnavailableError(StreamError):
    """The broker of a stream cannot be reached, or cannot write now: the same call may be made again."""


class MissingExtraError(MotetError, ImportError):
    """An optional dependency is not installed.

    Args:
        package: The package that is missing, as it is imported.
        extra: The extra of motet that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"the package '{package}' is not installed", f"pip install 'motet[{extra}]'")


def require_packages(extra: str, *packages: str) -> None:
    """Raise an error that names the extra unless some packages are installed.

    Args:
        extra: The extra of motet that brings them.
        packages: Their names, as they are imported.

    Raises:
        MissingExtraError: Names the first that is missing.
    """
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, extra)
