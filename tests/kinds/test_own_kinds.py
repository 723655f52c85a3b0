"""Kinds that are not of motet: a place on the earth as a feature, a count as a task, from the file to the bundle."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motet.data import Batcher, build_dataset, inspect_directory
from motet.errors import DataError, SchemaError
from motet.evaluation.report import render_report
from motet.kinds import LabelledTask, NumericFeature, numbers_of, register_feature_kind, register_task_kind
from motet.metrics import METRICS, Metric, register_metric
from motet.models import build_model
from motet.models.baselines import run_baselines
from motet.recommend import Recommender
from motet.schema import (
    FEATURE_KINDS,
    TASK_KINDS,
    Cells,
    ColumnSink,
    Entity,
    Feature,
    LabelSink,
    LabelStatistics,
    Parts,
    Schema,
    TaskText,
)
from motet.training import load_bundle, train

ROWS, USERS, ITEMS = 600, 40, 30


class _Place(nn.Module):
    """Waves over the sphere: sines and cosines of latitude and longitude, projected."""

    out_width = 6

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, self.out_width)

    def forward(self, codes: Tensor, numbers: Tensor) -> Tensor:
        assert codes.shape[1] == 0
        angles = torch.deg2rad(numbers[:, :2])
        waves = torch.cat([f(k * angles) for k in (1.0, 2.0) for f in (torch.sin, torch.cos)], 1)
        found: Tensor = self.project(waves)
        return found


class GeoFeature(Feature):
    """A latitude and a longitude, in two columns."""

    kind: Literal["geo"] = "geo"
    latitude: str
    longitude: str

    cells: ClassVar[Cells] = "number"
    catalogue: ClassVar[Literal["hidden"]] = "hidden"

    def parts(self, name: str) -> Parts:
        return Parts(numbers=(f"{name} latitude", f"{name} longitude"))

    def columns(self, name: str) -> list[str]:
        return [self.latitude, self.longitude]

    def check(self, name: str, entity: Entity, schema: Schema) -> None:
        if self.latitude == self.longitude:
            raise SchemaError(f"features.{entity}.{name}: one column is both", "name two columns")

    def valid_range(self, column: str) -> tuple[float, float]:
        return (-90.0, 90.0) if column == self.latitude else (-180.0, 180.0)

    @property
    def scaling(self) -> Literal["none"]:
        """Degrees as they are."""
        return "none"

    def read(
        self,
        name: str,
        frame: pl.DataFrame,
        column: Callable[[pl.DataFrame, str], pl.Series],
        sink: ColumnSink,
    ) -> None:
        for part, source in zip(self.parts(name).numbers, self.columns(name), strict=True):
            cells = column(frame, source).cast(pl.Float32, strict=False)
            sink.numbers(part, cells.fill_null(np.nan).to_numpy())

    def module(self, name: str, *, encoder: Any, width: int, vector_width: int) -> nn.Module:
        return _Place()


class CountTask(LabelledTask):
    """How often: a whole number from 0, by Poisson regression."""

    kind: Literal["count"] = "count"

    called: ClassVar[str] = "a count"
    metrics: ClassVar[tuple[str, ...]] = ("deviance explained", "rmse", "mae")
    primary_metric: ClassVar[str] = "deviance explained"
    is_number: ClassVar[bool] = True
    ranks: ClassVar[bool] = True
    baselines: ClassVar[frozenset[str]] = frozenset({"popularity", "like_ratio", "linear", "lightgbm"})
    boosting_objective: ClassVar[str] = "poisson"

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, math.inf

    def read_labels(self, cells: pl.Series, sink: LabelSink) -> NDArray[np.float32]:
        numbers = numbers_of(cells, sink, self.label)
        if (numbers < 0).any():
            raise DataError(f"{sink.place} gives {np.nanmin(numbers):g}, no count", "count from 0")
        return numbers

    def loss_of(self, logits: Tensor, labels: Tensor, statistics: LabelStatistics) -> Tensor:
        rate = math.log(max(statistics.mean, 1e-6))
        return torch.nn.functional.poisson_nll_loss(logits + rate, labels, log_input=True)

    def link(self, logits: Tensor, statistics: LabelStatistics) -> Tensor:
        return (logits + math.log(max(statistics.mean, 1e-6))).clamp(max=20.0).exp()

    @classmethod
    def describe(
        cls, name: str, value: float, values: Mapping[str, Any], metrics: Mapping[str, Any]
    ) -> TaskText:
        return TaskText(f"{value:.2f}", "of the deviance", f"It explains {value:.2f} of “{name}”.")


def deviance_explained(labels: Any, predictions: Any, users: Any = None) -> Any:
    """1 − D(y, μ) / D(y, ȳ), D = 2 Σ y·ln(y/μ) − (y − μ)."""
    safe = np.maximum(predictions, 1e-9)

    def deviance(y: Any, mean: Any, weights: Any) -> float:
        ratio = np.where(y > 0, y, 1.0) / np.where(y > 0, mean, 1.0)
        return float(2 * weights @ (np.where(y > 0, y * np.log(ratio), 0.0) - (y - mean)))

    def value(weights: Any) -> float:
        mean = float(weights @ labels / weights.sum())
        return 1 - deviance(labels, safe, weights) / deviance(labels, np.full_like(labels, mean), weights)

    return value


DEVIANCE = Metric("share of the Poisson deviance explained", True, {(1, 1): deviance_explained})


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    assert "geo" not in FEATURE_KINDS
    register_feature_kind(GeoFeature)
    register_task_kind(CountTask)
    register_metric("deviance explained")(DEVIANCE)
    yield
    for kinds, name in ((FEATURE_KINDS, "geo"), (TASK_KINDS, "count"), (METRICS, "deviance explained")):
        kinds.remove(name)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shops near the equator are visited often, as the latitude alone says; one place is missing."""
    rng, out = np.random.default_rng(0), tmp_path_factory.mktemp("world")
    latitude = rng.uniform(-80, 80, ITEMS).round(3)
    shops = pl.DataFrame(
        {
            "shop": [f"s{k}" for k in range(ITEMS)],
            "lat": [None, *latitude[1:].tolist()],
            "lon": rng.uniform(-180, 180, ITEMS).round(3),
        }
    )
    user, item = rng.integers(0, USERS, ROWS), rng.integers(0, ITEMS, ROWS)
    visits = rng.poisson(4 * np.cos(np.deg2rad(latitude[item])) ** 2)
    interactions = pl.DataFrame(
        {
            "user": [f"u{k}" for k in user],
            "shop": [f"s{k}" for k in item],
            "visits": visits,
            "at": np.arange(ROWS),
        }
    )
    shops.write_csv(out / "shops.csv")
    interactions.write_csv(out / "visits.csv")
    return out


