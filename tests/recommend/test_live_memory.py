"""What is kept while serving: how much of it, of whom, and what is never lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from motet.data import Dataset
from motet.errors import DataError, RequestError, StoreUnavailableError
from motet.models import build_model
from motet.recommend import LiveRecommender, Query, Recommender, read_filter, read_query
from motet.recommend.live import Eligible, EncodedUser, LiveEvent, UserEncoder
from motet.testing import hashed_words_for_tests
from motet.training import load_bundle, save_bundle


@pytest.fixture(scope="module")
def recommender(toy: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    place = tmp_path_factory.mktemp("memory") / "bundle"
    save_bundle(place, model=build_model(toy.schema, toy.encoder, seed=3).eval(), data=toy, metrics={})
    return Recommender(load_bundle(place), hashed_words_for_tests)


@pytest.fixture
def live(recommender: Recommender) -> LiveRecommender:
    return LiveRecommender(recommender)


# -- users ---------------------------------------------------------------------------------------


def test_features_of_requests_push_no_recorded_user_out(recommender: Recommender) -> None:
    user_encoder = UserEncoder(recommender.bundle, recommender._raw, kept=3, asked=2)
    user_encoder.upsert([{"user": "recorded", "age": 30}])
    for age in range(10):
        assert user_encoder.of(None, -1, {"age": age}).known
    assert user_encoder.of("recorded", -1, {}).known
    assert len(user_encoder._asked) == 2
    assert user_encoder.of(None, -1, {"age": 9}) is user_encoder.of(None, -1, {"age": 9})
    user_encoder.upsert([{"user": f"other {k}", "age": k} for k in range(3)])
    assert not user_encoder.of("recorded", -1, {}).known


def test_a_user_who_is_forgotten_is_forgotten_with_the_features_of_requests(live: LiveRecommender) -> None:
    user_encoder = live.user_encoder
    asked = user_encoder.of("zoe", -1, {"age": 44, "job": "cook"})
    other = user_encoder.of("ann", -1, {"age": 44, "job": "cook"})
    assert b"zoe" not in repr(list(user_encoder._asked)).encode()
    assert user_encoder.of("zoe", -1, {"job": "cook", "age": 44}) is asked
    assert live.forget_user("zoe")
    assert not live.forget_user("zoe")
    assert len(user_encoder._asked) == 1
    assert user_encoder.of("ann", -1, {"age": 44, "job": "cook"}) is other
    assert user_encoder.of("zoe", -1, {"age": 44, "job": "cook"}) is not asked


def test_what_is_kept_of_a_user_changes_with_each_event_item_and_deletion(recommender: Recommender) -> None:
    """A request that was asked before gets what a recommender gives that is asked for the first time."""
    steps: list[Callable[[LiveRecommender], object]] = [
        lambda live: live.add_events([LiveEvent(user="u1", item="10", at_s=2e9)]),
        lambda live: live.add_events([LiveEvent(user="new", item="12", at_s=2e9)]),
        lambda live: live.upsert_users([{"user": "u1", "age": 71, "job": "cook"}]),
        lambda live: live.patch_items([{"item": "10", "title": "changed title", "price": 3}]),
        lambda live: live.forget_user("u1"),
        lambda live: live.erase_user("u2"),
    ]
    queries = [Query(user=user, k=8, include_seen=True) for user in ("u1", "u2", "new", None)]

    def values(live: LiveRecommender) -> list[list[tuple[str, float]]]:
        return [[(one.item, one.value) for one in live.recommend(query).items] for query in queries]

    asked = LiveRecommender(recommender)
    before = values(asked)
    for n, step in enumerate(steps, 1):
        step(asked)
        first = LiveRecommender(recommender)
        for earlier in steps[:n]:
            earlier(first)
        assert values(asked) == values(asked) == values(first), n
    assert values(asked) != before


def count_scores(live: LiveRecommender, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of items that the model is asked of, a call each."""
    asked: list[int] = []
    score = live._scorer._score

    def counted(context: Any, rows: Any, tasks: Any) -> Any:
        asked.append(len(rows))
        return score(context, rows, tasks)

    monkeypatch.setattr(live._scorer, "_score", counted)
    return asked


