from __future__ import annotations

import hashlib
import math
import tracemalloc
from dataclasses import fields
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motet.datasets import SyntheticWorld, Truth, generate
from motet.errors import DataError
from motet.schema import Schema

SMALL = SyntheticWorld(users=300, items=200, interactions=120_000, chunk_rows=50_000, drift=0.8, seed=7)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(SMALL, tmp_path_factory.mktemp("world") / "small")


@pytest.fixture(scope="module")
def truth(world: Path) -> Truth:
    return Truth.load(world / "truth.npz")


@pytest.fixture(scope="module")
def log(world: Path) -> pl.DataFrame:
    return pl.read_parquet(world / "interactions/*.parquet")


def ids(log: pl.DataFrame, column: str) -> NDArray[np.int64]:
    return log[column].to_numpy().astype(np.int64)


def probabilities(truth: Truth, log: pl.DataFrame) -> NDArray[np.float32]:
    scenarios = truth.scenario_codes(log["scenario"])
    return truth.click_probability(
        ids(log, "user_id"), ids(log, "item_id"), scenarios, log["time"].to_numpy(), ids(log, "position")
    )


def affinities(truth: Truth, log: pl.DataFrame) -> NDArray[np.float32]:
    scenarios = truth.scenario_codes(log["scenario"])
    elapsed = truth.elapsed(log["time"].to_numpy())
    return truth.affinity(ids(log, "user_id"), ids(log, "item_id"), scenarios, elapsed)


def logistic(x: NDArray[np.float32]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def assert_happens_as_often_as_said(
    happened: NDArray[np.float64], probability: NDArray[np.float64] | NDArray[np.float32]
) -> None:
    """In each tenth of the probabilities, the count lies within 4.5 standard deviations of its mean."""
    for rows in np.array_split(np.argsort(probability), 10):
        p = probability[rows].astype(np.float64)
        deviation = (happened[rows].sum() - p.sum()) / math.sqrt((p * (1 - p)).sum())
        assert abs(deviation) < 4.5
    assert probability.max() > 3 * probability.min()


def digests(directory: Path) -> dict[str, str]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_clicks_happen_as_often_as_the_truth_says(truth: Truth, log: pl.DataFrame) -> None:
    assert_happens_as_often_as_said(log["click"].to_numpy().astype(float), probabilities(truth, log))


def test_a_wrong_truth_would_be_noticed(truth: Truth, log: pl.DataFrame) -> None:
    shuffled = log.with_columns(pl.col("item_id").shuffle(seed=1))
    with pytest.raises(AssertionError):
        assert_happens_as_often_as_said(log["click"].to_numpy().astype(float), probabilities(truth, shuffled))


def test_later_steps_happen_as_often_as_the_truth_says(truth: Truth, log: pl.DataFrame) -> None:
    clicked = log.filter(pl.col("click") == 1)
    affinity, items = affinities(truth, clicked), ids(clicked, "item_id")
    for event, logit in (
        ("cart", truth.cart_logit(affinity, items)),
        ("like", truth.like_logit(affinity, items)),
    ):
        assert_happens_as_often_as_said(clicked[event].to_numpy().astype(float), logistic(logit))
    in_cart = clicked.filter(pl.col("cart") == 1)
    buy = truth.buy_logit(affinities(truth, in_cart), ids(in_cart, "user_id"), ids(in_cart, "item_id"))
    assert_happens_as_often_as_said(in_cart["buy"].to_numpy().astype(float), logistic(buy))


def test_dwell_follows_the_truth(truth: Truth, log: pl.DataFrame) -> None:
    clicked = log.filter(pl.col("click") == 1, pl.col("dwell_s").is_between(1, 3599))
    residual = np.log(clicked["dwell_s"].to_numpy()) - truth.log_dwell(
        affinities(truth, clicked), ids(clicked, "item_id")
    )
    assert residual.mean() == pytest.approx(0, abs=5 * truth.dwell_noise / math.sqrt(len(residual)))
    assert residual.std() == pytest.approx(truth.dwell_noise, rel=0.05)


def test_probability_is_the_formula_in_the_documentation(truth: Truth, log: pl.DataFrame) -> None:
    sample = log.sample(20, seed=3)
    for row, probability in zip(sample.iter_rows(named=True), probabilities(truth, sample), strict=True):
        s, u, i = list(truth.scenarios).index(row["scenario"]), row["user_id"], row["item_id"]
        p, v = truth.preference[s, u].astype(float), truth.vectors[i].astype(float)
        time = np.datetime64(row["time"], "us").astype(np.int64)
        elapsed = (int(time) - truth.start_us) / truth.span_us
        cosine, sine = math.cos(SMALL.drift * elapsed), math.sin(SMALL.drift * elapsed)
        turned = [x for a, b in p.reshape(-1, 2) for x in (cosine * a - sine * b, sine * a + cosine * b)]
        affinity = (
            SMALL.affinity * sum(x * y for x, y in zip(turned, v, strict=True)) / math.sqrt(SMALL.width)
        )
        logit = truth.click_offset[s] + affinity + truth.appeal[i]
        logit -= truth.position_drop * math.log(row["position"])
        assert probability == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-3)


