"""Evaluations that are started warm, through the whole server, with the stand-in as harness."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.end_to_end.crashing_server import CrashingServer
from tests.runner.runs import is_running, runner_of
from tests.support import harness_of, how_started, until

PROGRAM = "/evalserver/runner/warm"
UNFINISHED = {"behave": "hang"}


class WarmServer(CrashingServer):
    """A server that starts evaluations warm, with what is left of it when it is killed."""

    async def start(self) -> None:
        """Start the server, and wait until it can start evaluations warm."""
        await super().start()
        await until(self._is_warm)

    async def _is_warm(self) -> bool:
        lines = (await self.api.text("/metrics")).splitlines()
        return any("evalserver_warm_parents{" in line and "ready" in line for line in lines)

    def parents(self) -> list[int]:
        """The pids of its warm parents."""
        return [
            each.pid
            for each in psutil.Process(self.process.pid).children()
            if any(word.endswith(PROGRAM) for word in each.cmdline())
        ]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[WarmServer]:
    """A running server, whose warm parent is ready."""
    options = ("--cancel-grace", "1", "--warm", "preload")
    async with WarmServer(tmp_path / "data", *options) as server:
        yield server


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """The file in which the stand-in harness records its starts and ends."""
    return tmp_path / "journal"


async def test_an_evaluation_is_started_warm_and_its_provenance_says_so(
    server: WarmServer,
) -> None:
    job = await server.api.finished(await server.api.submit())

    assert (job["status"], how_started(job)) == ("completed", ("warm", None))
    assert 'evalserver_starts_total{reason="",start="warm"} 1.0' in await server.api.text(
        "/metrics"
    )


async def test_the_system_page_shows_the_parent(server: WarmServer) -> None:
    page = await server.api.text("/ui/system")

    assert "Warm parents" in page


async def test_a_job_that_needs_several_processes_is_started_cold_and_says_so(
    server: WarmServer,
) -> None:
    job = await server.api.finished(await server.api.submit(num_processes=2, num_gpus=2))

    assert how_started(job) == ("cold", "the harness runs in several processes")


@pytest.mark.parametrize("point", ["claimed", "started", "ended", "finished"])
async def test_a_server_killed_during_an_attempt_that_was_started_warm(
    server: WarmServer, journal: Path, point: str
) -> None:
    await server.start_to_crash_at(point)
    with suppress(aiohttp.ClientError):
        await server.api.submit(model_args={"journal": str(journal), "name": "n", "seconds": 1})
    await server.restart_after_crash()
    (job_id,) = server.query("SELECT job_id FROM jobs")

    job = await server.api.finished(job_id)

    assert (job["status"], job["attempt"]) == ("completed", 1)
    assert journal.read_text() == "start n\nend n\n"


@pytest.mark.parametrize("point", ["runner_locked", "runner_started"])
async def test_a_runner_killed_before_its_harness_is_a_loss(
    server: WarmServer, journal: Path, point: str
) -> None:
    await server.start_to_crash_at(point)
    args = {"journal": str(journal), "name": "n"}
    job_id = await server.api.submit(model_args=args, max_attempts=1)

    job = await server.api.finished(job_id)

    assert job["status"] == "failed"
    assert not journal.exists()


async def test_parents_end_with_a_killed_server_and_evaluations_go_on(server: WarmServer) -> None:
    job_id = await server.api.submit(model_args=UNFINISHED)
    harness = await harness_of(job_id)
    parents = server.parents()
    assert parents

    server.kill()

    async def are_gone() -> bool:
        return not any(map(is_running, parents))

    await until(are_gone)
    assert harness.is_running()
    await server.start()
    await until(server.is_reattached)
    await server.api.call("DELETE", f"/jobs/{job_id}")
    assert (await server.api.finished(job_id))["status"] == "cancelled"
    assert not is_running(harness.pid)


async def test_parents_end_with_a_server_that_is_stopped(server: WarmServer) -> None:
    parents = server.parents()

    server.stop()

    assert not any(map(is_running, parents))


async def test_a_lost_attempt_leaves_nothing_and_the_next_one_is_started_cold(
    server: WarmServer, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job_id = await server.api.submit(model_args={"until": str(gate)}, max_attempts=2)
    harness = await harness_of(job_id)
    run_dir = Path((await server.api.job(job_id))["run_dir"])

    os.kill(runner_of(run_dir), signal.SIGKILL)
    await until(lambda: _is_second(server, job_id))
    gate.touch()
    job = await server.api.finished(job_id)

    assert not is_running(harness.pid)
    assert how_started(job) == ("cold", "a further attempt of a job is always started cold")


async def _is_second(server: WarmServer, job_id: str) -> bool:
    job = await server.api.job(job_id)
    return bool(job["attempt"] == 2)
