"""Jobs whose files are on a hanging disk, at the start and at the end of an attempt, and jobs that
are prepared too slowly to overtake another one."""

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from evalserver.attempts.attempts import Attempts
from evalserver.attempts.conclusion import Concluder, Policy
from evalserver.attempts.launch import LaunchContext, Planner
from evalserver.attempts.launcher import Launcher
from evalserver.attempts.preparation import Preparation
from evalserver.attempts.retention import Retention
from evalserver.attempts.run_directories import RunDirectories
from evalserver.attempts.stalls import StallPolicy, StallWatch
from evalserver.core.health import Health
from evalserver.core.job import Slot
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Command, Engine, EngineSettings, Paths, Results
from evalserver.executors import Executors, LocalExecutor
from evalserver.monitoring.event_bus import EventBus
from evalserver.monitoring.progress import ProgressBoard
from evalserver.runner.files import EXIT_FILE, LOCK_FILE, RUNNER_FILE, write_atomically
from evalserver.store import JobStore, Store
from tests.store.test_jobs import submit


class OnDeadDisk(Engine):
    """An engine whose results are on a hanging disk."""

    answers = threading.Event()

    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """Return a command that is never run."""
        return Command(("true",))

    def read_results(self, request: EvaluateRequest, paths: Paths) -> Results:
        """Wait for the disk."""
        self.answers.wait()
        return Results({}, ())


@pytest.fixture
def engines() -> Iterator[Mapping[str, Engine]]:
    OnDeadDisk.answers.clear()
    yield {"lmms_eval": OnDeadDisk(EngineSettings("lmms_eval", "lmms_eval", "python3"))}
    OnDeadDisk.answers.set()


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("exited", ("failed", "What the evaluation left could not be read within 0.01 s: ")),
        ("cancelled", ("cancelled", "")),
    ],
)
async def test_a_job_with_results_on_a_hanging_disk_ends(
    store: Store,
    tmp_path: Path,
    engines: Mapping[str, Engine],
    reason: str,
    expected: tuple[str, str],
) -> None:
    attempts = _attempts(store, tmp_path, engines, Policy(0.05, max_reading_s=0.01))
    job = await store.queries.job(await submit(store))
    paths = await attempts.reserve(job)
    await store.jobs.claim(job, paths.run_dir, paths.output_dir)
    _write_exit_file(paths.run_dir, reason)

    await attempts.resume(await store.queries.job(job.job_id))

    ended = await store.queries.job(job.job_id)
    assert (ended.status, (ended.error or "")[: len(expected[1])]) == expected


async def _begin(attempts: Attempts, store: Store, start_by: float) -> str:
    """Claim a job whose harness must start by a POSIX time, and begin its attempt."""
    job = await store.queries.job(await submit(store))
    paths = await attempts.reserve(job)
    slot = Slot(start_by=start_by)
    await store.jobs.claim(job, paths.run_dir, paths.output_dir, slot)
    await attempts.begin(await store.queries.job(job.job_id))
    return job.job_id


async def test_a_job_whose_preparation_took_too_long_is_queued_again(
    store: Store, tmp_path: Path, engines: Mapping[str, Engine]
) -> None:
    attempts = _attempts(store, tmp_path, engines, Policy(0.05))

    job_id = await _begin(attempts, store, time.time() - 1)

    job = await store.queries.job(job_id)
    assert (job.status, job.attempt, job.max_attempts) == ("queued", 1, 2 + 1)
    assert not (Path(job.run_dir or "") / RUNNER_FILE).exists()


async def test_a_job_is_queued_again_while_its_preparation_still_lasts(
    store: Store, tmp_path: Path, engines: Mapping[str, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = threading.Event()
    monkeypatch.setattr("evalserver.attempts.preparation.at_start", lambda *_, **__: disk.wait())
    attempts = _attempts(store, tmp_path, engines, Policy(0.05))

    job_id = await _begin(attempts, store, time.time() + 0.2)

    disk.set()
    assert (await store.queries.job(job_id)).status == "queued"


async def test_a_cancelled_job_whose_preparation_took_too_long_is_cancelled(
    store: Store,
    tmp_path: Path,
    engines: Mapping[str, Engine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts = _attempts(store, tmp_path, engines, Policy(0.05))
    postpone = JobStore.postpone

    async def after_a_cancel(self: JobStore, job_id: str, reason: str) -> None:
        await store.jobs.request_cancel(job_id, "bob")
        await postpone(self, job_id, reason)

    monkeypatch.setattr(JobStore, "postpone", after_a_cancel)

    job_id = await _begin(attempts, store, time.time() - 1)

    assert (await store.queries.job(job_id)).status == "cancelled"


async def test_after_a_restart_a_job_still_must_start_in_time(
    store: Store, tmp_path: Path, engines: Mapping[str, Engine]
) -> None:
    attempts = _attempts(store, tmp_path, engines, Policy(0.05))
    job = await store.queries.job(await submit(store))
    paths = await attempts.reserve(job)
    slot = Slot(start_by=time.time() - 1)
    await store.jobs.claim(job, paths.run_dir, paths.output_dir, slot)

    await attempts.resume(await store.queries.job(job.job_id))

    assert (await store.queries.job(job.job_id)).status == "queued"


def _attempts(
    store: Store, tmp_path: Path, engines: Mapping[str, Engine], policy: Policy
) -> Attempts:
    directories = RunDirectories(tmp_path, "")
    planner = Planner(engines, directories, LaunchContext({}, tmp_path, 1.0))
    board = ProgressBoard(EventBus())
    executors, retention = Executors(LocalExecutor()), Retention(store, directories, 1000)
    concluder = Concluder(store, executors, engines, directories, retention, policy)
    preparation = Preparation(directories, planner, policy)
    launcher = Launcher(store, executors, directories, preparation, concluder)
    stalls = StallWatch(store, Health(), StallPolicy(1800, fails=False))
    return Attempts(
        store,
        executors,
        engines,
        directories,
        planner,
        launcher,
        concluder,
        board,
        Health(),
        stalls,
    )


def _write_exit_file(run_dir: Path, reason: str) -> None:
    times: dict[str, Any] = {
        "started_at": "2026-01-01T00:00:00.000+00:00",
        "ended_at": "2026-01-01T00:01:00.000+00:00",
    }
    (run_dir / LOCK_FILE).touch()
    write_atomically(run_dir / RUNNER_FILE, {"pid": 1, "boot_id": "x", "started_at": "x"})
    write_atomically(run_dir / EXIT_FILE, {"reason": reason, "exit_code": 0, **times})


async def test_a_checkpoint_on_a_hanging_disk_fails_only_its_own_job(
    store: Store, tmp_path: Path, engines: Mapping[str, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = threading.Event()
    monkeypatch.setattr("evalserver.attempts.preparation.START_LIMIT_SECONDS", 0.05)
    monkeypatch.setattr("evalserver.attempts.preparation.at_start", lambda *_, **__: disk.wait())
    attempts = _attempts(store, tmp_path, engines, Policy(0.05))
    job = await store.queries.job(await submit(store))
    paths = await attempts.reserve(job)
    await store.jobs.claim(job, paths.run_dir, paths.output_dir)

    await attempts.begin(await store.queries.job(job.job_id))

    disk.set()
    ended = await store.queries.job(job.job_id)
    assert ended.error == (
        "The evaluation was not started; reading the files of an attempt: a disk did not respond"
        " within 0.05 s, where its checkpoint or output is"
    )
