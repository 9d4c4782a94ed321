"""The trends page."""

import csv
import io

import pytest
from playwright.async_api import expect

from evalserver.store import Point
from evalserver.web.pages.trends import find_previous
from tests.browser import Visit
from tests.support import ServerProcess
from tests.web.pages.conftest import Lab
from tests.web.pages.jobs import scored


@pytest.mark.browser
async def test_a_changed_metric_is_shown_at_once(server: ServerProcess, visit: Visit) -> None:
    async with server:
        await scored(server.api, 1, 0, tasks=["mme", "ai2d"], labels={"series": "run", "step": "1"})
        await visit.page.goto(f"{server.url}/ui/trends")

        await visit.page.get_by_label("Metric").select_option("mme/acc/none")

        await expect(visit.page.locator("#plot-title")).to_have_text("mme/acc/none")
        await expect(visit.page.locator("#plot canvas")).to_be_visible()
        assert "number=mme" in visit.page.url
        assert visit.errors == []


@pytest.mark.browser
async def test_a_series_without_the_metric_says_so(server: ServerProcess, visit: Visit) -> None:
    async with server:
        await scored(server.api, 1, 0, labels={"series": "with", "step": "1"})
        await scored(server.api, 1, 0, tasks=["ai2d"], labels={"series": "without", "step": "1"})

        await visit.page.goto(f"{server.url}/ui/trends?number=mme/acc/none")

        missing = visit.page.locator(".missing")
        await expect(missing).to_have_text("without has no value of this metric")


async def test_series_without_completed_jobs_are_not_selected_at_first(
    server: ServerProcess,
) -> None:
    async with server:
        await scored(server.api, 1, 0, labels={"series": "with", "step": "1"})
        args = {"behave": "crash"}
        failed = await server.api.submit(model_args=args, labels={"series": "without"})
        await server.api.finished(failed)

        page = await server.api.text("/ui/trends")

    assert 'value="with" checked' in page
    assert 'value="without">' in page


@pytest.mark.browser
async def test_a_value_leads_to_the_comparison_with_the_step_before(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/trends")
    await visit.page.get_by_text("Values as a table").click()

    await visit.page.get_by_role("link", name="compare with the step before").click()

    jobs = visit.page.locator(".compared li")
    await expect(jobs).to_have_count(2)
    await expect(jobs.first).to_contain_text("step 100")


def point(step: str | None, job_id: str, series: str = "a") -> Point:
    """Build a value of a series."""
    return Point(series, step, job_id, "", 0.5, None, None)


def test_the_step_before_is_that_of_the_same_series_by_number() -> None:
    points = [
        *(point("100", "1"), point("1000", "3"), point("200", "2")),
        *(point(None, "4"), point("last", "5"), point("150", "6", series="b")),
    ]

    assert find_previous(points) == {"2": "1", "3": "2"}


async def test_series_count_completed_jobs(server: ServerProcess) -> None:
    async with server:
        await scored(server.api, 1, 0, labels={"series": "run", "step": "1"})
        args = {"behave": "crash"}
        failed = await server.api.submit(model_args=args, labels={"series": "run", "step": "2"})
        await server.api.finished(failed)

        page = await server.api.text("/ui/trends")

    assert 'run <span class="faint">1</span>' in page


@pytest.mark.browser
async def test_clicking_a_point_opens_its_job(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/trends?series=run-1")
    plot = visit.page.locator("#plot .u-over")
    size = await plot.bounding_box()
    assert size is not None

    # The last step is at the right edge and has only one point.
    await plot.hover(position={"x": size["width"] - 2, "y": size["height"] / 2})
    await plot.click(position={"x": size["width"] - 2, "y": size["height"] / 2})

    await visit.page.wait_for_url(f"**/ui/jobs/{lab.completed[1]}")


@pytest.mark.browser
async def test_the_plot_is_downloaded_as_an_image(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/trends")

    async with visit.page.expect_download() as saving:
        await visit.page.get_by_role("button", name="PNG").click()
    saved = await (await saving.value).path()

    assert saved.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert visit.errors == []


@pytest.mark.browser
async def test_the_plotted_values_are_shown_as_a_table(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/trends")
    await visit.page.get_by_text("Values as a table").click()

    cells = await visit.page.locator("details table tbody tr").all_inner_texts()

    assert [text.split("\t")[:3] for text in cells] == [
        ["run-1", "100", "0.50"],
        ["run-1", "200", "0.75"],
    ]


async def test_the_trend_is_exported_as_csv(lab: Lab) -> None:
    address = "/ui/trends?series=run-1&number=mme/acc/none&format=csv"
    async with lab.api._session.get(lab.url + address) as response:
        table = list(csv.DictReader(io.StringIO(await response.text())))

    found = [(row["series"], row["step"], row["job_id"], row["value"]) for row in table]
    assert found == [
        ("run-1", "100", lab.completed[0], "0.5"),
        ("run-1", "200", lab.completed[1], "0.75"),
    ]
