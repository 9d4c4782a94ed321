"""Latencies: gap between evaluations, delay until waiting clients know, event streams."""

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
from yarl import URL

from evalserver.executors import Command, LaunchSpec, LocalExecutor
from tests.bench.figures import Figure, Target, compared
from tests.bench.plan import Plan
from tests.bench.sides import SHORT_HARNESS, ours
from tests.support import Api, ServerProcess

GAP = Target(at_most=5)
DELAY = Target(at_most=50)
WAIT_SECONDS = 30
SETUP_SECONDS = 2
"""Time for hundreds of clients to start waiting."""
END_OF_MESSAGE = b"\n\n"


async def dispatching(plan: Plan) -> list[Figure]:
    """Measure the gap between two evaluations, with the server and with the runner only."""
    by_server, by_hand = [], []
    folder = plan.folder / "dispatching"
    folder.mkdir()
    async with _server(folder) as server:
        for number in range(plan.rounds):
            place = folder / str(number)
            place.mkdir()
            evaluations = max(2, plan.evaluations // plan.rounds)
            by_server.append(await _gap_by_server(server, place, evaluations))
            by_hand.append(await _gap_by_hand(place, evaluations))
    more = [one - other for one, other in zip(by_server, by_hand, strict=True)]
    return [
        compared("gap between evaluations, by the server", "ms", by_server),
        compared("gap between evaluations, by hand with the runner", "ms", by_hand),
        compared("what the server adds to the gap", "ms", more, target=GAP),
    ]


async def waiting(plan: Plan) -> list[Figure]:
    """Measure the delay from the end of an evaluation until a waiting client knows."""
    folder = plan.folder / "waiting"
    folder.mkdir()
    journal = folder / "journal"
    known = []
    async with _server(folder) as server:
        for _ in range(plan.evaluations):
            job_id = await server.api.submit(model_args={"journal": str(journal), "seconds": 0.1})
            known.append(await when_known(server.api, job_id))
        means = [
            await _mean_delay_of_many(server, folder / f"{n}", plan) for n in range(plan.rounds)
        ]
    delays = [
        (at - end) * 1000 for at, (_, end) in zip(known, evaluation_times(journal), strict=True)
    ]
    mean = statistics.mean(delays)
    name = f"{plan.streams} who wait for one job know of its end, mean"
    return [
        compared("a waiting client knows of the end, mean", "ms", [mean], target=DELAY),
        compared(name, "ms", means, target=DELAY),
    ]


async def streaming(plan: Plan) -> list[Figure]:
    """Measure the cost of open event streams, and the delay until all have an event."""
    folder = plan.folder / "streaming"
    folder.mkdir()
    connector = aiohttp.TCPConnector(limit=plan.streams + 1)
    async with (
        ours(folder, queued=0) as side,
        aiohttp.ClientSession(connector=connector) as session,
        AsyncExitStack() as stack,
    ):
        before, process = side.memory(), psutil.Process(side.pid)
        streams = []
        for _ in range(plan.streams):
            stream = await stack.enter_async_context(session.get(f"{side.url}/events"))
            await stream.content.readuntil(END_OF_MESSAGE)
            streams.append(stream)
        grown = (side.memory() - before) / 1024 / plan.streams
        began, used = time.monotonic(), sum(process.cpu_times()[:2])
        await asyncio.sleep(plan.seconds)
        share = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
        known = [await _until_all_know(session, side.url, streams) for _ in range(plan.rounds)]
    return [
        compared(f"memory of an event stream, of {plan.streams}", "KB", [grown]),
        compared(f"{plan.streams} idle event streams, of one core", "%", [share * 100]),
        compared(f"{plan.streams} event streams have an event, all", "ms", known),
    ]


@asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[ServerProcess]:
    options = ("--engine-python", str(SHORT_HARNESS), "--max-completed-jobs", "1000")
    async with ServerProcess(folder / "data", *options) as server:
        yield server


async def _gap_by_server(server: ServerProcess, folder: Path, evaluations: int) -> float:
    journal = folder / "by-server"
    arguments = {"journal": str(journal), "seconds": 0}
    # They are queued behind a running job, so that none starts before all are submitted.
    await server.api.submit(model_args={**arguments, "seconds": 1})
    jobs = [await server.api.submit(model_args=arguments) for _ in range(evaluations)]
    # One long poll, because frequent polling would be load.
    await when_known(server.api, jobs[-1])
    return _gap(journal)


async def _gap_by_hand(folder: Path, evaluations: int) -> float:
    journal = folder / "by-hand"
    executor = LocalExecutor()
    for number in range(1 + evaluations):
        run_dir = folder / "hand" / str(number)
        spec = LaunchSpec(
            token=str(number),
            run_dir=run_dir,
            command=Command(
                (
                    str(SHORT_HARNESS),
                    f"--output_path={run_dir}",
                    f"--model_args=journal={journal},seconds=0",
                )
            ),
            env=dict(os.environ),
            cwd=folder,
            grace_s=1.0,
        )
        await executor.start(spec)
        await executor.wait(run_dir)
    return _gap(journal)


async def when_known(api: Api, job_id: str) -> float:
    """Return the time at which a client knows that the job has ended."""
    job = await api.job(job_id)
    while job["completed_at"] is None:
        path = f"/jobs/{job_id}?wait={WAIT_SECONDS}&since={job['event_id']}"
        job = await api.call("GET", path)
    return time.time()


async def _mean_delay_of_many(server: ServerProcess, journal: Path, plan: Plan) -> float:
    """Return the mean delay in ms until one of many waiting clients knows the end."""
    arguments = {"journal": str(journal), "seconds": SETUP_SECONDS}
    job = await server.api.when(await server.api.submit(model_args=arguments), "running")
    path = f"{job['links']['self']}?wait={WAIT_SECONDS}&since={job['event_id']}"
    known = await asyncio.gather(
        *(_when_answered(URL(server.url), path) for _ in range(plan.streams))
    )
    [(_, end)] = evaluation_times(journal)
    return 1000 * (statistics.mean(known) - end)


async def _when_answered(server: URL, path: str) -> float:
    """Return the time of a response's first byte, without a client library's overhead."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n\r\n".encode())
    await reader.readexactly(1)
    at = time.time()
    writer.close()
    return at


async def _until_all_know(
    session: aiohttp.ClientSession, url: str, streams: list[aiohttp.ClientResponse]
) -> float:
    """Return the ms from a submission until every stream has sent its event."""
    began = time.perf_counter()
    await Api(session, url).submit()
    await asyncio.gather(*(stream.content.readuntil(END_OF_MESSAGE) for stream in streams))
    return (time.perf_counter() - began) * 1000


def _gap(journal: Path) -> float:
    """Return the median gap between two evaluations in ms."""
    times = evaluation_times(journal)
    return 1000 * statistics.median(later[0] - earlier[1] for earlier, later in pairwise(times))


def evaluation_times(journal: Path) -> list[tuple[float, float]]:
    """Return start and end of each evaluation, in seconds."""
    lines = (line.split() for line in journal.read_text().splitlines())
    return [(float(began), float(ended)) for began, ended in lines]
