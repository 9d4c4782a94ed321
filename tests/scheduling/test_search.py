"""The search for the job that starts next: how much work it is, and what it finds."""

import asyncio
from typing import Any

import pytest

from evalserver.store import JobQueries
from tests.scheduling.lab import Lab
from tests.store.test_jobs import claim, start, submit
from tests.support import WAIT_SECONDS, until

WAITING_JOBS = 200


@pytest.fixture
async def waiting(lab: Lab) -> list[str]:
    """Jobs whose checkpoints do not exist, followed by one other job in the queue of the lab."""
    jobs = [
        await submit(lab.store, model_args={"pretrained": "/no"}, wait_for_path_s=1e6)
        for _ in range(WAITING_JOBS)
    ]
    await submit(lab.store)
    return jobs


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The jobs that were read from the store, one entry for each read."""
    reads: list[str] = []
    read = JobQueries.job

    async def counted(self: JobQueries, job_id: str) -> Any:
        reads.append(job_id)
        return await read(self, job_id)

    monkeypatch.setattr(JobQueries, "job", counted)
    return reads


async def test_a_search_passes_waiting_jobs_without_reading_them(
    lab: Lab, waiting: list[str], reads: list[str]
) -> None:
    found = await lab.scheduler.find_next()

    assert found is not None
    assert not found.job.demand.waits_for_checkpoint
    assert reads == []


async def test_the_watch_reads_every_waiting_job_once(
    lab: Lab, waiting: list[str], reads: list[str]
) -> None:
    watch = asyncio.create_task(lab.scheduler.watch_checkpoints())

    async def all_were_checked() -> bool:
        return all(lab.scheduler.checkpoint_wait(each) for each in waiting)

    await until(all_were_checked)
    watch.cancel()
    await lab.scheduler.close()
    assert sorted(reads) == sorted(waiting)


async def test_a_waiting_job_that_changed_is_read_again(
    lab: Lab, waiting: list[str], reads: list[str]
) -> None:
    watch = asyncio.create_task(lab.scheduler.watch_checkpoints())

    async def was_read() -> bool:
        return waiting[0] in reads

    await until(was_read)
    reads.clear()
    await lab.store.jobs.prioritize(waiting[0], 5, "alice")
    await until(was_read)
    watch.cancel()
    await lab.scheduler.close()


async def test_running_jobs_are_in_the_order_of_their_starts(lab: Lab) -> None:
    jobs = [await submit(lab.store) for _ in range(2)]
    for job_id in reversed(jobs):
        await claim(lab.store, job_id)

    assert lab.scheduler.running == tuple(reversed(jobs))


async def test_a_job_that_ends_leaves_the_other_running(lab: Lab) -> None:
    first, second = [await start(lab.store) for _ in range(2)]

    await lab.end(first, 1)

    assert lab.scheduler.running == (second,)


async def test_cancelling_what_runs_ends_once_nothing_runs(lab: Lab) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        await lab.scheduler.end_running()

    assert lab.scheduler.holding
