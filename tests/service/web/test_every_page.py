"""Every page, in both languages, wide and narrow, by eye of a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.service.web.conftest import Service, Tab


PAGES = {
    "shop": "/?user=u1",
    "asked": "/?user=u1&t=comedies+after+1980",
    "built": "/?user=u1&do=build&t=three+comedies",
    "item": "/item/7?user=u1",
    "user": "/user/u1",
    "operate": "/operate",
    "judge": "/judge",
    "experiments": "/experiments",
    "a week": "/operate?window=7d",
    "users": "/users",
    "items": "/items?q=blue",
    "nobody": "/users?q=no+such+user",
}
CHINESE = re.compile("[\u4e00-\u9fff]")
NAMELESS = """() => [...document.querySelectorAll('input:not([type=hidden]), button, select, a[href]')]
    .filter(one => one.checkVisibility() && !(one.ariaLabel || one.textContent.trim() || one.labels?.length || one.title))
    .map(one => one.outerHTML)"""
FAINT = """controls => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map((n) => n / 255)
            .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    const contrast = (a, b) => Math.max(light(a) / light(b), light(b) / light(a));
    const paper = getComputedStyle(document.documentElement).backgroundColor;
    return [...document.querySelectorAll(controls)].flatMap((one) => {
        const style = getComputedStyle(one);
        const seen = one.matches(".star") ? [style.color] : style.borderTopWidth === "0px" || style.borderTopColor === "rgba(0, 0, 0, 0)" ? [] : [style.borderTopColor];
        return seen.filter((colour) => contrast(colour, paper) < 3).map((colour) => one.outerHTML + colour);
    });
}"""
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


# short words that stand on two lines, in headings, tables and names of bars
BROKEN = """() => [...document.querySelectorAll('h1, h2, h3, th, td, dt, .label, figcaption')].flatMap((one) => {
    const found = [], walker = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode());)
        for (const word of node.data.matchAll(/[A-Za-z]{2,12}|[0-9]{2,12}/g)) {
            const range = document.createRange();
            range.setStart(node, word.index), range.setEnd(node, word.index + word[0].length);
            if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1) found.push(word[0]);
        }
    return found;
})"""
CUT = """() => [...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth)
    .map((one) => [getComputedStyle(one).overflowX, getComputedStyle(one).backgroundImage.split('linear-gradient').length - 1])"""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_on_a_phone_words_are_whole_and_tables_say_that_they_go_on(
    open_tab: Callable[..., Tab], service: Service, language: str
) -> None:
    with service.api() as api:
        assert api.post("/v1/recommend", json={"k": 0}).status_code == 422
    tab = open_tab(width=360)
    cut = []
    for where in ("/?user=u1", "/operate", "/users", "/items", "/judge", "/user/u1", "/item/7?user=u1"):
        tab.go(where + ("&" if "?" in where else "?") + f"lang={language}")
        tab.page.evaluate(
            "for (const one of document.querySelectorAll('dt')) one.textContent = 'Rating high'"
        )
        assert tab.page.evaluate(BROKEN) == [], where
        assert tab.page.evaluate(TOO_WIDE) <= 0
        cut += tab.page.evaluate(CUT)
    assert len(cut) >= 3
    assert all(found == ["auto", 4] for found in cut)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", PAGES)
def test_shows(open_tab: Callable[..., Tab], name: str, language: str) -> None:
    where = PAGES[name] + ("&" if "?" in PAGES[name] else "?") + f"lang={language}"
    tab = open_tab(scheme="dark" if language == "zh" else "light").go(where)
    page = tab.page
    assert page.locator("html").get_attribute("lang") == ("en" if language == "en" else "zh-Hans")
    assert page.locator("h1").count() == 1
    recorded = page.locator("h1, nav a, main h2").all_inner_texts()
    assert any(CHINESE.search(words) for words in recorded) == (language == "zh")
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(TOO_WIDE) <= 0
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate(TOO_WIDE) <= 0, "scrolls sideways on a phone"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_edges_of_controls_stand_out(open_tab: Callable[..., Tab], scheme: str) -> None:
    tab = open_tab(scheme=scheme)
    for where, baselines in (("/?user=u1", "button, input, .chip span, .star"), ("/judge", "select")):
        tab.go(where)
        assert tab.page.evaluate(FAINT, baselines) == []


@pytest.mark.parametrize(
    "where", ["/", "/item/7", "/user/u1", "/operate", "/users", "/items", "/judge", "/experiments"]
)
def test_policy_is_strict(service: Service, where: str) -> None:
    answer = httpx.get(service.url + where, trust_env=False)
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert " style=" not in answer.text
    assert "<script>" not in answer.text


def test_skip_link_comes_first(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u1")
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.className") == "skip"
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "main"


def test_theme_stays_as_chosen(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/operate")
    before = tab.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    tab.page.click("[data-theme-switch]")
    after = tab.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert before != after
    tab.go("/judge")
    assert tab.page.locator("html").get_attribute("data-theme") == "dark"
    assert tab.page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == after


def test_language_stays_and_so_does_the_page(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/?user=u3&scenario=home&w.stars=0.8")
    before = tab.titles()
    tab.page.click("[data-language]")
    assert tab.titles() == before
    assert tab.page.locator("input[name='w.stars']").input_value() == "0.8"
    assert CHINESE.search(tab.page.locator("h1").inner_text())
    tab.go("/operate")
    assert CHINESE.search(tab.page.locator("h1").inner_text())


def test_a_browser_is_met_in_its_language(service: Service) -> None:
    answer = httpx.get(
        service.url + "/", headers={"Accept-Language": "fr,zh-CN;q=0.8,en;q=0.5"}, trust_env=False
    )
    assert '<html lang="zh-Hans"' in answer.text


def test_a_missing_page_is_reported(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab()
    answer = tab.page.goto(tab.url + "/item/no-such")
    assert answer is not None
    assert answer.status == 404
    assert "no-such" in tab.page.locator("main").inner_text()
    tab.wrong.clear()  # the console says that the page was not found


def test_items_show_more_like_them_and_why(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/item/7?user=u2")
    assert tab.page.locator("#why-title").inner_text() == "Why for user u2?"
    assert tab.page.locator(".facts dd").first.inner_text() == "1967"
    assert tab.page.locator(".bars > div").count() == 2
    parts = tab.page.locator("details.evidence", has_text="What moved the score")
    parts.locator("summary").click()
    assert "this very item (" in parts.inner_text()
    tab.page.locator(".tiles a").first.click()
    tab.page.wait_for_url("**/item/*?user=u2")


def test_users_show_what_they_did(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab().go("/user/u4")
    first = tab.page.locator(".history a").all_inner_texts()
    assert len(first) == 15
    tab.page.click(".paging a")
    assert tab.page.locator(".history a").all_inner_texts() != first
    assert tab.page.locator(".short li").count() == 6
