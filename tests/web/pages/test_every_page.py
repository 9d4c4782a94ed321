"""Every page, in a real browser: no errors, no accessibility violations, no other servers."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser import Visit, accessibility_violations, open_browser, runs_inline_script
from tests.support import ServerProcess
from tests.web.pages.conftest import Lab
from tests.web.pages.odd_jobs import MANY_TASKS, OddJobs, submit_odd_jobs

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
    "samples of two jobs": lambda lab: (
        f"/ui/compare/samples/mme?job={lab.completed[0]}&job={lab.completed[1]}"
    ),
    "leaderboard": lambda lab: "/ui/leaderboard",
    "trends": lambda lab: "/ui/trends",
    "system": lambda lab: "/ui/system",
}
EMPTY = ("/", "/ui/jobs", "/ui/compare", "/ui/leaderboard", "/ui/trends", "/ui/system")

LIVE = "#live[data-state=on]"

PHONE_PX = 375

ODD_PAGES: dict[str, Callable[[OddJobs], str]] = {
    "home": lambda odd: "/",
    "jobs": lambda odd: "/ui/jobs",
    "a completed job": lambda odd: f"/ui/jobs/{odd.many_tasks}",
    "a failed job": lambda odd: f"/ui/jobs/{odd.failed}",
    "a running job": lambda odd: f"/ui/jobs/{odd.running}",
    "a queued job": lambda odd: f"/ui/jobs/{odd.queued}",
    "samples": lambda odd: f"/ui/jobs/{odd.two_filters}/samples/mme",
    "samples of one of 30 tasks": lambda odd: f"/ui/jobs/{odd.many_tasks}/samples/{MANY_TASKS[0]}",
    "job selection": lambda odd: "/ui/compare",
    "comparison": lambda odd: f"/ui/compare?job={odd.many_tasks}&job={odd.more_tasks}",
    "samples of two jobs": lambda odd: (
        f"/ui/compare/samples/{MANY_TASKS[0]}?job={odd.many_tasks}&job={odd.more_tasks}"
    ),
    "leaderboard": lambda odd: "/ui/leaderboard",
    "trends": lambda odd: "/ui/trends",
    "system": lambda odd: "/ui/system",
}
"""The pages of jobs with many tasks, long names and long errors."""

ODD_PHONE_PX, DESKTOP_PX = 390, 1280

HIDDEN_ACTIONS = """() => {
    const inside = (button) => {
        const frame = button.closest(".scroll").getBoundingClientRect();
        return button.getBoundingClientRect().right <= frame.right;
    };
    const buttons = [...document.querySelectorAll("td.actions button")];
    return buttons.filter((each) => !inside(each)).length;
}"""
"""Counts buttons that are outside of the visible part of their table."""


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
async def test_pages_of_odd_jobs_fit_their_window_and_are_accessible(
    server: ServerProcess, tmp_path: Path
) -> None:
    gate, wide, faults = tmp_path / "gate", {}, {}
    async with server:
        odd = await submit_odd_jobs(server.api, gate)
        for width in (ODD_PHONE_PX, DESKTOP_PX):
            async with open_browser(viewport={"width": width, "height": 720}) as visit:
                for name, path in ODD_PAGES.items():
                    await go(visit, server, path(odd))
                    needed = await visit.page.evaluate("() => document.documentElement.scrollWidth")
                    if needed > width:
                        wide[name, width] = needed
                    if found := await accessibility_violations(visit.page):
                        faults[name, width] = found
        gate.touch()

    assert (wide, faults) == ({}, {})


@pytest.mark.browser
async def test_actions_of_odd_jobs_are_in_view(server: ServerProcess, tmp_path: Path) -> None:
    hidden = {}
    async with server, open_browser(viewport={"width": DESKTOP_PX, "height": 720}) as visit:
        await submit_odd_jobs(server.api, tmp_path / "gate")
        for path in ("/", "/ui/jobs", "/ui/jobs?sort=-completed_at"):
            await go(visit, server, path)
            hidden[path] = await visit.page.evaluate(HIDDEN_ACTIONS)
        (tmp_path / "gate").touch()

    assert set(hidden.values()) == {0}


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