YAML = """
name: shops
tables: {interactions: visits.csv, items: shops.csv}
keys: {user: user, item: shop, time: at}
features:
  user: {user: id}
  item:
    place: {kind: geo, latitude: lat, longitude: lon}
tasks:
  visits: {kind: count, label: visits}
  often: {kind: binary, label: visits > 3}
split: {by: random}
training: {epochs: 12, batch_size: 64, learning_rate: 0.01, patience: 12}
"""


@pytest.fixture(scope="module")
def schema(world: Path) -> Schema:
    (world / "schema.yaml").write_text(YAML, encoding="utf-8")
    return Schema.load(world / "schema.yaml")


@pytest.fixture(scope="module")
def bundle(schema: Schema, world: Path) -> Path:
    train(schema, world, world / "run")
    return world / "run"


def test_a_schema_with_them_is_written_and_read(schema: Schema, tmp_path: Path) -> None:
    assert isinstance(schema.features.item["place"], GeoFeature)
    assert isinstance(schema.tasks["visits"], CountTask)
    (tmp_path / "schema.yaml").write_text(schema.to_yaml(), encoding="utf-8")
    assert Schema.load(tmp_path / "schema.yaml") == schema


def test_their_settings_are_checked_as_those_of_motet(schema: Schema) -> None:
    content = schema.model_dump()
    with pytest.raises(SchemaError, match=r"'features.item.place.latitud' is not an option.*'latitude'"):
        Schema.parse(content, ["features.item.place.latitud=x"])
    with pytest.raises(SchemaError, match=r"'gio' is not known\. Cure: did you mean 'geo'"):
        Schema.parse(content, ["features.item.place.kind=gio"])
    with pytest.raises(SchemaError, match="one column is both"):
        Schema.parse(content, ["features.item.place.longitude=lat"])
    with pytest.raises(SchemaError, match=r"features.interaction.p reads 'visits', which gives away"):
        Schema.parse({**content, "features": {"interaction": {"p": {"kind": "geo", "latitude": "visits", "longitude": "y"}}}})  # fmt: skip


