"""The page that describes the API, as a browser shows it."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium")
Serve = Callable[..., TestClient]
Listen = Callable[[TestClient], str]


def test_it_names_every_operation_and_nobody_elses_host(client: TestClient) -> None:
    answer = client.get("/docs")
    assert answer.status_code == 200
    described = client.get("/openapi.json").json()
    for path, methods in described["paths"].items():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in answer.text, path
    for name in described["components"]["schemas"]:
        assert f'id="schema-{name}"' in answer.text
    assert "https://" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for part in ("docs.css", "docs.js"):
        assert "http" not in client.get(f"/docs/{part}").text


def test_with_keys_it_asks_for_one_as_a_password(client: TestClient) -> None:
    admin = client.post("/v1/keys", json={"scopes": ["admin"]}).json()["key"]
    reader = client.post("/v1/keys", json={"scopes": ["read"]}, headers={"X-API-Key": admin}).json()["key"]

    def basic(key: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"me:{key}".encode()).decode()}

    for path in (
        "/docs",
        "/docs/docs.js",
        "/docs/docs.css",
        "/openapi.json",
        "/metrics",
        "/apidocs.json",
    ):
        refused = client.get(path)
        assert refused.status_code == 401, path
        kind = "Basic" if path.startswith("/docs") else "Bearer"
        assert refused.headers["www-authenticate"].startswith(kind), path
        assert client.get(path, headers={"X-API-Key": reader}).status_code == 200
        assert client.get(path, headers={"X-API-Key": "wrong"}).status_code == 401
    for path in ("/docs", "/docs/docs.js"):
        assert client.get(path, headers=basic(reader)).status_code == 200
        assert client.get(path, headers=basic("wrong")).status_code == 401
        assert client.get(path, headers={b"Authorization": "Basic \xe4".encode("latin-1")}).status_code == 401
        assert client.get(path, headers={"Authorization": "Basic %%%"}).status_code == 401
    # a password goes out by itself, also from another site's form: it opens nothing that does something
    assert client.post("/v1/models/rollback", headers=basic(admin)).status_code == 401
    assert client.get("/v1/schema", headers=basic(reader)).status_code == 401


@pytest.fixture
def page() -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser.new_page()
        browser.close()


def test_a_browser_shows_it_and_tries_an_operation(client: TestClient, on_a_port: Listen, page: Page) -> None:
    address = on_a_port(client)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on(
        "request", lambda asked: None if asked.url.startswith((address, "data:")) else wrong.append(asked.url)
    )
    page.on("requestfailed", lambda asked: wrong.append(asked.url))
    page.on(
        "response",
        lambda recorded: None if recorded.status < 400 else wrong.append(f"{recorded.status} {recorded.url}"),
    )
    page.goto(address + "/docs")
    assert page.locator(".operation").count() == sum(
        len(one) for one in client.get("/openapi.json").json()["paths"].values()
    )
    page.fill("#find", "/v1/recommend")
    assert page.locator(".operation:visible").count() == 1
    one = page.locator(".operation:visible")
    one.locator("summary").click()
    one.locator("textarea").fill('{"user": "u1", "k": 3}')
    one.locator("button").click()
    one.locator("output p", has_text="200").wait_for()
    assert '"served_by": "personal"' in one.locator("output pre").inner_text()
    page.fill("#find", "/v1/items/{id}")
    item = page.locator("#item_v1_items__id__get")
    item.locator("summary").click()
    item.locator("input[name=id]").fill("no/such")
    assert wrong == []
    item.locator("button").click()
    item.locator("output p", has_text="404").wait_for()
    assert "%2F" in item.locator("output p").inner_text()
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
