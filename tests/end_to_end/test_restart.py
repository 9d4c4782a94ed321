"""A server that is killed or stopped and restarted loses nothing and runs nothing twice."""

import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.support import ServerProcess, request, until


async def test_three_jobs_finish_in_order_when_the_server_is_killed_during_the_first(
    server: ServerProcess, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    async with server:
        lengths = {"1": 2.0, "2": 0.0, "3": 0.0}
        jobs = [await _submit(server, journal, *each) for each in lengths.items()]
        await server.api.wait_for_harness(jobs[0])

        server.kill()
        await server.start()
        ended = [await server.api.finished(job_id) for job_id in jobs]

    assert [_value(job) for job in ended] == [0.1, 0.2, 0.3]
    assert journal.read_text() == "start 1\nend 1\nstart 2\nend 2\nstart 3\nend 3\n"
    assert [job["attempt"] for job in ended] == [1, 1, 1]


async def test_the_database_is_readable_without_the_server(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with server:
        job_id = await server.api.submit(model_args={"until": str(tmp_path / "end")})
        await server.api.wait_for_harness(job_id)
        server.kill()
        await server.start()
        await until(server.is_reattached)
        (tmp_path / "end").touch()
        await server.api.finished(job_id)

        events = _query(server.data_dir, "SELECT event FROM job_events ORDER BY event_id")

    assert events == [("submitted",), ("claimed",), ("reattached",), ("completed",)]


async def test_a_submission_repeated_after_a_restart_is_the_same_job(
    server: ServerProcess,
) -> None:
    submission: Any = {"json": request(), "headers": {"Idempotency-Key": "k"}}
    async with server:
        first = await server.api.call("POST", "/evaluate", **submission)
        server.stop()
        await server.start()

        again = await server.api.call("POST", "/evaluate", **submission)
        jobs = await server.api.call("GET", "/jobs")

    assert again == first
    assert [job["job_id"] for job in jobs["jobs"]] == [first["job_id"]]


async def test_an_evaluation_that_ended_while_the_server_was_down_has_its_real_outcome(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with server:
        arguments = {"behave": "exit", "code": 9, "until": str(tmp_path / "end")}
        job_id = await server.api.submit(model_args=arguments)
        job = await server.api.wait_for_harness(job_id)
        server.kill()
        (tmp_path / "end").touch()
        await until(_exists(Path(job["run_dir"]) / "exit.json"))

        await server.start()

        assert (await server.api.finished(job_id))["exit_code"] == 9


async def test_a_stopped_server_exits_0_and_names_the_continuing_evaluation(
    server: ServerProcess,
) -> None:
    async with server:
        job_id = await server.api.submit(model_args={"behave": "hang"})
        await server.api.wait_for_harness(job_id)

        code = server.stop()

        assert code == 0
        assert f"job={job_id}" in server.log.read_text().splitlines()[-1]
        await server.start()
        assert (await server.api.job(job_id))["status"] == "running"


async def test_a_stopped_server_keeps_its_finished_and_queued_jobs(server: ServerProcess) -> None:
    async with server:
        finished = await server.api.submit()
        before = await server.api.finished(finished)
        hanging = await server.api.submit(model_args={"behave": "hang"})
        queued = [await server.api.submit() for _ in range(2)]
        await server.api.wait_for_harness(hanging)

        server.stop()
        await server.start()

        queue = await server.api.call("GET", "/queue")
        assert (queue["running_job"], queue["queued_jobs"]) == (hanging, queued)
        assert await server.api.job(finished) == before


async def test_a_cancel_survives_a_killed_server(server: ServerProcess) -> None:
    async with server:
        job_id = await server.api.submit(model_args={"behave": "stubborn"})
        await server.api.wait_for_harness(job_id)
        await server.api.call("DELETE", f"/jobs/{job_id}")

        server.kill()
        await server.start()

        assert (await server.api.finished(job_id))["status"] == "cancelled"


async def test_a_second_server_on_the_data_directory_exits_and_names_the_owner(
    server: ServerProcess,
) -> None:
    async with server:
        second = _start_second_server(server.data_dir)

        assert second.returncode == 1
        assert f"pid {server.process.pid}, at {server.url}" in second.stderr


async def test_no_second_server_starts_after_the_lock_file_was_removed(
    server: ServerProcess,
) -> None:
    async with server:
        (server.data_dir / "server.lock").unlink()

        second = _start_second_server(server.data_dir)

        assert second.returncode == 1
        assert f"{server.data_dir} belongs to another running server" in second.stderr


async def _submit(server: ServerProcess, journal: Path, name: str, seconds: float) -> str:
    value = int(name) / 10
    arguments = {"journal": str(journal), "name": name, "seconds": seconds, "value": value}
    return await server.api.submit(model_args=arguments)


def _exists(path: Path) -> Callable[[], Awaitable[bool]]:
    async def exists() -> bool:
        return path.exists()

    return exists


def _start_second_server(data_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evalserver", "serve", "--data-dir", str(data_dir)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _value(job: dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]) -> float:
    return job["result"]["dummy"]["metrics"]["mme"]["acc,none"]


def _query(data_dir: Path, sql: str) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(f"file:{data_dir / 'evalserver.db'}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()
