"""The compare page."""

import pytest
from playwright.async_api import expect

from evalserver.core.job import Job
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.web.pages.compare import Bar, find_interval, make_bars, order_jobs
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
async def test_the_page_says_how_many_documents_changed_and_what_regressed(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        tasks = ["mme", "ai2d"]
        jobs = [
            await scored(server.api, *scores, tasks=tasks)
            for scores in ([1] * 20, [0] * 10 + [1] * 10, [1] * 19 + [0])
        ]
        await visit.page.goto(f"{server.url}/ui/compare?{'&'.join(f'job={job}' for job in jobs)}")

        regressions = visit.page.locator(".regressions li")
        await expect(regressions.nth(0)).to_contain_text("mme acc")
        await expect(regressions.nth(0)).to_contain_text("of 2 metrics that were tested")
        await expect(regressions.nth(1)).to_contain_text(
            "of the 2 metrics that were tested, none became worse"
        )
        judged = visit.page.locator(".comparison .judged")
        await expect(judged.nth(0)).to_contain_text(
            "10 correct to incorrect, 0 incorrect to correct, p = 0.002"
        )
        await expect(judged.nth(1)).to_contain_text(
            "1 correct to incorrect, 0 incorrect to correct, p = 1;"
        )
        await expect(visit.page.locator(".methods")).to_contain_text("Holm")


@pytest.mark.browser
async def test_the_baseline_can_be_changed(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/compare?job={lab.completed[0]}&job={lab.completed[1]}")

    await visit.page.get_by_role("link", name="use as baseline").click()

    first = visit.page.locator(".compared li").first
    await expect(first).to_contain_text("baseline")
    await expect(first.locator("a").first).to_have_attribute("href", f"/ui/jobs/{lab.completed[1]}")


async def test_jobs_that_have_not_completed_are_named_and_the_others_compared(
    server: ServerProcess,
) -> None:
    async with server:
        first = await scored(server.api, *HALF)
        second = await scored(server.api, *[1] * 40)
        failed = await server.api.submit(model_args={"behave": "crash"})
        await server.api.finished(failed)

        page = await server.api.text(f"/ui/compare?job={failed}&job={first}&job={second}")

    assert f"{failed[-8:]}</a> (failed)" in page
    assert 'class="comparison"' in page


@pytest.mark.browser
async def test_the_baseline_of_selected_jobs_is_that_of_the_lowest_step(
    lab: Lab, visit: Visit
) -> None:
    await visit.page.goto(f"{lab.url}/ui/compare")

    for job_id in reversed(lab.completed):
        await visit.page.locator(f"input[value='{job_id}']").check()
    await visit.page.locator("#compare").click()

    await expect(visit.page.locator(".compared li").first).to_contain_text("step 100")
    await expect(visit.page.locator(".comparison tbody tr").nth(1)).to_contain_text("+0.25")


@pytest.mark.browser
async def test_a_note_says_that_jobs_differ_in_size(server: ServerProcess, visit: Visit) -> None:
    async with server:
        small, large = await scored(server.api, *[1] * 4), await scored(server.api, *[1, 0] * 4)
        await visit.page.goto(f"{server.url}/ui/compare?job={small}&job={large}")

        note = visit.page.get_by_role("note")

        await expect(note).to_contain_text("mme has 4 or 8 documents")
        await expect(visit.page.locator(".comparison tbody")).to_contain_text("of 8 documents")


@pytest.mark.browser
async def test_a_note_of_many_differences_is_shown_once(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        jobs = [await scored(server.api, 1, 0, tasks=["mme", "ai2d"]) for _ in range(2)]
        await visit.page.goto(f"{server.url}/ui/compare?job={jobs[0]}&job={jobs[1]}")

        await expect(visit.page.locator('.comparison a[href^="#note"]')).to_have_text(
            ["[1]", "[1]"]
        )
        await expect(visit.page.locator(".notes li")).to_have_count(1)


def job(seq: int, step: str | None = None) -> Job:
    """Build a completed job; only its place, id and labels matter."""
    return Job(
        seq=seq,
        job_id=f"job {seq}",
        status=Status.COMPLETED,
        engine="lmms_eval",
        priority=0,
        labels={} if step is None else {"step": step},
        request=EvaluateRequest(model="dummy", tasks=("mme",)),
        submitted_by="alice",
        created_at="",
        started_at=None,
        completed_at=None,
        cancel_requested_at=None,
        attempt=1,
        max_attempts=1,
        run_dir=None,
        output_dir=None,
        exit_code=0,
        error=None,
        result=None,
        provenance=None,
        event_id=1,
    )


def test_compared_jobs_are_in_the_order_of_their_steps() -> None:
    assert order_jobs([job(1, "1000"), job(2, "200")], None) == ["job 2", "job 1"]


@pytest.mark.parametrize("step", [None, "last", "nan"])
def test_compared_jobs_without_numbers_as_steps_are_in_the_order_of_submission(
    step: str | None,
) -> None:
    assert order_jobs([job(2, "1"), job(1, step)], None) == ["job 1", "job 2"]


def test_a_baseline_comes_first() -> None:
    assert order_jobs([job(1), job(2), job(3)], "job 3") == ["job 3", "job 1", "job 2"]


def test_the_interval_of_a_fraction_ends_at_1() -> None:
    scored = {"value": 0.95, "stderr": 0.05, "n": 20}

    low, high = find_interval(scored, higher_is_better=True) or (0.0, 0.0)

    assert (round(low, 3), high) == (0.852, 1.0)


def test_the_interval_of_a_loss_has_no_end() -> None:
    scored = {"value": 0.95, "stderr": 0.05, "n": 20}

    assert find_interval(scored, higher_is_better=False) == pytest.approx((0.852, 1.048), abs=0.001)


def value(number: float | None, interval: tuple[float, float] | None = None) -> dict[str, object]:
    """Build a value of a comparison."""
    return {"value": number, "interval": interval}


def test_bars_of_fractions_have_a_scale_from_0_to_1() -> None:
    assert make_bars([value(0.5), value(None)]) == [Bar(0.0, 0.0, 50.0, 50.0, None, None), None]


def test_a_bar_has_a_confidence_interval() -> None:
    [bar] = make_bars([value(0.5, (0.304, 0.696))])

    assert bar is not None
    assert (bar.low, bar.high) == (30.4, 69.6)


def test_a_bar_of_a_negative_value_starts_at_the_value() -> None:
    [below, above] = make_bars([value(-1.0), value(3.0)])

    assert below == Bar(zero=25.0, start=0.0, length=25.0, end=0.0, low=None, high=None)
    assert above == Bar(zero=25.0, start=25.0, length=75.0, end=100.0, low=None, high=None)


def test_bars_of_zeros_have_no_length() -> None:
    assert make_bars([value(0.0)]) == [Bar(0.0, 0.0, 0.0, 0.0, None, None)]
