"""How long a server that was killed is away: from SIGKILL to the first request that is answered."""

import asyncio
import statistics
import time
from pathlib import Path

from evalserver.core.job import NewJob
from evalserver.core.request import EvaluateRequest
from evalserver.store import Store
from tests.chaos.deeds import PASSED_ON, environment, living
from tests.support import ServerProcess

QUEUED = (0, 1_000, 100_000)
ROUNDS = 5
NO_RETRIES = 500
"""Submissions that are handed to the store together."""
LOOK_SECONDS = 0.002


async def restart_times(folder: Path) -> dict[int, list[float]]:
    """Seconds away, of several rounds, by the number of queued jobs; one evaluation runs."""
    return {queued: await _away(folder / str(queued), queued) for queued in QUEUED}


def told(times: dict[int, list[float]]) -> str:
    """The times as a table."""
    rows = [
        f"{queued:>7}  {statistics.median(each):6.2f}  {min(each):6.2f}  {max(each):6.2f}"
        for queued, each in times.items()
    ]
    head = f"{'queued':>7}  {'median':>6}  {'least':>6}  {'most':>6}   seconds, {ROUNDS} kills"
    return "\n".join([head, *rows])


async def _away(folder: Path, queued: int) -> list[float]:
    folder.mkdir()
    marked = environment(folder)
    async with ServerProcess(folder / "data", *PASSED_ON, environment=marked) as server:
        job_id = await server.api.submit(model_args={"behave": "hang"})
        await server.api.under_way(job_id)
        server.stop()
        await _fill(server.data_dir, queued)
        await server.start()
        times = [await _kill_and_start(server) for _ in range(ROUNDS)]
        queue = await server.api.call("GET", "/queue")
        assert (queue["running_job"], queue["queue_size"]) == (job_id, queued)
        assert len(living(folder, job_id)) == 1
    return times


async def _fill(data_dir: Path, queued: int) -> None:
    store = await Store.open(data_dir)
    for first in range(0, queued, NO_RETRIES):
        jobs = (
            NewJob(f"job-{number}", "lmms_eval", EvaluateRequest("dummy", ("mme",)), "somebody")
            for number in range(first, min(first + NO_RETRIES, queued))
        )
        await asyncio.gather(*map(store.submit, jobs))
    await store.close()


async def _kill_and_start(server: ServerProcess) -> float:
    killed_at = time.monotonic()
    server.kill()
    server.launch()
    while not await server.answers():
        await asyncio.sleep(LOOK_SECONDS)
    return time.monotonic() - killed_at