def test_expectations_are_what_a_perfect_model_predicts(truth: Truth, log: pl.DataFrame) -> None:
    clicked = log.filter(pl.col("click") == 1)
    expected = truth.expectations(
        ids(clicked, "user_id"),
        ids(clicked, "item_id"),
        truth.scenario_codes(clicked["scenario"]),
        clicked["time"].to_numpy(),
        ids(clicked, "position"),
    )
    assert np.array_equal(expected["click"], probabilities(truth, clicked))
    for event, column in (("cart", "cart"), ("like", "like"), ("dwell", "dwell_s")):
        happened = clicked[column].to_numpy().astype(float)
        spread = (happened - expected[event]).std() / math.sqrt(len(happened))
        assert happened.mean() == pytest.approx(expected[event].mean(), abs=5 * spread), event
        assert np.corrcoef(happened, expected[event])[0, 1] > 0.2
    in_cart = clicked["cart"].to_numpy() == 1
    bought = clicked["buy"].to_numpy()[in_cart].astype(float)
    assert_happens_as_often_as_said(bought, expected["buy"][in_cart])


def test_a_scenario_that_the_world_has_not(truth: Truth) -> None:
    with pytest.raises(DataError, match=r"no scenario 'serch'\. Cure: did you mean 'search'\?"):
        truth.scenario_codes(["feed", "serch"])


def test_funnel_is_never_violated(log: pl.DataFrame) -> None:
    assert log.filter((pl.col("cart") > pl.col("click")) | (pl.col("buy") > pl.col("cart"))).is_empty()
    assert log.filter(pl.col("like") > pl.col("click")).is_empty()
    assert (log["dwell_s"].is_not_null() == (log["click"] == 1)).all()
    assert log["dwell_s"].drop_nulls().is_between(0, 3600).all()
    assert log.select("click", "cart", "buy", "like").to_numpy().max() == 1


def test_rates_are_the_ones_asked_for(log: pl.DataFrame) -> None:
    clicked = log.filter(pl.col("click") == 1)
    assert log["click"].mean() == pytest.approx(SMALL.click_rate, rel=0.1)
    assert clicked["cart"].mean() == pytest.approx(SMALL.cart_rate, rel=0.1)
    assert clicked["like"].mean() == pytest.approx(SMALL.like_rate, rel=0.1)
    assert clicked.filter(pl.col("cart") == 1)["buy"].mean() == pytest.approx(SMALL.buy_rate, rel=0.1)
    shares = dict(log["scenario"].value_counts(normalize=True).iter_rows())
    assert shares == {name: pytest.approx(share, abs=0.01) for name, share in SMALL.scenarios.items()}


def test_cold_items_are_absent_early_and_present_late(truth: Truth, log: pl.DataFrame) -> None:
    assert truth.cold.sum() == round(SMALL.cold_items * SMALL.items)
    late = truth.elapsed(log["time"].to_numpy()) >= SMALL.cold_from
    cold = truth.cold[ids(log, "item_id")]
    assert not cold[~late].any()
    assert cold[late].mean() == pytest.approx(truth.item_share[truth.cold].sum(), rel=0.1)
    # Nothing about the number of an item says that it is cold.
    assert 0.2 < np.flatnonzero(truth.cold).mean() / SMALL.items < 0.8


def test_parts_are_bounded_and_in_order_of_time(world: Path, log: pl.DataFrame) -> None:
    parts = sorted((world / "interactions").iterdir())
    assert [part.name for part in parts] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert [pl.read_parquet(part).height for part in parts] == [50_000, 50_000, 20_000]
    assert log["time"].is_sorted()
    span_days = (log["time"].max() - log["time"].min()).total_seconds() / 86_400  # type: ignore[operator,union-attr]
    assert span_days == pytest.approx(SMALL.days, rel=0.01)


