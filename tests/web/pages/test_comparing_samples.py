"""The page of the samples of two jobs, side by side."""

import pytest
from playwright.async_api import expect

from tests.browser import Visit
from tests.support import ServerProcess
from tests.web.pages.jobs import scored


@pytest.mark.browser
async def test_the_compare_page_leads_to_the_flips(server: ServerProcess, visit: Visit) -> None:
    async with server:
        first, second = await scored(server.api, 1, 0, 1), await scored(server.api, 1, 1, 0)
        await visit.page.goto(f"{server.url}/ui/compare?job={first}&job={second}")
        await visit.page.get_by_role("link", name="samples side by side").click()

        documents = visit.page.locator(".sample")
        await expect(documents).to_have_count(3)
        await expect(documents.nth(0)).to_contain_text("Correct to incorrect")
        await expect(documents.nth(0)).to_contain_text("Which digit is in image 2?")
        sides = documents.nth(0).locator("section")
        await expect(sides.nth(0)).to_contain_text("correct")
        await expect(sides.nth(0).locator(".text")).to_have_text("7")
        await expect(sides.nth(1)).to_contain_text("incorrect")
        await expect(sides.nth(1).locator(".text")).to_have_text("1")


@pytest.mark.browser
async def test_documents_are_filtered_by_what_changed_and_by_each_job(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        first, second = await scored(server.api, 1, 0, 1, 1), await scored(server.api, 1, 1, 0)
        await visit.page.goto(f"{server.url}/ui/compare/samples/mme?job={first}&job={second}")
        documents = visit.page.locator(".sample strong:first-child").filter(has_text="#")

        await visit.page.get_by_role("link", name="Incorrect to correct 1").click()
        await expect(documents).to_have_text(["#1"])

        other = visit.page.get_by_role("group", name="Other job")
        await other.get_by_role("link", name="Any").click()
        await expect(documents).to_have_text(["#1"])

        await other.get_by_role("link", name="Missing").click()
        await expect(visit.page.locator(".empty")).to_contain_text("No document of mme matches")

        await visit.page.get_by_role("link", name="Only in the baseline 1").click()
        await expect(documents).to_have_text(["#3"])
        await expect(visit.page.locator(".sample")).to_contain_text("no such document")


@pytest.mark.browser
async def test_pages_lead_on_and_back(server: ServerProcess, visit: Visit) -> None:
    async with server:
        first, second = await scored(server.api, *[1] * 25), await scored(server.api, *[0] * 25)
        await visit.page.goto(
            f"{server.url}/ui/compare/samples/mme?job={first}&job={second}&job_is=wrong"
        )
        document = visit.page.locator(".sample").first

        await expect(document).to_contain_text("#0")
        for name, expected in (
            ("Next page", "#10"), ("Next page", "#20"), ("Previous page", "#10"),
            ("Previous page", "#0"),
        ):  # fmt: skip
            await visit.page.get_by_role("link", name=name).click()
            await expect(document).to_contain_text(expected)


async def test_a_warning_is_shown_where_little_overlaps(server: ServerProcess) -> None:
    async with server:
        first = await scored(server.api, 1, 0)
        args = {"behave": "judge"}
        second = await server.api.submit(model_args=args)
        await server.api.finished(second)

        page = await server.api.text(f"/ui/compare/samples/mme?job={first}&job={second}")

    assert "judged by different metrics or filters: acc (none) and acc (loose)" in page


async def test_no_link_leads_to_samples_that_a_job_does_not_have(server: ServerProcess) -> None:
    async with server:
        first = await scored(server.api, 1, 0)
        second = await scored(server.api, 1, 0, log_samples=False)

        page = await server.api.text(f"/ui/compare?job={first}&job={second}")

    assert "/ui/compare/samples" not in page