def test_the_feature_reaches_the_model(schema: Schema, world: Path) -> None:
    data = build_dataset(schema, world)
    layout = data.encoder.layout("item")
    assert layout.numbers[0] == "place latitude"
    assert "place latitude missing" in layout.numbers
    model = build_model(schema, data.encoder)
    assert model.features.widths.item == _Place.out_width
    assert any("project.weight" in name for name in model.state_dict())


def test_a_wrong_label_is_refused(schema: Schema, world: Path) -> None:
    wrong = Schema.parse(schema.model_dump(), ["tasks.visits.label=visits - 9"])
    with pytest.raises(DataError, match="no count"):
        build_dataset(wrong, world)


def test_it_learns_where_shops_are_visited(bundle: Path, world: Path) -> None:
    metrics = json.loads((bundle / "metrics.json").read_text())
    found = metrics["tasks"]["visits"]
    assert list(found)[:3] == ["deviance explained", "rmse", "mae"]
    assert found["deviance explained"] > 0.15
    report = render_report(metrics)
    assert "a count" in report
    assert "of the deviance" in report


def test_the_bundle_predicts_and_recommends(bundle: Path) -> None:
    recommender = Recommender(load_bundle(bundle))
    pairs = pl.DataFrame({"user": ["u1", "u1"], "shop": ["s3", "s4"]})
    predicted = recommender.predict(pairs)
    assert (predicted["visits"] >= 0).all()
    best = recommender.recommend(["u1"], k=5, by="visits")
    assert len(best) == 5
    assert best["score"].is_sorted(descending=True)


def test_a_bundle_says_what_it_lacks_where_its_kinds_are_not_registered(bundle: Path) -> None:
    FEATURE_KINDS.remove("geo")
    try:
        with pytest.raises(Exception, match="the kind 'geo' is not known"):
            load_bundle(bundle)
    finally:
        register_feature_kind(GeoFeature)


def test_baselines_do_its_tasks(schema: Schema, world: Path) -> None:
    found = run_baselines(
        build_dataset(schema, world), names=["popularity", "like_ratio", "linear", "lightgbm"]
    )
    for name, evaluation in found.items():
        assert "deviance explained" in evaluation["tasks"]["visits"], name


class MoneyFeature(NumericFeature):
    """An amount, such as "€ 3.50"."""

    kind: Literal["money"] = "money"  # type: ignore[assignment]

    cells: ClassVar[Cells] = "words"

    def read(
        self,
        name: str,
        frame: pl.DataFrame,
        column: Callable[[pl.DataFrame, str], pl.Series],
        sink: ColumnSink,
    ) -> None:
        amounts = column(frame, self.column or name).str.strip_chars("€ ").cast(pl.Float32, strict=False)
        sink.numbers(name, amounts.fill_null(np.nan).to_numpy())

    @classmethod
    def guess(cls, column: str, values: pl.Series) -> dict[str, Any] | None:
        of_money = values.dtype == pl.String and values.drop_nulls().str.starts_with("€").all()
        return {"kind": "money"} if of_money else None


