"""Reasons of a service whose lists plain members rank: the score that is served, live events included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from motet.assistant.explain import verify
from motet.recommend.live import LiveEvent
from motet.schema import Schema
from motet.service.engine import Engine, LiveAnswerContext, RankRequest, RecommendRequest
from motet.service.store import Event, Store
from motet.training import load_bundle, train

Start = Callable[..., Engine]


@pytest.fixture(scope="module")
def ranked_by_ease(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The films, ranked by EASE beside a network of constants."""
    out = tmp_path_factory.mktemp("ease") / "bundle"
    train(Schema.load(films.parent / "schema.yaml", ["model.architecture=ease"]), films.parent, out)
    assert load_bundle(out).blend is not None
    return out


@pytest.mark.parametrize("user", ["u1", "fresh"])
def test_the_score_that_is_explained_is_the_one_that_is_served(
    ranked_by_ease: Path, start: Start, store: Store, user: str
) -> None:
    engine = start(store, ranked_by_ease)

    def explained(item: str) -> tuple[float, float, dict[str, float]]:
        found = engine.language.explain(user, item).attribution
        assert found is not None
        assert found["task"] == "next"
        parts = dict(found["parts"])
        assert sum(parts.values()) == pytest.approx(found["score"] - found["baseline"], abs=1e-3)
        served = engine.rank(RankRequest(user=user, candidates=[item])).items[0].predictions["next"]
        return found["score"], served, parts

    before = {item: explained(item)[0] for item in ("5", "12", "20")}
    engine.add_events([Event("liked", user, item, 1.0) for item in ("2", "7", "17", "22")])
    changed = 0.0
    for item, score in before.items():
        after, served, parts = explained(item)
        assert after == pytest.approx(served, abs=1e-3)
        assert "plain: ease" in parts
        changed = max(changed, abs(after - score))
    assert changed > 0.01


@pytest.mark.parametrize("user", ["u1", "fresh"])
def test_a_live_event_is_named_if_it_raised_the_score(
    ranked_by_ease: Path, start: Start, store: Store, user: str
) -> None:
    engine = start(store, ranked_by_ease)
    new = ("2", "7", "17", "22")
    engine.add_events([Event("liked", user, item, 1.0) for item in new])
    context = LiveAnswerContext(engine.active, user)
    explainer, named = context.explainer(user), set()
    for item in range(30):
        for claim in explainer.explain(user, str(item), attribute=False).evidence:
            assert verify(claim, explainer.evidence), claim
            if claim.kind == "moved":
                named |= {mention.key for mention in claim.mentions}
    assert named & set(new)
    if user == "fresh":
        assert named <= set(new)


def test_what_a_session_holds_moves_the_score_of_its_reasons(
    ranked_by_ease: Path, start: Start, store: Store
) -> None:
    engine = start(store, ranked_by_ease)
    session = ("2", "7", "17", "22")
    answer = engine.recommend(RecommendRequest(history=session, k=10, explain=True))
    assert any(one.reason for one in answer.items)
    context = LiveAnswerContext(engine.active, None, [LiveEvent(item=item) for item in session])
    explainer = context.explainer(context.no_user)
    served = {one.id: one.predictions["next"] for one in answer.items}
    for item, score in served.items():
        found = explainer.explain(context.no_user, item, attribute=True).attribution
        assert found is not None
        assert found.score == pytest.approx(score, abs=1e-3)
