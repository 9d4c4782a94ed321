"""Verdicts of gates on the pages of a job and of trends."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from playwright.async_api import expect

from tests.browser import Visit, accessibility_violations, open_browser
from tests.support import ServerProcess
from tests.web.api.test_gates import RIGHT, WORSE, keep
from tests.web.pages.jobs import scored


@dataclass(frozen=True)
class Judged:
    """A server with a job that was judged beside a step before."""

    url: str
    job: str
    server: ServerProcess


@pytest.fixture
async def judged(server: ServerProcess) -> AsyncIterator[Judged]:
    """A server with such a job."""
    async with server:
        baseline = await scored(server.api, *RIGHT, series="run", step=100)
        job = await scored(server.api, *WORSE, series="run", step=200)
        await keep(server.api, job, baseline, max_drop=0.2)
        await keep(server.api, job, baseline, max_drop=0.01)
        yield Judged(server.url, job, server)


async def test_the_page_of_a_job_has_its_verdicts_with_their_reasons(judged: Judged) -> None:
    page = await judged.server.api.text(f"/ui/jobs/{judged.job}")

    assert page.index(">no_go<") < page.index(">go<")
    assert "1 of 1 metric breached the gate: mme acc." in page
    assert "worse by 0.12 on 500 paired documents" in page


async def test_the_trends_have_the_newest_verdict_of_each_step(judged: Judged) -> None:
    page = await judged.server.api.text("/ui/trends?series=run")

    table = page[page.index("Values as a table") :]
    assert table.count(">no_go<") == 1
    assert ">go<" not in table
    assert "run step 200" in page


async def test_the_page_of_a_pruned_job_keeps_its_verdicts(judged: Judged) -> None:
    api = judged.server.api
    await api.call("POST", f"/jobs/{judged.job}/prune")

    async with api._session.get(f"{judged.url}/ui/jobs/{judged.job}") as response:
        page = await response.text()

    assert "1 of 1 metric breached the gate: mme acc." in page


@pytest.mark.browser
async def test_a_verdict_leads_to_the_comparison_with_its_baseline(
    judged: Judged, visit: Visit
) -> None:
    await visit.page.goto(f"{judged.url}/ui/trends?series=run")
    await visit.page.get_by_role("link", name="run step 200").first.click()
    section = visit.page.get_by_role("region", name="Verdicts of gates")
    await section.get_by_text("The newest verdict, metric by metric").click()
    await expect(section).to_contain_text("wholly above the margin of 0.01")

    await section.locator("td a[href*=compare]").first.click()

    await expect(visit.page.locator(".compared li").first).to_contain_text("step 100")
    assert visit.errors == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_with_verdicts_are_accessible_and_fit_a_phone(
    judged: Judged, scheme: str
) -> None:
    found = {}
    async with open_browser(color_scheme=scheme, viewport={"width": 390, "height": 720}) as visit:
        for path in (f"/ui/jobs/{judged.job}", "/ui/trends?series=run"):
            await visit.page.goto(judged.url + path)
            for summary in await visit.page.locator("details > summary").all():
                await summary.click()
            width = await visit.page.evaluate("document.documentElement.scrollWidth")
            found[path] = (width, await accessibility_violations(visit.page))

    assert set(map(str, found.values())) == {"(390, [])"}