def test_answers_that_are_kept_are_those_that_would_be_made(
    recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn events, changed items and requests: with what is kept, and without."""
    rng = np.random.default_rng(0)
    # few candidates, so that what is popular and new decides on some of them
    keeps, forgets = (LiveRecommender(recommender, candidates=6) for _ in range(2))
    items = [str(row) for row in recommender.bundle.data.item_ids.to_list()]
    users = ["u1", "u2", "new", None]
    computed, again = count_scores(keeps, monkeypatch), 0
    for n in range(200):
        step, item, user = (
            rng.integers(8),
            str(rng.choice(items)),
            str(rng.choice(["u1", "other", "another"])),
        )
        hide = bool(rng.integers(2))
        for live in (keeps, forgets):
            if step < 4:
                live.add_events([LiveEvent(user=user, item=item, at_s=2e9 + n)])
            elif step == 4 and not n % 3:
                live.hide_items([item], hide)
            elif step == 5 and not n % 3:
                live.upsert_items([{"item": f"late {n}", "title": item, "price": n}], at_s=2e9 + n)
        asked = Query(
            user=users[rng.integers(4)],
            k=int(rng.integers(1, 5)),
            exclude=tuple(items[: rng.integers(3)]),
            include_seen=bool(rng.integers(2)),
            duplicates=bool(rng.integers(2)),
        )
        before = len(computed)
        found = keeps.recommend(asked)
        again += len(computed) == before
        forgets._scorer.forget()
        wanted = forgets.recommend(asked)
        assert [(one.item, one.sources, one.served_by) for one in found.items] == [
            (one.item, one.sources, one.served_by) for one in wanted.items
        ], n
        np.testing.assert_allclose(
            [one.value for one in found.items], [one.value for one in wanted.items], rtol=1e-4, atol=1e-5
        )
    assert again > 5  # requests that were answered from what was kept


def test_what_others_like_changes_what_is_kept_of_a_user(recommender: Recommender) -> None:
    live = LiveRecommender(recommender)
    items = [str(row) for row in recommender.bundle.data.item_ids.to_list()]
    asked = Query(user="u1", k=1, include_seen=True, sources=("trending",))
    for n, item in enumerate(items[:8]):
        live.add_events([LiveEvent(user="other", item=item, at_s=2e9 + 1e6 * n)])
        found = live.retriever.retrieve(live._stages.read(asked).ask, 1, names=("trending",))
        assert items[int(found.rows[0])] == item


def test_the_model_is_not_asked_twice_of_the_same_items(
    live: LiveRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count_scores(live, monkeypatch)
    first = live.recommend(Query(user="u1", k=2, include_seen=True))
    assert len(asked) == 1
    assert live.recommend(Query(user="u1", k=2, include_seen=True)).items == first.items
    assert len(asked) == 1
    # another wish of the same user: the items are known to the model
    assert live.recommend(Query(user="u1", k=3, include_seen=True)).items[:2] == first.items
    assert len(asked) == 1
    drawn = [
        live.recommend(
            Query(
                user="u1",
                k=2,
                include_seen=True,
                explore=read_query({"explore": {"temperature": 5.0}}).explore,
            )
        )
        for _ in range(20)
    ]
    assert len({one.items[0].item for one in drawn}) > 1  # what is drawn is drawn each time
    live.add_events([LiveEvent(user="u1", item="10", at_s=2e9)])
    live.recommend(Query(user="u1", k=2, include_seen=True))
    assert len(asked) == 2


def test_a_source_is_asked_again_when_it_says_that_it_changed(recommender: Recommender) -> None:
    class Counting:
        inline = True

        def __init__(self, name: str, changes: int | None) -> None:
            self.name, self.asked = name, 0
            if changes is not None:
                self.changes = changes

        def candidates(self, ask: Any, n: int) -> tuple[Any, Any]:
            self.asked += 1
            return np.array([self.asked % 3]), np.ones(1, np.float32)

    steady, silent = Counting("steady", 0), Counting("silent", None)
    live = LiveRecommender(recommender, candidates=3, sources=[steady, silent])
    asked = Query(user="u1", k=2, include_seen=True, sources=("steady", "silent"))
    for _ in range(3):
        live.recommend(asked)
    assert (steady.asked, silent.asked) == (1, 3)
    steady.changes = 1
    live.recommend(asked)
    assert (steady.asked, silent.asked) == (2, 4)


@pytest.mark.parametrize("changes", [lambda: 0, "many", True, None])
def test_only_a_number_of_changes_keeps_a_source_from_being_asked(
    recommender: Recommender, changes: object
) -> None:
    class Odd:
        inline, name, asked = True, "odd", 0

        @property
        def changes(self) -> object:
            if changes is None:
                raise ConnectionError("the shop is closed")
            return changes

        def candidates(self, ask: Any, n: int) -> tuple[Any, Any]:
            self.asked += 1
            return np.array([self.asked]), np.ones(1, np.float32)

    odd = Odd()
    live = LiveRecommender(recommender, sources=[odd])
    for _ in range(3):
        assert live.recommend(Query(user="u1", k=2, include_seen=True)).sources["odd"] == 1
    assert odd.asked == 3


def test_a_list_that_popular_items_filled_is_not_kept(recommender: Recommender) -> None:
    live = LiveRecommender(recommender, candidates=2)
    items = [str(row) for row in live.bundle.data.item_ids.to_list()]
    # the newest read alike, so that one of them is shown, and popular items follow
    live.upsert_items([{"item": f"late {n}", "title": "the same", "price": 1} for n in range(12)], at_s=2e9)
    asked = Query(user="u1", k=3, include_seen=True, sources=("newest",))
    first = [one.item for one in live.recommend(asked).items]
    assert len(first) == 3
    other = next(item for item in items if item not in first)
    for _ in range(500):
        live.add_events([LiveEvent(user="other", item=other, at_s=2e9)])
    assert other in [one.item for one in live.recommend(asked).items]


def test_filters_and_words_are_not_kept(live: LiveRecommender) -> None:
    cheap = read_filter({"field": "price", "op": "le", "value": 5})
    for more in ({"filter": cheap}, {"text": "a secret wish"}):
        live._scorer.forget()
        live.recommend(Query(user="u1", k=2, include_seen=True, **more))
        (kept,) = [context.kept for _, context in live._scorer._users[1].values()]
        assert not kept.queries
        assert not kept.items


def test_a_user_who_is_forgotten_during_a_request_is_not_kept(
    live: LiveRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = live._scorer.context_rows

    def forgotten(scenario: str | None, context: Any) -> Any:
        live.forget_user("u1")
        return rows(scenario, context)

    monkeypatch.setattr(live._scorer, "context_rows", forgotten)
    assert live.recommend(Query(user="u1", k=2, include_seen=True)).items
    assert not live._scorer._users[1]
    monkeypatch.undo()
    live.recommend(Query(user="u1", k=2, include_seen=True))
    assert len(live._scorer._users[1]) == 1


def test_columns_that_the_schema_does_not_use_are_not_kept_and_say_nothing(live: LiveRecommender) -> None:
    user_encoder, before = live.user_encoder, live.user_encoder.of("u1", live.history.row("u1"), {})
    same = user_encoder.of("u1", live.history.row("u1"), {"shoe size": 44, "genres": [["x"]]})
    assert not user_encoder._asked
    assert (same.table.codes == before.table.codes).all()
    assert not user_encoder.of(None, -1, {"shoe size": 44}).known
    first = user_encoder.of(None, -1, {"age": 44, "shoe size": 44})
    assert user_encoder.of(None, -1, {"age": 44, "shoe size": 45}) is first
    user_encoder.upsert([{"user": "x", "age": 44, "shoe size": 10**400}])
    assert (user_encoder.of("x", -1, {}).table.numbers == first.table.numbers).all()


def test_a_user_recorded_while_another_thread_asks_is_always_there(live: LiveRecommender) -> None:
    """Between a look whether a user is there and the look at it, another thread may have taken it out."""

    class Flickering(dict[str, EncodedUser]):
        def __contains__(self, user: object) -> bool:
            return True

    live.user_encoder._recorded = Flickering()  # type: ignore[assignment]
    assert not live.user_encoder.of("z", -1, {}).known


# -- caches --------------------------------------------------------------------------------------


def test_what_is_kept_of_events_and_contexts_holds_none_of_their_words(live: LiveRecommender) -> None:
    word = "word" * 2000
    events = [
        LiveEvent(item="10", type="click", columns={"unused": f"{word}{k}", "query": word}) for k in range(9)
    ]
    live.recommend(Query(history=tuple(events), k=1))
    live.recommend(Query(context={"query": word}, k=1))
    live.recommend(Query(filter=read_filter({"field": "title", "op": "contains", "value": "word" * 100})))
    kept = (live.history.reader._latest, live._scorer._contexts, live.items._masks, live.items.now.masks)
    for cache in kept:
        assert cache
        assert all(isinstance(key, bytes) and len(key) <= 16 for key in cache)
    assert len(live.history.reader._latest) == 1  # what is not used is no other meaning


def test_a_meaning_is_read_once_an_hour_where_the_schema_reads_hours(
    build: Callable[..., Dataset], clicks: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """What is kept gives what is read anew: scenarios that come from the time are those of the event's own hour."""
    content = clicks(
        keys={"user": "user", "item": "item", "time": "at", "scenario": "daypart"},
        derive={
            "interactions": {
                "hour": "EXTRACT(hour FROM at)",
                "daypart": "CASE WHEN hour >= 12 THEN 'late' ELSE 'early' END",
            }
        },
        features={
            "user": {"user": "id", "liked": {"kind": "sequence", "of": "item", "where": "click = 1"}},
            "item": {"item": "id"},
        },
    )  # fmt: skip
    rows = {"user": ["u1", "u2"] * 20, "item": list("abcdefgh") * 5, "click": [0, 1, 1, 0] * 10}
    start = datetime(2024, 5, 1)
    frame = pl.DataFrame(rows | {"at": [start + timedelta(hours=7 * n) for n in range(40)]})
    data = build(content, {"clicks.csv": frame})
    save_bundle(tmp_path / "bundle", model=build_model(data.schema, data.encoder, seed=0).eval(), data=data, metrics={})  # fmt: skip
    reader = LiveRecommender(
        Recommender(load_bundle(tmp_path / "bundle"), hashed_words_for_tests)
    ).history.reader
    midnight = start.replace(tzinfo=UTC).timestamp()
    seconds = [0.0, 3599.999999, 3600.0, 43199.999999, 43200.0, 43200.5, -0.000001, -1.0]
    events = [LiveEvent(item="a", type="click", value=1.0, at_s=midnight + s) for s in seconds]
    one_by_one = [reader.read([event])[0] for event in events]
    assert [one.scenario for one in one_by_one] == ["early"] * 4 + ["late"] * 4
    assert len(reader._latest) == 5  # hours 0, 1, 11 and 12, and the last of the day before
    assert reader.read(events) == one_by_one == reader._read(events)


def test_a_context_holds_the_texts_of_its_request_alone(live: LiveRecommender) -> None:
    context_rows, _ = live._scorer.context_rows(None, {"query": "storm city"})
    names = live.bundle.data.encoder.layout("interaction").vectors
    assert names
    assert all(len(context_rows.data.vectors[name]) <= 2 for name in names)


@pytest.mark.parametrize(
    "said",
    [
        {"user_features": {"job": "x" * 10_001}},
        {"user_features": {"job": ["x" * 10_001]}},
        {"user_features": {"job": ["x"] * 1001}},
        {"user_features": {f"column {k}": "x" * 9000 for k in range(20)}},
        {"user_features": {"x" * 200_000: 1}},
        {"context": {f"column {k}": "x" * 9000 for k in range(20)}},
        {"history": [{"item": "10", "columns": {f"column {k}": "x" * 9000 for k in range(20)}}]},
    ],
)
def test_features_and_columns_have_sane_lengths(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="at most"):
        Query.model_validate(said)
    with pytest.raises(RequestError, match="wrong at"):
        read_query(said)


def test_what_a_store_holds_of_an_event_is_not_too_long() -> None:
    """The store takes 8,192 characters of context."""
    assert LiveEvent(item="10", columns={"x" * 4000: "x" * 4190}).columns
    assert LiveEvent(item="10", columns={f"{k}": "x" * 39 for k in range(195)}).columns


# -- pasts ---------------------------------------------------------------------------------------


class Database:
    """Where all events are written before a recommender gets them."""

    def __init__(self) -> None:
        self.events: dict[str, list[LiveEvent]] = {}
        self.asked: list[str] = []
        self.is_gone = False

    def load(self, user: str) -> Sequence[LiveEvent]:
        self.asked.append(user)
        if self.is_gone:
            raise StoreUnavailableError("the store cannot be reached", "try again")
        return list(self.events.get(user, ()))

    def ingest(self, live: LiveRecommender, *events: LiveEvent) -> None:
        live.add_events(events)
        for event in events:
            self.events.setdefault(event.user, []).append(event)


def liked(user: str, *items: str) -> list[LiveEvent]:
    return [LiveEvent(user=user, item=item, type="click", value=1, at_s=2e9) for item in items]


def live_events(live: LiveRecommender, user: str) -> int:
    return live.history.of(user, live.items.now).live


def with_database(recommender: Recommender, users: int) -> tuple[LiveRecommender, Database]:
    database = Database()
    live = LiveRecommender(recommender, users=users, load=database.load)
    return live, database


def test_nothing_is_loaded_while_memory_holds_everybody(recommender: Recommender) -> None:
    live, database = with_database(recommender, users=3)
    for user in ("a", "b", "c"):
        database.ingest(live, *liked(user, "10", "20"))
        assert live_events(live, user) == 2
    for user in ("u1", "nobody"):  # who has no live events takes no other user's place
        assert live_events(live, user) == 0
    assert [live_events(live, user) for user in ("a", "b", "c")] == [2, 2, 2]
    assert not database.asked


def test_who_was_pushed_out_comes_back_even_when_there_is_room_again(recommender: Recommender) -> None:
    live, database = with_database(recommender, users=3)
    for user in ("a", "b", "c", "d", "e"):
        database.ingest(live, *liked(user, "10", "20"))
    live.forget_user("e")
    assert len(live.history) == 2
    assert live_events(live, "a") == 2
    assert live_events(live, "b") == 2
    database.ingest(live, *liked("c", "30"))
    assert live_events(live, "c") == 3


def test_a_batch_of_more_users_than_memory_holds_loses_nothing(recommender: Recommender) -> None:
    live, database = with_database(recommender, users=2)
    for items in (("10", "20"), ("30",), ("40",)):
        database.ingest(live, *[event for user in "abcde" for event in liked(user, *items)])
    assert [live_events(live, user) for user in "abcde"] == [4] * 5


def test_a_past_that_could_not_be_loaded_is_not_kept(recommender: Recommender) -> None:
    live, database = with_database(recommender, users=2)
    for user in ("a", "b", "c", "u1", "u2", "u3"):
        database.ingest(live, *liked(user, "10", "20"))
    database.is_gone = True
    assert live_events(live, "a") == 0
    assert live.recommend(Query(user="a", k=3)).items
    bundle = len(live.history.of("u1", live.items.now).seen)
    assert bundle  # what the bundle knows is there all the same
    database.ingest(live, *liked("b", "30"))
    database.is_gone = False
    assert [live_events(live, user) for user in ("a", "b", "c", "u1")] == [2, 3, 2, 2]
    assert len(live.history.of("u1", live.items.now).seen) == bundle + 2


def test_what_was_loaded_before_a_user_was_forgotten_is_not_kept(recommender: Recommender) -> None:
    live, database = with_database(recommender, users=2)
    for user in ("a", "b", "c"):
        database.ingest(live, *liked(user, "10", "20"))

    def forgotten_meanwhile(load: Callable[[str], Sequence[LiveEvent]], user: str) -> Sequence[LiveEvent]:
        found = load(user)
        database.events.pop("a", None)
        other = threading.Thread(target=live.forget_user, args=("a",))
        other.start()
        other.join(10)
        return found

    live.history._load = lambda user: forgotten_meanwhile(database.load, user)
    live_events(live, "a")
    live.history._load = database.load
    assert live_events(live, "a") == 0


def test_a_stored_event_that_cannot_be_read_keeps_no_other_from_counting(recommender: Recommender) -> None:
    live, database = with_database(recommender, users=1)
    database.ingest(live, *liked("a", "10", "20"))
    database.events["a"].insert(1, LiveEvent(user="a", item="30", type="click", value="five", at_s=2e9))
    with pytest.raises(DataError):
        live.add_events([database.events["a"][1]])
    database.ingest(live, *liked("b", "10"))
    assert live_events(live, "a") == 2


@pytest.mark.parametrize("rows", [10, 20_000, 200_000, 700_000])
def test_kept_filters_are_bounded_by_bytes(live: LiveRecommender, rows: int) -> None:
    some = Eligible(np.ones(1000, bool))
    bytes_a_row = (some.mask.nbytes + some.rows.nbytes + some.bits.nbytes) / 1000
    assert live.items._most_masks(rows) * rows * bytes_a_row < 2**26
    assert live.items._most_masks(rows) >= 8
