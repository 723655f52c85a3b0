from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from motet.bundle import load_bundle, save_bundle
from motet.data import Dataset, build_dataset
from motet.errors import DataError
from motet.models import build_model
from motet.recommend import (
    MeaningIndex,
    MentionReader,
    Mentions,
    Recommender,
    Signals,
    TextRecommender,
    TextWeights,
    fit_text_weights,
    recommend_by_text,
)
from motet.recommend._by_text import _standard
from motet.recommend._new_user import Pasts
from motet.schema import Schema
from motet.testing import hashed_words_for_tests
from motet.training import train_model

TITLES = [
    f"{a} {b}" for a in ("Red", "Blue", "Green", "Golden") for b in ("Harbour", "Winter", "Letter", "Crown")
]


def films_world(place: Path) -> Dataset:
    """16 films of two genres; a user likes all of one genre and dislikes the other."""
    items = pl.DataFrame(
        {
            "film": [f"f{k}" for k in range(16)],
            "title": TITLES,
            "genres": [["Comedy"] if k % 2 else ["Horror"] for k in range(16)],
        }
    )
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"f{k}", 1_600_000_000 + n, 5 if k % 2 == u % 2 else 1)
        for u in range(60)
        for n, k in enumerate(rng.permutation(16)[:12].tolist())
    ]
    items.write_parquet(place / "films.parquet")
    pl.DataFrame(rows, schema=["who", "film", "at", "stars"], orient="row").write_parquet(place / "r.parquet")
    content = {
        "name": "films",
        "tables": {"interactions": "r.parquet", "items": "films.parquet"},
        "keys": {"user": "who", "item": "film", "time": "at"},
        "features": {
            "user": {
                "who": "id",
                "liked": {
                    "kind": "sequence",
                    "of": "film",
                    "last": 8,
                    "where": "stars >= 4",
                    "encoder": "mean",
                },
                "disliked": {
                    "kind": "sequence",
                    "of": "film",
                    "last": 8,
                    "where": "stars < 4",
                    "encoder": "mean",
                },
            },
            "item": {"film": "id", "genres": "tags", "about": {"kind": "text", "template": "{title}"}},
        },
        "tasks": {
            "like": {"kind": "binary", "label": "stars >= 4"},
            "next": {"kind": "retrieval", "positive": "stars >= 4"},
        },
        "catalogue": {"words": {"Comedy": {"en": ["funny"], "zh": ["喜剧"]}, "Horror": {"zh": ["恐怖"]}}},
        "split": {"by": "user_time"},
        "model": {"architecture": "mlp", "width": 8, "dropout": 0.0, "id_dropout": 0.5},
        "training": {"epochs": 30, "batch_size": 128, "learning_rate": 0.02, "patience": 30},
    }
    return build_dataset(Schema.parse(content), place, encode_text=hashed_words_for_tests)


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    place = tmp_path_factory.mktemp("films")
    data = films_world(place)
    save_bundle(place / "bundle", model=train_model(data).model, data=data, metrics={})
    return Recommender(load_bundle(place / "bundle"), hashed_words_for_tests)


@pytest.fixture(scope="module")
def text(recommender: Recommender) -> TextRecommender:
    return TextRecommender(recommender, hashed_words_for_tests)


def genre(item: str) -> str:
    return "Comedy" if int(item[1:]) % 2 else "Horror"


def test_titles_become_the_past_of_a_new_user(text: TextRecommender) -> None:
    model_only = TextWeights(model=1.0)
    for sentence, wanted in (
        ("I liked Red Winter, Blue Crown and Green Winter.", "Comedy"),
        ("I liked Red Harbour, Blue Letter and Green Harbour.", "Horror"),
    ):
        mentions = text.reader.read(sentence)
        assert len(mentions.liked) == 3
        score = text.signals(sentence, mentions).score(model_only)
        order = [k for k in np.argsort(-score) if k not in mentions.liked]
        assert all(genre(f"f{k}") == wanted for k in order[:5])


def test_named_items_do_not_come_and_every_task_does(text: TextRecommender, recommender: Recommender) -> None:
    answer = text.recommend("I liked Red Winter but hated Red Harbour", k=100)
    assert not {"f0", "f1"} & set(answer["film"])
    assert len(answer) == 14
    assert answer["rank"].to_list() == list(range(1, 15))
    assert answer["score"].is_sorted(descending=True)
    assert answer.columns == ["rank", "film", "score", "like", "next"]
    like = (
        answer.with_columns(pl.col("film").map_elements(genre, pl.String))
        .group_by("film")
        .agg(pl.col("like").mean())
    )
    by_genre = dict(like.iter_rows())
    assert by_genre["Comedy"] > by_genre["Horror"] + 0.2  # the tasks too see what was said
    same = recommend_by_text(recommender, "I liked Red Winter but hated Red Harbour", 100, encode_text=hashed_words_for_tests)  # fmt: skip
    assert same.equals(answer)


