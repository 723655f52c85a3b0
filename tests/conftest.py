from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import pytest

from motet.data import CleaningReport, Dataset, build_dataset
from motet.schema import Schema
from motet.testing import hashed_words_for_tests, toy_dataset


class Build(Protocol):
    """Writes tables as files and builds a data set from them."""

    def __call__(
        self,
        content: Mapping[str, Any],
        tables: Mapping[str, pl.DataFrame | str],
        *,
        overrides: Sequence[str] = (),
        cleaning_report: CleaningReport | None = None,
        spill: bool = False,
    ) -> Dataset: ...


@pytest.fixture
def constant(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    """Replace a constant in every module of motet.data that has it."""

    def replace(name: str, value: Any) -> None:
        holders = [
            m for n, m in list(sys.modules.items()) if n.startswith("motet.data.") and hasattr(m, name)
        ]
        assert holders, f"no module has {name}"
        for module in holders:
            monkeypatch.setattr(module, name, value)

    return replace


@pytest.fixture(scope="session")
def toy() -> Dataset:
    return toy_dataset()


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Tables by file name: a frame is written as its suffix says, a text as it is."""

    def run(
        content: Mapping[str, Any],
        tables: Mapping[str, pl.DataFrame | str],
        *,
        overrides: Sequence[str] = (),
        cleaning_report: CleaningReport | None = None,
        spill: bool = False,
    ) -> Dataset:
        for name, table in tables.items():
            place = tmp_path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(table, str):
                place.write_text(table, encoding="utf-8")
            elif name.endswith(".parquet"):
                table.write_parquet(place)
            else:
                table.write_csv(place)
        return build_dataset(
            Schema.parse(content, overrides),
            tmp_path,
            encode_text=hashed_words_for_tests,
            cleaning_report=cleaning_report,
            spill_directory=tmp_path / "spill" if spill else None,
        )

    return run


@pytest.fixture
def clicks() -> Callable[..., dict[str, Any]]:
    """The smallest schema with a user, an item, a time and one task; keywords replace its parts."""

    def make(**parts: Any) -> dict[str, Any]:
        content: dict[str, Any] = {
            "name": "clicks",
            "tables": {"interactions": "clicks.csv"},
            "keys": {"user": "user", "item": "item", "time": "at"},
            "features": {"user": {"user": "id"}, "item": {"item": "id"}},
            "tasks": {"click": {"kind": "binary", "label": "click"}},
            "split": {"by": "user_time"},
        }
        return {**content, **parts}

    return make
