"""The pages in a browser that runs no scripts: all can be read, no button is idle."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from tests.browser import Visit, open_browser
from tests.web.pages.conftest import Lab

CHANGING = "button:is([hx-delete], [hx-post], [hx-patch]), form.command"


@pytest.fixture
async def plain() -> AsyncIterator[Visit]:
    """A browser without JavaScript."""
    async with open_browser(java_script_enabled=False) as visit:
        yield visit


@pytest.mark.browser
async def test_selected_jobs_are_compared(lab: Lab, plain: Visit) -> None:
    await plain.page.goto(f"{lab.url}/ui/jobs")

    for job_id in lab.completed:
        await plain.page.locator(f"#job-{job_id} input").check()
    await plain.page.locator("#compare").click()

    await expect(plain.page.locator(".comparison")).to_contain_text("paired, 4 documents")


@pytest.mark.browser
async def test_a_job_s_page_leads_to_its_samples(lab: Lab, plain: Visit) -> None:
    await plain.page.goto(f"{lab.url}/ui/jobs/{lab.completed[0]}")

    await plain.page.locator("#samples").get_by_role("link", name="mme").click()

    await expect(plain.page.locator(".sample")).to_have_count(4)


@pytest.mark.browser
async def test_buttons_that_need_scripts_are_not_shown(lab: Lab, plain: Visit) -> None:
    shown = {}
    for path in ("/", "/ui/jobs", f"/ui/jobs/{lab.failed}", "/ui/system"):
        await plain.page.goto(lab.url + path)
        buttons = await plain.page.locator(CHANGING).all()
        assert buttons, path
        shown[path] = [await each.is_visible() for each in buttons]

    assert not any(any(each) for each in shown.values())
