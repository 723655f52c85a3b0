"""Evidence for claims: who liked what, what items are, and where the model places them.

Legend of shapes: U users, I items, D width of an item vector.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix

from motet.assistant.explain._catalogue_tables import TagTable, WordTable, said_titles, updated_titles
from motet.assistant.explain._probe import Probe
from motet.data import Batcher, Catalogue, Dataset
from motet.errors import DataError
from motet.graph import KnowledgeGraph
from motet.recommend import BlendedRanking, ContextRows
from motet.schema import Schema, are_years
from motet.training import Bundle

__all__ = ["EvidenceIndex", "InteractionKind", "LastInteraction", "RecentInteractions", "Taste", "rating_of"]

InteractionKind = Literal["gave", "liked", "not_liked", "refused", "had"]


@dataclass(frozen=True, slots=True)
class RecentInteractions:
    """What one user did since the model was trained, oldest first.

    Attributes:
        items: Rows of the items, int64 [n].
        time_us: When, microseconds since 1970, int64 [n]; 0 where not known.
        likes: 1 for a like, 0 for none, NaN where it was not said, float64 [n].
        values: What the user gave the item on the scale of :attr:`EvidenceIndex.rating`, NaN where it was not said, float64 [n].
        refused: Whether the user turned the item down unseen, such as by hiding it, bool [n].
        histories: What scores go by of the user's history by now, rows of items: per sequence feature and, where plain
            members rank too, what they go by; empty where the bundle's own is as good.
    """

    items: NDArray[np.int64]
    time_us: NDArray[np.int64]
    likes: NDArray[np.float64]
    values: NDArray[np.float64]
    refused: NDArray[np.bool_]
    histories: Mapping[str, NDArray[np.int32]]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class LastInteraction:
    """The last thing that a user did with an item.

    Attributes:
        kind: ``gave`` a number of stars, ``liked``, ``not_liked``, ``refused`` it unseen, or only ``had`` it.
        value: What the user gave; 0 for other kinds.
        time_us: When, microseconds since 1970; 0 where not known.
    """

    kind: InteractionKind
    value: float = 0.0
    time_us: int = 0


_VECTOR_ROWS = 8192

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Taste:
    """What one user liked and tried.

    Attributes:
        user: Row of the user; −1 for one of whom nothing is known.
        liked: Rows of the items liked, oldest first.
        had: Rows of the items tried, liked or not, in order of rows.
    """

    user: int
    liked: Rows
    had: Rows

    def without(self, item: int) -> Taste:
        """The same as if the user had never met an item."""
        return Taste(self.user, self.liked[self.liked != item], self.had[self.had != item])


class EvidenceIndex:
    """Everything that claims are found in and checked against.

    Args:
        bundle: The trained model with its data.
        context_rows: Gives a context row, in which items are scored.
        graph: Facts about items, if there are any.
        ranking: Plain members that rank beside the network; it ranks alone when left out.

    Raises:
        DataError: If the bundle has no users or no items.
    """

    def __init__(
        self,
        bundle: Bundle,
        context_rows: Callable[[], ContextRows],
        graph: KnowledgeGraph | None = None,
        ranking: BlendedRanking | None = None,
    ) -> None:
        schema = bundle.schema
        if bundle.data.catalogue is None or schema.keys.user is None or schema.keys.item is None:
            raise DataError(
                f"the schema '{schema.name}' has no users or no items", "reasons need keys.user and keys.item"
            )
        self.bundle, self.schema, self.graph = bundle, schema, graph
        self.catalogue: Catalogue = bundle.data.catalogue
        self.task, self.rating = schema.liking_task, rating_of(schema)
        self._context_rows, self._ranking = context_rows, ranking
        self.users, self.items = len(bundle.data.users), len(bundle.data.items)
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._years: dict[str, bool] = {}
        self._words: dict[str, WordTable] = {}
        self._recent: dict[int, RecentInteractions] = {}
        self.shown: NDArray[np.bool_] | None = None  # items that may be named to any user; None for all

    # -- behaviour -----------------------------------------------------------------------------

    @cached_property
    def _events(self) -> tuple[NDArray[np.int64], Rows, NDArray[np.bool_]]:
        """User, item and whether it was liked, of the last event of each pair, oldest first."""
        behaviour = self.bundle.behaviour
        users = np.repeat(np.arange(len(behaviour.items)), behaviour.items.lengths())
        items = behaviour.items.values.astype(np.int64)
        label = np.ones(len(items), np.float32) if self.task is None else behaviour.label(self.task)
        known = ~np.isnan(label)
        users, items, liked = users[known], items[known], label[known] > 0.5
        _, from_end = np.unique((users * self.items + items)[::-1], return_index=True)
        last = np.sort(len(users) - 1 - from_end)
        return users[last], items[last], liked[last]

    @cached_property
    def likers(self) -> csc_matrix:
        """Who liked which item, [U, I], by item."""
        users, items, liked = self._events
        ones = np.ones(int(liked.sum()), np.int32)
        return csr_matrix((ones, (users[liked], items[liked])), (self.users, self.items)).tocsc()

    @cached_property
    def popularity(self) -> NDArray[np.int64]:
        """How many users liked each item, [I]."""
        counts: NDArray[np.int64] = np.diff(self.likers.indptr).astype(np.int64)
        return counts

    @cached_property
    def active(self) -> int:
        """How many users liked anything."""
        return len(np.unique(self.likers.indices))

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.searchsorted(self._events[0], np.arange(self.users + 1))

    def with_recent(self, user: int, recent: RecentInteractions) -> EvidenceIndex:
        """The same evidence for one user of whom more is known than the bundle holds.

        Args:
            user: Row of the user; −1 for one whom the bundle does not know.
            recent: What the user did since.
        """
        more = copy.copy(self)  # shares what has been computed
        more._recent = {user: recent}
        return more

    def taste(self, user: int) -> Taste:
        """What a user liked; nothing for −1, unless something is known of it since."""
        taste = self._taste_of_bundle(user)
        recent = self._recent.get(taste.user)
        if recent is None:
            return taste
        said = np.full(len(recent), self.task is None) | ~np.isnan(recent.likes)
        items, likes = recent.items[said], recent.likes[said]
        _, from_end = np.unique(items[::-1], return_index=True)
        last = np.sort(len(items) - 1 - from_end)  # of each item what was said last
        items, likes = items[last], likes[last]
        before = taste.liked[~np.isin(taste.liked, items)]
        liked = items if self.task is None else items[likes > 0]
        return Taste(taste.user, np.concatenate([before, liked]), np.union1d(taste.had, items))

    def _taste_of_bundle(self, user: int) -> Taste:
        none = np.zeros(0, np.int64)
        if user < 0 or user >= self.users:
            return Taste(-1, none, none)
        _, items, liked = self._events
        mine = slice(self._starts[user], self._starts[user + 1])
        return Taste(user, items[mine][liked[mine]], np.sort(items[mine]))

    def last_interaction(self, user: int, item: int) -> LastInteraction | None:
        """The last thing that a user did with an item; None for nothing."""
        recent = self._recent.get(user if 0 <= user < self.users else -1)
        at = [] if recent is None else np.flatnonzero(recent.items == item).tolist()
        if recent is not None and at:
            like = 1.0 if self.task is None else float(recent.likes[at[-1]])
            refused = bool(recent.refused[at[-1]])
            return _last_interaction(
                float(recent.values[at[-1]]), like, int(recent.time_us[at[-1]]), refused=refused
            )
        if not 0 <= user < self.users:
            return None
        behaviour = self.bundle.behaviour
        mine = behaviour.events(user)
        found = np.flatnonzero(behaviour.items.values[mine] == item)
        if not len(found):
            return None
        row = mine.start + int(found[-1])
        value = math.nan if self.rating is None else float(behaviour.label(self.rating)[row])
        like = 1.0 if self.task is None else float(behaviour.label(self.task)[row])
        return _last_interaction(value, like, int(behaviour.time[row]))

    def liked_in_bundle(self, user: int) -> Rows:
        """Rows of the items among whose :attr:`likers` a user is."""
        return self._taste_of_bundle(user).liked

    def likers_of(self, item: int, but: int = -1) -> NDArray[np.int32]:
        """Users who liked an item, in order, one user left out."""
        start, stop = self.likers.indptr[item : item + 2]
        found: NDArray[np.int32] = self.likers.indices[start:stop]
        return found[found != but] if but >= 0 else found

    # -- categories of users -------------------------------------------------------------------

    def categories(self, feature: str) -> NDArray[np.int32] | None:
        """Codes of a category of users, [U]; None where the model knows no such category."""
        layout = self.bundle.data.encoder.layout("user").codes
        if feature not in layout:
            return None
        codes: NDArray[np.int32] = self.bundle.data.users.codes[:, layout.index(feature)]
        return codes

    def category(self, feature: str, user: int) -> str | None:
        """The category of one user in words; None where it is not known."""
        codes = self.categories(feature)
        if codes is None or not 0 <= user < self.users:
            return None
        return self.bundle.data.encoder.vocabularies[feature].word(int(codes[user]))

    # -- catalogue -----------------------------------------------------------------------------

    def item_id(self, item: int) -> str:
        """Id of an item."""
        return str(self.catalogue.frame["id"][item])

    def text(self, item: int, column: str) -> str:
        """What stands in a column of words of an item; empty where nothing does."""
        cell = self.catalogue.frame[column][item]
        return "" if cell is None else str(cell)

    @cached_property
    def titles(self) -> list[str]:
        """What each item is called, as one would say it, [I]."""
        years = next((column for column in self.catalogue.numbers if self.is_year(column)), None)
        apart: list[str | None] = []
        if years is not None:
            apart = self.catalogue.frame[years].cast(pl.Int64, strict=False).cast(pl.String).to_list()
        return said_titles([self.catalogue.name(row) for row in range(len(self.catalogue))], apart)

    @cached_property
    def tags(self) -> TagTable:
        """Tags and categories of all items."""
        return TagTable.build(self.catalogue)

    def words(self, column: str) -> WordTable:
        """Which items have which words in a column."""
        if column not in self._words:
            self._words[column] = WordTable.build(self.catalogue.frame[column].fill_null("").to_list())
        return self._words[column]

    def numbers(self, column: str) -> NDArray[np.float64]:
        """A column of numbers, NaN where missing, [I]."""
        if column not in self._numbers:
            values = self.catalogue.frame[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
            self._numbers[column] = np.asarray(values, np.float64)
        return self._numbers[column]

    def is_year(self, column: str) -> bool:
        """Whether the numbers of a column are years; see :func:`motet.schema.are_years`."""
        if column not in self._years:
            values = self.numbers(column)
            self._years[column] = are_years(values[np.isfinite(values)])
        return self._years[column]

    def quarters(self, column: str) -> NDArray[np.float64]:
        """Least value, quartiles and largest value of a column, [5]."""
        values = self.numbers(column)
        found: NDArray[np.float64] = np.quantile(
            values[np.isfinite(values)], [0, 0.25, 0.5, 0.75, 1], method="lower"
        )
        return found

    def prime(self) -> None:
        """Compute what claims are found in, so that it is there when it is asked for, and grows from there."""
        for done in (
            self.titles,
            self.tags,
            self.popularity,
            self.active,
            self._starts,
            self.vectors,
            self.probe,
        ):
            del done
        for column in self.catalogue.numbers:
            self.is_year(column)

    def with_items(
        self,
        catalogue: Catalogue,
        changed: NDArray[np.int64],
        *,
        vectors: NDArray[np.float32],
        shown: NDArray[np.bool_],
        data: Callable[[], Dataset],
    ) -> EvidenceIndex:
        """The same evidence with items added or replaced; nothing else is read again.

        Work in Python is done for the items that changed alone; the rest is copied as it is.

        Args:
            catalogue: All items after, those of before in their places.
            changed: Places of items that are new or were replaced, in order, [C].
            vectors: Where the model places these, [C, D].
            shown: Which items may be named to any user, [I].
            data: Gives the data set with these items, when the model is asked.
        """
        new = copy.copy(self)
        before, items = self.items, len(catalogue)
        frame = catalogue.frame[changed]
        new.catalogue, new.items, new.shown = catalogue, items, shown
        new._numbers = {}
        years = next((column for column in catalogue.numbers if self.is_year(column)), None)
        new.titles = updated_titles(self.titles, catalogue, changed, years)
        new.tags = self.tags.updated(catalogue, changed)
        new._words = {
            column: table.with_texts(
                changed.tolist(),
                frame[column].fill_null("").to_list(),
                self.catalogue.frame[column][changed[changed < before]].fill_null("").to_list(),
            )
            for column, table in list(self._words.items())
        }
        likers = self.likers
        ends = np.full(items - before, likers.indptr[-1], likers.indptr.dtype)
        shape = (likers.shape[0], items)
        new.likers = csc_matrix((likers.data, likers.indices, np.concatenate([likers.indptr, ends])), shape)
        new.popularity = np.concatenate([self.popularity, np.zeros(items - before, np.int64)])
        placed = np.concatenate([self.vectors, np.zeros((items - before, self.vectors.shape[1]), np.float32)])
        placed[changed] = self.placed(vectors, self.centre)
        new.vectors = placed
        new.probe = Probe(self.bundle, self._context_rows, data, self._ranking)
        return new

    # -- the model -----------------------------------------------------------------------------

    @cached_property
    def probe(self) -> Probe:
        """Scores items with changed histories or tags."""
        return Probe(self.bundle, self._context_rows, ranking=self._ranking)

    def history(self, user: int) -> dict[str, NDArray[np.int32]]:
        """What scores go by of a user's history by now, as :meth:`Probe.history` gives it; empty for an unknown user."""
        recent = self._recent.get(user)
        return dict(recent.histories) if recent is not None and recent.histories else self.probe.history(user)

    # -- vectors -------------------------------------------------------------------------------

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Where the model puts each item, unit length around the catalogue's mean, [I, D].

        The item vectors of retrieval, or the item inputs where there is no such task.
        """
        return self._placement[0]

    @cached_property
    def centre(self) -> NDArray[np.float32]:
        """Mean of the model's vectors of the bundle's items, [D]."""
        return self._placement[1]

    @cached_property
    def _placement(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        found = self._model_vectors()
        centre: NDArray[np.float32] = found.mean(0) if len(found) else np.zeros(found.shape[1], np.float32)
        return self.placed(found, centre), centre

    @staticmethod
    def placed(vectors: NDArray[np.float32], centre: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors of the model as unit vectors around a centre, [n, D]."""
        around: NDArray[np.float32] = (vectors - centre).astype(np.float32)
        lengths: NDArray[np.float32] = np.asarray(np.linalg.norm(around, axis=1, keepdims=True), np.float32)
        unit: NDArray[np.float32] = (around / np.maximum(lengths, 1e-12)).astype(np.float32)
        return unit

    def _model_vectors(self) -> NDArray[np.float32]:
        model, data, context_rows = self.bundle.model, self.bundle.data, self._context_rows()
        batcher = Batcher(context_rows.data)
        parts = []
        for start in range(
            0, max(self.items, 1), _VECTOR_ROWS
        ):  # an empty bundle has vectors of some width too
            items = np.arange(start, min(start + _VECTOR_ROWS, self.items), dtype=np.int32)
            no_user = np.zeros(len(items), np.int32)
            before = dict.fromkeys(data.histories, no_user)
            context = (context_rows.table, context_rows.scenario)
            batch = batcher.assemble(no_user, items, before, no_user.astype(np.int64), context=context)
            with torch.inference_mode():
                inputs = model.features(batch)
                vectors = (
                    inputs.item
                    if model.retrieval is None
                    else model.retrieval.item(inputs.item, inputs.as_event)[0]
                )
            parts.append(vectors.numpy())
        return np.concatenate(parts)


def rating_of(schema: Schema) -> str | None:
    """The task that says how much a user gave an item: the first regression of a column with a range."""
    for name, task in schema.tasks.items():
        if task.is_number and task.on == "interaction" and math.isfinite(sum(task.bounds or (math.inf,))):
            return name
    return None


def _last_interaction(value: float, like: float, time_us: int, *, refused: bool = False) -> LastInteraction:
    if refused:
        return LastInteraction("refused", 0.0, time_us)
    if math.isfinite(value):
        return LastInteraction("gave", value, time_us)
    return LastInteraction("had" if math.isnan(like) else "liked" if like > 0 else "not_liked", 0.0, time_us)
