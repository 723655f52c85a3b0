"""The public surface: what a room exports is what it says it exports, sorted and documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import motet

ROOMS = sorted(
    module.name
    for module in pkgutil.iter_modules(motet.__path__, "motet.")
    if not module.name.endswith("__main__")
)


def isort_key(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as the linter sorts them."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.fixture(params=ROOMS)
def room(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


def test_all_is_there_sorted_and_complete(room: ModuleType) -> None:
    exported = list(room.__all__)
    assert exported == sorted(exported, key=isort_key)
    assert len(set(exported)) == len(exported)
    for name in exported:
        assert hasattr(room, name), f"{room.__name__}.{name} is in __all__ and not there"
    if not hasattr(room, "__path__") or room.__name__ == "motet.cli":  # an entry point, no collection
        return
    public = {
        name
        for name, value in vars(room).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }
    assert public == set(exported)


def test_everything_public_is_documented(room: ModuleType) -> None:
    assert room.__doc__
    for name in room.__all__:
        member = getattr(room, name)
        if not (inspect.isclass(member) or inspect.isfunction(member)):
            continue
        assert member.__doc__, f"{room.__name__}.{name} has no docstring"
        if not inspect.isclass(member):
            continue
        for part, value in vars(member).items():
            if part.startswith("_") or not (inspect.isfunction(value) or isinstance(value, property)):
                continue
            if part == "forward":  # told by the formula of its class
                continue
            assert inspect.getdoc(getattr(member, part)), f"{room.__name__}.{name}.{part} has no docstring"
