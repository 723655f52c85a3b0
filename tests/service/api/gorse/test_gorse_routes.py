"""Habits of the original, over raw HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import Client, Response
from tests.service.api.gorse.conftest import Start, only_with_a_bundle

from motet.service.engine import Engine

READ = {"FeedbackType": "read", "UserId": "ann", "ItemId": "10", "Timestamp": "2026-01-02T03:04:05Z"}
QUESTIONS = (
    "/users", "/items", "/feedback", "/feedback/read", "/feedback/ann/10", "/feedback/read/ann/10", "/user/u0",
    "/user/u0/feedback", "/user/u0/feedback/read", "/item/10", "/item/10/feedback", "/item/10/feedback/read",
    "/latest", "/latest/g1", "/popular", "/popular/g1", "/non-personalized/latest", "/non-personalized/popular",
    "/non-personalized/trending", "/item/10/neighbors", "/item/10/neighbors/g1", "/item-to-item/neighbors/10",
    "/user/u0/neighbors", "/user-to-user/neighbors/u0", "/collaborative-filtering/u0",
    "/collaborative-filtering/u0/g1", "/recommend/u0", "/recommend/u0/g1", "/health/live", "/health/ready",
)  # fmt: skip


def recorded(answer: Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer: Response) -> list[str]:
    return [one["Id"] for one in recorded(answer)]


@pytest.mark.parametrize("path", QUESTIONS)
def test_a_slash_at_the_end_changes_nothing(calm: Client, path: str) -> None:
    without, with_slash = calm.get(path), calm.get(path + "/")
    assert recorded(without) is not None
    assert recorded(with_slash) == recorded(without)


def test_errors_are_plain_text(calm: Client) -> None:
    for path, status, text in (
        ("/user/1000", 404, "user 1000 not found"),
        ("/item/1000", 404, "item 1000 not found"),
        ("/recommend/u0?n=x", 400, 'strconv.Atoi: parsing "x": invalid syntax'),
        ("/items?n=-1", 400, "n: Input should be greater than or equal to 0"),
        ("/recommend/u0?write-back-delay=soon", 400, 'time: invalid duration "soon"'),
        ("/non-personalized/best", 404, "non-personalized recommender best not found"),
        ("/item-to-item/best/10", 404, "item-to-item recommender best not found"),
        ("/user-to-user/best/u0", 404, "user-to-user recommender best not found"),
        ("/nothing/here", 404, "Not Found"),
    ):
        answer = calm.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
        assert answer.text.startswith(text)


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("POST", "/user", "{", "the body is not JSON"),
        ("POST", "/user", "[]", "body: Input should be"),
        ("POST", "/user", "{}", "UserId: Field required"),
        ("POST", "/user", '{"UserId": "a/b"}', "UserId contains a slash or a NUL character"),
        ("POST", "/user", '{"UserId": "a\\u0000b"}', "UserId contains a slash or a NUL character"),
        ("POST", "/user", '{"UserId": "\\ud800"}', "UserId: Input should be a valid string"),
        ("POST", "/item", '{"ItemId": "a", "Timestamp": "soon"}', 'Could not find format for "soon"'),
        (
            "POST",
            "/item",
            '{"ItemId": "a", "Categories": ["b/c"]}',
            "Categories.0 contains a slash or a NUL character",
        ),
        ("POST", "/item", '{"ItemId": "a", "IsHidden": "no"}', "IsHidden: Input should be a valid boolean"),
        ("POST", "/feedback", '[{"UserId": "a", "ItemId": "b"}]', "0.FeedbackType: Field required"),
        (
            "POST",
            "/feedback",
            '[{"FeedbackType": "x", "UserId": "a", "ItemId": "b", "Value": NaN}]',
            "0.Value: ",
        ),
        (
            "POST",
            "/feedback",
            '[{"FeedbackType": "x", "UserId": "a", "ItemId": "b", "Value": "1"}]',
            "0.Value: ",
        ),
        (
            "POST",
            "/session/recommend",
            '[{"FeedbackType": "x", "ItemId": ""}]',
            "0.ItemId: String should have at least 1 character",
        ),
    ],
)
def test_what_is_wrong_is_refused(calm: Client, method: str, path: str, body: str, text: str) -> None:
    answer = calm.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert answer.text.startswith(text)


def test_a_method_that_does_not_fit_names_those_that_do(calm: Client) -> None:
    for path in ("/item/10", "/item/10/"):
        answer = calm.put(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, PATCH")
        assert answer.text == "Method Not Allowed"


def test_a_nul_in_the_address_is_refused(calm: Client) -> None:
    for path in (
        "/user/a%00b",
        "/recommend/a%00b",
        "/latest?user-id=%00",
        "/items?q=%00",
        "/items?cursor=%00",
    ):
        assert calm.get(path).status_code == 400


def test_defaults_and_depth(calm: Client) -> None:
    assert len(recorded(calm.get("/recommend/u0"))) == 10
    assert len(recorded(calm.get("/recommend/u0?n="))) == 10
    assert recorded(calm.get("/recommend/u0?n=0")) == []
    assert recorded(calm.get("/recommend/u0?offset=100000")) == []
    assert len(recorded(calm.get("/latest?n=99999999999"))) > 20
    assert len(recorded(calm.get("/items"))["Items"]) == 10
    assert recorded(calm.get("/items?n=0")) == {"Cursor": "", "Items": []}


def test_keys_in_any_case_and_nulls_are_defaults(http: Client) -> None:
    body = {"itemid": "tea", "CATEGORIES": None, "Timestamp": None, "comment": None, "Unknown": 1}
    assert recorded(http.post("/item", json=body)) == {"RowAffected": 1}
    item = recorded(http.get("/item/tea"))
    assert (item["Categories"], item["Labels"], item["Comment"], item["IsHidden"]) == ([], None, "", False)


def test_both_versions_of_recommend(calm: Client) -> None:
    plain = recorded(calm.get("/recommend/u0?n=3"))
    scored = recorded(calm.get("/recommend/u0?n=3", headers={"X-API-Version": "2"}))
    assert [one["Id"] for one in scored] == plain
    assert all(isinstance(one["Score"], float) for one in scored)


def test_feedback_is_added_overwritten_and_deleted(http: Client, start: Start) -> None:
    assert recorded(http.get("/feedback/read/ann/10")) == {}
    assert recorded(http.post("/feedback", json=[READ | {"Value": 1}])) == {"RowAffected": 1}
    assert recorded(http.post("/feedback", json=[READ | {"Value": 2}])) == {"RowAffected": 1}
    assert recorded(http.get("/feedback/read/ann/10"))["Value"] == 3.0
    assert recorded(http.put("/feedback", json=[READ | {"Value": 5}])) == {"RowAffected": 1}
    assert recorded(http.get("/feedback/read/ann/10"))["Value"] == 5.0
    recorded(http.post("/feedback", json=[READ | {"FeedbackType": "share"}]))
    assert [one["FeedbackType"] for one in recorded(http.get("/feedback/ann/10"))] == ["read", "share"]
    none = 1.0 if start == "empty" else 0.0  # any type may be a yes-or-no task of the schema to come
    assert [one["Value"] for one in recorded(http.get("/item/10/feedback/share"))] == [none]
    assert recorded(http.delete("/feedback/read/ann/10")) == {"RowAffected": 1}
    assert recorded(http.delete("/feedback/ann/10")) == {"RowAffected": 1}
    assert recorded(http.delete("/feedback/ann/10")) == {"RowAffected": 0}
    assert recorded(http.get("/user/ann/feedback")) == []


def test_a_retry_under_one_key_counts_once(http: Client) -> None:
    once = {"Idempotency-Key": "order-17"}
    for _ in range(3):
        rows = [READ | {"Value": 1}, READ | {"Value": 1}]
        assert recorded(http.post("/feedback", json=rows, headers=once)) == {"RowAffected": 2}
    assert recorded(http.get("/feedback/read/ann/10"))["Value"] == 2.0
    recorded(http.post("/feedback", json=[READ | {"Value": 1}], headers={"Idempotency-Key": "order-18"}))
    assert recorded(http.get("/feedback/read/ann/10"))["Value"] == 3.0


def test_feedback_of_which_one_row_is_wrong_counts_nothing(http: Client) -> None:
    assert http.post("/feedback", json=[READ, READ | {"Timestamp": "soon"}]).status_code == 400
    assert recorded(http.get("/feedback/read/ann/10")) == {}


def test_feedback_makes_users_and_items_known(http: Client) -> None:
    recorded(http.post("/feedback", json=[READ | {"ItemId": "newer"}]))
    assert recorded(http.get("/user/ann"))["UserId"] == "ann"
    assert recorded(http.get("/item/newer"))["ItemId"] == "newer"


def test_a_value_of_zero_is_no_dislike(http: Client, engine: Engine) -> None:
    recorded(http.post("/feedback", json=[READ | {"FeedbackType": "click", "Value": 0}]))
    past = engine.active.parts.live.history.of("ann", engine.active.parts.live.items.now)
    assert len(past.liked.rows) == 1
    assert recorded(http.get("/feedback/click/ann/10"))["Value"] == 1.0
    recorded(http.post("/feedback", json=[READ | {"FeedbackType": "dislike", "ItemId": "11"}]))
    past = engine.active.parts.live.history.of("ann", engine.active.parts.live.items.now)
    assert len(past.liked.rows) == 1


def test_patch_leaves_what_is_null(http: Client) -> None:
    recorded(http.post("/user", json={"UserId": "ann", "Labels": {"a": 1}, "Comment": "c"}))
    recorded(http.patch("/user/ann", json={"Labels": None, "Comment": "d"}))
    assert recorded(http.get("/user/ann")) == {"UserId": "ann", "Labels": {"a": 1}, "Comment": "d"}
    assert http.patch("/user/nobody", json={"Comment": "d"}).status_code == 404
    assert http.patch("/item/nothing", json={"Comment": "d"}).status_code == 404
    before = recorded(http.get("/item/10"))  # known to the bundle alone so far
    recorded(http.patch("/item/10", json={"IsHidden": None, "Categories": None, "Comment": "called anew"}))
    after = recorded(http.get("/item/10"))
    assert after | {"Timestamp": "", "Comment": ""} == before | {"Timestamp": "", "Comment": ""}
    assert after["Comment"] == "called anew"


def test_pages_go_on_from_their_cursor(http: Client) -> None:
    recorded(http.post("/feedback", json=[READ | {"ItemId": str(n)} for n in range(10, 15)]))
    seen, cursor = [], ""
    while True:
        page = recorded(http.get("/feedback/read", params={"n": 2, "cursor": cursor}))
        seen += [one["ItemId"] for one in page["Feedback"]]
        if not (cursor := page["Cursor"]):
            break
    assert seen == [str(n) for n in range(10, 15)]
    assert http.get("/feedback", params={"cursor": "x"}).status_code == 400


def test_search_covers_all_stored_items(http: Client) -> None:
    recorded(http.post("/items", json=[
        {"ItemId": f"p{n}", "Labels": {"maker": "Acme"}, "Comment": f"Plain no {n}"} for n in range(5)
    ]))  # fmt: skip
    first = recorded(http.get("/items?q=ACME&n=3"))
    assert [one["ItemId"] for one in first["Items"]] == ["p0", "p1", "p2"]
    rest = recorded(http.get("/items", params={"q": "acme", "n": 3, "cursor": first["Cursor"]}))
    assert ([one["ItemId"] for one in rest["Items"]], rest["Cursor"]) == (["p3", "p4"], "")


def test_categories(http: Client) -> None:
    for id, categories in (("a", ["x"]), ("b", ["x", "y"]), ("c", ["y"])):
        recorded(http.post("/item", json={"ItemId": id, "Categories": categories}))
    assert set(recorded(http.get("/recommend/u0/x"))) == {"a", "b"}
    assert recorded(http.get("/recommend/u0?category=x&category=y")) == ["b"]
    assert recorded(http.get("/recommend/u0/none")) == []
    assert set(ids(http.get("/latest/y"))) == {"b", "c"}
    recorded(http.put("/item/a/category/y", json=None))
    assert set(recorded(http.get("/recommend/u0?category=x&category=y"))) == {"a", "b"}
    recorded(http.delete("/item/b/category/x"))
    assert recorded(http.get("/recommend/u0/x")) == ["a"]
    assert http.put("/item/nothing/category/y").status_code == 404
    recorded(http.put("/item/10/category/x"))  # known to the bundle alone so far
    assert set(recorded(http.get("/recommend/u0/x"))) | {"10"} == {"a", "10"}
    assert "x" in recorded(http.get("/item/10"))["Categories"]


@only_with_a_bundle
def test_categories_of_the_bundle(http: Client, engine: Engine) -> None:
    frame = engine.active.parts.live.items.now.view.frame
    genre = next(tags[0] for tags in frame["genres"].to_list() if tags)
    inside = {id for id, tags in frame.select("id", "genres").iter_rows() if tags and genre in tags}
    found = recorded(http.get(f"/recommend/u0/{genre}?n=1000"))
    assert found
    assert set(found) <= inside


def test_hidden_items_never_come_back(http: Client, engine: Engine) -> None:
    first = recorded(http.get("/recommend/u0?n=1"))[0]
    recorded(http.patch(f"/item/{first}", json={"IsHidden": True}))
    lists = [recorded(http.get("/recommend/u0?n=1000"))]
    for path in ("/latest", "/popular", "/non-personalized/trending", "/item/10/neighbors",
                 "/collaborative-filtering/u0"):  # fmt: skip
        lists.append(ids(http.get(f"{path}?n=1000")))
    lists.append(
        ids(http.post("/session/recommend?n=1000", json=[{"FeedbackType": "click", "ItemId": "10"}]))
    )
    assert all(first not in found for found in lists)
    assert all(lists)
    engine.active.parts.live.items.now  # noqa: B018
    recorded(http.patch(f"/item/{first}", json={"IsHidden": False}))
    assert first in recorded(http.get("/recommend/u0?n=1000"))


def test_items_can_be_recommended_at_once(http: Client, engine: Engine, start: Start) -> None:
    body = {"ItemId": "tea", "Categories": ["g1"], "Labels": {"brand": "b1", "price": 20.0}, "Comment": "Tea"}
    recorded(http.post("/item", json=body))
    assert "tea" in recorded(http.get("/recommend/u0?n=1000"))
    row = engine.active.parts.live.items.recorded("tea")
    assert row is not None
    tags = "categories" if start == "empty" else "genres"
    assert (row[tags], row["title"]) == (["g1"], "Tea")
    if start == "bundle":  # no column stands for a label before the schema is inferred
        assert (row["brand"], row["price"]) == ("b1", 20.0)
    recorded(http.delete("/item/tea"))
    assert "tea" not in recorded(http.get("/recommend/u0?n=1000"))
    assert http.get("/item/tea").status_code == 404


def test_what_was_read_does_not_come_back_until_it_is_deleted(http: Client) -> None:
    first = recorded(http.get("/recommend/u0?n=1"))[0]
    recorded(http.post("/feedback", json=[READ | {"UserId": "u0", "ItemId": first}]))
    assert first not in recorded(http.get("/recommend/u0?n=1000"))
    assert first not in ids(http.get("/popular?n=1000&user-id=u0"))
    assert first in ids(http.get("/latest?n=1000"))
    recorded(http.delete(f"/feedback/u0/{first}"))
    assert first in recorded(http.get("/recommend/u0?n=1000"))


def test_write_back(http: Client) -> None:
    shown = recorded(http.get("/recommend/u0?n=3&write-back-type=read"))
    assert {one["ItemId"] for one in recorded(http.get("/user/u0/feedback/read"))} == set(shown)
    assert not set(shown) & set(recorded(http.get("/recommend/u0?n=1000")))


def test_delayed_write_back_counts_later(http: Client, start: Start) -> None:
    shown = recorded(http.get("/recommend/u0?n=3&offset=1&write-back-type=read&write-back-delay=1h"))
    assert recorded(http.get("/user/u0/feedback/read")) == []
    assert recorded(http.get("/feedback")) == {"Cursor": "", "Feedback": []}
    assert [one["UserId"] for one in recorded(http.get(f"/item/{shown[0]}/feedback/read"))] == ["u0"]
    # They may come, but are in the history already: plain lists name what was taken with it first.
    n = 10 if start == "bundle" else 1000
    assert set(shown) <= set(recorded(http.get(f"/recommend/u0?n={n}")))
    early = recorded(http.get("/recommend/u0?n=1&write-back-type=seen&write-back-delay=-1h"))
    assert early[0] not in recorded(http.get("/recommend/u0?n=1000"))


def test_lists_for_everybody(http: Client) -> None:
    recorded(http.post("/items", json=[
        {"ItemId": "new", "Timestamp": "2031-01-01"}, {"ItemId": "newer", "Timestamp": "2031-01-02"}
    ]))  # fmt: skip
    newest = recorded(http.get("/latest?n=2"))
    assert newest == [{"Id": "newer", "Score": 1925078400.0}, {"Id": "new", "Score": 1924992000.0}]
    assert recorded(http.get("/non-personalized/latest?n=2")) == newest
    popular = recorded(http.get("/popular"))
    assert popular == sorted(popular, key=lambda one: -one["Score"])
    best = popular[0]
    recorded(http.post("/feedback", json=[
        READ | {"UserId": f"n{n}", "ItemId": "new", "FeedbackType": "click"} for n in range(int(best["Score"]) + 2)
    ]))  # fmt: skip
    assert ids(http.get("/popular?offset=0&n=1")) in (["new"], [best["Id"]])


def test_neighbours(http: Client, start: Start) -> None:
    near = recorded(http.get("/item/10/neighbors?n=5"))
    assert "10" not in [one["Id"] for one in near]
    assert near == sorted(near, key=lambda one: -one["Score"])
    assert recorded(http.get("/item-to-item/neighbors/10?n=5")) == near
    assert recorded(http.get("/item/unknown/neighbors")) == []
    assert recorded(http.get("/item-to-item/together/10?n=3"))
    assert bool(recorded(http.get("/item-to-item/model/10?n=3"))) == (start == "bundle")
    users = recorded(http.get("/user/u0/neighbors?n=5"))
    assert "u0" not in [one["Id"] for one in users]
    assert 0 < users[0]["Score"] <= 1.0 + 1e-9
    assert users == sorted(users, key=lambda one: -one["Score"])
    assert recorded(http.get("/user/unknown/neighbors")) == []
    gone = users[0]["Id"]
    recorded(http.delete(f"/user/{gone}"))
    assert gone not in ids(http.get("/user/u0/neighbors?n=1000"))


def test_new_users_get_neighbours_by_what_they_just_did(http: Client) -> None:
    liked = recorded(http.get("/popular?n=3"))
    recorded(
        http.post("/feedback", json=[READ | {"FeedbackType": "click", "ItemId": one["Id"]} for one in liked])
    )
    assert recorded(http.get("/user/ann/neighbors"))
    assert recorded(http.get("/collaborative-filtering/ann"))
    assert recorded(http.get("/collaborative-filtering/unknown")) == []


def test_unknown_users_get_something(calm: Client) -> None:
    assert len(recorded(calm.get("/recommend/unknown"))) == 10


def test_deleted_users_leave_nothing(http: Client) -> None:
    recorded(http.post("/feedback", json=[READ]))
    assert recorded(http.delete("/user/ann")) == {"RowAffected": 1}
    assert http.get("/user/ann").status_code == 404
    assert recorded(http.get("/user/ann/feedback")) == []
    assert recorded(http.get("/item/10/feedback")) == []
    assert recorded(http.delete("/user/ann")) == {"RowAffected": 0}


def test_health(calm: Client) -> None:
    well = {
        "Ready": True,
        "DataStoreError": None,
        "CacheStoreError": None,
        "DataStoreConnected": True,
        "CacheStoreConnected": True,
    }
    assert recorded(calm.get("/health/live")) == well
    assert recorded(calm.get("/health/ready")) == well


def test_the_description_names_every_route_and_nothing_else(calm: Client) -> None:
    found = recorded(calm.get(str(calm.base_url).replace("/api/", "/apidocs.json")))
    assert all(path.startswith("/api/") and not path.endswith("/") for path in found["paths"])
    assert {"/api/feedback/{type}/{user}/{item}", "/api/session/recommend"} <= set(found["paths"])
    assert "ItemOut" in found["components"]["schemas"]
    assert set(found["components"]["schemas"]["ItemOut"]["properties"]) == {
        "ItemId", "IsHidden", "Categories", "Timestamp", "Labels", "Comment"
    }  # fmt: skip
