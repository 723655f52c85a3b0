"""Tables of users and items for operators, pictures, prices and longer lists, in a browser."""

from __future__ import annotations

import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.service.web.conftest import serving

from motet.messages import say
from motet.service.store import Scope

if TYPE_CHECKING:
    from tests.service.web.conftest import Service, Tab

HOSTILE = "<img src=x onerror=\"document.title='taken'\">"
WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def until(tab: Tab, holds: str) -> None:
    """Wait until something is true on a page; its policy forbids what Playwright would do for it."""
    until_s = time.monotonic() + 30
    while not tab.page.evaluate(holds):
        assert time.monotonic() < until_s, holds
        tab.page.wait_for_timeout(50)


def png(width: int = 3, height: int = 4) -> bytes:
    """A picture of one colour."""

    def part(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x80\x20\x60" * width for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", rows) + part(b"IEND", b"")


@pytest.fixture(scope="module")
def illustrated(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a folder of pictures: of half of the items that name one there is none."""
    place = tmp_path_factory.mktemp("pictures")
    (place / "posters").mkdir()
    for k in range(1, 60, 4):
        (place / "posters" / f"{k}.png").write_bytes(png())
    (place / "posters" / "drawn.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>")
    (place.parent / "secret.png").write_bytes(png())
    sites = ("https://pictures.example",)
    with serving(
        bundles, tmp_path_factory.mktemp("store") / "store.sqlite", pictures=place, picture_sites=sites
    ) as found:
        yield found


@pytest.mark.parametrize("language", ["en", "zh"])
def test_users_are_searched_page_by_page(
    open_tab: Callable[..., Tab], service: Service, language: str
) -> None:
    with service.api() as api:
        users = [{"id": HOSTILE, "labels": {"town": HOSTILE}}, {"id": "zoe", "comment": "likes trains"}]
        assert api.post("/v1/users", json={"users": users}).is_success
    tab = open_tab(width=360 if language == "zh" else 1280).go(f"/users?lang={language}")
    first = tab.page.locator("tbody th a").all_inner_texts()
    assert len(first) == 25
    assert first == sorted(first)
    tab.page.get_by_text(say("next_page", language)).press("Enter")
    tab.page.wait_for_url("**cursor=*")
    second = tab.page.locator("tbody th a").all_inner_texts()
    assert second
    assert min(second) > max(first)
    tab.page.get_by_text(say("first_page", language)).click()
    tab.page.wait_for_url("**/users")
    tab.page.locator("#q").focus()
    tab.page.keyboard.type("TRAINS")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**q=TRAINS*")
    assert tab.page.locator("tbody th a").all_inner_texts() == ["zoe"]
    assert tab.page.locator("#q").input_value() == "TRAINS"
    assert tab.page.evaluate(WIDE) <= 0
    tab.go("/users?q=onerror")
    assert tab.page.locator("tbody th a").all_inner_texts() == [HOSTILE]
    assert tab.page.title() != "taken"
    tab.page.locator("tbody th a").click()
    assert HOSTILE in tab.page.locator("h1").inner_text()
    tab.go("/users?q=no-such-user")
    assert say("none_found", language, words="no-such-user") in tab.page.locator("main").inner_text()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_items_are_searched_by_title(open_tab: Callable[..., Tab], service: Service, language: str) -> None:
    tab = open_tab(script=language == "en").go(f"/items?lang={language}")
    tab.page.fill("#q", "blue number 7")
    tab.page.press("#q", "Enter")
    tab.page.wait_for_url("**q=blue*")
    rows = tab.page.locator("tbody tr")
    assert rows.count() == 1
    assert "The Blue Number 7" in rows.inner_text()
    assert "€11.50" in rows.inner_text()
    rows.locator("a").click()
    tab.page.wait_for_url("**/item/7")


def test_a_table_takes_no_more_than_it_can(service: Service) -> None:
    for query in ({"q": "x" * 5_000}, {"cursor": "y" * 5_000}, {"q": "%_\\'\""}, {"cursor": "\x00"}):
        answer = httpx.get(f"{service.url}/users", params=query, trust_env=False, timeout=30)
        assert answer.status_code in (200, 422)
        assert "x" * 201 not in answer.text.partition("<main")[2]


def test_tables_and_the_search_are_for_operators_alone(locked: Service) -> None:
    cases: list[tuple[Scope, int]] = [("read", 403), ("write", 403), ("admin", 200)]
    for scope, status in cases:
        key, _ = locked.store.keys.create({scope}, "of a test")
        cookie = {"Cookie": f"motet_key={key}"}
        for where in ("/users?lang=en", "/items?lang=en"):
            answer = httpx.get(locked.url + where, headers=cookie, trust_env=False, timeout=30)
            assert answer.status_code == status
            assert ("it lacks the scope “admin”" in answer.text) == (status == 403)
        found = httpx.get(f"{locked.url}/pages/found-users?q=u1", headers=cookie, trust_env=False, timeout=30)
        assert (found.json() != []) == (status == 200)
        shop = httpx.get(f"{locked.url}/?lang=en", headers=cookie, trust_env=False, timeout=30).text
        assert ("data-find-users" in shop) == (status == 200)
    assert httpx.get(f"{locked.url}/users", trust_env=False).status_code == 401


def test_ids_are_offered_while_one_is_typed(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u1")
    with tab.page.expect_response("**/pages/found-users?q=u2"):
        tab.page.locator("input[name=other]").press_sequentially("u2")
    tab.page.locator("#found-users option[value=u20]").wait_for(state="attached")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**user=u2*")


@pytest.mark.parametrize("script", [True, False])
def test_more_makes_the_list_longer(open_tab: Callable[..., Tab], script: bool) -> None:
    tab = open_tab(script=script).go("/?user=u3")
    first = tab.titles()
    assert len(first) == 10
    button = tab.page.locator(".more button")
    button.focus()
    if script:
        tab.parts(lambda: tab.page.keyboard.press("Enter"))
        until(tab, "document.activeElement.closest('.item')?.dataset.rank === '11'")
    else:
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_url("**n=20*")
    assert len(tab.titles()) == 20
    assert set(first) <= set(tab.titles())
    assert "n=20" in tab.page.url
    if script:
        tab.page.reload()
        assert len(tab.titles()) == 20
        tab.parts(tab.page.locator(".item .like").first.click)
        assert len(tab.titles()) == 20


def test_more_of_an_answer_is_no_new_turn(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u5&t=comedies")
    tab.page.fill("#ask", "not sent yet")
    tab.parts(tab.page.locator(".more button").click)
    assert tab.page.locator(".said li").all_inner_texts() == ["comedies"]
    assert len(tab.titles()) > 10
    assert tab.page.locator("#ask").input_value() == "not sent yet"


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("zh", 360)])
def test_pictures_are_shown_and_drawn_where_there_is_none(
    open_tab: Callable[..., Tab], illustrated: Service, language: str, width: int
) -> None:
    tab = open_tab(illustrated, width=width).go(f"/?user=u1&n=60&lang={language}")
    items = tab.page.locator(".item")
    assert tab.page.locator(".item .cover").count() == items.count()
    tab.page.evaluate("for (const one of document.images) one.loading = 'eager'")
    until(tab, "[...document.images].every((one) => one.complete)")
    loaded = tab.page.evaluate(
        "[...document.images].filter((one) => one.naturalWidth).map((one) => Number(one.closest('.item').dataset.id))"
    )
    assert loaded
    assert all(id % 4 == 1 for id in loaded)
    until(tab, "[...document.images].every((one) => one.naturalWidth)")  # the others are taken out
    assert items.first.locator(".price").inner_text().startswith("€")
    assert "poster" not in tab.page.locator("#list").inner_text().lower()
    assert tab.page.evaluate(WIDE) <= 0
    tab.go(f"/item/{loaded[0]}?lang={language}")
    assert tab.page.locator(".cover.large img").count() == 1
    tab.wrong[:] = [one for one in tab.wrong if "404" not in one]  # pictures that are not there


def test_pictures_of_other_sites_are_never_asked_for(
    open_tab: Callable[..., Tab], illustrated: Service
) -> None:
    hostile = [
        "https://evil.example/a.png", "//evil.example/a.png", "javascript:alert(1)", "../secret.png", "/v1/keys",
        'x.png" onerror="document.title=1', "https://pictures.example.evil/a.png",
    ]  # fmt: skip
    with illustrated.api() as api:
        items = [
            {
                "id": f"h{at}",
                "fields": {"name": f"Hostile {at}", "kinds": ["Comedy"], "year": 2015, "poster": one},
            }
            for at, one in enumerate(hostile)
        ]
        allowed = {
            "name": "Allowed",
            "kinds": ["Comedy"],
            "year": 2015,
            "poster": "https://pictures.example/a.png",
        }
        assert api.post("/v1/items", json={"items": [*items, {"id": "h9", "fields": allowed}]}).is_success
    tab = open_tab(illustrated)
    tab.page.route(
        "https://pictures.example/**", lambda route: route.fulfill(body=png(), content_type="image/png")
    )
    tab.go("/items?q=hostile")
    assert tab.page.locator("tbody tr").count() == len(hostile)
    table = httpx.get(f"{illustrated.url}/items?q=hostile", trust_env=False, timeout=30).text
    named = re.findall(r'<img src="([^"]*)"', table)
    assert named == ["/pages/pictures/x.png%22%20onerror%3D%22document.title%3D1"]
    tab.go("/item/h9")
    until(tab, "document.images[0]?.naturalWidth === 3")
    asked = [one for one in tab.wrong if one.startswith("https:")]
    assert asked == ["https://pictures.example/a.png"]
    tab.wrong.clear()
    policy = httpx.get(f"{illustrated.url}/", trust_env=False).headers["content-security-policy"]
    assert "img-src 'self' https://pictures.example;" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "where",
    [
        "posters/drawn.svg",
        "../secret.png",
        "..%2fsecret.png",
        "posters",
        "posters/",
        "",
        "none.png",
        "posters/2.png",
    ],
)
def test_only_pictures_of_the_folder_are_served(illustrated: Service, where: str) -> None:
    assert httpx.get(f"{illustrated.url}/pages/pictures/{where}", trust_env=False).status_code == 404
    good = httpx.get(f"{illustrated.url}/pages/pictures/posters/1.png", trust_env=False)
    assert (good.status_code, good.headers["content-type"]) == (200, "image/png")
    assert good.headers["content-security-policy"] == "default-src 'none'"
    assert good.headers["x-content-type-options"] == "nosniff"


def test_without_a_folder_nothing_is_loaded(service: Service) -> None:
    page = httpx.get(f"{service.url}/?user=u1&n=60", trust_env=False, timeout=30).text
    assert re.search(r'class="cover voice\d"', page)
    assert "<img" not in page
    assert httpx.get(f"{service.url}/pages/pictures/posters/1.png", trust_env=False).status_code == 404
