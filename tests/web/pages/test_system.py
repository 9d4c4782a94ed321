"""The system page."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser import Visit
from tests.support import ServerProcess, stand_in_environment
from tests.web.pages.conftest import Lab


@pytest.mark.browser
async def test_an_engine_that_nobody_set_up_is_no_fault(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        await visit.page.goto(f"{server.url}/ui/system")

        row = visit.page.locator("#fresh tr", has_text="inspect")

        await expect(row.locator(".verdict")).to_have_text("not set up")


async def test_running_jobs_are_counted_and_linked(lab: Lab) -> None:
    page = await lab.api.text("/ui/system")

    assert '<a href="/ui/jobs?status=queued">2 queued</a>' in page
    assert f'<a href="/ui/jobs/{lab.running}">one running</a>' in page


@pytest.mark.browser
async def test_the_default_engine_that_does_not_work_is_a_fault(
    visit: Visit, tmp_path: Path
) -> None:
    options = ("--default-engine", "inspect")
    server = ServerProcess(tmp_path / "data", *options, environment=stand_in_environment())
    async with server:
        await visit.page.goto(f"{server.url}/ui/system")

        row = visit.page.locator("#fresh tr", has_text="default")

        await expect(row.locator(".verdict")).to_have_text("not available")
