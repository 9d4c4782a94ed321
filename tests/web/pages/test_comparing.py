"""The compare and trends pages."""

import csv
import io

import pytest
from playwright.async_api import expect

from evalserver.web.pages.compare import Bar, make_bars
from tests.browser import Visit
from tests.support import ServerProcess
from tests.web.pages.conftest import Lab
from tests.web.pages.jobs import scored

HALF = [1, 0] * 20


@pytest.mark.browser
async def test_the_page_shows_the_values_of_the_api(server: ServerProcess, visit: Visit) -> None:
    async with server:
        first = await scored(server.api, *HALF)
        second = await scored(server.api, *[1] * 40)
        response = await server.api.call("GET", f"/compare?job={first}&job={second}")
        await visit.page.goto(f"{server.url}/ui/compare?job={first}&job={second}")
        row = visit.page.locator(".comparison tbody tr").nth(1)

        difference = response["rows"][0]["values"][1]["difference"]
        assert (difference["value"], difference["improved"]) == (0.5, True)
        await expect(row).to_contain_text("+0.500")
        await expect(row).to_contain_text("+0.343 to +0.657")
        await expect(row.locator(".verdict")).to_have_text("better")
        await expect(visit.page.locator(".methods")).to_contain_text("arxiv.org/abs/2411.00640")


@pytest.mark.browser
async def test_the_baseline_can_be_changed(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/compare?job={lab.completed[0]}&job={lab.completed[1]}")

    await visit.page.get_by_role("link", name="use as baseline").click()

    first = visit.page.locator(".compared li").first
    await expect(first).to_contain_text("baseline")
    await expect(first.locator("a").first).to_have_attribute("href", f"/ui/jobs/{lab.completed[1]}")


def value(number: float | None, stderr: float | None = None) -> dict[str, float | None]:
    """Build a value of a comparison."""
    return {"value": number, "stderr": stderr}


def test_bars_of_fractions_have_a_scale_from_0_to_1() -> None:
    assert make_bars([value(0.5), value(None)]) == [Bar(0.0, 0.0, 50.0, 50.0, None, None), None]


def test_a_bar_has_a_confidence_interval() -> None:
    [bar] = make_bars([value(0.5, 0.1)])

    assert bar is not None
    assert (bar.low, bar.high) == (30.4, 69.6)


def test_a_bar_of_a_negative_value_starts_at_the_value() -> None:
    [below, above] = make_bars([value(-1.0), value(3.0)])

    assert below == Bar(zero=25.0, start=0.0, length=25.0, end=0.0, low=None, high=None)
    assert above == Bar(zero=25.0, start=25.0, length=75.0, end=100.0, low=None, high=None)


def test_bars_of_zeros_have_no_length() -> None:
    assert make_bars([value(0.0)]) == [Bar(0.0, 0.0, 0.0, 0.0, None, None)]


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
