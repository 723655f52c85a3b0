"""The data sets that motet knows by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from motet.assets import Progress, cache_root
from motet.datasets._adult import write_adult
from motet.datasets._clothing import write_clothing
from motet.datasets._directory import write_directory
from motet.datasets._generate import write_world
from motet.datasets._movielens import write_movielens
from motet.datasets._open_bandit import write_open_bandit
from motet.datasets._source import DatasetSource
from motet.datasets._world import World
from motet.errors import DataError
from motet.schema import Schema, require_known

__all__ = ["DATASETS", "LoadedDataset", "fetch", "load"]


def _write_default_world(directory: Path, progress: Progress | None) -> None:
    write_world(World(), directory, progress)


DATASETS: Mapping[str, DatasetSource] = {
    source.name: source
    for source in (
        DatasetSource(
            "movielens-100k",
            "100,000 film ratings: like, stars, next film, genres",
            write_movielens,
            asset="movielens-100k",
        ),
        DatasetSource(
            "clothing-reviews",
            "23,486 reviews, text only: recommended, stars, department, class",
            write_clothing,
            asset="clothing-reviews",
        ),
        DatasetSource(
            "open-bandit",
            "60,000 impressions of three campaigns of a fashion shop: click",
            write_open_bandit,
            asset="open-bandit",
        ),
        DatasetSource(
            "adult",
            "48,842 people of a census: income, never married",
            write_adult,
            asset="adult",
        ),
        DatasetSource(
            "worlds",
            "200,000 simulated impressions with known truth: click, cart, buy, like, dwell",
            _write_default_world,
            asset=None,
        ),
    )
}
"""Every data set by name, in the order in which a newcomer may like to meet them."""


def fetch(name: str, out: str | Path | None = None, progress: Progress | None = None) -> Path:
    """Write a data set, ready to train on, into a directory.

    Args:
        name: A name in :data:`DATASETS`.
        out: Directory to write; absent, empty, or already holding this data set. A place in the
            cache when left out.
        progress: Called with what is going on, how much is done, and how much there is.

    Returns:
        The directory, with Parquet tables, ``schema.yaml`` and ``DATASHEET.md``.

    Raises:
        DataError: If the name is not known, or the directory holds something else or cannot be
            written.
        AssetError: If the files cannot be fetched, or are not what they should be.
    """
    require_known(name, DATASETS, "the data set", DataError)
    source = DATASETS[name]
    place = cache_root() / "datasets" / f"{name}-{source.key}" if out is None else Path(out)
    return write_directory(place, source.key, lambda directory: source.prepare(directory, progress))


@dataclass(frozen=True, slots=True)
class LoadedDataset:
    """A data set on this machine; whatever takes a directory of tables takes it.

    Attributes:
        name: As in :data:`DATASETS`.
        directory: Where its tables are.
    """

    name: str
    directory: Path

    def __fspath__(self) -> str:
        return str(self.directory)

    @property
    def schema(self) -> Schema:
        """The schema that goes with the tables."""
        return Schema.load(self.directory / "schema.yaml")


def load(name: str, out: str | Path | None = None, progress: Progress | None = None) -> LoadedDataset:
    """Fetch a data set, for :meth:`motet.Schema.infer` and :func:`motet.fit`; arguments as for :func:`fetch`.

    Raises:
        DataError: As :func:`fetch`.
        AssetError: Likewise.
    """
    return LoadedDataset(name, fetch(name, out, progress))
