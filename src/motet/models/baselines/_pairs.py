"""Pairs of users and items in a context, and the plain methods that predict tasks of them.

Legend of shapes: n pairs, K classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset, EntityTable
from motet.schema import ENTITIES, Entity

__all__ = ["ContextTexts", "PairMember", "Pairs"]

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


ContextTexts = tuple[Sequence[str], NDArray[np.int32]]
"""Texts of a feature, and the place of each context's text among them, [C]."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of users and items in a context: rows of tables, whoever holds the tables.

    Attributes:
        tables: Encoded users, items and contexts.
        rows: Row of each pair in each of them, int64 [n].
        known: Row of each pair's user and item in the training data, −1 for one that is not there, int64 [n].
        texts: Per text feature of interactions, some texts and which of them each row of the context has; those of a
            feature that is left out are missing.
        item_parts: Per member, what :meth:`PairMember.item_part` made of every row of the item table, where it is known.
    """

    tables: Mapping[Entity, EntityTable]
    rows: Mapping[Entity, Rows]
    known: Mapping[Entity, Rows]
    texts: Mapping[str, ContextTexts] = field(default_factory=dict)
    item_parts: Mapping[PairMember, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows["interaction"])

    @property
    def is_one_request(self) -> bool:
        """Whether all are of one user in one context."""
        return all(
            bool((self.rows[entity] == self.rows[entity][:1]).all()) for entity in ("user", "interaction")
        )

    @classmethod
    def of(cls, dataset: Dataset, rows: Rows) -> Pairs:
        """Interactions of a data set, [n]."""
        users, items = dataset.user_row[rows].astype(np.int64), dataset.item_row[rows].astype(np.int64)
        tables = {entity: dataset.table(entity) for entity in ENTITIES}
        known: dict[Entity, Rows] = {"user": users, "item": items}
        columns = dataset.encoder.layout("interaction").vectors
        texts = {
            name: (dataset.texts[name], dataset.context.vector_rows[:, at])
            for at, name in enumerate(columns)
            if name in dataset.texts
        }
        return cls(tables, {**known, "interaction": rows}, known, texts)

    def take(self, places: Rows) -> Pairs:
        """Some of them."""

        def some(rows: Mapping[Entity, Rows]) -> dict[Entity, Rows]:
            return {entity: of[places] for entity, of in rows.items()}

        return Pairs(self.tables, some(self.rows), some(self.known), self.texts, self.item_parts)


class PairMember(ABC):
    """A plain method that predicts tasks on interactions, and may do so beside the network of a bundle.

    Attributes:
        reads_texts: Whether it looks at the texts of interactions themselves.
        is_quick: Whether it is fitted again, from what a bundle holds of it, in a fraction of a pass of a network.
    """

    reads_texts: ClassVar[bool] = False
    is_quick: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def fit(cls, dataset: Dataset, rows: Rows, seed: int = 0) -> Self:
        """Fit all tasks that it can on training rows; settings are chosen on validation rows.

        Args:
            dataset: The data set.
            rows: Interactions, rising.
            seed: Seed of folds and samples.
        """

    def refit(self, dataset: Dataset, rows: Rows, seed: int = 0) -> Self:
        """The same settings, fitted on other rows, which may hold validation rows.

        Args:
            dataset: The data set.
            rows: Interactions, rising.
            seed: Seed of folds and samples.
        """
        found = type(self).fit(dataset, rows, seed)
        return found.only(self.tasks) if set(self.tasks) <= set(found.tasks) else self

    @property
    @abstractmethod
    def tasks(self) -> tuple[str, ...]:
        """Tasks that it predicts."""

    @abstractmethod
    def predict(self, pairs: Pairs, tasks: Sequence[str] | None = None) -> dict[str, Floats]:
        """Probability, number or distribution of tasks, all when left out, [n] or [n, K]."""

    def item_part(self, tables: Mapping[Entity, EntityTable], items: Rows) -> NDArray[Any] | None:
        """What it makes of items whoever is asked about them, computed before any request, [n, …]; None for nothing.

        Args:
            tables: Encoded users, items and contexts.
            items: Rows of the items, [n].
        """
        return None

    @abstractmethod
    def only(self, tasks: Sequence[str]) -> Self:
        """The same for some tasks alone."""

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What has to be kept to read it again."""

    @classmethod
    @abstractmethod
    def read(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take over what :meth:`arrays` gave."""
