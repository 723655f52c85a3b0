"""Which column of numbers is a year, a price or a length of time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from motet.data import Catalogue

__all__ = ["NumberColumn", "Role", "number_columns"]

Role = Literal["year", "money", "minutes", "plain"]

_YEAR: Final = re.compile(r"year|年份|年代|上映|published|released?\b", re.IGNORECASE)
_MONEY: Final = re.compile(r"price|cost|amount|fee\b|usd|eur|价|费用", re.IGNORECASE)
_MINUTES: Final = re.compile(r"run_?time|duration|length|minutes|mins?\b|hours|时长|片长", re.IGNORECASE)
_HOURS: Final = re.compile(r"hours?\b|_h$", re.IGNORECASE)
_SECONDS: Final = re.compile(r"seconds?\b|_s$", re.IGNORECASE)
_FIRST_YEAR, _LAST_YEAR = 1000.0, 2200.0


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A column of numbers, and how it is spoken of.

    Attributes:
        name: Of the column.
        role: What it measures.
        per_minute: Its units in a minute, where it is a length of time.
        quantiles: Its values at 0, 1, … 100 %.
    """

    name: str
    role: Role
    per_minute: float
    quantiles: tuple[float, ...]

    def at(self, share: float) -> float:
        """The value that a share of the items stays below; share in [0, 1]."""
        return self.quantiles[round(100 * share)]


def number_columns(catalogue: Catalogue) -> Mapping[str, NumberColumn]:
    """Every column of numbers that holds one, with its role."""
    found = {}
    for name in catalogue.numbers:
        values = catalogue.frame[name].drop_nulls().drop_nans().to_numpy()
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        quantiles = tuple(float(q) for q in np.quantile(values, np.linspace(0, 1, 101), method="nearest"))
        said = " ".join([name, *catalogue.columns.get(name, {}).values()])
        found[name] = NumberColumn(name, _role(said, quantiles), _per_minute(name), quantiles)
    return found


def _role(said: str, quantiles: tuple[float, ...]) -> Role:
    if quantiles[0] >= _FIRST_YEAR and quantiles[-1] <= _LAST_YEAR and _YEAR.search(said):
        return "year"
    if _MONEY.search(said):
        return "money"
    if _MINUTES.search(said):
        return "minutes"
    return "plain"


def _per_minute(name: str) -> float:
    if _HOURS.search(name):
        return 1 / 60
    return 60.0 if _SECONDS.search(name) else 1.0
