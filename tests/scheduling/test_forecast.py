"""Forecasts: what a job waits for, and when it will have ended."""

from datetime import timedelta
from pathlib import Path

from evalserver.scheduling.forecast import MAX_JOBS_BEFORE, Forecast
from tests.scheduling.lab import Lab
from tests.store.test_jobs import claim, start, submit


async def test_without_a_completed_job_there_is_no_estimate(lab: Lab) -> None:
    assert await lab.eta(await submit(lab.store)) is None
    assert await lab.eta(await start(lab.store)) is None


async def test_a_queued_job_takes_the_median_of_its_kind(lab: Lab) -> None:
    for seconds in (10, 20, 90):
        await lab.took(seconds)

    assert await lab.eta(await submit(lab.store)) == 20


async def test_a_running_job_takes_the_rest_of_the_median(lab: Lab) -> None:
    await lab.took(100)
    job_id = await start(lab.store)
    lab.now += timedelta(seconds=30.04)

    assert await lab.eta(job_id) == 70.0


async def test_the_estimate_of_an_overdue_job_is_zero(lab: Lab) -> None:
    await lab.took(100)
    job_id = await start(lab.store)
    lab.now += timedelta(seconds=1000)

    assert await lab.eta(job_id) == 0


async def test_the_estimate_of_a_queued_job_includes_all_jobs_before_it(lab: Lab) -> None:
    await lab.took(100, model="large")
    await lab.took(10)
    await start(lab.store, model="large")
    await submit(lab.store)
    last = await submit(lab.store)
    lab.now += timedelta(seconds=40)

    assert await lab.eta(last) == 60 + 10 + 10


async def test_after_a_job_of_an_unknown_kind_there_is_no_estimate(lab: Lab) -> None:
    await lab.took(10)
    await submit(lab.store, model="never seen")

    assert await lab.eta(await submit(lab.store)) is None


async def test_while_a_job_of_an_unknown_kind_runs_there_is_no_estimate(lab: Lab) -> None:
    await lab.took(10)
    await start(lab.store, model="never seen")

    assert await lab.eta(await submit(lab.store)) is None


async def test_after_too_many_jobs_there_is_no_estimate(lab: Lab) -> None:
    await lab.took(10)
    jobs = [await submit(lab.store) for _ in range(MAX_JOBS_BEFORE + 2)]

    assert await lab.eta(jobs[MAX_JOBS_BEFORE]) == 10 * (MAX_JOBS_BEFORE + 1)
    assert await lab.eta(jobs[MAX_JOBS_BEFORE + 1]) is None


async def test_a_completed_job_changes_the_estimate_of_its_kind(lab: Lab) -> None:
    await lab.took(10)
    job_id = await submit(lab.store)
    before = await lab.eta(job_id)

    await lab.took(30)

    assert (before, await lab.eta(job_id)) == (10, 20)


async def test_a_retried_job_no_longer_counts_for_the_estimate(lab: Lab) -> None:
    done = await lab.took(10)
    job_id = await submit(lab.store, priority=1)
    before = await lab.eta(job_id)

    await lab.store.jobs.retry(done, "alice")

    assert (before, await lab.eta(job_id)) == (10, None)


async def test_the_estimate_of_a_running_job_counts_from_its_start(lab: Lab) -> None:
    await lab.took(10)
    first, second = await submit(lab.store), await submit(lab.store)
    before = await lab.eta(second)
    await claim(lab.store, first)
    lab.now += timedelta(seconds=4)

    assert (before, await lab.eta(second)) == (20, 16)


async def test_a_repeated_forecast_is_answered_from_memory(lab: Lab, tmp_path: Path) -> None:
    await lab.took(10)
    await start(lab.store)
    jobs = [await submit(lab.store) for _ in range(3)]
    job = await lab.store.queries.job(jobs[-1])
    await lab.forecaster.of(job, 2)
    await lab.store.close()

    assert (await lab.forecaster.of(job, 2)).eta_s == 40


async def test_a_finished_job_has_no_forecast(lab: Lab) -> None:
    assert await lab.forecast(await lab.took(10)) == Forecast(None, None)


async def test_a_running_job_waits_for_nothing(lab: Lab) -> None:
    assert (await lab.forecast(await start(lab.store))).waiting_for is None


async def test_a_queued_job_waits_for_the_running_one_and_those_before_it(lab: Lab) -> None:
    running = await start(lab.store)
    jobs = [await submit(lab.store) for _ in range(3)]

    words = [(await lab.forecast(job_id)).waiting_for for job_id in jobs]

    assert words == [
        f"job {running}, which is running",
        f"job {running}, which is running, and 1 job before it in the queue",
        f"job {running}, which is running, and 2 jobs before it in the queue",
    ]


async def test_a_job_that_has_just_started_does_not_wait_for_itself(lab: Lab) -> None:
    await lab.took(100)
    record = await lab.store.queries.job(await submit(lab.store))
    await claim(lab.store, record.job_id)

    seen = await lab.forecaster.of(record, 0)

    assert seen == Forecast("its start, which comes next", 100.0)


async def test_between_two_jobs_the_next_one_waits_for_its_start(lab: Lab) -> None:
    jobs = [await submit(lab.store) for _ in range(2)]

    words = [(await lab.forecast(job_id)).waiting_for for job_id in jobs]

    assert words == ["its start, which comes next", "1 job before it in the queue"]


async def test_a_job_waits_for_the_restart_of_a_server_that_shuts_down(lab: Lab) -> None:
    job_id = await submit(lab.store)
    lab.scheduler.holding = True

    words = (await lab.forecast(job_id)).waiting_for

    assert words == "the next start of the server: it is shutting down, and starts nothing more"


async def test_a_job_waits_for_a_server_that_cannot_write(lab: Lab) -> None:
    job_id = await submit(lab.store)
    job, position = await lab.store.queries.job(job_id), 0
    lab.store._writer._health.report("database", "the database cannot be written: disk full")

    words = (await lab.forecaster.of(job, position)).waiting_for

    assert words == (
        "the server to be able to write again: the database cannot be written: disk full"
    )


async def test_a_queued_job_waits_for_all_running_jobs(lab: Lab) -> None:
    running = [await start(lab.store) for _ in range(2)]

    forecast = await lab.forecast(await submit(lab.store))

    assert forecast.waiting_for == f"jobs {running[0]}, {running[1]}, which are running"


async def test_a_queued_job_starts_after_the_longest_of_the_running_jobs(lab: Lab) -> None:
    await lab.took(10)
    await lab.took(50, model="other")
    for model in ("dummy", "other"):
        await start(lab.store, model=model)

    assert await lab.eta(await submit(lab.store)) == 60