def test_same_seed_same_bytes_and_another_seed_other_ones(tmp_path: Path) -> None:
    few = SMALL.model_copy(update={"interactions": 5_000, "chunk_rows": 2_000})
    one = digests(generate(few, tmp_path / "one"))
    assert digests(generate(few, tmp_path / "two")) == one
    other = digests(generate(few.model_copy(update={"seed": 8}), tmp_path / "other"))
    assert set(other) == set(one)
    for name in ("users.parquet", "items.parquet", "truth.npz", "interactions/part-00001.parquet"):
        assert other[name] != one[name]


def test_drift_turns_preferences_and_without_it_they_stay(tmp_path: Path, truth: Truth) -> None:
    still = Truth.load(
        generate(SyntheticWorld(users=50, items=20, interactions=100), tmp_path / "still") / "truth.npz"
    )
    for each, moves in ((truth, True), (still, False)):
        users, items, scenarios = np.arange(20), np.arange(20), np.zeros(20, np.int64)
        first = np.full(20, each.start_us).view("datetime64[us]")
        last = np.full(20, each.start_us + each.span_us).view("datetime64[us]")
        before = each.click_probability(users, items, scenarios, first)
        after = each.click_probability(users, items, scenarios, last)
        assert bool(np.abs(before - after).max() > 0.01) is moves


def test_shared_is_the_share_that_scenarios_have_in_common(tmp_path: Path) -> None:
    for shared in (0.0, 0.5, 1.0):
        settings_ = SyntheticWorld(users=4_000, items=20, interactions=10, shared=shared)
        truth = Truth.load(generate(settings_, tmp_path / str(shared)) / "truth.npz")
        feed, search = truth.preference[1].ravel(), truth.preference[2].ravel()
        assert np.corrcoef(feed, search)[0, 1] == pytest.approx(shared, abs=0.02)
        assert feed.var() == pytest.approx(1, abs=0.05)


def test_text_tells_as_much_of_the_vector_as_asked(tmp_path: Path) -> None:
    explained = {}
    for text in (0.0, 0.9):
        directory = generate(
            SyntheticWorld(users=5, items=3_000, interactions=10, text=text, words=30), tmp_path / str(text)
        )
        vectors = Truth.load(directory / "truth.npz").vectors
        words = pl.read_parquet(directory / "items.parquet").select("item_id", pl.col("title").str.split(" "))
        counts = words.explode("title").pivot(
            on="title", index="item_id", values="title", aggregate_function="len"
        )
        x = counts.sort("item_id").drop("item_id").fill_null(0).to_numpy().astype(float)
        train, test = slice(0, 2_000), slice(2_000, None)
        gram = x[train].T @ x[train] + 10 * np.eye(x.shape[1])
        expected = x[test] @ np.linalg.solve(gram, x[train].T @ vectors[train])
        explained[text] = 1 - float(((vectors[test] - expected) ** 2).mean() / vectors[test].var())
        assert vectors.var() == pytest.approx(1, abs=0.1)
    assert explained[0.0] < 0.02
    assert 0.7 < explained[0.9] <= 0.92


def test_segment_and_age_tell_of_taste_and_region_does_not(tmp_path: Path) -> None:
    directory = generate(
        SyntheticWorld(users=4_000, items=200, interactions=10, shared=1.0), tmp_path / "taste"
    )
    users = pl.read_parquet(directory / "users.parquet")
    taste = Truth.load(directory / "truth.npz").preference[0]

    def explained(column: str) -> float:
        codes = users[column].cast(pl.Categorical).to_physical().to_numpy()
        between = sum((codes == c).sum() * taste[codes == c].mean(0) ** 2 for c in np.unique(codes))
        return float(np.sum(between) / (taste**2).sum())

    assert explained("segment") > 0.1
    assert explained("region") < 0.01
    assert abs(np.corrcoef(users["age"].to_numpy(), taste[:, 0])[0, 1]) > 0.8


