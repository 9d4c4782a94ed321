"""The servers that are measured side by side: ours, and one to compare it with."""

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from yarl import URL

from evalserver.core.job import NewJob
from evalserver.core.request import EvaluateRequest
from evalserver.store import Store
from tests.bench import load
from tests.bench.load import Answered, Load
from tests.support import Api, Json, ServerProcess, free_port, until

ORIGINAL = Path(__file__).with_name("original.py")
SHORT_HARNESS = Path(__file__).with_name("short_harness")
STANDING_STILL = Path(__file__).with_name("standing_still")
MOST_PATHS = 1000
FILLERS = 16
SUBMISSION = '{"model": "dummy", "tasks": ["mme"], "model_args": {"pretrained": "x"}}'
SEEDING_BATCH = 500


@dataclass(frozen=True)
class Side:
    """A server that is up: where it answers, its process if we started it, and for ours, more."""

    url: str
    pid: int | None = None

    async def put(self, clients: int, seconds: float, paths: list[str], **more: Any) -> Answered:
        """Load it, and return what came of that."""
        at = URL(self.url)
        return await load.run(Load(at.host or "", at.port or 80, clients, seconds, paths, **more))

    async def submit(self, clients: int, seconds: float) -> Answered:
        """Have clients submit jobs as fast as they can."""
        return await self.put(clients, seconds, ["/evaluate"], method="POST", body=SUBMISSION)

    async def job_paths(self) -> list[str]:
        """Paths of queued jobs, from all over the queue."""
        job_ids = (await self.get("/queue"))["queued_jobs"]
        step = max(1, len(job_ids) // MOST_PATHS)
        return [f"/jobs/{job_id}" for job_id in job_ids[::step]]

    async def queued(self) -> int:
        """How many jobs wait."""
        return int((await self.get("/health"))["queue_size"])

    async def get(self, path: str) -> Json:
        """What it answers; another server need not keep to our description."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            body: Json = await answer.json()
            return body

    def memory(self) -> int:
        """Bytes that the server's process has for itself alone."""
        return int(psutil.Process(self.pid).memory_full_info().uss)


@asynccontextmanager
async def ours(folder: Path, queued: int) -> AsyncIterator[Side]:
    """Our server, with so many jobs in a queue that stands still."""
    data_dir = folder / f"ours-{queued}"
    data_dir.mkdir()
    await _seed(data_dir, queued)
    async with ServerProcess(data_dir, "--engine-python", str(STANDING_STILL)) as server:
        await until(lambda: _is_running(server.api))
        yield Side(server.url, server.process.pid)


@asynccontextmanager
async def original(python: str, folder: Path, queued: int) -> AsyncIterator[Side]:
    """lmms-eval's own server in the same state, run by ``python``."""
    port = free_port()
    log = folder / f"original-{queued}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [python, str(ORIGINAL), str(port), str(queued)], stdout=out, stderr=out
        )
    side = Side(f"http://127.0.0.1:{port}", process.pid)
    try:
        async with aiohttp.ClientSession() as session:
            await until(lambda: _answers(session, side.url, process, log))
        yield side
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def elsewhere(url: str, queued: int) -> AsyncIterator[Side]:
    """A server that somebody has started, with at least so many jobs in its queue.

    What runs there should take long, so that the queue stands still.
    """
    side = Side(url.rstrip("/"))
    while await side.queued() < queued:
        await side.submit(FILLERS, 0.5)
    yield side


async def _seed(data_dir: Path, queued: int) -> None:
    store = await Store.open(data_dir)
    try:
        for first in range(0, 1 + queued, SEEDING_BATCH):
            jobs = range(first, min(1 + queued, first + SEEDING_BATCH))
            await asyncio.gather(*(store.submit(_job()) for _ in jobs))
    finally:
        await store.close()


def _job() -> NewJob:
    request = EvaluateRequest("dummy", ("mme",), {"pretrained": "x"})
    return NewJob(str(uuid.uuid4()), "lmms_eval", request, "anonymous")


async def _is_running(api: Api) -> bool:
    return (await api.call("GET", "/queue"))["running_job"] is not None


async def _answers(
    session: aiohttp.ClientSession, url: str, process: subprocess.Popen[bytes], log: Path
) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        async with session.get(f"{url}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