def test_tags_move_items_up_and_down(recommender: Recommender) -> None:
    weights = TextWeights(model=0.0, tags=1.0)
    text = TextRecommender(recommender, hashed_words_for_tests, unnamed=weights)
    for sentence in ("something funny please", "no horror", "要喜剧，不要恐怖片", "I hate horror"):
        found = text.recommend(sentence, k=8)["film"].to_list()
        assert {genre(item) for item in found} == {"Comedy"}, sentence
    # what is not wanted never comes, whatever the weights
    hard = TextRecommender(recommender, hashed_words_for_tests)
    assert {genre(item) for item in hard.recommend("I liked Red Harbour, but no horror", 16)["film"]} == {
        "Comedy"
    }


def test_an_empty_sentence_is_answered_as_somebody_unknown(
    text: TextRecommender, recommender: Recommender
) -> None:
    nobody = recommender.recommend(["nobody at all"], k=16)["film"].to_list()
    scores = text.signals("").model
    assert [f"f{k}" for k in np.argsort(-scores, kind="stable")] == nobody
    assert len(text.recommend("", k=16)) == 16
    assert len(text.recommend("??? \x00 \U0001f98a", k=3)) == 3


def test_other_users_are_untouched(text: TextRecommender, recommender: Recommender) -> None:
    before = recommender.recommend(["u1"], k=5)
    text.recommend("I liked Red Winter")
    assert recommender.recommend(["u1"], k=5).equals(before)


def test_likes_go_where_likes_are_kept(recommender: Recommender) -> None:
    pasts = Pasts(recommender.bundle)
    new, row, _ = recommender._with_users(pl.DataFrame({"who": ["new"]}), "who")
    data = pasts.with_user(new, [3, 5], [2])
    user = int(row[0])
    for name, items in (("liked", [3, 5]), ("disliked", [2])):
        history = data.histories[name]
        assert history.items.take(np.array([user])).values.tolist() == items
        assert history.known[user] == len(items)
        others = np.arange(user)
        assert (
            history.items.take(others).values.tolist()
            == new.histories[name].items.take(others).values.tolist()
        )


def test_mentions_of_another_reader_are_taken(text: TextRecommender) -> None:
    mentions = Mentions(liked=(1, 3), unwanted=(("genres", "Horror"),))
    assert not {"f1", "f3"} & set(text.recommend("whatever", 16, mentions=mentions)["film"])
    with pytest.raises(DataError, match="'mood' is no column of tags"):
        text.signals("", Mentions(wanted=(("mood", "sad"),)))
    with pytest.raises(DataError, match="k is 0"):
        text.recommend("", 0)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("I liked Thing, The and Alien", Mentions(liked=(0, 1))),
        ("i liked toy story and the thing", Mentions(liked=(2, 0))),
        ("It was a gift", Mentions()),
        ("a film for my family", Mentions()),
        ("I loved “It”", Mentions(liked=(4,))),
        (
            "I don't like Alien, Toy Story or The Thing. I love Amélie!",
            Mentions(liked=(5,), disliked=(1, 2, 0)),
        ),
        ("I did not enjoy Alien but Amelie was good", Mentions(liked=(5,), disliked=(1,))),
        ("comedies, no dramas", Mentions(wanted=(("genres", "Comedy"),), unwanted=(("genres", "Drama"),))),
        ("除了剧情片都可以，我喜欢霸王别姬", Mentions(liked=(6,), unwanted=(("genres", "Drama"),))),
        ("喜欢《霸王别姬》", Mentions(liked=(6,))),
        ("Alien Alien ALIEN", Mentions(liked=(1,))),
        ("Alien, but not Alien", Mentions(disliked=(1,))),
    ],
)
def test_reading_of_mentions(sentence: str, expected: Mentions) -> None:
    from motet.data import Catalogue  # noqa: PLC0415

    titles = ["Thing, The", "Alien", "Toy Story", "My Family", "It", "Amélie (2001)", "霸王别姬", "Alien"]
    genres = [["Horror"], ["Horror"], ["Comedy"], ["Drama"], ["Horror"], ["Comedy"], ["Drama"], ["Drama"]]
    frame = pl.DataFrame({"id": [str(k) for k in range(8)], "title": titles, "genres": genres})
    words = {"Comedy": {"en": ("comedies",)}, "Drama": {"zh": ("剧情",)}}
    catalogue = Catalogue(frame, "title", ("genres",), (), (), (), {}, words)
    reader = MentionReader(catalogue, np.array([5, 9, 5, 5, 5, 5, 5, 1]))
    assert reader.read(sentence) == expected


