"""Surveys: who is asked what and how often, what the answers say, and where they go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from motet.service.engine import SurveySettings
from motet.service.store import AskedQuestion, Store, SurveyRecord

FIT = {
    "key": "fit",
    "question": {"en": "Does this list fit you?", "zh": "这份清单适合你吗？"},
    "kind": "stars",
}


def _create(client: TestClient, **changes: Any) -> Any:
    return client.post("/v1/surveys", json={**FIT, **changes})


def _ask(client: TestClient, user: str, **more: Any) -> Any:
    answer = client.post("/v1/questions", json={"user": user, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["question"]


def _answer(client: TestClient, id: str, value: Any) -> int:
    return client.post(f"/v1/questions/{id}/answer", json={"value": value}).status_code


def test_a_question_is_put_with_a_list_and_its_answer_counts(client: TestClient) -> None:
    assert _create(client).status_code == 201
    shown = client.post("/v1/recommend", json={"user": "u3", "k": 3, "scenario": "home"}).json()
    put = _ask(client, "u3", list_id=shown["list_id"])
    assert (put["survey"], put["kind"], put["question"]) == ("fit", "stars", FIT["question"])
    assert client.get(f"/v1/questions/{put['id']}").json()["question"] == put
    assert [_answer(client, put["id"], value) for value in (2, 4)] == [200, 200]  # the last one counts
    assert client.get(f"/v1/questions/{put['id']}").json()["question"] is None
    second = _ask(client, "u4", scenario="search")
    assert _answer(client, second["id"], 5) == 200
    _ask(client, "u5")
    found = client.get("/v1/surveys/fit").json()
    total = found["total"]
    assert (total["asked"], total["answered"], total["mean"]) == (3, 2, 4.5)
    assert total["counts"] == {"1": 0, "2": 0, "3": 0, "4": 1, "5": 1}
    assert total["interval"][0] <= 4.5 <= total["interval"][1] <= 5
    scenarios = {one["of"]: (one["asked"], one["mean"]) for one in found["by_scenario"]}
    assert scenarios == {"": (1, None), "home": (1, 4.0), "search": (1, 5.0)}
    assert [(one["of"], one["answered"]) for one in found["by_model"]] == [(shown["model"], 2)]
    assert len(found["by_day"]) <= 2
    assert client.get("/v1/surveys").json() == [found]


@pytest.mark.usefixtures("url")
def test_a_user_is_asked_at_most_once_in_the_days_whatever_the_survey_and_platform(
    client: TestClient, store: Store
) -> None:
    _create(client, every_days=7.0)
    _create(client, key="other", kind="yes_no", every_days=1.0)
    client.post("/v1/users/u3/identities", json={"identity": "app:3"})
    assert _ask(client, "app:3")["survey"] == "fit"
    assert _ask(client, "u3") is None
    assert _ask(client, "app:3") is None
    ago = datetime.now(UTC) - timedelta(days=2)
    store.surveys.restore([AskedQuestion("fit", "u4", time=ago)])
    assert _ask(client, "u4")["survey"] == "other"  # 2 days are enough for this one alone
    store.surveys.restore([AskedQuestion("fit", "u5", time=ago - timedelta(days=6))])
    assert _ask(client, "u5")["survey"] == "fit"


def test_only_the_share_is_asked_and_only_where_the_survey_says(client: TestClient) -> None:
    _create(client, share=0.3, scenarios=["home"])
    assert all(_ask(client, f"v{k}") is None for k in range(5))
    asked = [k for k in range(100) if SurveySettings.model_validate({**FIT, "share": 0.3}).asks(f"w{k}")]
    assert 15 < len(asked) < 45
    for k in range(10):
        assert (_ask(client, f"w{k}", scenario="home") is not None) == (k in asked)


def test_choices_are_counted_and_have_no_mean(client: TestClient) -> None:
    names = [{"en": one} for one in ("too old", "too sad", "other")]
    assert _create(client, kind="choice", choices=names).status_code == 201
    for user, value in (("a", 0), ("b", 2), ("c", 2)):
        put = _ask(client, user)
        assert [one["en"] for one in put["choices"]] == ["too old", "too sad", "other"]
        assert _answer(client, put["id"], value) == 200
    assert _answer(client, put["id"], 3) == 422
    total = client.get("/v1/surveys/fit").json()["total"]
    assert (total["counts"], total["mean"], total["interval"]) == ({"0": 1, "1": 0, "2": 2}, None, None)


def test_what_is_wrong_is_refused(client: TestClient) -> None:
    assert _create(client, kind="choice").status_code == 422
    assert _create(client, kind="stars", choices=[{"en": "a"}, {"en": "b"}]).status_code == 422
    assert _create(client, share=0.0).status_code == 422
    assert _create(client).status_code == 201
    assert _create(client).status_code == 409
    put = _ask(client, "u3")
    for value in (0, 6, True, "5", None):
        assert _answer(client, put["id"], value) == 422
    assert _answer(client, "nothing", 3) == 404
    assert client.post("/v1/questions", json={"user": "u4", "list_id": "none"}).status_code == 404
    assert client.post("/v1/surveys/fit/close").json()["state"] == "closed"
    assert client.post("/v1/surveys/fit/close").status_code == 409
    assert _answer(client, put["id"], 3) == 409
    assert _ask(client, "u6") is None
    assert client.get("/v1/surveys/none").status_code == 404


def test_scopes(client: TestClient) -> None:
    keys = {"admin": client.post("/v1/keys", json={"scopes": ["admin"]}).json()["key"]}
    admin = {"X-API-Key": keys["admin"]}
    for scope in ("read", "write"):
        keys[scope] = client.post("/v1/keys", json={"scopes": [scope]}, headers=admin).json()["key"]
    assert [_of(client, keys[scope], "POST", "/v1/surveys", FIT) for scope in ("read", "write", "admin")] == [403, 403, 201]  # fmt: skip
    ask = {"user": "u3"}
    assert [_of(client, keys[scope], "POST", "/v1/questions", ask) for scope in ("read", "write")] == [
        403,
        200,
    ]
    assert _of(client, keys["read"], "GET", "/v1/surveys", None) == 200
    assert _of(client, keys["write"], "POST", "/v1/surveys/fit/close", {}) == 403


def _of(client: TestClient, key: str, method: str, path: str, body: Any) -> int:
    return client.request(method, path, json=body, headers={"X-API-Key": key}).status_code


@pytest.mark.usefixtures("url")
def test_a_deletion_reaches_answers_and_an_export_holds_the_others(
    client: TestClient, tmp_path: Path
) -> None:
    _create(client)
    for user, value in (("u3", 1), ("u4", 5)):
        assert _answer(client, _ask(client, user)["id"], value) == 200
    _ask(client, "u5")
    whole = client.get("/v1/export/answers").content
    assert client.delete("/v1/users/u3").status_code == 200
    assert client.get("/v1/surveys/fit").json()["total"]["answered"] == 1
    left = client.get("/v1/export/answers", params={"format": "parquet"}).content
    (tmp_path / "answers.parquet").write_bytes(left)
    with Store(tmp_path / "other.sqlite") as other:
        assert other.import_file("answers", tmp_path / "answers.parquet").new == 2
        assert sorted((one.user, one.value) for one in other.surveys.page().rows) == [("u4", 5), ("u5", None)]
    sent = client.post("/v1/import/answers", content=whole, headers={"Content-Type": "application/x-ndjson"})
    assert sent.json() == {"rows": 3, "new": 2}  # who was deleted does not come back
    assert client.get("/v1/surveys/fit").json()["total"]["answered"] == 1


@pytest.mark.parametrize("kind", ["stars", "yes_no"])
def test_intervals_hold_the_true_mean_with_users_of_several_answers(
    store: Store, client: TestClient, kind: str
) -> None:
    """About 95 of 100 do, though answers of one user are alike."""
    rng, held = np.random.default_rng(3), 0
    settings = {**FIT, "kind": kind}
    truth = 0.6 if kind == "yes_no" else 1 + 4 * 0.6
    for k in range(60):
        key = f"s{k}"
        store.surveys.create(SurveyRecord(key, {**settings, "key": key}))
        chances = np.clip(rng.normal(0.6, 0.15, 40), 0, 1)
        now = datetime.now(UTC)
        rows = []
        for user, chance in enumerate(chances):
            for value in rng.binomial(4, chance, 5) if kind == "stars" else rng.binomial(1, chance, 5):
                shown = int(value) + (kind == "stars")
                rows.append(AskedQuestion(key, f"{user}", value=shown, answered=now, time=now))
        store.surveys.restore(rows)
        low, high = client.get(f"/v1/surveys/{key}").json()["total"]["interval"]
        held += low <= truth <= high
    assert held >= 52
