"""Every page, in a real browser: no errors, no accessibility violations, no other servers."""

import re
from collections.abc import Callable

import pytest

from tests.browser import Visit, accessibility_violations, open_browser, runs_inline_script
from tests.support import ServerProcess
from tests.web.pages.conftest import Lab

PAGES: dict[str, Callable[[Lab], str]] = {
    "home": lambda lab: "/",
    "jobs": lambda lab: "/ui/jobs",
    "failed jobs": lambda lab: "/ui/jobs?status=failed",
    "a completed job": lambda lab: f"/ui/jobs/{lab.completed[1]}",
    "a failed job": lambda lab: f"/ui/jobs/{lab.failed}",
    "a running job": lambda lab: f"/ui/jobs/{lab.running}",
    "a queued job": lambda lab: f"/ui/jobs/{lab.queued[1]}",
    "samples": lambda lab: f"/ui/jobs/{lab.completed[0]}/samples/mme?only=wrong",
    "job selection": lambda lab: "/ui/compare",
    "comparison": lambda lab: f"/ui/compare?job={lab.completed[0]}&job={lab.completed[1]}",
    "trends": lambda lab: "/ui/trends",
    "system": lambda lab: "/ui/system",
}
EMPTY = ("/", "/ui/jobs", "/ui/compare", "/ui/trends", "/ui/system")

LIVE = "#live[data-state=on]"

PHONE_PX = 375


async def go(visit: Visit, server: ServerProcess, path: str) -> None:
    """Open a page and wait until it has loaded."""
    await visit.page.goto(server.url + path)
    await visit.page.locator(LIVE).wait_for()
    await visit.page.locator(".loading").wait_for(state="detached")


def external_requests(visit: Visit, server: ServerProcess) -> list[str]:
    """Return the requested URLs that are not the server's."""
    own = (f"{server.url}/", "data:", "blob:")
    return [url for url in visit.requests if not url.startswith(own)]


@pytest.mark.browser
async def test_no_page_has_errors_or_external_requests(lab: Lab) -> None:
    errors = {}
    async with open_browser() as visit:
        for name, path in PAGES.items():
            await go(visit, lab.server, path(lab))
            errors[name] = visit.errors + external_requests(visit, lab.server)

    assert {name: found for name, found in errors.items() if found} == {}


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_accessible(lab: Lab, scheme: str) -> None:
    found = {}
    async with open_browser(color_scheme=scheme) as visit:
        for name, path in PAGES.items():
            await go(visit, lab.server, path(lab))
            found[name] = await accessibility_violations(visit.page)

    assert {name: errors for name, errors in found.items() if errors} == {}


@pytest.mark.browser
async def test_every_page_fits_a_phone(lab: Lab) -> None:
    widths = {}
    async with open_browser(viewport={"width": PHONE_PX, "height": 720}) as visit:
        for name, path in PAGES.items():
            await go(visit, lab.server, path(lab))
            widths[name] = await visit.page.evaluate("() => document.documentElement.scrollWidth")

    assert {name: width for name, width in widths.items() if width > PHONE_PX} == {}


@pytest.mark.browser
@pytest.mark.parametrize("path", EMPTY)
async def test_an_empty_page_says_what_to_do(
    server: ServerProcess, visit: Visit, path: str
) -> None:
    async with server:
        await go(visit, server, path)

        assert await accessibility_violations(visit.page) == []
        if path != "/ui/system":
            text = await visit.page.locator(".empty").first.inner_text()
            assert re.search(r"Submit|Once two jobs|Give the evaluations", text)
    assert visit.errors == []


@pytest.mark.browser
async def test_an_unknown_job_has_an_error_page(server: ServerProcess, visit: Visit) -> None:
    async with server:
        response = await visit.page.goto(f"{server.url}/ui/jobs/nothing")

        assert response is not None
        assert response.status == 404
        assert "Job nothing not found" in await visit.page.locator("main").inner_text()
        assert await accessibility_violations(visit.page) == []


@pytest.mark.browser
async def test_inline_scripts_do_not_run(server: ServerProcess, visit: Visit) -> None:
    async with server:
        await go(visit, server, "/")
        ran = await runs_inline_script(visit.page)

    assert not ran


@pytest.mark.browser
async def test_every_control_of_the_home_page_is_reachable_by_keyboard(
    lab: Lab, visit: Visit
) -> None:
    await go(visit, lab.server, "/")

    await visit.page.keyboard.press("Tab")
    skip = await visit.page.evaluate("() => document.activeElement.textContent")
    reached = []
    for _ in range(40):
        await visit.page.keyboard.press("Tab")
        reached.append(await visit.page.evaluate("() => document.activeElement.textContent.trim()"))

    assert skip == "Skip to content"
    assert {"Jobs", "Compare", "Cancel", "Raise priority"} <= set(reached)