def test_meaning_finds_the_nearest_texts(recommender: Recommender) -> None:
    catalogue = recommender.bundle.data.catalogue
    assert catalogue is not None
    for index, words in (
        (MeaningIndex.of_catalogue(catalogue, hashed_words_for_tests, width=0), "Blue Crown. Comedy"),
        (
            MeaningIndex.of_feature(recommender.bundle.data, "about", hashed_words_for_tests, width=0),
            "blue crown",
        ),
    ):
        rows, scores = index.search(words, k=4)
        assert rows[0] == TITLES.index("Blue Crown")
        assert (np.diff(scores) <= 0).all()
        brute = index.scores(words)
        assert rows.tolist() == np.argsort(-brute, kind="stable")[:4].tolist()
        among = np.zeros(16, bool)
        among[[2, 9]] = True
        assert sorted(index.search(words, 10, among=among)[0].tolist()) == [2, 9]
        again, _ = index.search(index.vectors_of_items(np.array([7]))[0], k=1)
        assert again.tolist() == [7]
    with pytest.raises(DataError, match="'abuot' is no text feature"):
        MeaningIndex.of_feature(recommender.bundle.data, "abuot", hashed_words_for_tests)


def test_items_without_text_are_not_found_by_meaning() -> None:
    vectors = hashed_words_for_tests(["red wine", "", "black tea", "green tea"])
    index = MeaningIndex(vectors, hashed_words_for_tests, width=2)
    rows, _ = index.search("tea", k=10)
    assert sorted(rows.tolist()) == [0, 2, 3]
    assert index.scores("tea")[1] == -1
    assert index.search("", k=2)[1].tolist() == [0.0, 0.0]
    nothing = MeaningIndex(np.zeros((3, 12), np.float32), hashed_words_for_tests)
    assert nothing.search("tea")[0].tolist() == []
    with pytest.raises(DataError, match="not finite"):
        MeaningIndex(np.full((2, 3), np.nan, np.float32), hashed_words_for_tests)


def test_fitted_weights_find_the_signal_that_tells() -> None:
    rng = np.random.default_rng(0)
    signals, relevant = [], np.zeros((40, 60), bool)
    for row in range(40):
        parts = rng.standard_normal((6, 60))
        relevant[row, np.argsort(-(parts[0] + parts[3]))[:6]] = True
        signals.append(Signals(*(_standard(part) for part in parts)))
    left_out = np.zeros_like(relevant)
    weights = fit_text_weights(signals, relevant, left_out)
    assert 0.5 <= weights.meaning / weights.model <= 2
    assert max(weights.echo, weights.together, weights.tags, weights.popularity) <= 0.2 * weights.model
    assert fit_text_weights(signals, relevant, left_out) == weights
    with pytest.raises(DataError, match="nothing to fit"):
        fit_text_weights(signals, relevant & False, left_out)


def test_a_bundle_without_words_of_items_still_answers(tmp_path: Path) -> None:
    rows = [(f"u{u}", f"f{k}", (u + k) % 2) for u in range(8) for k in range(6)]
    pl.DataFrame(rows, schema=["who", "film", "good"], orient="row").write_csv(tmp_path / "r.csv")
    content = {
        "name": "bare",
        "tables": {"interactions": "r.csv"},
        "keys": {"user": "who", "item": "film"},
        "features": {"user": {"who": "id"}, "item": {"film": "id"}},
        "tasks": {"good": {"kind": "binary", "label": "good"}},
        "split": {"by": "random"},
    }
    data = build_dataset(Schema.parse(content), tmp_path)
    save_bundle(tmp_path / "b", model=build_model(data.schema, data.encoder).eval(), data=data, metrics={})
    bare = Recommender(load_bundle(tmp_path / "b"))
    assert len(recommend_by_text(bare, "anything", 3, encode_text=hashed_words_for_tests)) == 3
