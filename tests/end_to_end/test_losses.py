"""An evaluation that loses its runner, its processes, its files or its machine."""

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from evalserver.runner import cgroups
from evalserver.runner.files import EXIT_FILE, RUNNER_FILE
from tests.runner.runs import is_recorded, runner_of
from tests.support import (
    Json,
    ServerProcess,
    harness_of,
    remove_tree,
    stand_in_environment,
    until,
)

HANG_ONCE = {"behave": "hang_once"}
REASON = "SELECT json_extract(detail, '$.reason') FROM job_events WHERE event = 'interrupted'"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A running server."""
    server = ServerProcess(tmp_path / "data", "--cancel-grace", "1")
    async with server:
        yield server


async def test_a_killed_harness_fails_the_job_with_137(server: ServerProcess) -> None:
    job_id = await server.api.submit(model_args={"behave": "hang"})

    (await harness_of(job_id)).kill()

    job = await server.api.finished(job_id)
    assert (job["status"], job["exit_code"], job["attempt"]) == ("failed", 137, 1)
    assert job["error"].startswith("The harness was killed by signal 9 (exit code 137)")


async def test_a_killed_runner_causes_a_second_attempt(server: ServerProcess) -> None:
    job_id = await server.api.submit(model_args=HANG_ONCE)

    psutil.Process((await harness_of(job_id)).ppid()).kill()

    job = await server.api.finished(job_id)
    assert (job["status"], job["attempt"]) == ("completed", 2)
    (reason,) = server.query(REASON)
    assert reason.startswith("the runner was lost: it was killed")


async def test_runner_and_harness_killed_while_the_server_is_down(server: ServerProcess) -> None:
    job_id = await server.api.submit(model_args=HANG_ONCE)
    await _kill_everything(server, job_id)

    await server.start()

    job = await server.api.finished(job_id)
    assert (job["status"], job["attempt"]) == ("completed", 2)


async def test_the_machine_was_restarted(server: ServerProcess) -> None:
    job_id = await server.api.submit(model_args=HANG_ONCE)
    run_dir = await _kill_everything(server, job_id)
    _rewrite(run_dir / RUNNER_FILE, boot_id="another boot")

    await server.start()

    assert (await server.api.finished(job_id))["attempt"] == 2
    assert server.query(REASON) == ["the runner was lost: the machine was restarted"]


async def test_a_partially_written_exit_file_is_not_an_outcome(server: ServerProcess) -> None:
    job_id = await server.api.submit(model_args=HANG_ONCE)
    run_dir = await _kill_everything(server, job_id)
    (run_dir / EXIT_FILE).write_text('{"reason": "exited", "exit_co')

    await server.start()

    job = await server.api.finished(job_id)
    assert (job["status"], job["attempt"]) == ("completed", 2)


async def test_a_process_that_reuses_the_runners_pid_is_not_mistaken_for_it(
    server: ServerProcess,
) -> None:
    job_id = await server.api.submit(model_args=HANG_ONCE)
    run_dir = await _kill_everything(server, job_id)
    _rewrite(run_dir / RUNNER_FILE, pid=os.getpid())

    await server.start()

    assert (await server.api.finished(job_id))["attempt"] == 2


async def test_a_run_directory_is_removed_during_an_evaluation(
    server: ServerProcess,
) -> None:
    job_id = await server.api.submit(model_args=HANG_ONCE)
    harness = await harness_of(job_id)

    remove_tree(Path((await server.api.job(job_id))["run_dir"]))

    job = await server.api.finished(job_id)
    assert (job["status"], job["attempt"]) == ("completed", 2)
    (reason,) = server.query(REASON)
    assert reason.startswith("the runner was lost: its run directory is gone")
    assert not harness.is_running()


async def test_a_run_directory_is_removed_while_the_server_is_down(
    server: ServerProcess,
) -> None:
    job_id = await server.api.submit(model_args=HANG_ONCE)
    harness = await harness_of(job_id)
    runner = psutil.Process(harness.ppid())
    run_dir = (await server.api.job(job_id))["run_dir"]
    server.kill()
    remove_tree(Path(run_dir))

    await server.start()

    assert (await server.api.finished(job_id))["attempt"] == 2
    await until(lambda: _are_gone([harness, runner]))


async def test_without_a_cgroup_a_hidden_worker_is_gone_before_the_second_attempt(
    tmp_path: Path,
) -> None:
    environment = {**stand_in_environment(), cgroups.VARIABLE: "none"}
    journal, pid_file = tmp_path / "journal", tmp_path / "pid"
    async with ServerProcess(tmp_path / "data", environment=environment) as server:
        escapes = {"behave": "escape_once", "journal": str(journal), "pid_file": str(pid_file)}
        job_id = await server.api.submit(model_args=escapes)
        run_dir = Path((await server.api.wait_for_harness(job_id))["run_dir"])
        await until(partial(is_recorded, run_dir, pid_file))

        os.kill(runner_of(run_dir), signal.SIGKILL)

        job = await server.api.finished(job_id)
        (reason,) = server.query(REASON)
    assert (job["status"], job["attempt"]) == ("completed", 2)
    assert "escaped worker is gone" in journal.read_text()
    assert "its processes were in no cgroup" in reason


async def test_a_stopped_runner_does_not_delay_a_cancel(server: ServerProcess) -> None:
    job_id = await server.api.submit(model_args={"behave": "hang"})
    harness = await harness_of(job_id)
    psutil.Process(harness.ppid()).suspend()

    await server.api.call("DELETE", f"/jobs/{job_id}")

    job = await server.api.finished(job_id)
    assert (job["status"], harness.is_running()) == ("cancelled", False)


async def _kill_everything(server: ServerProcess, job_id: str) -> Path:
    """Kill the server, the runner and the harness; returns the run directory."""
    harness = await harness_of(job_id)
    runner = psutil.Process(harness.ppid())
    run_dir = Path((await server.api.job(job_id))["run_dir"])
    server.kill()
    for process in (runner, harness):
        with suppress(psutil.NoSuchProcess):  # the harness may have died with its runner
            process.kill()
    await until(lambda: _are_gone([runner, harness]))
    return run_dir


async def _are_gone(processes: list[psutil.Process]) -> bool:
    # There may be no process to reap an orphan, so a zombie counts as gone.
    return not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes
    )


def _rewrite(path: Path, **values: object) -> None:
    content: Json = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))
