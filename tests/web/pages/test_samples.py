"""The page of a task's samples: filters, counts, pages and long answers."""

import pytest
from playwright.async_api import Page, expect

from evalserver.core.job import Metric
from evalserver.web.pages.sample_counts import SampleCounts, count_samples, has_epochs
from tests.browser import Visit
from tests.support import Api, ServerProcess
from tests.web.pages.conftest import Lab
from tests.web.pages.jobs import scored


async def open_judged(api: Api, page: Page, *, documents: int = 3, thoughts: int = 0) -> None:
    """Open the samples of a task that is judged by two filters, each with these documents."""
    args = {"behave": "judge", "documents": documents, "thoughts": thoughts}
    job_id = await api.submit(tasks=["mme", "ai2d"], model_args=args)
    await api.finished(job_id)
    await page.goto(f"{api._base}/ui/jobs/{job_id}/samples/ai2d")


@pytest.mark.browser
async def test_a_sample_names_the_filter_that_judged_it(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        await open_judged(server.api, visit.page)

        first = visit.page.locator(".sample header").first

        await expect(first).to_have_text("#0 strict incorrect")


@pytest.mark.browser
async def test_samples_of_one_filter_are_selected(server: ServerProcess, visit: Visit) -> None:
    async with server:
        await open_judged(server.api, visit.page)

        await visit.page.get_by_role("link", name="loose").click()

        await expect(visit.page.locator(".sample header .tag")).to_have_text(["loose"] * 3)


@pytest.mark.browser
async def test_the_task_that_is_shown_is_marked(server: ServerProcess, visit: Visit) -> None:
    async with server:
        await open_judged(server.api, visit.page)

        current = visit.page.get_by_role("navigation", name="Tasks").locator("[aria-current]")

        await expect(current).to_have_text("ai2d")


@pytest.mark.browser
async def test_the_end_of_a_long_answer_is_shown(server: ServerProcess, visit: Visit) -> None:
    async with server:
        await open_judged(server.api, visit.page, thoughts=1000)

        answer = visit.page.locator(".sample").first.locator("dd").last

        await expect(answer).to_contain_text("characters …]")
        assert (await answer.inner_text()).endswith("think. no")


@pytest.mark.browser
async def test_filters_show_how_many_samples_they_have(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.completed[1]}/samples/mme")

    chips = visit.page.locator("#samples .head .chip")

    await expect(chips).to_have_text(["All 4", "Correct 3", "Incorrect 1"])


@pytest.mark.browser
async def test_samples_are_paged_back_and_forth_by_address(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        job_id = await scored(server.api, *(number % 2 for number in range(35)))
        await visit.page.goto(f"{server.url}/ui/jobs/{job_id}/samples/mme")
        first = visit.page.locator(".sample strong").first
        for number in (10, 20, 30):
            await visit.page.get_by_role("link", name="Next page").click()
            await expect(first).to_have_text(f"#{number}")

        await visit.page.get_by_role("link", name="Previous page").click()

        await expect(first).to_have_text("#20")
        await expect(visit.page.locator(".pages")).to_contain_text("21 to 30 of 35")
        assert "cursor=" in visit.page.url


@pytest.mark.browser
async def test_the_tab_of_a_job_keeps_its_title_when_samples_load(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.completed[0]}")

    await visit.page.locator(".sample").first.wait_for()

    await expect(visit.page).to_have_title("dummy: completed · evalserver")


def metric(value: float, n: int | None = 4, kind: str = "none") -> Metric:
    """Build a metric that judges samples."""
    return Metric("mme", "acc", kind, value, None, n, higher_is_better=True)


def test_samples_are_counted_from_the_mean_of_their_scores() -> None:
    assert count_samples([metric(0.75)], "acc", {}) == SampleCounts(4, 3)


def test_samples_of_all_filters_are_counted_together() -> None:
    both = [metric(0.75, kind="strict"), metric(1.0, kind="loose")]

    assert count_samples(both, "acc", {}) == SampleCounts(8, 7)


def test_samples_of_one_filter_are_counted_alone() -> None:
    both = [metric(0.75, kind="strict"), metric(1.0, kind="loose")]

    assert count_samples(both, "acc", {"filter": "loose"}) == SampleCounts(4, 4)


@pytest.mark.parametrize(
    ("judging", "value"), [(None, 0.75), ("acc", 0.6)], ids=["no metric", "no mean of 0s and 1s"]
)
def test_right_samples_that_no_metric_tells_are_not_counted(
    judging: str | None, value: float
) -> None:
    assert count_samples([metric(value)], judging, {}) == SampleCounts(4, None)


def test_samples_of_an_unknown_number_are_not_counted() -> None:
    assert count_samples([metric(0.75, n=None)], "acc", {}) is None


@pytest.mark.parametrize(
    ("options", "filters", "epochs", "expected"),
    [
        ({}, ["includes"], [1, 1], False),
        ({}, ["strict"], [None], False),
        ({"epochs": 3}, ["includes"], [1], True),
        ({}, ["includes/mean"], [1], True),
        ({}, ["includes"], [1, 2], True),
    ],
)
def test_documents_answered_several_times_are_noticed(
    options: dict[str, int], filters: list[str], epochs: list[int | None], expected: bool
) -> None:
    assert has_epochs(options, filters, [{"epoch": each} for each in epochs]) == expected
