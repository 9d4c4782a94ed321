"""Clients that use the server at random and record its responses."""

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
MAX_QUEUE_LENGTH = 30
EXPECTED_ERRORS = (404, 409, 410)

MARK_VARIABLE = "CHAOS_STORM"
"""Marks the processes of one chaos test, so that no others are killed."""
SERVER_OPTIONS = ("--engine-env", MARK_VARIABLE, "--allow-path", "/")
"""Options of every chaos test's server."""


@dataclass
class ClientLog:
    """What the clients learned from responses."""

    priorities: dict[str, int] = field(default_factory=dict)
    """Priorities of all jobs whose submission was answered, in the order of the responses."""
    lanes: dict[str, bool] = field(default_factory=dict)
    """Whether each job needs GPUs that the server manages."""
    unanswered: int = 0
    """Requests that a kill interrupted."""
    answered: int = 0
    outlived: list[str] = field(default_factory=list)
    """Jobs that were shown as cancelled while one of their processes was alive."""


class Client:
    """Submits, polls, cancels and retries at random."""

    def __init__(
        self,
        server: ServerProcess,
        log: ClientLog,
        rng: random.Random,
        folder: Path,
        gpus: int = 0,
        *,
        on_cluster: bool = False,
    ) -> None:
        self._server = server
        self._log = log
        self._rng = rng
        self._folder = folder
        self._gpus = gpus
        self._on_cluster = on_cluster

    async def run(self) -> None:
        """Send random requests until cancelled."""
        while True:
            action = self._rng.choices(
                [self._submit, self._poll, self._cancel, self._retry], [4, 3, 2, 1]
            )[0]
            try:
                await action()
                self._log.answered += 1
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                self._log.unanswered += 1
            await asyncio.sleep(self._rng.uniform(0.1, 0.8))

    async def _submit(self) -> None:
        if (await self._call("GET", "/queue"))["queue_size"] >= MAX_QUEUE_LENGTH:
            return  # more jobs would only prolong the wait at the end
        behaviour = dict(self._rng.choice(BEHAVIOURS))
        number = self._rng.randrange(10**9)
        # GPUs of two nodes have the same numbers: there, only attempts of one job share a slot.
        slot = self._folder / (f"slot-{number}" if self._on_cluster else "slot")
        behaviour |= {"slot": str(slot), "journal": str(self._folder / "journal")}
        behaviour |= {"pid_file": str(self._folder / f"hidden-{number}")}
        fields: Json = {
            "priority": self._rng.choice([0, 0, 0, 1, -1]),
            "max_attempts": self._rng.randint(1, 3),
            "timeout_s": TIME_LIMIT_SECONDS,
        }
        if self._on_cluster:
            fields |= {"num_gpus": self._rng.choice([0, 1, 1, 2]), "num_processes": 1}
        elif self._gpus:
            fields["num_gpus"] = self._rng.choice([0, 1, 1, 1, 2, self._gpus])
        if self._rng.random() < 0.2:
            fields["output_dir"] = str(self._folder / "named")
        body = await self._call("POST", "/evaluate", json=request(model_args=behaviour, **fields))
        self._log.priorities[body["job_id"]] = fields["priority"]
        self._log.lanes[body["job_id"]] = self._on_cluster or fields.get("num_gpus", 1) > 0

    async def _poll(self) -> None:
        if job_id := self._random_job():
            job = await self._call("GET", f"/jobs/{job_id}")
            if job.get("status") == "cancelled" and find_processes(self._folder, job_id):
                # The job may have been retried since it was read.
                again = await self._call("GET", f"/jobs/{job_id}")
                if (again.get("status"), again.get("attempt")) == ("cancelled", job["attempt"]):
                    self._log.outlived.append(job_id)

    async def _cancel(self) -> None:
        if job_id := self._random_job():
            await self._call("DELETE", f"/jobs/{job_id}")

    async def _retry(self) -> None:
        if job_id := self._random_job():
            await self._call("POST", f"/jobs/{job_id}/retry")

    def _random_job(self) -> str | None:
        recent = list(self._log.priorities)[-12:]
        return self._rng.choice(recent) if recent else None

    async def _call(self, method: str, path: str, **kwargs: Any) -> Json:
        api = self._server.api
        timeout = aiohttp.ClientTimeout(total=30)
        async with api._session.request(
            method, api._base + path, timeout=timeout, **kwargs
        ) as answer:
            body: Json = await answer.json(content_type=None)
            assert answer.status == 200 or answer.status in EXPECTED_ERRORS, (answer.status, body)
            return body


def marked_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a chaos test's server; its processes inherit the mark."""
    return {**stand_in_environment(), MARK_VARIABLE: str(folder)}


def find_processes(folder: Path, job_id: str = "") -> list[psutil.Process]:
    """Return the live processes of a job's attempts, or of all jobs', in this chaos test."""
    found = []
    for process in psutil.process_iter(["environ", "status"]):
        variables = process.info["environ"] or {}
        token = variables.get(TOKEN_VARIABLE, "")
        is_ours = token and variables.get(MARK_VARIABLE) == str(folder) and token.startswith(job_id)
        if is_ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found
