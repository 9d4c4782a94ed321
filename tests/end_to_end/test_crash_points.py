"""The crash table: a server or runner is killed at an exact point, and the state recovers.
``test_attempt_crash_points.py`` has the points of an attempt, for each kind of executor.

Each test names a crash point (``evalserver/runner/crash_point.py``), lets the real process die
there, restarts the server, and checks the record, the audit log and the process table.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from evalserver.runner.crash_point import VARIABLE
from evalserver.runner.files import RUNNER_FILE
from tests.checkpoints_in_shards import in_shards, merges_of
from tests.cli.commands import run_evalserver
from tests.end_to_end.crashing_server import CrashingServer
from tests.runner.runs import is_recorded, is_running, runner_of
from tests.support import harness_of, request, until

HANG = {"behave": "hang"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[CrashingServer]:
    """A running server, without a crash point."""
    server = CrashingServer(tmp_path / "data", "--cancel-grace", "1")
    async with server:
        yield server


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """The file in which the stand-in harness records its starts and ends."""
    return tmp_path / "journal"


async def test_killed_before_the_commit_of_a_submission(server: CrashingServer) -> None:
    await server.start_to_crash_at("submitting")

    with pytest.raises(aiohttp.ClientError):
        await server.api.submit()
    await server.restart_after_crash()

    queue = await server.api.call("GET", "/queue")
    assert (queue["queue_size"], queue["running_job"], queue["completed_jobs"]) == (0, None, 0)


async def test_killed_after_the_commit_of_queued(server: CrashingServer, journal: Path) -> None:
    await server.start_to_crash_at("submitted")

    with pytest.raises(aiohttp.ClientError):
        await server.api.submit(model_args={"journal": str(journal), "name": "n"})
    await server.restart_after_crash()

    (job_id,) = server.query("SELECT job_id FROM jobs")
    job = await server.api.finished(job_id)
    assert (job["status"], job["attempt"]) == ("completed", 1)
    assert journal.read_text() == "start n\nend n\n"


@pytest.mark.parametrize(("point", "kept"), [("submitting", 0), ("submitted", 1)])
async def test_killed_around_the_commit_of_a_submission_with_a_key(
    server: CrashingServer, point: str, kept: int
) -> None:
    submission: Any = {"json": request(), "headers": {"Idempotency-Key": "k"}}
    await server.start_to_crash_at(point)
    with pytest.raises(aiohttp.ClientError):
        await server.api.call("POST", "/evaluate", **submission)
    await server.restart_after_crash()
    jobs = server.query("SELECT job_id FROM jobs")

    first = await server.api.call("POST", "/evaluate", **submission)
    again = await server.api.call("POST", "/evaluate", **submission)

    assert len(jobs) == kept
    assert server.query("SELECT job_id FROM jobs") == (jobs or [first["job_id"]])
    assert again == first


@pytest.mark.parametrize(("point", "kept"), [("submitting", 0), ("submitted", 200)])
async def test_killed_around_the_commit_of_a_batch_with_a_key(
    server: CrashingServer, point: str, kept: int
) -> None:
    await server.api.call("POST", "/drain")
    submission: Any = {"json": {"jobs": [request()] * 200}, "headers": {"Idempotency-Key": "k"}}
    await server.start_to_crash_at(point)
    with pytest.raises(aiohttp.ClientError):
        await server.api.call("POST", "/batches", **submission)
    await server.restart_after_crash()
    jobs = server.query("SELECT job_id FROM jobs ORDER BY seq")

    first = await server.api.call("POST", "/batches", **submission)
    again = await server.api.call("POST", "/batches", **submission)

    assert len(jobs) == kept
    assert server.query("SELECT job_id FROM jobs ORDER BY seq") == first["job_ids"]
    assert again == first


async def test_a_job_whose_start_was_interrupted_is_running_after_the_restart(
    server: CrashingServer,
) -> None:
    await server.start_to_crash_at("claimed")
    with suppress(aiohttp.ClientError):
        await server.api.submit(model_args={"behave": "hang"})
    await server.restart_after_crash()
    (job_id,) = server.query("SELECT job_id FROM jobs")

    await harness_of(job_id)

    assert (await server.api.call("GET", "/queue"))["running_job"] == job_id


async def test_server_and_runner_killed_before_the_runner_identified_itself(
    server: CrashingServer, journal: Path
) -> None:
    await server.start_to_crash_at("claimed")
    job_id = await server.submit({"journal": str(journal), "name": "n"})
    await server.wait_for_crash()
    run_dir = Path(server.query("SELECT run_dir FROM jobs WHERE job_id = ?", job_id)[0])
    (run_dir / "lock").touch()  # as left by a runner that was killed right after acquiring the lock

    await server.start_without_crash_point()

    job = await server.api.finished(job_id)
    assert (job["status"], job["attempt"]) == ("completed", 1)
    assert journal.read_text() == "start n\nend n\n"


async def test_a_runner_whose_parent_was_killed_can_be_cancelled_and_runs_once(
    server: CrashingServer, journal: Path
) -> None:
    await server.start_to_crash_at("runner_forked")
    alone = {"journal": str(journal), "slot": str(journal.with_name("slot"))}
    job_id = await server.submit({**HANG, **alone})
    second = await server.submit(alone)
    await server.api.wait_for_harness(job_id)

    await server.api.call("DELETE", f"/jobs/{job_id}")

    assert (await server.api.finished(job_id))["status"] == "cancelled"
    assert (await server.api.finished(second))["status"] == "completed"
    assert "TAKEN" not in journal.read_text()


async def test_runner_and_server_killed_while_the_processes_are_frozen(
    server: CrashingServer, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    await server.start_to_crash_at("frozen")
    job_id = await server.submit({"behave": "hide", "pid_file": str(pid_file)})
    hidden = int(await until(partial(_text_of, pid_file)))
    run_dir = Path((await server.api.job(job_id))["run_dir"])
    if json.loads((run_dir / RUNNER_FILE).read_text())["cgroup"] is None:
        pytest.skip("no cgroup can be made on this machine")

    await server.api.call("DELETE", f"/jobs/{job_id}")
    await server.restart_after_crash()
    job = await server.api.finished(job_id)

    assert (job["status"], is_running(hidden)) == ("cancelled", False)


async def _text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def test_without_a_cgroup_a_hidden_worker_is_gone_once_its_job_is_cancelled(
    server: CrashingServer, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    server.disable_cgroups()
    await server.start_to_crash_at("cancel_requested")
    job_id = await server.submit({"behave": "escape_once", "pid_file": str(pid_file)})
    run_dir = Path((await server.api.wait_for_harness(job_id))["run_dir"])
    await until(partial(is_recorded, run_dir, pid_file))
    with suppress(aiohttp.ClientError):
        await server.api.call("DELETE", f"/jobs/{job_id}")
    await server.wait_for_crash()
    os.kill(runner_of(run_dir), signal.SIGKILL)
    worker = int(pid_file.read_text())
    assert is_running(worker)

    await server.start_without_crash_point()

    job = await server.api.finished(job_id)
    assert (job["status"], is_running(worker)) == ("cancelled", False)
    assert "its processes were in no cgroup" in job["error"]


async def test_killed_between_pruning_a_job_and_removing_its_files(tmp_path: Path) -> None:
    server = CrashingServer(tmp_path / "data", "--max-completed-jobs", "1")
    async with server:
        pruned = await server.api.submit()
        run_dir = Path((await server.api.finished(pruned))["run_dir"])
        await server.start_to_crash_at("finished")
        kept = await server.submit({})
        await server.wait_for_crash()
        left_behind = run_dir.exists()

        await server.start_without_crash_point()

        await server.api.call("GET", f"/jobs/{pruned}", 410)
        assert (await server.api.job(kept))["status"] == "completed"
        assert (left_behind, run_dir.exists()) == (True, False)


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ("archive_recorded", "still to be removed"),
        ("archive_piece_removed", "But all was done by then"),
    ],
)
async def test_killed_while_the_audit_log_is_archived(
    server: CrashingServer, tmp_path: Path, point: str, said: str
) -> None:
    job_id = await server.api.submit()
    await server.api.finished(job_id)
    await server.api.call("POST", f"/jobs/{job_id}/prune")
    await _all_events_handled(server)
    await server.start_to_crash_at(point)
    command = _archive_command(server, tmp_path)

    cut_off = await asyncio.to_thread(run_evalserver, *command)
    await server.restart_after_crash()
    again = await asyncio.to_thread(run_evalserver, *command)

    assert said in cut_off.stderr
    assert "Traceback" not in cut_off.stderr + again.stderr
    assert server.query("SELECT event FROM job_events") == ["archived"]
    await _require_sound(server, tmp_path)


async def test_killed_before_the_server_is_notified_of_an_archive(
    server: CrashingServer, tmp_path: Path
) -> None:
    job_id = await server.api.submit()
    await server.api.finished(job_id)
    await server.api.call("POST", f"/jobs/{job_id}/prune")
    await _all_events_handled(server)
    command = _archive_command(server, tmp_path)

    crashing = {VARIABLE: "archive_written"}
    killed = await asyncio.to_thread(run_evalserver, *command, environment=crashing)
    before = server.query("SELECT event FROM job_events")
    again = await asyncio.to_thread(run_evalserver, *command)

    assert (killed.returncode, again.returncode) == (-signal.SIGKILL, 0)
    assert "archived" not in before
    assert server.query("SELECT event FROM job_events") == ["archived"]
    await _require_sound(server, tmp_path)


async def _all_events_handled(server: CrashingServer) -> None:
    """Wait until the followers of the log have handled its events: others are not archived."""
    unhandled = (
        "SELECT 1 FROM follower_cursors JOIN job_events ON event_id > last_event"
        " WHERE event IN (SELECT value FROM json_each(kinds))"
    )

    async def all_handled() -> bool:
        return not server.query(unhandled)

    await until(all_handled)


def _archive_command(server: CrashingServer, folder: Path) -> tuple[str, ...]:
    where = (str(folder / "a.db"), "--data-dir", str(server.data_dir))
    return ("audit", "archive", "--before", "2999-01-01", *where)


async def _require_sound(server: CrashingServer, folder: Path) -> None:
    """Verify the database and its archive together."""
    where = ("--archive", str(folder / "a.db"), "--data-dir", str(server.data_dir))
    verified = await asyncio.to_thread(run_evalserver, "audit", "verify", *where)
    assert verified.returncode == 0, verified.stderr


async def test_an_unnamed_crash_point_has_no_effect(server: CrashingServer) -> None:
    await server.start_to_crash_at("nowhere")

    job = await server.api.finished(await server.api.submit())

    assert job["status"] == "completed"


async def test_a_runner_killed_between_two_stages(tmp_path: Path) -> None:
    checkpoint = in_shards(tmp_path / "checkpoint-100")
    kwargs = {"model_path": str(checkpoint)}
    options = ("--cancel-grace", "1", "--allow-path", str(tmp_path))
    async with CrashingServer(tmp_path / "data", *options) as server:
        await server.start_to_crash_at("stage_ended")
        job_id = await server.api.submit(lmms_engine_kwargs=kwargs, max_attempts=1)
        failed = await server.api.finished(job_id)
        server.stop()
        await server.start_without_crash_point()

        await server.api.call("POST", f"/jobs/{job_id}/retry")

        job = await server.api.finished(job_id)
    assert (failed["status"], "lost" in failed["error"]) == ("failed", True)
    assert (job["status"], merges_of(checkpoint)) == ("completed", ["regular"])
