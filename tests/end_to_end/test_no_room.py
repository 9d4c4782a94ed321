"""A machine that has run out of something: what was accepted waits, and what runs goes on.

/dev/full, under the name of a file that an attempt needs, is a disk that is full.
"""

import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from evalserver.runner import files
from tests.support import ServerProcess, harness_of, until


@pytest.mark.parametrize("name", [files.JOB_FILE, f"{files.RUNNER_FILE}.draft"])
async def test_a_job_that_finds_the_disk_full_runs_once_there_is_room(
    server: ServerProcess, name: str
) -> None:
    async with server:
        job, in_the_way = await _waiting_for_room(server, name)

        in_the_way.unlink()

        assert (await server.api.finished(job))["status"] == "completed"


async def test_a_job_that_waits_for_room_can_be_cancelled(server: ServerProcess) -> None:
    async with server:
        job, _ = await _waiting_for_room(server, files.JOB_FILE)

        await server.api.call("DELETE", f"/jobs/{job}")

        assert (await server.api.finished(job))["status"] == "cancelled"


async def test_a_cancel_that_cannot_be_passed_on_yet_is_passed_on_later(
    server: ServerProcess,
) -> None:
    async with server:
        job = await server.api.submit(model_args={"behave": "hang"})
        run_dir = Path((await server.api.under_way(job))["run_dir"])
        aside = run_dir.rename(run_dir.with_name("aside"))
        run_dir.touch()
        await server.api.call("DELETE", f"/jobs/{job}")
        await until(lambda: _says(server, "cannot stop an evaluation yet"))

        run_dir.unlink()
        aside.rename(run_dir)

        assert (await server.api.finished(job))["status"] == "cancelled"


async def test_an_evaluation_goes_on_while_the_server_can_open_no_file(
    server: ServerProcess,
) -> None:
    async with server:
        job = await server.api.submit(model_args={"behave": "hang"})
        harness = await harness_of(job)
        process = psutil.Process(server.process.pid)
        usual = process.rlimit(resource.RLIMIT_NOFILE)

        process.rlimit(resource.RLIMIT_NOFILE, (3, usual[1]))
        await until(lambda: _says(server, "Too many open files"))
        process.rlimit(resource.RLIMIT_NOFILE, usual)

        assert (await server.api.job(job))["status"] == "running"
        assert harness.is_running()


async def test_a_server_starts_while_a_stranger_holds_the_databases_lock(
    server: ServerProcess,
) -> None:
    async with server:
        server.stop()
        with closing(sqlite3.connect(server.data_dir / "evalserver.db")) as stranger:
            stranger.execute("BEGIN IMMEDIATE")
            await server.start()
            health = await server.api.call("GET", "/health")

        assert health["status"] == "degraded"


async def _waiting_for_room(server: ServerProcess, name: str) -> tuple[str, Path]:
    """A job that was to start, but whose file of this name cannot be written."""
    before = await server.api.submit(model_args={"behave": "hang"})
    await server.api.when(before, "running")
    job = await server.api.submit()
    run_dir = server.data_dir / "runs" / f"lmms_eval_{job}" / "attempt-1"
    run_dir.mkdir(parents=True)
    (run_dir / name).symlink_to("/dev/full")
    await server.api.call("DELETE", f"/jobs/{before}")
    await until(lambda: _says(server, "cannot start an evaluation yet"))
    return job, run_dir / name


async def _says(server: ServerProcess, words: str) -> bool:
    return words in server.log.read_text()
