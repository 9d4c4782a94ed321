"""Jobs whose files are on a hanging disk, at the start and at the end of an attempt."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from evalserver.attempts.attempts import Attempts
from evalserver.attempts.conclusion import Concluder, Policy
from evalserver.attempts.launch import LaunchContext, Planner
from evalserver.attempts.launcher import Launcher
from evalserver.attempts.retention import Retention
from evalserver.attempts.run_directories import RunDirectories
from evalserver.attempts.stalls import StallPolicy, StallWatch
from evalserver.core.health import Health
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Command, Engine, EngineSettings, Paths, Results
from evalserver.executors import Executors, LocalExecutor
from evalserver.monitoring.event_bus import EventBus
from evalserver.monitoring.progress import ProgressBoard
from evalserver.runner.files import EXIT_FILE, LOCK_FILE, RUNNER_FILE, write_atomically
from evalserver.store import Store
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


def _attempts(
    store: Store, tmp_path: Path, engines: Mapping[str, Engine], policy: Policy
) -> Attempts:
    directories = RunDirectories(tmp_path, "")
    planner = Planner(engines, directories, LaunchContext({}, tmp_path, 1.0))
    board = ProgressBoard(EventBus())
    executors, retention = Executors(LocalExecutor()), Retention(store, directories, 1000)
    concluder = Concluder(store, executors, engines, directories, retention, policy)
    launcher = Launcher(store, executors, directories, planner, concluder, policy)
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
    monkeypatch.setattr("evalserver.attempts.launcher.START_LIMIT_SECONDS", 0.05)
    monkeypatch.setattr("evalserver.attempts.launcher.at_start", lambda *_, **__: disk.wait())
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
