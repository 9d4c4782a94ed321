"""The crash table of attempts, on this machine and on a real Slurm: server or runner is killed at
an exact point, and the state recovers."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.end_to_end.crashing_server import CrashingServer, CrashingServerOnSlurm
from tests.support import harness_of

SHORT = {"seconds": 1}
HANG = {"behave": "hang"}
CRASH = {"behave": "crash"}
GRACE = ("--cancel-grace", "1")


@pytest.fixture(params=["local", pytest.param("slurm", marks=pytest.mark.slurm)])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CrashingServer]:
    """A running server for each kind of executor, without a crash point."""
    server = (
        CrashingServer(tmp_path / "data", *GRACE)
        if request.param == "local"
        else CrashingServerOnSlurm(tmp_path, request.getfixturevalue("slurm"), *GRACE)
    )
    async with server:
        yield server


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """The file in which the stand-in harness records its starts and ends."""
    return tmp_path / "journal"


@pytest.mark.parametrize(
    ("server", "point", "events"),
    [
        ("local", "claimed", ["claimed", "completed"]),
        ("local", "started", ["claimed", "reattached", "completed"]),
        ("local", "ended", ["claimed", "reattached", "completed"]),
        ("local", "finished", ["claimed", "completed"]),
        ("slurm", "handing_over", ["handed_over", "started", "completed"]),
        ("slurm", "handed_over", ["handed_over", "started", "completed"]),
        ("slurm", "recorded_start", ["handed_over", "started", "reattached", "completed"]),
        ("slurm", "ended", ["handed_over", "started", "reattached", "completed"]),
        ("slurm", "finished", ["handed_over", "started", "completed"]),
    ],
    indirect=["server"],
)
async def test_killed_during_an_attempt(
    server: CrashingServer, journal: Path, point: str, events: list[str]
) -> None:
    await server.start_to_crash_at(point)

    job_id = await server.submit({"journal": str(journal), "name": "n", **SHORT})
    await server.restart_after_crash()
    job = await server.api.finished(job_id)

    assert (job["status"], job["attempt"]) == ("completed", 1)
    assert server.events_of(job_id) == ["submitted", *events]
    assert journal.read_text() == "start n\nend n\n"


@pytest.mark.parametrize("point", ["runner_locked", "runner_started"])
async def test_a_runner_killed_before_its_harness_has_run_nothing(
    server: CrashingServer, journal: Path, point: str
) -> None:
    await server.start_to_crash_at(point)
    job_id = await server.submit({"journal": str(journal), "name": "n"}, max_attempts=1)

    job = await server.api.finished(job_id)

    assert job["status"] == "failed"
    assert not journal.exists()


async def test_a_runner_killed_before_its_exit_record_causes_a_second_attempt(
    server: CrashingServer, journal: Path
) -> None:
    await server.start_to_crash_at("runner_ending")
    job_id = await server.submit({"journal": str(journal), "name": "n"})
    await server.api.when(job_id, "failed")
    server.stop()
    await server.start_without_crash_point()

    begun = server.begun
    events = ["submitted", *begun, "interrupted", *begun, "failed"]
    assert server.events_of(job_id) == events
    assert journal.read_text() == "start n\nend n\n" * 2


@pytest.mark.parametrize(
    ("point", "events"),
    [
        ("lost", ["reattached", "interrupted"]),
        ("interrupted", ["interrupted"]),
    ],
)
async def test_killed_while_handling_the_loss_of_a_runner(
    server: CrashingServer, journal: Path, point: str, events: list[str]
) -> None:
    await server.start_to_crash_at(point)
    behave = {"journal": str(journal), "name": "n", "behave": "hang_once"}
    job_id = await server.submit(behave)
    psutil.Process((await harness_of(job_id)).ppid()).kill()

    await server.restart_after_crash()
    job = await server.api.finished(job_id)

    begun = server.begun
    assert (job["status"], job["attempt"]) == ("completed", 2)
    assert server.events_of(job_id) == ["submitted", *begun, *events, *begun, "completed"]


@pytest.mark.parametrize("loses_runner", [False, True])
async def test_killed_after_a_stall_was_found_to_fail_the_job(
    server: CrashingServer, loses_runner: bool
) -> None:
    await server.start_to_crash_at("stalled")
    stall = {"stall_after_s": 1, "on_stall": "fail"}
    job_id = await server.submit(HANG, **stall)
    runner = psutil.Process((await harness_of(job_id)).ppid())
    await server.wait_for_crash()
    if loses_runner:
        runner.kill()

    await server.start_without_crash_point()
    job = await server.api.finished(job_id)

    assert (job["status"], job["failure"]["code"], job["attempt"]) == ("failed", "stalled", 1)
    events = ["submitted", *server.begun, "stalled", "reattached", "failed"]
    assert server.events_of(job_id) == events


async def test_killed_after_a_cancel_was_requested(server: CrashingServer) -> None:
    await server.start_to_crash_at("cancel_requested")
    job_id = await server.submit({"behave": "stubborn"})
    harness = await harness_of(job_id)

    with pytest.raises(aiohttp.ClientError):
        await server.api.call("DELETE", f"/jobs/{job_id}")
    await server.restart_after_crash()
    job = await server.api.finished(job_id)

    assert job["status"] == "cancelled"
    assert not harness.is_running()


async def test_killed_after_a_queued_job_was_cancelled(server: CrashingServer) -> None:
    await server.start_to_crash_at("cancelled_queued")
    await server.api.when(await server.api.submit(model_args=HANG), "running")
    job_id = await server.api.submit()

    with pytest.raises(aiohttp.ClientError):
        await server.api.call("DELETE", f"/jobs/{job_id}")
    await server.restart_after_crash()

    assert (await server.api.job(job_id))["status"] == "cancelled"
    assert server.events_of(job_id) == ["submitted", "cancelled"]


async def test_killed_after_a_retry_was_requested(server: CrashingServer) -> None:
    job_id = await server.api.submit(model_args=CRASH)
    await server.api.finished(job_id)
    await server.start_to_crash_at("retried")

    with pytest.raises(aiohttp.ClientError):
        await server.api.call("POST", f"/jobs/{job_id}/retry")
    await server.restart_after_crash()
    job = await server.api.finished(job_id)

    assert (job["status"], job["attempt"]) == ("failed", 2)
