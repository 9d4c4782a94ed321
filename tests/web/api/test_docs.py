"""``GET /docs``: the page in a real browser, and its static files."""

from pathlib import Path
from typing import Any

import pytest

from evalserver.web.routes import ROUTES
from tests.browser import open_browser, runs_inline_script
from tests.support import Api, ServerProcess

BUNDLE = "/static/swagger-ui/swagger-ui-bundle.js"
STATIC = Path(__file__).parents[3] / "evalserver" / "web" / "static"


@pytest.mark.browser
async def test_the_page_shows_every_operation_and_contacts_only_the_server(
    server: ServerProcess,
) -> None:
    async with server, open_browser() as visit:
        await visit.page.goto(f"{server.url}/docs")
        await visit.page.locator(".opblock").first.wait_for()
        shown = await visit.page.locator(".opblock").count()

    assert shown == len(ROUTES)
    assert visit.errors == []
    assert [url for url in visit.requests if not _is_local(url, server)] == []


@pytest.mark.browser
async def test_a_request_can_be_tried_on_the_page(server: ServerProcess) -> None:
    async with server, open_browser() as visit:
        await visit.page.goto(f"{server.url}/docs#/queue/getLiveness")
        operation = visit.page.locator("#operations-queue-getLiveness")
        await operation.locator(".try-out__btn").click()
        await operation.locator("button.execute").click()
        response = operation.locator(".live-responses-table .highlight-code").first
        await response.wait_for()
        text = await response.text_content()

    assert '"status": "alive"' in (text or "")
    assert visit.errors == []


@pytest.mark.browser
async def test_inline_scripts_of_the_page_do_not_run(server: ServerProcess) -> None:
    async with server, open_browser() as visit:
        await visit.page.goto(f"{server.url}/docs")
        ran = await runs_inline_script(visit.page)

    assert not ran
    assert "Content Security Policy" in visit.errors[0]


async def test_the_page_cannot_be_framed(api: Api) -> None:
    headers = await _headers(api, "/docs")

    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/docs", "text/html; charset=utf-8"),
        (BUNDLE, "text/javascript; charset=utf-8"),
        ("/static/swagger-ui/swagger-ui.css", "text/css; charset=utf-8"),
        ("/static/swagger-ui/favicon-32x32.png", "image/png"),
        ("/openapi.json", "application/json"),
    ],
)
async def test_an_unmodified_file_is_not_sent_again(api: Api, path: str, media_type: str) -> None:
    headers = await _headers(api, path)

    again = {"If-None-Match": headers["ETag"]}
    async with api._session.get(path, headers=again) as response:
        assert (response.status, await response.read()) == (304, b"")
        assert response.headers["ETag"] == headers["ETag"]
    assert headers["Content-Type"] == media_type
    assert headers["Cache-Control"] == "no-cache"


async def test_a_file_is_sent_unchanged(api: Api) -> None:
    async with api._session.get(BUNDLE, headers={"If-None-Match": '"another"'}) as response:
        body = await response.read()

    assert body == (STATIC / "swagger-ui" / "swagger-ui-bundle.js").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "swagger-ui/LICENSE",
        "swagger-ui/..%2Fdocs.html",
        "..%2F..%2Fetc/passwd",
        "%2e%2e/setup.cfg",
        "docs/nothing.js",
    ],
)
async def test_only_static_files_are_served(api: Api, name: str) -> None:
    await api.call("GET", f"/static/{name}", 404)


async def _headers(api: Api, path: str) -> Any:
    async with api._session.get(path) as response:
        assert response.status == 200
        return response.headers


def _is_local(url: str, server: ServerProcess) -> bool:
    return url.startswith((f"{server.url}/", "data:"))
