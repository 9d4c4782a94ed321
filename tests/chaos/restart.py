"""Downtime of a killed server: from SIGKILL to the first answered request."""

import asyncio
import statistics
import time
from pathlib import Path

from evalserver.core.job import NewJob
from evalserver.core.request import EvaluateRequest
from evalserver.store import Store
from tests.chaos.clients import SERVER_OPTIONS, find_processes, marked_environment
from tests.support import ServerProcess

QUEUED = (0, 1_000, 100_000)
ROUNDS = 5
BATCH_SIZE = 500
"""Concurrent submissions to the store."""
POLL_SECONDS = 0.002


async def measure_downtime(folder: Path) -> dict[int, list[float]]:
    """Return downtimes in seconds by the number of queued jobs, while one evaluation runs."""
    return {queued: await _measure_rounds(folder / str(queued), queued) for queued in QUEUED}


def format_table(times: dict[int, list[float]]) -> str:
    """Format the downtimes as a table."""
    rows = [
        f"{queued:>7}  {statistics.median(each):6.2f}  {min(each):6.2f}  {max(each):6.2f}"
        for queued, each in times.items()
    ]
    head = f"{'queued':>7}  {'median':>6}  {'min':>6}  {'max':>6}   seconds, {ROUNDS} kills"
    return "\n".join([head, *rows])


async def _measure_rounds(folder: Path, queued: int) -> list[float]:
    folder.mkdir()
    environment = marked_environment(folder)
    async with ServerProcess(folder / "data", *SERVER_OPTIONS, environment=environment) as server:
        job_id = await server.api.submit(model_args={"behave": "hang"})
        await server.api.wait_for_harness(job_id)
        server.stop()
        await _fill(server.data_dir, queued)
        await server.start()
        times = [await _kill_and_start(server) for _ in range(ROUNDS)]
        queue = await server.api.call("GET", "/queue")
        assert (queue["running_job"], queue["queue_size"]) == (job_id, queued)
        assert len(find_processes(folder, job_id)) == 1
    return times


async def _fill(data_dir: Path, queued: int) -> None:
    store = await Store.open(data_dir)
    for first in range(0, queued, BATCH_SIZE):
        jobs = (
            NewJob(f"job-{number}", "lmms_eval", EvaluateRequest("dummy", ("mme",)), "anonymous")
            for number in range(first, min(first + BATCH_SIZE, queued))
        )
        await asyncio.gather(*map(store.jobs.submit, jobs))
    await store.close()


async def _kill_and_start(server: ServerProcess) -> float:
    killed_at = time.monotonic()
    server.kill()
    server.launch()
    while not await server.answers():
        await asyncio.sleep(POLL_SECONDS)
    return time.monotonic() - killed_at
