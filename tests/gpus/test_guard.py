"""Keeping GPUs that are not free from being used: real processes, a stub of NVIDIA's library."""

import asyncio
import os
import pwd
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from evalserver.core.job import Outcome
from evalserver.core.lifecycle import Status
from evalserver.gpus.guard import GpuGuard
from evalserver.gpus.inventory import Gpu, find_gpus
from evalserver.gpus.memory import MemoryLimits, Release
from evalserver.gpus.monitor import GpuMonitor, GpuState
from evalserver.gpus.nvml import GpuProcess, Reading
from evalserver.gpus.processes import Owner, owner_by_cgroup
from evalserver.runner import files
from evalserver.runner.cgroups import cgroup_name
from evalserver.runner.launch_spec import RUN_DIR_VARIABLE, TOKEN_VARIABLE
from evalserver.runner.procfs import read_process
from evalserver.store import DATABASE_NAME, Store
from tests.store.test_jobs import submit
from tests.store.test_migrate import rows
from tests.stub_nvml import GIB, GPU_IS_LOST, StubNvml
from tests.support import until

SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
RELEASE_SECONDS = 0.5


def start(**variables: str) -> "subprocess.Popen[bytes]":
    """Start a process with these variables, and wait until it runs its program."""
    process = subprocess.Popen(SLEEP, env={**os.environ, **variables}, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.fixture
def stranger() -> Iterator["subprocess.Popen[bytes]"]:
    """A process of no evaluation."""
    process = start()
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
async def monitor(nvml: StubNvml) -> AsyncIterator[GpuMonitor]:
    """A monitor of both GPUs, which has read them."""
    monitor = GpuMonitor(find_gpus("auto", {}), interval_s=0.05)
    await monitor.start()
    yield monitor
    monitor.close()


@pytest.fixture
async def guard(monitor: GpuMonitor, store: Store, tmp_path: Path) -> AsyncIterator[GpuGuard]:
    """A guard that watches both GPUs."""
    limits = MemoryLimits(release_s=RELEASE_SECONDS)
    guard = GpuGuard(find_gpus("auto", {}), monitor, store, tmp_path, limits)
    task = asyncio.create_task(guard.watch())
    yield guard
    task.cancel()
    await asyncio.wait([task])


async def run_job(store: Store, tmp_path: Path, gpu: str | None = None) -> str:
    """Submit a job and claim its attempt, on a GPU if one is given."""
    job_id = await submit(store)
    run_dir = tmp_path / job_id / "attempt-1"
    run_dir.mkdir(parents=True)
    await store.jobs.claim(await store.queries.job(job_id), run_dir, tmp_path / "out")
    if gpu is not None:
        with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
            database.execute("INSERT INTO gpu_holds VALUES (?, 'job', ?, 'now')", (gpu, job_id))
            database.execute("UPDATE jobs SET gpus = json_array(?)", (gpu,))
    return job_id


def marks(run_dir: Path, job_id: str) -> dict[str, str]:
    """What the processes of a job's first attempt have in their environment."""
    return {TOKEN_VARIABLE: f"{job_id}/1", RUN_DIR_VARIABLE: str(run_dir)}


async def end_job(store: Store, job_id: str) -> None:
    await store.jobs.finish(job_id, Outcome(Status.CANCELLED, "2026-01-01T00:00:00.000+00:00"), 9)


async def test_gpus_without_processes_are_available(guard: GpuGuard, nvml: StubNvml) -> None:
    nvml.change(0, used=GIB // 2)

    assert await guard.check() == {}


async def test_a_strangers_process_keeps_a_gpu_out(
    guard: GpuGuard, nvml: StubNvml, stranger: "subprocess.Popen[bytes]"
) -> None:
    nvml.change(1, used=2 * GIB, processes={stranger.pid: 2 * GIB})

    user = pwd.getpwuid(os.geteuid()).pw_name
    reason = f"is used by process {stranger.pid} of user {user}"
    assert await guard.check() == {nvml.gpus[1].uuid: reason}
    assert stranger.poll() is None


async def test_a_forged_token_of_no_job_is_a_strangers(
    guard: GpuGuard, nvml: StubNvml, tmp_path: Path
) -> None:
    job_id = "15fc5ad9-834b-4f7e-a4df-db48f561e89a"
    process = start(**marks(tmp_path / job_id / "attempt-1", job_id))
    nvml.change(0, processes={process.pid: GIB})

    [reason] = (await guard.check()).values()

    assert reason.startswith(f"is used by process {process.pid} of user ")
    assert process.poll() is None
    process.kill()
    process.communicate()


async def test_a_process_of_the_same_job_in_another_data_directory_is_not_killed(
    guard: GpuGuard, nvml: StubNvml, store: Store, tmp_path: Path
) -> None:
    # As when a server is tried with a copy of the database of one that runs on this machine.
    job_id = await run_job(store, tmp_path)
    process = start(**marks(tmp_path / "other" / job_id / "attempt-1", job_id))
    nvml.change(0, processes={process.pid: GIB})
    await end_job(store, job_id)

    [reason] = (await guard.check()).values()

    assert reason.startswith(f"is used by process {process.pid} of user ")
    assert process.poll() is None
    process.kill()
    process.communicate()


def test_a_cgroup_tells_the_attempts_of_this_data_directory() -> None:
    job_id = "15fc5ad9-834b-4f7e-a4df-db48f561e89a"
    runs = Path("/data/runs")
    name = cgroup_name(runs / f"lmms_eval_{job_id}" / "attempt-2")
    cgroups = f"5:freezer:/some/{name}/inner\n0::/system.slice/server\n"

    assert owner_by_cgroup(cgroups, runs) == Owner(job_id, 2)
    assert owner_by_cgroup(cgroups, Path("/copy/runs")) is None


async def test_asking_neither_reads_nor_kills(
    monitor: GpuMonitor, nvml: StubNvml, store: Store, tmp_path: Path
) -> None:
    guard = GpuGuard(find_gpus("auto", {}), monitor, store, tmp_path)
    job_id = await run_job(store, tmp_path)
    process = start(**marks(tmp_path / job_id / "attempt-1", job_id))
    nvml.change(0, processes={process.pid: GIB})
    await guard.check()
    await end_job(store, job_id)

    [reason] = (await guard.unavailable()).values()

    assert (
        reason == f"has a process ({process.pid}) that job {job_id} left, and that is being killed"
    )
    assert process.poll() is None
    assert rows(tmp_path, "SELECT event FROM server_events") == []
    await guard.check()
    assert await asyncio.to_thread(process.wait, 60) == -9
    process.communicate()


async def test_a_process_of_another_container_keeps_a_gpu_out(
    guard: GpuGuard, nvml: StubNvml
) -> None:
    nvml.change(0, processes={2**22 + 7: GIB})

    [reason] = (await guard.check()).values()

    assert reason == f"is used by process {2**22 + 7}, which is not visible to the server"


async def test_what_an_ended_job_left_is_killed_with_an_event(
    guard: GpuGuard, nvml: StubNvml, store: Store, tmp_path: Path
) -> None:
    job_id = await run_job(store, tmp_path)
    process = start(**marks(tmp_path / job_id / "attempt-1", job_id))
    nvml.change(0, used=2 * GIB, processes={process.pid: 2 * GIB})
    assert await guard.check() == {nvml.gpus[0].uuid: f"is used by job {job_id}"}
    assert process.poll() is None

    await end_job(store, job_id)
    await asyncio.to_thread(process.communicate, timeout=60)

    assert process.returncode == -9
    nvml.change(0, used=0, processes={})
    await until(lambda: _is_free(guard))
    events = rows(tmp_path, "SELECT actor, event, detail FROM server_events")
    assert [tuple(event)[:2] for event in events] == [("server", "gpu_processes_killed")]
    assert orjson.loads(events[0][2]) == {
        "gpu": nvml.gpus[0].uuid,
        "processes": {str(process.pid): job_id},
    }


async def test_a_process_that_hides_after_it_was_recorded_is_killed(
    guard: GpuGuard, nvml: StubNvml, store: Store, tmp_path: Path
) -> None:
    # It has neither cgroup nor token, but the runner has recorded it while the attempt ran.
    job_id = await run_job(store, tmp_path)
    process = start()
    about = read_process(process.pid)
    assert about is not None
    record = {
        "boot_id": files.boot_id(),
        "processes": [[process.pid, about.started, about.session]],
    }
    path = tmp_path / job_id / "attempt-1" / files.PROCESSES_FILE
    path.write_bytes(orjson.dumps(record))
    nvml.change(0, processes={process.pid: GIB})
    assert await guard.check() == {nvml.gpus[0].uuid: f"is used by job {job_id}"}
    path.unlink()

    await end_job(store, job_id)
    await asyncio.to_thread(process.communicate, timeout=60)

    assert process.returncode == -9


async def test_a_held_gpu_is_not_looked_at(
    guard: GpuGuard, nvml: StubNvml, store: Store, tmp_path: Path
) -> None:
    nvml.change(0, used=70 * GIB, processes={os.getpid(): 70 * GIB})

    await run_job(store, tmp_path, nvml.gpus[0].uuid)

    assert await guard.check() == {}


async def test_memory_that_stays_in_use_after_a_job_leads_to_a_quarantine(
    guard: GpuGuard, nvml: StubNvml, store: Store, tmp_path: Path
) -> None:
    gpu = nvml.gpus[0].uuid
    job_id = await run_job(store, tmp_path, gpu)
    nvml.change(0, used=3 * GIB)

    await end_job(store, job_id)
    assert (await guard.check())[gpu] == "has not released its memory yet"
    found = await until(store.gpus.quarantines)

    assert (found[gpu].by, found[gpu].reason) == (
        "server",
        f"3.0 GiB stayed in use after job {job_id} had ended",
    )
    assert (await guard.check())[gpu].startswith("is quarantined by server: ")
    nvml.change(0, used=0)
    assert list(await guard.check()) == [gpu], "only an administrator ends a quarantine"
    await store.gpus.end_quarantine(gpu, "alice")
    assert await guard.check() == {}


async def test_memory_is_not_released_also_if_the_job_is_pruned_when_it_ends(
    monitor: GpuMonitor, nvml: StubNvml, store: Store, tmp_path: Path
) -> None:
    guard = GpuGuard(find_gpus("auto", {}), monitor, store, tmp_path)
    gpu = nvml.gpus[0].uuid
    job_id = await run_job(store, tmp_path, gpu)
    nvml.change(0, used=3 * GIB)

    outcome = Outcome(Status.CANCELLED, "2026-01-01T00:00:00.000+00:00")
    await store.jobs.finish(job_id, outcome, 0)

    assert await store.queries.find(job_id) is None
    assert await guard.check() == {gpu: "has not released its memory yet"}


STUCK = GpuState(100.0, Reading(80 * GIB, 3 * GIB, 0, 40, ()), None)


@pytest.mark.parametrize(
    ("state", "released_at", "reason"),
    [
        (STUCK, 60.0, "3.0 GiB stayed in use after job j had ended"),
        (STUCK, 80.0, None),
        (STUCK, None, None),
        (replace(STUCK, at=59.0), 60.0, None),
        (replace(STUCK, fault="cannot be read"), 60.0, None),
        (replace(STUCK, reading=Reading(80 * GIB, GIB, 0, 40, ())), 60.0, None),
        (
            replace(STUCK, reading=Reading(80 * GIB, 3 * GIB, 0, 40, (GpuProcess(9, 1),))),
            60.0,
            None,
        ),
    ],
    ids=["stuck", "too early", "not released", "old reading", "fault", "free", "has a process"],
)
def test_only_memory_that_stays_in_use_for_long_leads_to_a_quarantine(
    state: GpuState, released_at: float | None, reason: str | None
) -> None:
    release = None if released_at is None else Release(released_at, "j")

    assert MemoryLimits(release_s=30.0).quarantine_reason(state, release, 101.0) == reason


async def test_memory_that_is_released_in_time_leads_to_none(
    guard: GpuGuard, nvml: StubNvml, store: Store, tmp_path: Path
) -> None:
    job_id = await run_job(store, tmp_path, nvml.gpus[0].uuid)
    nvml.change(0, used=3 * GIB)
    await end_job(store, job_id)
    assert list(await guard.check()) == [nvml.gpus[0].uuid]

    nvml.change(0, used=0)
    assert await guard.check() == {}
    # A stranger that is not visible comes later: the GPU is out, but of no job's doing.
    nvml.change(0, used=3 * GIB)
    await asyncio.sleep(2 * RELEASE_SECONDS)

    [reason] = (await guard.check()).values()
    assert reason == "has 3.0 GiB in use by no process that is visible to the server"
    assert await store.gpus.quarantines() == {}


async def test_a_lost_gpu_is_out_until_it_is_back(guard: GpuGuard, nvml: StubNvml) -> None:
    nvml.change(1, fault=GPU_IS_LOST)
    assert await guard.check() == {nvml.gpus[1].uuid: "cannot be read: GPU is lost"}

    nvml.change(1, fault=0)
    assert await guard.check() == {}


async def test_a_gpu_that_blocks_its_driver_is_out_and_the_others_are_not(
    guard: GpuGuard, nvml: StubNvml
) -> None:
    assert await guard.check() == {}
    nvml.change(1, delay_ms=60_000)

    async with asyncio.timeout(30):
        [(gpu, reason)] = (await guard.check()).items()

    assert gpu == nvml.gpus[1].uuid
    assert reason.startswith("has not been read since 20")


async def test_more_memory_may_be_allowed_on_a_free_gpu(
    monitor: GpuMonitor, nvml: StubNvml, store: Store, tmp_path: Path
) -> None:
    nvml.change(0, used=3 * GIB)
    for allowed, number in ((2 * GIB, 1), (3 * GIB, 0)):
        guard = GpuGuard(find_gpus("auto", {}), monitor, store, tmp_path, MemoryLimits(allowed))
        assert len(await guard.check()) == number


async def test_listeners_hear_of_changes(
    guard: GpuGuard, nvml: StubNvml, stranger: "subprocess.Popen[bytes]"
) -> None:
    changed = asyncio.Event()
    guard.subscribe(changed.set)

    for processes in ({stranger.pid: GIB}, {}):
        nvml.change(0, processes=processes)
        await changed.wait()
        changed.clear()


async def test_without_nvml_only_a_quarantine_keeps_a_gpu_out(store: Store) -> None:
    gpus = (Gpu("0", 0, None), Gpu("1", 1, None))
    guard = GpuGuard(gpus, GpuMonitor(()), store, Path("/nonexistent"))
    await store.gpus.quarantine("1", "alice", "fan")

    assert list(await guard.check()) == ["1"]


async def _is_free(guard: GpuGuard) -> bool:
    return await guard.check() == {}
