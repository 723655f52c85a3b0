"""What pages say and hold, read by a client that knows no scripts."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest
from markupsafe import escape

from motet.messages import LANGUAGES, say

if TYPE_CHECKING:
    from tests.service.web.conftest import Service

CHINESE = re.compile("[\u4e00-\u9fff]")
LINK = re.compile(r'href="([^"]*)"[^>]*data-language')


def get(service: Service, where: str, **headers: str) -> httpx.Response:
    return httpx.get(service.url + where, headers=headers, trust_env=False, timeout=30)


def post(service: Service, where: str, said: object, **headers: str) -> httpx.Response:
    sent = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json", **headers}
    return httpx.post(
        service.url + where, content=json.dumps(said), headers=sent, trust_env=False, timeout=30
    )


@pytest.mark.parametrize(
    ("origin", "is_secure"), [("https://shop.example", True), ("http://localhost", False)]
)
def test_behind_https_the_key_is_sent_over_https_alone(locked: Service, origin: str, is_secure: bool) -> None:
    """A proxy speaks plain HTTP to the service; the browser says what it speaks itself."""
    answer = post(locked, "/pages/key", [["key", locked.key]], Origin=origin)
    assert answer.headers["location"] == "/"
    assert ("Secure" in answer.headers["set-cookie"]) == is_secure


@pytest.mark.parametrize("wish", ["f.kinds=Horror", "f.year.low=1990", "me=loves+horror", "h=3"])
def test_controls_without_effect_on_a_request_in_words_are_reported(service: Service, wish: str) -> None:
    word = "filters_idle" if wish.startswith("f.") else "new_idle"
    for language in LANGUAGES:
        words = say(word, language)
        before = get(service, f"/?user=&{wish}&lang={language}").text
        asked = get(service, f"/?user=&t=comedies&{wish}&lang={language}").text
        assert (words in before, words in asked) == (False, True)
        assert ('class="idle"' in before, 'class="idle"' in asked) == (False, True)
    assert say("new_idle", "en") not in get(service, "/?user=u1&t=comedies&h=3&lang=en").text


def test_a_like_that_changes_nothing_does_not_say_that_it_did(service: Service) -> None:
    said = [["user", ""], ["act", "like:7"], ["lang", "en"]]
    assert "The list has followed" in post(service, "/pages/act", said, **{"X-Part": "1"}).text
    asked = post(service, "/pages/act", [*said, ["t", "comedies"]], **{"X-Part": "1"}).text
    assert "Liked “" in asked
    assert "The list has followed" not in asked


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("rate", [["stars", "9"], ["list_id", "x"]]),
        ("act", [["act", "explode:1"]]),
        ("model", [["do", "explode"]]),
    ],
)
def test_refusals_are_in_the_language_of_the_visitor(
    service: Service, where: str, said: list[object]
) -> None:
    for headers in ({}, {"X-Part": "1"}):
        answer = post(service, f"/pages/{where}", [*said, ["lang", "zh"]], **headers)
        assert answer.status_code == 422
        (recorded,) = re.findall(r"<p(?: role=\"alert\")?>(.+)</p>", answer.text.partition("<main")[2] or answer.text)[:1]  # fmt: skip
        assert CHINESE.search(recorded)


def test_what_is_counted_has_words(service: Service) -> None:
    with service.api() as api:
        checks = [row["check"] for row in api.get("/v1/stats").json()["data_quality"]]
    assert checks
    for check in checks:
        assert CHINESE.search(say(f"check.{check}", "zh"))
    for kind in ("like", "hide", "dislike", "not_interested", "read", "ranking"):
        assert CHINESE.search(say(f"task.{kind}", "zh"))


def test_ranking_is_said_in_both_languages(service: Service) -> None:
    with service.api() as api:
        path = str(service.bundles[1])
        second = api.post("/v1/models", json={"path": path}).json()["name"]
    for language, words in (("en", "Ranking"), ("zh", "排序")):
        page = get(service, f"/judge?right={second}&lang={language}").text
        assert f'<th scope="row">{words}</th>' in page
        assert '<span class="sr">ranking</span>' not in page


@pytest.mark.parametrize("id", ["two\nlines", "end\n", "100%25", "100%", "a?b#c", "a/b", 'a"b', "a&b=c", "ä"])
def test_an_item_may_be_called_anything(service: Service, id: str) -> None:
    with service.api() as api:
        fields = {"name": f"Film {id.encode().hex()}", "kinds": ["Comedy"], "year": 2001}
        assert api.post("/v1/items", json={"items": [{"id": id, "fields": fields}]}).is_success
    where = f"/item/{quote(id, safe='')}?user=u1"
    for _ in range(2):  # to the other language and back
        answer = get(service, where)
        assert answer.status_code == 200
        assert f'<h1 class="display">{fields["name"]}</h1>' in answer.text
        (link,) = LINK.findall(answer.text)
        where = html.unescape(link)


def test_a_user_may_be_called_anything(service: Service) -> None:
    with service.api() as api:
        assert api.post("/v1/users", json={"users": [{"id": "two\nlines"}]}).is_success
    answer = get(service, "/user/two%0Alines")
    assert answer.status_code == 200
    assert "two\nlines" in answer.text
    assert get(service, "/user/no%0Abody").status_code == 404


@pytest.mark.parametrize("said", [["act", "like:\ud800"], ["user", "\udfff"], ["\ud800", "x"]])
def test_half_a_character_is_refused(service: Service, said: list[str]) -> None:
    assert post(service, "/pages/act", [["act", "like:1"], said]).status_code == 400


def test_a_key_that_may_not_do_it_says_what_it_lacks_and_can_be_exchanged(locked: Service) -> None:
    reader, _ = locked.store.keys.create({"read"}, "a reader")
    cookie = {"Cookie": f"motet_key={reader}"}
    said = [["user", "u1"], ["act", "like:1"]]
    for language, words in (("en", "it lacks the scope “write”"), ("zh", "缺少“write”权限")):
        answer = post(locked, "/pages/act", [*said, ["lang", language]], **cookie, **{"X-Part": "1"})
        assert answer.status_code == 403
        assert words in answer.text
        assert 'href="/pages/key"' in answer.text
    page = get(locked, "/pages/key", **cookie)
    assert (page.status_code, "Enter another key" in page.text) == (200, True)
    assert 'name="key"' in page.text
    assert 'name="out"' in page.text
    whole = get(locked, "/operate", **cookie)
    assert whole.status_code in (200, 403)
    plain = post(locked, "/pages/act", said, **cookie)
    assert "it lacks the scope “write”" in plain.text
    assert 'name="key"' in plain.text


def test_a_key_is_asked_for_without_a_word_of_another(locked: Service) -> None:
    page = get(locked, "/")
    assert page.status_code == 401
    assert "This service asks for a key" in page.text
    assert 'class="problem"' not in page.text
    wrong = post(locked, "/pages/key", [["key", "no such key"]], **{"X-Part": "1"})
    assert "does not know this key" in wrong.text


def test_without_scripts_nothing_is_offered_that_needs_one(service: Service) -> None:
    page = get(service, "/?user=u1&lang=en").text
    tries = re.findall(r'<button class="try" name="text" value="([^"]+)">', page)
    assert len(tries) == 3
    first = html.unescape(tries[0])
    # a browser sends the empty field before the button
    asked = httpx.get(service.url, params=[("user", "u1"), ("text", ""), ("text", first)], trust_env=False)
    assert f"<li>{tries[0]}</li>" in asked.text
    assert re.search(r"<button[^>]* data-theme-switch hidden ", page)
    assert re.search(r"<p[^>]* data-pausing hidden>", get(service, "/operate").text)


def test_forms_tell_where_they_come_from(service: Service) -> None:
    """Under the header's stricter policy a form without script would say that it comes from nowhere."""
    assert '<meta name="referrer" content="same-origin">' in get(service, "/").text


