"""What clients do to the server, and what they remember of its answers."""

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from evalserver.runner.launch_spec import TOKEN_VARIABLE
from tests.support import Json, ServerProcess, request, stand_in_environment

BEHAVIOURS: tuple[Json, ...] = (
    {"behave": "complete"},
    {"behave": "complete", "seconds": 1},
    {"behave": "crash"},
    {"behave": "exit", "code": 3},
    {"behave": "hang"},
    {"behave": "stubborn"},
    {"behave": "hide"},
    {"behave": "flood", "megabytes": 5},
)
TIME_LIMIT_SECONDS = 2.0
DEEPEST_QUEUE = 30
NOT_THERE = (404, 409, 410)

STORM_VARIABLE = "CHAOS_STORM"
"""Marks the processes of one storm: evaluations of other servers are nobody's to kill."""
PASSED_ON = ("--engine-env", STORM_VARIABLE, "--allow-path", "/")
"""What a storm's server is told, beside its own options."""


@dataclass
class Memory:
    """All that the clients were told."""

    priorities: dict[str, int] = field(default_factory=dict)
    """Of every job whose submission was answered, in the order of the answers."""
    unknown: int = 0
    """Requests that the server did not live to answer."""
    answered: int = 0
    outlived: list[str] = field(default_factory=list)
    """Jobs that read cancelled while a process of theirs lived."""


class Client:
    """Submits, polls, cancels and retries at random."""

    def __init__(
        self, server: ServerProcess, memory: Memory, chance: random.Random, folder: Path
    ) -> None:
        self._server = server
        self._memory = memory
        self._chance = chance
        self._folder = folder

    async def live(self) -> None:
        """Do one thing after the other, until cancelled."""
        while True:
            deed = self._chance.choices(
                [self._submit, self._poll, self._cancel, self._retry], [4, 3, 2, 1]
            )[0]
            try:
                await deed()
                self._memory.answered += 1
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                self._memory.unknown += 1
            await asyncio.sleep(self._chance.uniform(0.1, 0.8))

    async def _submit(self) -> None:
        if (await self._call("GET", "/queue"))["queue_size"] >= DEEPEST_QUEUE:
            return  # more would only have to be waited for when the storm is over
        behaviour = dict(self._chance.choice(BEHAVIOURS))
        number = self._chance.randrange(10**9)
        behaviour |= {"slot": str(self._folder / "slot"), "journal": str(self._folder / "journal")}
        behaviour |= {"pid_file": str(self._folder / f"hidden-{number}")}
        fields: Json = {
            "priority": self._chance.choice([0, 0, 0, 1, -1]),
            "max_attempts": self._chance.randint(1, 3),
            "timeout_s": TIME_LIMIT_SECONDS,
        }
        if self._chance.random() < 0.2:
            fields["output_dir"] = str(self._folder / "named")
        body = await self._call("POST", "/evaluate", json=request(model_args=behaviour, **fields))
        self._memory.priorities[body["job_id"]] = fields["priority"]

    async def _poll(self) -> None:
        if job_id := self._any_job():
            job = await self._call("GET", f"/jobs/{job_id}")
            if job.get("status") == "cancelled" and living(self._folder, job_id):
                # What was read a moment ago may have been retried since.
                again = await self._call("GET", f"/jobs/{job_id}")
                if (again.get("status"), again.get("attempt")) == ("cancelled", job["attempt"]):
                    self._memory.outlived.append(job_id)

    async def _cancel(self) -> None:
        if job_id := self._any_job():
            await self._call("DELETE", f"/jobs/{job_id}")

    async def _retry(self) -> None:
        if job_id := self._any_job():
            await self._call("POST", f"/jobs/{job_id}/retry")

    def _any_job(self) -> str | None:
        recent = list(self._memory.priorities)[-12:]
        return self._chance.choice(recent) if recent else None

    async def _call(self, method: str, path: str, **kwargs: Any) -> Json:
        api = self._server.api
        timeout = aiohttp.ClientTimeout(total=30)
        async with api._session.request(
            method, api._base + path, timeout=timeout, **kwargs
        ) as answer:
            body: Json = await answer.json(content_type=None)
            assert answer.status == 200 or answer.status in NOT_THERE, (answer.status, body)
            return body


def environment(folder: Path) -> dict[str, str]:
    """The environment of a storm's server, and so of all that it starts: it says whose they are."""
    return {**stand_in_environment(), STORM_VARIABLE: str(folder)}


def living(folder: Path, job_id: str = "") -> list[psutil.Process]:
    """The processes of a job's attempts, or of any job's, in the storm of this folder alone."""
    found = []
    for process in psutil.process_iter(["environ", "status"]):
        marks = process.info["environ"] or {}
        token = marks.get(TOKEN_VARIABLE, "")
        ours = token and marks.get(STORM_VARIABLE) == str(folder) and token.startswith(job_id)
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found
