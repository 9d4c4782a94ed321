"""The pages by keyboard: ways to the search field and to the list of jobs."""

import pytest
from playwright.async_api import Page, expect

from tests.browser import Visit
from tests.web.pages.conftest import Lab


async def press(page: Page, *keys: str) -> None:
    """Press these keys, one after the other."""
    for key in keys:
        await page.keyboard.press(key)


@pytest.mark.browser
async def test_a_slash_focuses_the_search_field(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs")
    await expect(visit.page.locator("#live")).to_have_text("Live")

    await press(visit.page, "/", "a", "/")

    await expect(visit.page.get_by_label("Search")).to_be_focused()
    await expect(visit.page.get_by_label("Search")).to_have_value("a/")


@pytest.mark.browser
async def test_a_slash_leads_to_the_search_field_from_every_page(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.completed[0]}")
    await expect(visit.page.locator("#live")).to_have_text("Live")

    await press(visit.page, "/")

    await visit.page.wait_for_url("**/ui/jobs#search")
    await expect(visit.page.get_by_label("Search")).to_be_focused()


@pytest.mark.browser
async def test_the_first_job_of_the_list_is_five_keys_away(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs?status=completed&sort=created_at")
    await expect(visit.page.locator("#live")).to_have_text("Live")

    await press(visit.page, "Tab", "Tab", "Enter", "Tab")

    await expect(visit.page.locator(f"#job-{lab.completed[0]} input")).to_be_focused()