def test_a_version_without_a_report_says_so(service: Service, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(service.bundles[1], bare)
    (bare / "report.html").unlink()
    with service.api() as api:
        name = api.post("/v1/models", json={"path": str(bare)}).json()["name"]
        page = get(service, f"/judge?left={name}&lang=en").text
    assert "has no report" in page
    assert "<iframe" not in page
    assert "<iframe" in get(service, "/judge").text


def test_somebody_of_whom_only_events_were_told_has_a_page(service: Service) -> None:
    assert get(service, "/user/newcomer").status_code == 404
    with service.api() as api:
        event = {"type": "like", "user": "newcomer", "item": "7"}
        assert api.post("/v1/events", json={"events": [event]}).is_success
    page = get(service, "/user/newcomer")
    assert page.status_code == 200
    assert "The Blue Number 7" in page.text
    assert "newcomer" in page.text


def test_a_short_line_is_spoken_of_a_new_list(service: Service) -> None:
    page = get(service, "/?user=u1").text
    (opened,) = re.findall(r'<section id="list"[^>]*>', page)
    assert "aria-live" not in opened
    assert re.search(r'<p class="sr" role="status" data-updated="[^"]+"></p>', page)


@pytest.mark.parametrize("where", ["/operate", "/", "/judge", "/users", "/items", "/experiments", "/user/u1"])
def test_a_page_without_parts_is_answered_whole(service: Service, where: str) -> None:
    answer = get(service, where, **{"X-Part": "1"})
    assert answer.status_code == 200
    assert ("<html" in answer.text) == (where not in ("/", "/operate"))


def test_numbers_of_an_item_are_named(service: Service) -> None:
    page = get(service, "/?user=u1&lang=en").text
    assert re.search(r'<span class="figure">Year \d{4}</span>', page)


@pytest.mark.parametrize("where", ["/?user=u1", "/?user=u1&t=comedies", "/item/7?user=u1", "/user/u1", "/operate", "/judge", "/user/no-such"])  # fmt: skip
def test_a_page_speaks_one_language(service: Service, where: str) -> None:
    mark = "&" if "?" in where else "?"
    english = get(service, f"{where}{mark}lang=en").text
    assert '<html lang="en"' in english
    assert CHINESE.findall(english) == ["中", "文"]  # the way to the other language
    chinese = get(service, f"{where}{mark}lang=zh").text
    assert '<html lang="zh-Hans"' in chinese
    shown = re.findall(r"<(?:h1|h2|label|summary|th)[^>]*>([^<]{2,})<", chinese.partition("<main")[2])
    assert any(CHINESE.search(words) for words in shown)
    for key in ("skip", "nav", "away", "shop", "operate", "judge"):
        assert say(key, "en") in english
        assert say(key, "zh") in chinese
        assert f">{say(key, 'en')}<" not in chinese


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_text_in_a_message_is_escaped(service: Service, language: str) -> None:
    hostile = """<script>alert("'&")</script>{id}{0.__class__}%(id)s"""
    page = get(service, f"/?user={quote(hostile, safe='')}&lang={language}")
    assert page.status_code == 200
    assert hostile not in page.text
    assert "<script>alert" not in page.text
    assert f"<h1>{escape(say('for_user', language, id=hostile))}</h1>" in page.text
    with service.api() as api:
        fields = {"name": hostile, "kinds": ["Comedy"], "year": 2001}
        assert api.post("/v1/items", json={"items": [{"id": "hostile", "fields": fields}]}).is_success
    said = [["user", ""], ["act", "like:hostile"], ["lang", language]]
    liked = post(service, "/pages/act", said, **{"X-Part": "1"})
    assert liked.status_code == 200
    assert 'class="toast"' in liked.text
    assert "<script>alert" not in liked.text  # the item's title comes without markup
    liked = post(service, "/pages/act", [*said, ["title:hostile", hostile]], **{"X-Part": "1"})
    assert "<script>alert" not in liked.text
    assert str(escape(say("liked_and_followed", language, title=hostile))) in liked.text


def test_one_rating_is_not_said_in_the_plural(service: Service) -> None:
    assert ">0 ratings<" in get(service, "/operate?lang=en").text
    (list_id,) = re.findall(r'name="list_id" value="([^"]+)"', get(service, "/?user=u11&lang=en").text)
    assert post(service, "/pages/rate", [["stars", "4"], ["list_id", list_id]]).status_code == 303
    assert ">1 rating<" in get(service, "/operate?lang=en").text
    assert ">1 次评分<" in get(service, "/operate?lang=zh").text
