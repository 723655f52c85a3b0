"""The sources that every live recommender has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from motet.data import TextToVectors
from motet.errors import RequestError
from motet.graph import KnowledgeGraph
from motet.recommend import MeaningIndex
from motet.recommend.live import CatalogueSnapshot
from motet.recommend.retrieve._personal import (
    GraphNeighbours,
    ItemItemSource,
    LiveItemItem,
    MemberSource,
    ModelVectors,
    TextMeaning,
)
from motet.recommend.retrieve._popular import Newest, PopularSource
from motet.recommend.retrieve._retrieve import CandidateQuery, CandidateSource
from motet.schema import Registry
from motet.training import Bundle

__all__ = [
    "CANDIDATE_SOURCES",
    "CHAIN",
    "PLAIN_CHAIN",
    "QUOTAS",
    "StandardSources",
    "register_candidate_source",
]

MakeSource = Callable[[Bundle, CatalogueSnapshot], CandidateSource | None]
M = TypeVar("M", bound=MakeSource)

CANDIDATE_SOURCES: Final[Registry[MakeSource]] = Registry("candidate source", {}, error=RequestError)
"""What makes the sources from elsewhere, by name; None where a bundle is nothing for one."""


def register_candidate_source(name: str) -> Callable[[M], M]:
    """Add a source of candidates to every live recommender; a decorator of its class, or of what makes it.

    It is called with the bundle and the catalogue at the start, and gives a
    :class:`CandidateSource`, or None where it has nothing to say.

    Raises:
        RequestError: If another source has the name.
    """
    return cast("Callable[[M], M]", CANDIDATE_SOURCES.adder(name))


CHAIN: Final = ("scenario_popular", "popular", "newest")
PLAIN_CHAIN: Final = ("together", *CHAIN)
"""What makes lists while there is no model."""
QUOTAS: Final = {"model": 4.0, "together": 2.0, "trending": 0.5, "scenario_popular": 0.5, "newest": 0.5}
_DAY_S: Final = 86_400.0


class StandardSources:
    """Model vectors, item-item, graph, text, what is popular, and the newest items, as far as there is each.

    Of an empty bundle there are those alone that need no model; item-item then rests on the likes recorded since.

    Args:
        bundle: With users and items.
        now: The catalogue at the start.
        graph: Its knowledge graph, if it has one.
        encode_text: Turns words into vectors; without it nothing is found by words.
        options: For :class:`VectorIndex`.
    """

    def __init__(
        self,
        bundle: Bundle,
        now: CatalogueSnapshot,
        *,
        graph: KnowledgeGraph | None,
        encode_text: TextToVectors | None,
        options: Mapping[str, Any],
    ) -> None:
        can_search = now.side.retrieval is not None and not bundle.is_empty
        self.vectors = ModelVectors(now, **options) if can_search else None
        self._live = LiveItemItem() if bundle.is_empty else None
        self.together: CandidateSource = self._live or (
            ItemItemSource(bundle) if bundle.blend is None else MemberSource(bundle.blend)
        )
        self.graph = GraphNeighbours(graph) if graph is not None else None
        self.text = _text(bundle, now, encode_text, options)
        self.popular = PopularSource(bundle, name="popular")
        self.trending = PopularSource(bundle, name="trending", half_life_s=3 * _DAY_S)
        self.here = PopularSource(bundle, name="scenario_popular", half_life_s=30 * _DAY_S, by_scenario=True)
        self.newest = Newest(now)
        self.others = [made for make in CANDIDATE_SOURCES.values() if (made := make(bundle, now)) is not None]

    @property
    def all(self) -> list[CandidateSource]:
        """Those there are, in order of trust."""
        found: tuple[CandidateSource | None, ...] = (
            self.vectors,
            self.together,
            self.graph,
            self.text,
            self.here,
            self.trending,
            self.popular,
            self.newest,
            *self.others,
        )
        return [source for source in found if source is not None]

    def link(self, name: str) -> CandidateSource:
        """The source of a link of the chain."""
        chain: dict[str, CandidateSource] = {
            "together": self.together,
            "scenario_popular": self.here,
            "trending": self.trending,
            "popular": self.popular,
        }
        return chain.get(name, self.newest)

    def grow(self, now: CatalogueSnapshot) -> None:
        """Take in the rows that are new."""
        self.newest.grow(now)
        if self.text is not None:
            self.text.grow(now)

    def liked(
        self,
        rows: NDArray[np.int64],
        time_s: NDArray[np.float64],
        scenarios: Sequence[str | None],
        users: Sequence[str],
    ) -> None:
        """Take in likes recorded while serving, with their users; see :meth:`PopularSource.add`."""
        for source in (self.popular, self.trending, self.here):
            source.add(rows, time_s, scenarios)
        if self._live is not None:
            self._live.add(users, rows.tolist())

    def refresh(self) -> None:
        """See :meth:`LiveItemItem.refresh`."""
        if self._live is not None:
            self._live.refresh()

    def forget(self, user: str) -> None:
        """Drop what live item-item holds of a user; what is popular keeps what it has counted."""
        if self._live is not None:
            self._live.forget(user)

    def popularity(self, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Likes of items by their first rows, 0 where there are none, [n]."""
        scores = self.popular.likes
        known = rows < len(scores)
        found: NDArray[np.float64] = np.zeros(len(rows))
        found[known] = np.maximum(scores[rows[known]], 0.0)
        return found

    def like(self, row: int, ask: CandidateQuery, n: int) -> dict[str, NDArray[np.int64]]:
        """Items like one, by each source that can compare items, most alike first.

        Args:
            row: Of the item.
            ask: What may come, with the item as the only liked one.
            n: Items of each source, ≥ 1.
        """
        found: dict[str, NDArray[np.int64]] = {}
        if self.vectors is not None:
            found["model"] = self.vectors.nearest(row, ask, n)
        for source in (self.together, self.text, self.graph):
            if source is not None:
                found[source.name] = source.candidates(ask, n)[0]
        return found


def _text(
    bundle: Bundle, now: CatalogueSnapshot, encode_text: TextToVectors | None, options: Mapping[str, Any]
) -> TextMeaning | None:
    """By the first text feature of the items, whose vectors are there already."""
    data = bundle.data
    for name in data.encoder.layout("item").vectors:
        if bundle.schema.features.item[name].is_text and encode_text is not None:
            return TextMeaning(MeaningIndex.of_feature(data, name, encode_text), data, name, now, **options)
    return None