def test_a_column_may_be_recognised_as_one(tmp_path: Path) -> None:
    rows = 60
    table: dict[str, Any] = {
        "user": [f"u{k % 9}" for k in range(rows)],
        "item": [f"i{k % 7}" for k in range(rows)],
    }
    table |= {"price": [f"€ {k}.50" for k in range(rows)], "click": [k % 2 for k in range(rows)]}
    pl.DataFrame(table).write_csv(tmp_path / "log.csv")
    register_feature_kind(MoneyFeature)
    try:
        found = inspect_directory(tmp_path)
        assert isinstance(found.schema.features.interaction["price"], MoneyFeature)
        data = build_dataset(found.schema, tmp_path)
        place = data.encoder.layout("interaction").numbers.index("price")
        assert data.context.numbers[:, place].std() > 0.5
    finally:
        FEATURE_KINDS.remove("money")


def test_installed_packages_bring_kinds_to_the_command_line(tmp_path: Path) -> None:
    """An entry point of the group ``motet`` is imported when a schema names what motet does not have."""
    (tmp_path / "shops.py").write_text(
        "from typing import Literal\n"
        "from motet.kinds import CategoricalFeature, register_feature_kind\n"
        "@register_feature_kind\n"
        "class Colour(CategoricalFeature):\n"
        "    kind: Literal['colour'] = 'colour'\n"
    )
    info = tmp_path / "shops-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shops\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[motet]\nshops = shops\n")
    (tmp_path / "log.csv").write_text("shade,click\n" + "red,1\nblue,0\n" * 20)
    (tmp_path / "schema.yaml").write_text(
        "name: x\ntables: {interactions: log.csv}\nfeatures: {interaction: {shade: colour}}\n"
        "tasks: {click: {kind: binary, label: click}}\nsplit: {by: random}\n"
    )
    command = [sys.executable, "-m", "motet", "check", str(tmp_path / "schema.yaml"), "--data", str(tmp_path)]
    path = os.pathsep.join([str(tmp_path), *sys.path])
    run = subprocess.run(
        command,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "shade" in run.stdout


def test_names_are_taken_once() -> None:
    class Other(GeoFeature):
        """Another kind of the same name."""

    with pytest.raises(SchemaError, match="the feature kind 'geo' is there already"):
        register_feature_kind(Other)
    assert register_feature_kind(GeoFeature) is GeoFeature  # the same one again is no clash
    with pytest.raises(SchemaError, match="lacks describe, link, loss_of, read_labels"):

        @register_task_kind
        class Half(LabelledTask):
            """No kind yet."""

            kind: Literal["half"] = "half"

    with pytest.raises(SchemaError, match="does not say its name"):

        @register_feature_kind
        class Nameless(GeoFeature):
            """It gives its kind no default."""

            kind: str  # type: ignore[assignment]

    with pytest.raises(SchemaError, match="is no task kind"):
        register_task_kind(GeoFeature)  # type: ignore[type-var]


def test_a_feature_called_codes_takes_no_other_ones_place(tmp_path: Path) -> None:
    table = {"shade": ["red", "blue"] * 20, "wait": [float(k) for k in range(40)], "tag": ["a|b", "c"] * 20}
    pl.DataFrame({**table, "click": [0, 1] * 20}).write_csv(tmp_path / "log.csv")
    tags = {"kind": "tags", "column": "tag"}
    schema = Schema.parse(
        {
            "name": "x",
            "tables": {"interactions": "log.csv"},
            "features": {
                "interaction": {"shade": "categorical", "wait": "numeric", "codes": tags, "numbers": tags}
            },
            "tasks": {"click": {"kind": "binary", "label": "click"}},
            "split": {"by": "random"},
        }
    )
    data = build_dataset(schema, tmp_path)
    model = build_model(schema, data.encoder)
    with torch.no_grad():
        inputs = model.features(Batcher(data).batch(np.arange(8)))
    assert inputs.context.shape[1] == model.features.widths.context == 3 * schema.model.width + 1
