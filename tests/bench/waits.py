"""How long things take that nobody wants to wait for: the next start, the news, open streams."""

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path

import aiohttp
import psutil

from evalserver.executors import Attempt, LocalExecutor
from tests.bench.figures import Figure, Target, compared
from tests.bench.plan import Plan
from tests.bench.sides import SHORT_HARNESS, ours
from tests.support import Api, ServerProcess

GAP = Target(at_most=5)
DELAY = Target(at_most=50)
WAIT_SECONDS = 30


async def dispatching(plan: Plan) -> list[Figure]:
    """From the end of one evaluation to the start of the next, by the server and by hand."""
    folder = plan.folder / "dispatching"
    folder.mkdir()
    by_server = _gaps(await _run_by_server(folder, plan.evaluations))
    by_hand = _gaps(await _run_by_hand(folder, plan.evaluations))
    more = statistics.median(by_server) - statistics.median(by_hand)
    return [
        compared("gap between evaluations, by the server", "ms", by_server),
        compared("gap between evaluations, by hand with the runner", "ms", by_hand),
        compared("what the server adds to the gap", "ms", [more], target=GAP),
    ]


async def waiting(plan: Plan) -> list[Figure]:
    """From the true end of an evaluation until a client that waits for it knows."""
    folder = plan.folder / "waiting"
    folder.mkdir()
    journal = folder / "journal"
    known = []
    async with _server(folder) as server:
        for _ in range(plan.evaluations):
            job_id = await server.api.submit(model_args={"journal": str(journal), "seconds": 0.1})
            known.append(await _when_known(server.api, job_id))
    delays = [(at - end) * 1000 for at, (_, end) in zip(known, _times(journal), strict=True)]
    mean = statistics.mean(delays)
    return [compared("a waiting client knows of the end, mean", "ms", [mean], target=DELAY)]


async def streaming(plan: Plan) -> list[Figure]:
    """What open event streams of one running job cost the server."""
    folder = plan.folder / "streaming"
    folder.mkdir()
    async with ours(folder, queued=0) as side, aiohttp.ClientSession() as session:
        running = (await Api(session, side.url).call("GET", "/queue"))["running_job"]
        before, process = side.memory(), psutil.Process(side.pid)
        async with AsyncExitStack() as stack:
            for _ in range(plan.streams):
                path = f"{side.url}/jobs/{running}/events"
                answer = await stack.enter_async_context(session.get(path))
                await answer.content.readline()
            grown = (side.memory() - before) / 1024 / plan.streams
            began, used = time.monotonic(), sum(process.cpu_times()[:2])
            await asyncio.sleep(plan.seconds)
            share = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
    return [
        compared(f"memory of an event stream, of {plan.streams}", "KB", [grown]),
        compared(f"{plan.streams} event streams, of one core", "%", [share * 100]),
    ]


@asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[ServerProcess]:
    options = ("--engine-python", str(SHORT_HARNESS), "--max-completed-jobs", "1000")
    async with ServerProcess(folder / "data", *options) as server:
        yield server


async def _run_by_server(folder: Path, evaluations: int) -> Path:
    journal = folder / "by-server"
    async with _server(folder) as server:
        arguments = {"journal": str(journal), "seconds": 0}
        # Behind one that is still running, so that all of them wait when their turn comes.
        await server.api.submit(model_args={**arguments, "seconds": 1})
        jobs = [await server.api.submit(model_args=arguments) for _ in range(evaluations)]
        await server.api.finished(jobs[-1])
    return journal


async def _run_by_hand(folder: Path, evaluations: int) -> Path:
    journal = folder / "by-hand"
    executor = LocalExecutor()
    for number in range(1 + evaluations):
        run_dir = folder / "hand" / str(number)
        attempt = Attempt(
            token=str(number),
            run_dir=run_dir,
            argv=(
                str(SHORT_HARNESS),
                f"--output_path={run_dir}",
                f"--model_args=journal={journal},seconds=0",
            ),
            env=dict(os.environ),
            cwd=folder,
            grace_s=1.0,
        )
        await executor.start(attempt)
        await executor.wait(run_dir)
    return journal


async def _when_known(api: Api, job_id: str) -> float:
    """The time at which a client heard that the job has ended."""
    job = await api.job(job_id)
    while job["completed_at"] is None:
        path = f"/jobs/{job_id}?wait={WAIT_SECONDS}&since={job['event_id']}"
        job = await api.call("GET", path)
    return time.time()


def _gaps(journal: Path) -> list[float]:
    return [(later[0] - earlier[1]) * 1000 for earlier, later in pairwise(_times(journal))]


def _times(journal: Path) -> list[tuple[float, float]]:
    """When each evaluation began and ended, in seconds."""
    lines = (line.split() for line in journal.read_text().splitlines())
    return [(float(began), float(ended)) for began, ended in lines]
