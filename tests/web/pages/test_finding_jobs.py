"""The jobs page: filters in the URL, paging, actions, and selecting jobs to compare."""

import pytest
from playwright.async_api import expect
from yarl import URL

from tests.browser import Visit
from tests.support import ServerProcess
from tests.web.pages.conftest import Lab


def query(visit: Visit) -> dict[str, str]:
    """Return the query of the page's URL."""
    return dict(URL(visit.page.url).query)


@pytest.mark.browser
async def test_the_status_filter_is_kept_in_the_url(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs")

    await visit.page.get_by_text("Failed", exact=False).first.click()

    await expect(visit.page.locator("tbody tr")).to_have_count(1)
    await expect(visit.page.locator(f"#job-{lab.failed}")).to_be_visible()
    assert query(visit) == {"status": "failed"}


@pytest.mark.browser
async def test_a_typed_filter_survives_reloading_the_url(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs")
    await visit.page.get_by_label("Label").fill("step=200")
    await expect(visit.page.locator("tbody tr")).to_have_count(1)

    await visit.page.goto(visit.page.url)

    await expect(visit.page.locator("tbody tr")).to_have_count(1)
    await expect(visit.page.get_by_label("Label")).to_have_value("step=200")
    assert query(visit) == {"label": "step=200"}


@pytest.mark.browser
async def test_more_filters_are_hidden_until_one_of_them_is_used(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs")
    engine = visit.page.get_by_label("Engine")
    await expect(engine).to_be_hidden()

    await visit.page.get_by_text("More filters").click()
    await engine.select_option("lmms_eval")
    await visit.page.wait_for_url("**engine=lmms_eval")
    await visit.page.reload()

    await expect(engine).to_be_visible()


@pytest.mark.browser
async def test_series_and_step_select_the_job_of_a_checkpoint(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs")

    await visit.page.get_by_label("Series", exact=True).fill("run-1")
    await visit.page.wait_for_url("**series=run-1*")
    await expect(visit.page.locator("tr[id^=job-]")).to_have_count(2)
    await visit.page.get_by_text("More filters").click()
    await visit.page.get_by_label("Step", exact=True).fill("200")
    await visit.page.wait_for_url("**step=200*")
    await visit.page.reload()

    await expect(visit.page.locator("tr[id^=job-]")).to_have_count(1)
    await expect(visit.page.locator(f"#job-{lab.completed[1]}")).to_be_visible()


@pytest.mark.browser
async def test_search_finds_parts_of_names(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs")

    await visit.page.get_by_label("Search").fill("ATCHE")

    await expect(visit.page.locator("tbody tr")).to_have_count(1)
    await expect(visit.page.locator(f"#job-{lab.running}")).to_be_visible()


@pytest.mark.browser
async def test_filters_without_matches_show_a_message(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs?model=unknown")

    await expect(visit.page.locator(".empty")).to_contain_text("No jobs match these filters")


@pytest.mark.browser
async def test_paging_goes_back_and_forth(server: ServerProcess, visit: Visit) -> None:
    async with server:
        jobs = [await server.api.submit(model_args={"behave": "hang"}) for _ in range(30)]
        await visit.page.goto(f"{server.url}/ui/jobs")
        await expect(visit.page.locator("tbody tr")).to_have_count(25)

        await visit.page.get_by_role("link", name="Older").click()

        await expect(visit.page.locator("tbody tr")).to_have_count(5)
        await expect(visit.page.locator(f"#job-{jobs[0]}")).to_be_visible()
        await visit.page.get_by_role("link", name="Newest").click()
        await expect(visit.page.locator("tbody tr")).to_have_count(25)


@pytest.mark.browser
async def test_the_list_updates_live(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs?status=queued")
    await expect(visit.page.locator("tbody tr")).to_have_count(2)

    await lab.api.call("DELETE", f"/jobs/{lab.queued[0]}")

    await expect(visit.page.locator("tbody tr")).to_have_count(1)
    assert query(visit) == {"status": "queued"}


@pytest.mark.browser
async def test_a_job_is_cancelled_from_the_list(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs")
    row = visit.page.locator(f"#job-{lab.queued[0]}")

    await row.get_by_role("button", name="Cancel").click()
    await visit.page.get_by_role("button", name="Cancel job").click()

    await expect(row.locator(".pill")).to_have_text("cancelled")


@pytest.mark.browser
async def test_selected_jobs_are_compared(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs")
    button = visit.page.locator("#compare")
    await expect(button).to_be_disabled()

    for job_id in reversed(lab.completed):
        await visit.page.locator(f"#job-{job_id} input").check()
    await button.click()

    await expect(visit.page.locator(".comparison")).to_contain_text("paired, 4 documents")
    assert set(URL(visit.page.url).query.getall("job")) == {*lab.completed}


@pytest.mark.browser
async def test_a_column_sorts_both_ways_and_the_url_keeps_the_order(lab: Lab, visit: Visit) -> None:
    await lab.api.call("PATCH", f"/jobs/{lab.queued[1]}", json={"priority": 7})
    await visit.page.goto(f"{lab.url}/ui/jobs?status=queued")
    column = visit.page.locator("th", has_text="Priority")
    first = visit.page.locator("tbody tr").first

    await column.get_by_role("link").click()
    await expect(column).to_have_attribute("aria-sort", "descending")
    await expect(first).to_have_id(f"job-{lab.queued[1]}")
    await column.get_by_role("link").click()

    await expect(column).to_have_attribute("aria-sort", "ascending")
    await expect(first).to_have_id(f"job-{lab.queued[0]}")
    assert query(visit) == {"status": "queued", "sort": "priority"}


@pytest.mark.browser
async def test_a_sort_order_is_combined_with_filters(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs")

    await visit.page.get_by_label("Sort").select_option("latest finish first")
    await visit.page.get_by_text("Completed", exact=False).first.click()

    await expect(visit.page.locator("tbody tr")).to_have_count(2)
    await expect(visit.page.locator("th", has_text="Finished")).to_have_attribute(
        "aria-sort", "descending"
    )
    assert query(visit) == {"status": "completed", "sort": "-completed_at"}


@pytest.mark.browser
async def test_an_invalid_label_filter_says_what_is_allowed(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs")

    await visit.page.get_by_label("Label").fill("series")

    await expect(visit.page.get_by_role("alert").first).to_contain_text("Must be name=text")


@pytest.mark.browser
async def test_a_valid_filter_removes_the_message_about_an_invalid_one(
    lab: Lab, visit: Visit
) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs")
    await visit.page.get_by_label("Label").fill("series")
    problem = visit.page.locator("#filter-problem")
    await expect(problem).not_to_be_empty()

    await visit.page.get_by_label("Label").fill("step=200")

    await expect(problem).to_be_empty()


@pytest.mark.browser
async def test_a_row_shows_the_score_of_its_job(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs")

    outcome = visit.page.locator(f"#job-{lab.completed[0]} .outcome")

    await expect(outcome).to_have_text("mme acc 0.50")
