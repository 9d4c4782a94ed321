"""The measured servers: ours, and the one it is compared with."""

import asyncio
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
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
from tests.bench.load import Load, LoadResult
from tests.support import Api, Json, ServerProcess, free_port, until

ORIGINAL = Path(__file__).with_name("original.py")
SHORT_HARNESS = Path(__file__).with_name("short_harness")
BLOCKED_HARNESS = Path(__file__).with_name("blocked_harness")
MAX_PATHS = 1000
FILLERS = 16
HELLO = Path(__file__).with_name("hello.py")
SUBMISSION = json.dumps(
    {
        "model": "dummy",
        "tasks": ["mme", "mmmu_val"],
        "model_args": {"pretrained": "x", "dtype": "bfloat16", "device_map": "auto"},
    }
)
SEEDING_BATCH = 500


@dataclass(frozen=True)
class Side:
    """A running server: its URL, and its PID if we started it."""

    url: str
    pid: int | None = None

    async def put(self, clients: int, seconds: float, paths: list[str], **more: Any) -> LoadResult:
        """Put load on the server and return the result."""
        at = URL(self.url)
        return await load.run(Load(at.host or "", at.port or 80, clients, seconds, paths, **more))

    async def submit(self, clients: int, seconds: float) -> LoadResult:
        """Submit jobs with several clients at full speed."""
        return await self.put(clients, seconds, ["/evaluate"], method="POST", body=SUBMISSION)

    async def submit_batches(self, clients: int, seconds: float, size: int) -> LoadResult:
        """Submit batches of jobs with several clients at full speed."""
        body = json.dumps({"jobs": [json.loads(SUBMISSION)] * size})
        return await self.put(clients, seconds, ["/batches"], method="POST", body=body)

    async def job_paths(self) -> list[str]:
        """Return paths of queued jobs, spread over the whole queue."""
        job_ids = (await self.get("/queue"))["queued_jobs"]
        step = max(1, len(job_ids) // MAX_PATHS)
        return [f"/jobs/{job_id}" for job_id in job_ids[::step]]

    async def queued(self) -> int:
        """Return the number of queued jobs."""
        return int((await self.get("/health"))["queue_size"])

    async def get(self, path: str) -> Json:
        """Return the JSON response; not validated, since it may be another server's."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            body: Json = await answer.json()
            return body

    def memory(self) -> int:
        """Return the private memory of the server's process in bytes."""
        return int(psutil.Process(self.pid).memory_full_info().uss)


@asynccontextmanager
async def ours(folder: Path, queued: int) -> AsyncIterator[Side]:
    """Run our server with this many queued jobs behind one that never ends."""
    data_dir = Path(tempfile.mkdtemp(dir=folder, prefix=f"ours-{queued}-"))
    await _seed(data_dir, queued)
    options = ("--engine-python", str(BLOCKED_HARNESS), "--max-queued-jobs", "10000000")
    async with ServerProcess(data_dir, *options) as server:
        await until(lambda: _is_running(server.api))
        yield Side(server.url, server.process.pid)


@asynccontextmanager
async def original(python: str, folder: Path, queued: int) -> AsyncIterator[Side]:
    """Run lmms-eval's server in the same state with the interpreter ``python``."""
    async with running_program(
        python, ORIGINAL, folder / f"original-{queued}.log", str(queued)
    ) as side:
        yield side


@asynccontextmanager
async def hello(folder: Path) -> AsyncIterator[Side]:
    """Run an application of aiohttp that answers every path with a constant."""
    async with running_program(sys.executable, HELLO, folder / "hello.log") as side:
        yield side


@asynccontextmanager
async def running_program(
    python: str,
    program: Path,
    log: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Side]:
    """Run a server, whose arguments are a port and ``arguments``, until the end of the block."""
    port = free_port()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [python, str(program), str(port), *arguments], stdout=out, stderr=out, env=environment
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
    """Use a running server, with at least this many queued jobs.

    Its running evaluation should take long, so that the queue does not advance.
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
            await asyncio.gather(*(store.jobs.submit(_job()) for _ in jobs))
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