def test_memory_does_not_grow_with_the_number_of_interactions(tmp_path: Path) -> None:
    peaks = []
    for interactions in (100_000, 500_000):
        tracemalloc.start()
        generate(SMALL.model_copy(update={"interactions": interactions}), tmp_path / str(interactions))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_progress_counts_rows(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    settings_ = SyntheticWorld(users=5, items=5, interactions=25, chunk_rows=10)
    generate(settings_, tmp_path / "x", lambda *step: steps.append(step))
    assert [step[1:] for step in steps] == [(10, 25), (20, 25), (25, 25)]


def test_schema_is_ready(world: Path) -> None:
    schema = Schema.load(world / "schema.yaml")
    assert {name: task.after for name, task in schema.tasks.items()} == {
        "click": None,
        "cart": "click",
        "buy": "cart",
        "like": "click",
        "dwell": "click",
    }
    assert SyntheticWorld.model_validate_json((world / "world.json").read_text()) == SMALL


def test_generating_the_same_again_returns_at_once_and_another_world_is_refused(world: Path) -> None:
    before = digests(world)
    assert generate(SMALL, world) == world
    assert digests(world) == before
    with pytest.raises(DataError, match="is not empty"):
        generate(SyntheticWorld(), world)


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(SyntheticWorld(users=5, items=5, interactions=25, chunk_rows=10), tmp_path / "x", stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"interaction": 5}, r"world: 'interaction' is not an option\. Cure: did you mean 'interactions'\?"),
        ({"users": 0}, r"world: users: Input should be greater than or equal to 1, but is 0"),
        ({"width": 7}, r"world: width: Input should be a multiple of 2, but is 7"),
        ({"scenarios": {"feed": -1.0}}, r"world: scenarios: every scenario needs a name and a share above 0"),
        ({"scenarios": {"a\0": 1.0}}, r"world: scenarios: every scenario needs a name"),
        ({"scenarios": {}}, r"world: scenarios: "),
        ({"text": float("nan")}, r"world: text: "),
    ],
)
def test_settings_that_make_no_sense(values: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        SyntheticWorld.parse(values)


def test_a_truth_that_is_none(tmp_path: Path, world: Path) -> None:
    with pytest.raises(DataError, match=r"none\.npz is not the truth of a world"):
        Truth.load(tmp_path / "none.npz")
    content = (world / "truth.npz").read_bytes()
    for bad in (b"", b"text", content[: len(content) // 2]):
        (tmp_path / "bad.npz").write_bytes(bad)
        with pytest.raises(
            DataError, match=r"bad\.npz is not the truth of a world .*generate the world again"
        ):
            Truth.load(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", vectors=np.zeros(3))
    with pytest.raises(DataError, match=r"other\.npz is not the truth"):
        Truth.load(tmp_path / "other.npz")


def test_truth_is_read_as_it_was_written(tmp_path: Path, truth: Truth) -> None:
    truth.save(tmp_path / "again.npz")
    again = Truth.load(tmp_path / "again.npz")
    for field in fields(Truth):
        assert np.array_equal(getattr(again, field.name), getattr(truth, field.name)), field.name


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    users=st.integers(1, 20),
    items=st.integers(2, 20),
    interactions=st.integers(1, 300),
    chunk_rows=st.integers(1, 300),
    names=st.sets(
        st.text(min_size=1, max_size=5).filter(lambda name: "\0" not in name), min_size=1, max_size=4
    ),
    cold_items=st.floats(0, 0.99),
    topics=st.integers(1, 12),
    positions=st.integers(1, 100),
    click_rate=st.floats(0.01, 0.99),
)
def test_any_world_can_be_generated(
    tmp_path_factory: pytest.TempPathFactory,
    users: int,
    items: int,
    interactions: int,
    chunk_rows: int,
    names: set[str],
    cold_items: float,
    topics: int,
    positions: int,
    click_rate: float,
) -> None:
    chosen = SyntheticWorld(
        users=users,
        items=items,
        interactions=interactions,
        chunk_rows=max(chunk_rows, interactions // 5 + 1),
        scenarios=dict.fromkeys(names, 1.0),
        cold_items=cold_items,
        topics=topics,
        positions=positions,
        click_rate=click_rate,
    )
    directory = generate(chosen, tmp_path_factory.mktemp("any") / "world")
    log = pl.read_parquet(directory / "interactions/*.parquet")
    assert log.height == interactions
    assert log["user_id"].is_between(0, users - 1).all()
    assert log["item_id"].is_between(0, items - 1).all()
    assert log["position"].is_between(1, positions).all()
    assert set(log["scenario"]) <= names
    probability = probabilities(Truth.load(directory / "truth.npz"), log)
    assert np.isfinite(probability).all()
