"""A machine out of resources: accepted jobs wait, and running evaluations continue."""

import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import psutil

from tests.small_disk import fill, mount_small_disk
from tests.support import ServerProcess, harness_of, until


async def test_a_job_runs_once_there_is_disk_space(
    server: ServerProcess, small_disks: list[Path]
) -> None:
    async with server:
        job, filler = await _waiting_for_disk_space(server, small_disks)

        filler.unlink()

        assert (await server.api.finished(job))["status"] == "completed"


async def test_a_job_waiting_for_disk_space_can_be_cancelled(
    server: ServerProcess, small_disks: list[Path]
) -> None:
    async with server:
        job, _ = await _waiting_for_disk_space(server, small_disks)

        await server.api.call("DELETE", f"/jobs/{job}")

        assert (await server.api.finished(job))["status"] == "cancelled"


async def test_an_undeliverable_cancel_is_delivered_later(
    server: ServerProcess,
) -> None:
    async with server:
        job = await server.api.submit(model_args={"behave": "hang"})
        run_dir = Path((await server.api.wait_for_harness(job))["run_dir"])
        aside = run_dir.rename(run_dir.with_name("aside"))
        run_dir.touch()
        await server.api.call("DELETE", f"/jobs/{job}")
        await until(lambda: _log_contains(server, "cannot stop an evaluation yet"))

        run_dir.unlink()
        aside.rename(run_dir)

        assert (await server.api.finished(job))["status"] == "cancelled"


async def test_an_evaluation_continues_while_the_server_cannot_open_files(
    server: ServerProcess,
) -> None:
    async with server:
        job = await server.api.submit(model_args={"behave": "hang"})
        harness = await harness_of(job)
        process = psutil.Process(server.process.pid)
        usual = process.rlimit(resource.RLIMIT_NOFILE)

        process.rlimit(resource.RLIMIT_NOFILE, (3, usual[1]))
        await until(lambda: _log_contains(server, "Too many open files"))
        process.rlimit(resource.RLIMIT_NOFILE, usual)

        assert (await server.api.job(job))["status"] == "running"
        assert harness.is_running()


async def test_a_server_starts_while_another_process_locks_the_database(
    server: ServerProcess,
) -> None:
    async with server:
        server.stop()
        with closing(sqlite3.connect(server.data_dir / "evalserver.db")) as other_client:
            other_client.execute("BEGIN IMMEDIATE")
            await server.start()
            health = await server.api.call("GET", "/health")

        assert health["status"] == "degraded"


async def _waiting_for_disk_space(
    server: ServerProcess, small_disks: list[Path]
) -> tuple[str, Path]:
    """A job that is about to start, and the file that fills the disk of its run directory."""
    before = await server.api.submit(model_args={"behave": "hang"})
    await server.api.when(before, "running")
    job = await server.api.submit()
    run_dir = server.data_dir / "runs" / f"lmms_eval_{job}" / "attempt-1"
    run_dir.mkdir(parents=True)
    mount_small_disk(run_dir)
    small_disks.append(run_dir)
    filler = fill(run_dir)
    await server.api.call("DELETE", f"/jobs/{before}")
    await until(lambda: _log_contains(server, "cannot start an evaluation yet"))
    return job, filler


async def _log_contains(server: ServerProcess, words: str) -> bool:
    return words in server.log.read_text()
