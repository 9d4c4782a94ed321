"""The search for the job that starts next: how much work it is, and what it finds."""

from collections.abc import Iterator
from typing import Any

import pytest

from evalserver.scheduling.queue_index import QueueIndex
from evalserver.store import JobQueries
from tests.scheduling.lab import Lab
from tests.store.test_jobs import claim, start, submit

WAITING_JOBS = 200


class CountingIndex(QueueIndex):
    """Counts the jobs that are taken from it one after another."""

    steps = 0

    def __iter__(self) -> Iterator[str]:
        """Yield the jobs in order, and count them."""
        for job_id in super().__iter__():
            self.steps += 1
            yield job_id


@pytest.fixture
async def queue(lab: Lab) -> CountingIndex:
    """The queue of the lab: jobs whose checkpoints do not exist, followed by one other job."""
    queue = CountingIndex()
    lab.scheduler.queue = queue
    for _ in range(WAITING_JOBS):
        await submit(lab.store, model_args={"pretrained": "/no"}, wait_for_path_s=1e6)
    await submit(lab.store)
    return queue


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


async def test_a_search_passes_every_waiting_job_once(
    lab: Lab, queue: CountingIndex, reads: list[str]
) -> None:
    found = await lab.scheduler._first_ready()

    assert found is not None
    assert found.request.wait_for_path_s is None
    assert (queue.steps, len(reads)) == (WAITING_JOBS + 1, WAITING_JOBS + 1)


async def test_a_further_search_reads_no_waiting_job_again(
    lab: Lab, queue: CountingIndex, reads: list[str]
) -> None:
    await lab.scheduler._first_ready()
    reads.clear()

    found = await lab.scheduler._first_ready()

    assert found is not None
    assert reads == [found.job_id]


async def test_a_waiting_job_that_changed_is_read_again(
    lab: Lab, queue: CountingIndex, reads: list[str]
) -> None:
    await lab.scheduler._first_ready()
    reads.clear()
    changed = next(iter(queue))

    await lab.store.jobs.prioritize(changed, 5, "alice")
    await lab.scheduler._first_ready()

    assert reads[0] == changed


async def test_running_jobs_are_in_the_order_of_their_starts(lab: Lab) -> None:
    jobs = [await submit(lab.store) for _ in range(2)]
    for job_id in reversed(jobs):
        await claim(lab.store, job_id)

    assert lab.scheduler.running == tuple(reversed(jobs))


async def test_a_job_that_ends_leaves_the_other_running(lab: Lab) -> None:
    first, second = [await start(lab.store) for _ in range(2)]

    await lab.end(first, 1)

    assert lab.scheduler.running == (second,)
