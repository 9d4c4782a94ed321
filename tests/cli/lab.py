"""A lab for the command line tests: a real server with a job in every state."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evalserver.client import EvalClient
from tests.support import WAIT_SECONDS, ServerProcess, end_runners


@dataclass(frozen=True)
class Lab:
    """The server's address, and the id of a job in each state.

    ``baseline`` and ``better`` are completed as well.
    """

    url: str
    baseline: str
    better: str
    completed: str
    failed: str
    cancelled: str
    running: str
    queued: str


@contextmanager
def open_lab(folder: Path) -> Iterator[Lab]:
    """Open the lab for the duration of the block. The running job stays at 50 percent."""
    server = ServerProcess(folder / "data", "--cancel-grace", "1")
    server.launch()
    try:
        with EvalClient(server.url, retry_for=WAIT_SECONDS) as client:
            yield _fill(server.url, client, folder)
    finally:
        server.stop()
        asyncio.run(end_runners(server.data_dir))


def _fill(url: str, client: EvalClient, folder: Path) -> Lab:
    def submit(tasks: list[str], **args: object) -> str:
        job = client.evaluate("dummy", tasks, args, labels={"run": "7b"})
        return str(job["job_id"])

    def until(job_id: str, *statuses: str) -> str:
        limit = time.monotonic() + WAIT_SECONDS
        while (job := client.get_job(job_id, wait_s=1))["status"] not in statuses:
            assert time.monotonic() < limit, job
        return job_id

    baseline = until(submit(["mme"], behave="scores", scores="0/0/1/0/0/1/0/0"), "completed")
    better = until(submit(["mme"], behave="scores", scores="1/0/1/1/1/1/1/1"), "completed")
    completed = until(submit(["mme"], behave="judge"), "completed")
    failed = until(submit(["mme"], behave="exit", code=3), "failed")
    running = submit(["mme", "ai2d"], behave="bars", gate=str(folder / "gate"))
    queued = submit(["ai2d"])
    cancelled = submit(["ai2d"])
    client.cancel_job(cancelled)
    limit = time.monotonic() + WAIT_SECONDS
    while ((client.get_job(running)["progress"] or {}).get("fraction") or 0) < 0.5:
        assert time.monotonic() < limit
        time.sleep(0.05)
    return Lab(url, baseline, better, completed, failed, cancelled, running, queued)
