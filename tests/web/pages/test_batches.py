"""A batch on the page of jobs and on the page of a job."""

import csv
import io

import pytest
from playwright.async_api import expect

from tests.browser import Visit, accessibility_violations
from tests.support import Json, ServerProcess
from tests.web.pages.conftest import Lab

HANG = {"behave": "hang"}


async def submit_batch(server: ServerProcess, *arguments: Json) -> Json:
    """Submit a batch of jobs with these arguments of the model."""
    jobs = [{"model": "dummy", "tasks": ["mme"], "model_args": each} for each in arguments]
    batch: Json = await server.api.call("POST", "/batches", json={"jobs": jobs})
    return batch


async def finish(server: ServerProcess, batch: Json) -> None:
    """Wait until the jobs of a batch have finished."""
    for job_id in batch["job_ids"]:
        await server.api.finished(job_id)


async def test_the_jobs_of_a_batch_are_a_filtered_list(server: ServerProcess) -> None:
    async with server:
        batch = await server.api.call(
            "POST", "/batches", json={"jobs": [{"model": "dummy", "tasks": ["mme"]}] * 2}
        )
        await server.api.submit()
        everything = await server.api.text("/ui/jobs")
        page = await server.api.text(f"/ui/jobs?batch_id={batch['batch_id']}")
        job = await server.api.text(f"/ui/jobs/{batch['job_ids'][0]}")

    row = '<tr id="job-'
    assert everything.count(row) == page.count(row) + 1 == 3
    assert f"/ui/jobs?batch_id={batch['batch_id']}" in job


@pytest.mark.browser
async def test_a_job_leads_to_its_batch_and_a_filter_stays_within_it(
    lab: Lab, visit: Visit
) -> None:
    await lab.api.call("POST", "/drain")
    batch = await submit_batch(lab.server, {}, {})
    await visit.page.goto(f"{lab.url}/ui/jobs/{batch['job_ids'][0]}")

    await visit.page.get_by_role("link", name=batch["batch_id"][-8:]).click()
    rows = visit.page.locator("tbody tr")
    await expect(rows).to_have_count(2)
    await visit.page.get_by_label("Task", exact=True).fill("mme")
    await visit.page.wait_for_url("**task=mme**")

    await expect(rows).to_have_count(2)
    assert batch["batch_id"] in visit.page.url
    assert visit.errors == []
    assert await accessibility_violations(visit.page) == []


@pytest.mark.browser
async def test_a_batch_counts_its_jobs_and_the_rest_is_cancelled(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        batch = await submit_batch(server, {}, HANG, {})
        await server.api.when(batch["job_ids"][1], "running")
        await visit.page.goto(f"{server.url}/ui/jobs?batch_id={batch['batch_id']}")
        shown = visit.page.locator("#batch")
        await expect(shown).to_contain_text("1 queued")
        await expect(shown).to_contain_text("1 completed")

        await shown.get_by_role("button", name="Cancel the rest").click()
        dialog = visit.page.get_by_role("dialog")
        await expect(dialog).to_contain_text("1 queued and 1 running.")
        await dialog.get_by_role("button", name="Cancel the rest").click()

        await expect(shown).to_contain_text("2 cancelled")
        await expect(shown.get_by_role("button")).to_have_count(0)
        assert visit.errors == []


@pytest.mark.browser
async def test_the_jobs_of_a_batch_are_compared_and_exported(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        batch = await submit_batch(server, {"value": 0.25}, {"behave": "crash"}, {"value": 0.75})
        await finish(server, batch)
        page = f"{server.url}/ui/jobs?batch_id={batch['batch_id']}"
        await visit.page.goto(page)

        await visit.page.locator("#batch").get_by_role("link", name="Compare").click()

        await expect(visit.page.locator(".comparison")).to_contain_text("0.75")
        await visit.page.goto(page)
        table = (
            await visit.page.locator("#batch").get_by_role("link", name="CSV").get_attribute("href")
        )
        rows = csv.DictReader(io.StringIO(await server.api.text(table or "")))
        assert [row["value"] for row in rows] == ["0.25", "0.75"]


async def test_a_batch_whose_jobs_were_pruned_says_so(server: ServerProcess) -> None:
    async with server:
        batch = await submit_batch(server, {}, {})
        await finish(server, batch)
        await server.api.call("POST", "/prune?keep=1")
        page = await server.api.text(f"/ui/jobs?batch_id={batch['batch_id']}")

    assert ("2 completed" in page, "1 pruned" in page) == (True, True)


async def test_a_batch_that_does_not_exist_has_no_jobs(server: ServerProcess) -> None:
    async with server:
        page = await server.api.text("/ui/jobs?batch_id=unknown")

    assert "No jobs match these filters" in page
