from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motet.assistant.explain import Interest, Profiler, ProfileSettings, profile_sentences
from motet.data import Behaviour, Dataset, Ragged, behaviour_of, build_dataset
from motet.errors import DataError, RequestError
from motet.schema import Schema

GENRES = ("Comedy", "Horror", "Western", "Sci-Fi")
DAY_S = 86_400
START_S = 1_600_000_000


def world(
    place: Path, ratings: pl.DataFrame, items: pl.DataFrame | None, features: dict[str, Any], **parts: Any
) -> Dataset:
    ratings.write_parquet(place / "ratings.parquet")
    if items is not None:
        items.write_parquet(place / "items.parquet")
    content = {
        "name": "world",
        "tables": {"interactions": "ratings.parquet"}
        | ({"items": "items.parquet"} if items is not None else {}),
        "keys": {"user": "user", "item": "item", "time": "at"},
        "features": {"user": {"user": "id"}, "item": {"item": "id"} | features},
        "tasks": {"like": {"kind": "binary", "label": "stars >= 4"}},
        "split": {"by": "random"},
    } | parts
    return build_dataset(Schema.parse(content), place)


def films() -> pl.DataFrame:
    """160 films, 40 of each genre; the first half from the eighties."""
    return pl.DataFrame(
        {
            "item": range(160),
            "title": [f"Film {k}" if k else "Film Zero" for k in range(160)],
            "genres": [GENRES[k % 4] for k in range(160)],
            "year": [1985 if k < 80 else 1995 for k in range(160)],
        }
    )


