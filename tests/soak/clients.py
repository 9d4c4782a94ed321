"""Clients that submit short evaluations one after another and read their results."""

import asyncio
from dataclasses import dataclass
from itertools import count

import aiohttp

from tests.support import FINISHED, request

OF_JOB = (
    "/jobs/{}", "/jobs/{}/results", "/jobs/{}/log", "/jobs/{}/artifacts",
    "/jobs/{}/artifacts?format=zip", "/jobs/{}/samples/mme", "/ui/jobs/{}",
)  # fmt: skip
OF_SERVER = (
    "/health", "/queue", "/jobs", "/jobs?label=client%3D0", "/metrics", "/", "/ui/jobs",
    "/ui/trends", "/ui/system",
)  # fmt: skip


@dataclass
class Load:
    """Counts of the clients' requests."""

    jobs: int = 0
    reads: int = 0


async def submit_and_read(url: str, client: int, pause_s: float, load: Load) -> None:
    """Run one client until cancelled. Raises if an evaluation or a read fails."""
    async with aiohttp.ClientSession(url) as session:
        for step in count():
            job_id = await _evaluate(session, client, step)
            load.jobs += 1
            paths = [*(path.format(job_id) for path in OF_JOB), *OF_SERVER]
            for path in paths:
                await _read(session, path)
                load.reads += 1
            await asyncio.sleep(pause_s)


async def _evaluate(session: aiohttp.ClientSession, client: int, step: int) -> str:
    body = request(
        model_args={"behave": "judge", "pretrained": f"run-{client}/step-{step}"},
        labels={"client": str(client), "step": str(step)},
    )
    headers = {"Idempotency-Key": f"{client}-{step}"}
    async with session.post("/evaluate", json=body, headers=headers) as answer:
        answer.raise_for_status()
        job_id = str((await answer.json())["job_id"])
    while True:
        async with session.get(f"/jobs/{job_id}?wait=30") as answer:
            answer.raise_for_status()
            job = await answer.json()
        if job["status"] in FINISHED:
            if job["status"] != "completed":
                raise AssertionError(f"{job_id} is {job['status']}: {job['error']}")
            return job_id


async def _read(session: aiohttp.ClientSession, path: str) -> None:
    async with session.get(path) as answer:
        await answer.read()
        answer.raise_for_status()
