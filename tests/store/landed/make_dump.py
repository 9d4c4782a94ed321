"""Writes a small database by the evalserver on PYTHONPATH, and prints it as SQL.

    git archive COMMIT | tar x -C DIR && ln -s ../migrations DIR/evalserver/migrations
    PYTHONPATH=DIR python tests/store/landed/make_dump.py > tests/store/landed/COMMIT.sql

For commits of the past: it uses only what every one of them has.
"""

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evalserver.core.job import Metric, NewJob, Outcome
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.store import Store

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


async def write(folder: Path) -> None:
    """A job in every state, one that was pruned, and one that was retried where that is known."""
    ticks = iter(range(10_000))
    store = await Store.open(folder, lambda: BEGIN + timedelta(minutes=next(ticks)))

    jobs: Any = getattr(store, "jobs", store)
    queries: Any = getattr(store, "queries", store)

    async def claim(job_id: str) -> None:
        await jobs.claim(await queries.job(job_id), Path(f"/runs/{job_id}/1"), Path("/out"))

    for job_id in ("pruned", "completed", "failed", "cancelled", "running", "queued"):
        request = EvaluateRequest("small", ("mme", "mmmu"), {"size": 1}, labels={"team": "vision"})
        await jobs.submit(NewJob(job_id, "lmms_eval", request, "alice"))
    metric = Metric("mme", "acc", "none", 0.5, 0.1, 64, True)
    result: dict[str, object] = {
        "small": {"results": None, "samples": [], "metrics": {"mme": {"acc": 0.5}}}
    }
    ends = {
        "pruned": Outcome(Status.COMPLETED, "2030-01-02T00:00:00.000+00:00", 0, result={}),
        "completed": Outcome(
            Status.COMPLETED, "2030-01-02T00:00:01.000+00:00", 0, result=result, metrics=(metric,)
        ),
        "failed": Outcome(Status.FAILED, "2030-01-02T00:00:02.000+00:00", 9, "out of memory"),
    }
    for job_id, outcome in ends.items():
        await claim(job_id)
        await jobs.finish(job_id, outcome, 2)
    await jobs.cancel_queued("cancelled", "bob", 3)
    await claim("running")
    if hasattr(jobs, "retry"):
        await jobs.retry("failed", "carol")
    await store.close()


def dump(path: Path) -> str:
    """The database as SQL, with what iterdump leaves out."""
    with closing(sqlite3.connect(path)) as connection:
        numbers = [
            f"PRAGMA {name} = {connection.execute(f'PRAGMA {name}').fetchone()[0]};"
            for name in ("application_id", "user_version")
        ]
        return "\n".join([*numbers, *connection.iterdump(), ""])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(write(Path(name)))
        print(dump(Path(name) / "evalserver.db"), end="")