def planted(users: int = 80, events: int = 150, seed: int = 0) -> pl.DataFrame:
    """User k picks genre k mod 4 half of the time and likes it, and dislikes the next genre."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        favourite, hated = user % 4, (user + 1) % 4
        for n in range(events):
            genre = favourite if rng.random() < 0.5 else int(rng.integers(4))
            chance = {favourite: 0.9, hated: 0.05}.get(genre, 0.65)
            item = genre + 4 * int(rng.integers(40))
            rows.append((f"u{user}", item, START_S + n * DAY_S, 5 if rng.random() < chance else 2))
    return pl.DataFrame(rows, schema=["user", "item", "at", "stars"], orient="row")


@pytest.fixture(scope="module")
def planted_world(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    features = {"genres": "tags", "year": "numeric"}
    words = {"Sci-Fi": {"zh": ["科幻"]}, "Comedy": {"zh": ["喜剧"]}}
    place = tmp_path_factory.mktemp("planted")
    return world(place, planted(), films(), features, catalogue={"title": "title", "words": words})


def profiler_of(data: Dataset, **settings: Any) -> Profiler:
    return Profiler(data, behaviour_of(data), ProfileSettings(**settings))


def named(interests: tuple[Interest, ...], value: str) -> Interest | None:
    return next((i for i in interests if i.trait.value == value), None)


def test_planted_tastes_are_found_and_nothing_else_is_sure(planted_world: Dataset) -> None:
    others = neutral = 0
    for k, profile in enumerate(profiler_of(planted_world).profiles([f"u{k}" for k in range(80)])):
        favourite = named(profile.of("likes"), GENRES[k % 4])
        assert favourite is not None
        assert favourite.certainty == "sure"
        assert profile.of("likes")[0] is favourite
        assert favourite.choice > 0
        assert favourite.outcome > 0
        hated = named(profile.of("avoids"), GENRES[(k + 1) % 4])
        assert hated is not None
        assert hated.weight < -np.log(2)
        assert hated.interval[0] < hated.weight < hated.interval[1]
        rest = [i for i in profile.interests if i is not favourite and i is not hated]
        rest = [i for i in rest if i.certainty != "a hint"]
        others += sum(i.polarity == "likes" or i.trait.column == "year" for i in rest)
        neutral += len(rest)
    assert others <= 8  # of 80 users: one in ten of what is said may be wrong
    assert neutral <= 16  # two genres each that others like more, since for some they are the favourite


def test_counts_and_evidence_are_those_of_the_events(planted_world: Dataset) -> None:
    frame = planted().join(films(), on="item")
    profiler = profiler_of(planted_world)
    for user in ("u0", "u7", "u41"):
        profile = profiler.profile(user)
        mine = frame.filter(pl.col("user") == user).sort("at", "item")
        assert (profile.events, profile.likes) == (len(mine), len(mine.filter(pl.col("stars") >= 4)))
        assert profile.first == datetime.fromtimestamp(int(mine["at"].min()), UTC)  # type: ignore[arg-type]
        assert profile.interests
        for interest in profile.interests:
            column = interest.trait.column
            value = interest.trait.value if column == "genres" else int(interest.trait.value[4:8]) + 5
            bears = mine.filter(pl.col(column) == value)
            liked = bears.filter(pl.col("stars") >= 4)
            support = interest.support
            assert (support.events, support.labelled, support.likes) == (len(bears), len(bears), len(liked))
            assert support.share == pytest.approx(len(liked) / profile.likes)
            named_events = liked if interest.polarity == "likes" else bears.filter(pl.col("stars") < 4)
            latest = named_events.sort("at", "item", descending=True)["item"].cast(pl.String)
            assert list(support.items) == latest.unique(maintain_order=True)[:10].to_list()
            assert support.last == datetime.fromtimestamp(int(named_events["at"].max()), UTC)  # type: ignore[arg-type]
            assert support.like_interval is not None
            assert support.like_interval[0] <= support.likes / support.labelled <= support.like_interval[1]
        liked_ids = mine.filter(pl.col("stars") >= 4)["item"].cast(pl.String).to_list()
        assert [item.id for item in profile.liked] == liked_ids[::-1][:5]


def test_what_is_long_past_weighs_less(tmp_path: Path) -> None:
    """A user of 30 horror films three years ago, then 10 comedies; everybody else sees everything."""
    rows = [("old", 1 + 4 * k, START_S + k * DAY_S, 5) for k in range(30)]
    rows += [("old", 4 * k, START_S + (1_100 + k) * DAY_S, 5) for k in range(10)]
    rows += [
        (f"u{u}", i, START_S + i * DAY_S, 5 if (u + i) % 3 else 2) for u in range(20) for i in range(160)
    ]
    frame = pl.DataFrame(rows, schema=["user", "item", "at", "stars"], orient="row")
    data = world(tmp_path, frame, films(), {"genres": "tags"})
    recent = profiler_of(data, half_life_days=90).profile("old")
    assert [i.trait.value for i in recent.of("likes")] == ["Comedy"]
    forever = profiler_of(data, half_life_days=None).profile("old")
    assert forever.of("likes")[0].trait.value == "Horror"
    assert forever.half_life_days is None
    slow, fast = (profiler_of(data, half_life_days=days).tastes(np.array([0])) for days in (1000, 10))
    assert (
        (slow.liking.hits + slow.liking.rest) > (fast.liking.hits + fast.liking.rest)
    ).all()  # old events are less evidence too
    np.testing.assert_array_equal(slow.likes, fast.likes)  # counts do not age


def test_little_data_gives_few_interests_and_wide_intervals(planted_world: Dataset, tmp_path: Path) -> None:
    few = pl.DataFrame(
        {
            "user": ["new"] * 5,
            "item": [0, 4, 8, 12, 17],
            "at": [START_S + k for k in range(5)],
            "stars": [5, 5, 5, 5, 2],
        }
    )
    data = world(
        tmp_path, pl.concat([planted(), few.cast(planted().schema)]), films(), {"genres": "tags", "year": "numeric"}
    )  # fmt: skip
    profile = profiler_of(data).profile("new")
    assert len(profile.interests) <= 2
    assert all(i.certainty != "sure" for i in profile.interests)
    comedy = profiler_of(data).profile("u0").interests[0]
    mine = profile.interests[0]
    assert mine.trait.value == "Comedy"
    assert mine.interval[1] - mine.interval[0] > 1.5 * (comedy.interval[1] - comedy.interval[0])


def test_of_an_unknown_user_nothing_is_said_but_that(planted_world: Dataset) -> None:
    profile = profiler_of(planted_world).profile("nobody")
    assert not profile.known
    assert profile.interests == ()
    assert profile.liked == ()
    assert (profile.events, profile.first) == (0, None)
    assert profile_sentences(profile) == ["Nothing is known of user nobody: there is no event to learn from."]
    assert profile_sentences(profile, "zh") == ["对用户nobody一无所知：没有任何行为记录。"]


def test_sentences_hold_the_numbers_of_the_profile(planted_world: Dataset) -> None:
    profile = profiler_of(planted_world).profile("u3")
    english, chinese = profile_sentences(profile), profile_sentences(profile, "zh")
    assert len(english) == len(chinese) == 2 + len(profile.interests)
    scifi = profile.interests[0]
    assert english[1].startswith(f"Likes Sci-Fi: {scifi.support.share:.0%} of all likes")
    assert f"liked {scifi.support.likes} of {scifi.support.labelled}" in english[1]
    assert chinese[1].startswith("喜欢科幻：")
    assert "不喜欢喜剧" in "".join(chinese)
    assert english[0].startswith("User u3: 150 events, from 2020-09-13 to 2021-02-09")
    json.dumps(profile.to_json())
    assert profile.to_json()["interests"][0]["trait"]["value"] == "Sci-Fi"
    with pytest.raises(RequestError, match="the language 'fr' is not known"):
        profile_sentences(profile, "fr")


def drawn(picks: list[float], rates: list[float], seed: int, asked: float, days: float) -> Behaviour:
    """A user 0 with shares of picks and like rates by genre, and nine who pick and like all alike."""
    rng = np.random.default_rng(seed)
    share = np.array(picks) / sum(picks)
    items, likes, times = [], [], []
    for user in range(10):
        n = int(rng.integers(1, 120))
        genre = rng.choice(4, n, p=share if user == 0 else None)
        rate = np.array(rates)[genre] if user == 0 else np.full(n, 0.6)
        said = rng.random(n) < asked
        items.append(genre + 4 * rng.integers(0, 40, n))
        likes.append(np.where(said, rng.random(n) < rate, np.nan).astype(np.float32))
        times.append(np.sort((rng.random(n) * days * DAY_S * 1e6).astype(np.int64)))
    rows = Ragged.from_lengths(np.concatenate(items).astype(np.int32), np.array([len(one) for one in items]))
    return Behaviour(rows, np.concatenate(times), np.concatenate(likes)[:, None], ("like",))


@given(
    picks=st.lists(st.floats(0.05, 1), min_size=4, max_size=4),
    rates=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    seed=st.integers(0, 2**32 - 1),
    asked=st.sampled_from([1.0, 0.7, 0.2]),
    days=st.sampled_from([0.0, 200.0, 3000.0]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_profile_says_follows_from_its_own_numbers(
    planted_world: Dataset, picks: list[float], rates: list[float], seed: int, asked: float, days: float
) -> None:
    behaviour = drawn(picks, rates, seed, asked, days)
    profile = Profiler(planted_world, behaviour).profile("u0")
    label = behaviour.label("like")[behaviour.events(0)]
    assert (profile.events, profile.likes) == (len(label), int((label == 1).sum()))
    traits = [interest.trait for interest in profile.interests]
    assert len({(trait.column, trait.value) for trait in traits}) == len(
        traits
    )  # nothing is liked and avoided
    sentences = profile_sentences(profile)[1 : 1 + len(profile.interests)]
    for interest, sentence in zip(profile.interests, sentences, strict=True):
        support = interest.support
        assert 0 <= support.likes <= support.labelled <= support.events <= profile.events
        assert interest.interval[0] <= interest.interval[1]
        assert (interest.weight < 0) == (interest.polarity == "avoids")
        if interest.polarity == "likes":
            assert sentence.startswith("Likes ")
            assert support.likes >= support.expected_likes or not profile.judged
            assert support.share == support.likes / profile.likes
        elif interest.polarity == "chooses":
            assert sentence.startswith("Often chooses ")
            assert support.likes < support.expected_likes
            assert support.share == support.events / profile.events
            assert support.share >= support.share_of_others
        else:
            assert sentence.startswith("Avoids ")
            assert support.likes < support.expected_likes
            assert 2 * support.likes < support.labelled
        assert len(support.items) <= support.events
        if profile.judged:
            assert f"liked {support.likes} of {support.labelled}" in sentence


def test_what_is_picked_often_and_liked_less_than_expected_is_not_said_to_be_liked(
    planted_world: Dataset,
) -> None:
    """Most of the likes are of horror, for most of the picks are; of these fewer are liked than of the rest."""
    said = set()
    for seed in range(12):
        found = drawn([1, 8, 1, 1], [0.8, 0.5, 0.8, 0.8], seed, 1.0, 0.0)
        profile = Profiler(planted_world, found).profile("u0")
        horror = named(profile.interests, "Horror")
        if horror is None or horror.support.likes >= horror.support.expected_likes:
            continue
        said.add(horror.polarity)
        line = next(line for line in profile_sentences(profile, "zh") if "Horror" in line)
        assert line.startswith("常选Horror：占全部行为的")
    assert said == {"chooses"}


def test_all_users_at_once_and_one_alone_agree(planted_world: Dataset) -> None:
    profiler = profiler_of(planted_world)
    assert list(profiler.profiles())[5] == profiler.profile("u5")


def test_who_likes_everything_has_no_aversion(tmp_path: Path) -> None:
    happy = planted(users=1).with_columns(user=pl.lit("happy"), stars=pl.lit(5, pl.Int64))
    data = world(tmp_path, pl.concat([planted(), happy]), films(), {"genres": "tags"})
    profile = profiler_of(data).profile("happy")
    assert profile.of("avoids") == ()
    assert profile.likes == profile.events
    assert named(profile.of("likes"), "Comedy") is not None


def test_where_nothing_is_judged_choices_alone_speak(tmp_path: Path) -> None:
    liked = planted().filter(pl.col("stars") >= 4)
    retrieval = {"next": {"kind": "retrieval", "positive": "stars >= 4"}}
    data = world(tmp_path, liked, films(), {"genres": "tags"}, tasks=retrieval)
    profile = profiler_of(data).profile("u1")
    assert not profile.judged
    assert profile.of("avoids") == ()
    assert profile.interests[0].trait.value == "Horror"
    assert profile.interests[0].outcome == 0
    assert profile_sentences(profile)[1].startswith("Often chooses Horror:")
    assert profile_sentences(profile, "zh")[1].startswith("常选Horror：")


def test_without_a_task_that_says_liked_events_count_as_choices(tmp_path: Path) -> None:
    stars = {"stars": {"kind": "regression", "label": "stars"}}
    data = world(tmp_path, planted(), films(), {"genres": "tags"}, tasks=stars)
    profiler = profiler_of(data)
    assert profiler.task is None
    profile = profiler.profile("u2")
    assert profile.interests[0].trait.value == "Western"
    assert profile.liked
    assert profile_sentences(profile)[-1].startswith("Chose last:")


def test_without_times_nothing_ages_and_no_date_is_said(tmp_path: Path) -> None:
    keys = {"user": "user", "item": "item"}
    data = world(tmp_path, planted().drop("at"), films(), {"genres": "tags"}, keys=keys)
    profile = profiler_of(data).profile("u0")
    assert (profile.first, profile.half_life_days) == (None, None)
    assert profile.interests[0].trait.value == "Comedy"
    assert profile.interests[0].support.last is None
    assert "from" not in profile_sentences(profile)[0]
    assert (
        profiler_of(data, half_life_days=1).profile("u0").interests[0].weight == profile.interests[0].weight
    )


def test_without_any_table_of_items_there_is_nothing_to_like_but_the_items(tmp_path: Path) -> None:
    data = world(tmp_path, planted(), None, {})
    profile = profiler_of(data).profile("u0")
    assert profile.interests == ()
    assert len(profile.liked) == 5
    assert profile.liked[0].name == profile.liked[0].id
    assert "Nothing stands out" in profile_sentences(profile)[1]


def test_sensitive_traits_are_not_mined(tmp_path: Path) -> None:
    items = films().with_columns(
        genres=pl.col("genres").replace("Horror", "Religion|Faith"),
        gender=pl.col("genres").replace_strict("Comedy", "women", default="men"),
    )
    data = world(tmp_path, planted(), items, {"genres": "tags", "gender": "categorical"})
    profiler = profiler_of(data)
    values = {trait.value for trait in profiler.traits.traits}
    assert "Faith" in values
    assert not values & {"Religion", "women", "men"}
    assert profiler.profile("u1").withheld == 2
    assert all(t.column != "genres" for t in profiler_of(data, leave_out=("genres",)).traits.traits)
    with pytest.raises(DataError, match="leave_out names 'genre'"):
        profiler_of(data, leave_out=("genre",))


def test_words_of_rich_texts_are_traits_in_both_scripts(tmp_path: Path) -> None:
    items = films().with_columns(
        blurb=pl.when(pl.col("item") % 4 == 0)
        .then(pl.concat_str(pl.lit("a silky gown "), pl.col("item") + 1000))
        .when(pl.col("item") % 4 == 1)
        .then(pl.concat_str(pl.lit("真丝连衣裙"), pl.col("item") + 1000))
        .otherwise(pl.concat_str(pl.lit("plain "), pl.col("item") + 1000))
    )
    data = world(tmp_path, planted(), items, {}, catalogue={"columns": {"blurb": {"zh": "简介"}}})
    profiler = profiler_of(data, word_items=5, word_share=0.5)
    words = {trait.value for trait in profiler.traits.traits}
    assert {"silky", "gown", "真丝", "连衣"} <= words
    assert not words & {"a", "1000"}
    silk, dress = profiler.profile("u0").interests[0], profiler.profile("u1").interests[0]
    assert silk.words["en"] in ("“silky” in the blurb", "“gown” in the blurb")
    assert dress.words["zh"].startswith("简介中的“")


def test_schemas_without_users_or_items_are_refused(tmp_path: Path) -> None:
    planted(4).write_parquet(tmp_path / "ratings.parquet")
    content = {
        "name": "anonymous",
        "tables": {"interactions": "ratings.parquet"},
        "keys": {"item": "item"},
        "features": {"item": {"item": "id"}},
        "tasks": {"like": {"kind": "binary", "label": "stars >= 4"}},
        "split": {"by": "random"},
    }
    data = build_dataset(Schema.parse(content), tmp_path)
    with pytest.raises(DataError, match="no users or no items"):
        Profiler(data, behaviour_of(data))
