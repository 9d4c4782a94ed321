"""Stalls: an attempt that writes nothing and uses no GPU for a time, as the watch records it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evalserver.attempts.activity import MAX_ENTRIES, take_snapshot
from evalserver.attempts.stalls import GpuIdle, StallPolicy, StallWatch
from evalserver.core.health import Health
from evalserver.core.job import Job
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Paths
from evalserver.runner.files import LOG_FILE, PROCESSES_FILE
from evalserver.store import Store
from tests.store.test_jobs import submit
from tests.support import until

LONG, SHORT = 3600.0, 0.2
REQUEST = EvaluateRequest("dummy", ("mme",))


class Attempt:
    """A running job, with the files of its attempt and a watch."""

    def __init__(self, store: Store, folder: Path, job: Job) -> None:
        self.store, self.job = store, job
        self.paths = Paths(folder / "run", folder / "run" / "output", folder / "cache")
        self.stopped: list[str] = []

    def write(self, name: str = LOG_FILE, age_s: float = 0.0) -> None:
        """Append to a file of the run directory, as if ``age_s`` seconds ago."""
        path = self.paths.run_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write("x")
        if age_s:
            for each in (path, path.parent):
                os.utime(each, (time.time() - age_s,) * 2)

    async def since(self) -> str | None:
        """Since when the job has stalled."""
        return (await self.store.queries.job(self.job.job_id)).stalled_since

    async def is_active(self) -> bool:
        """Whether the job is not stalled."""
        return await self.since() is None

    async def events(self) -> list[str]:
        """The job's events after its start."""
        events = await self.store.events.after(0, job_id=self.job.job_id)
        return [each.event for each in events][2:]

    @asynccontextmanager
    async def watched(
        self, after_s: float, *, fails: bool = False, gpu: GpuIdle = lambda job: None
    ) -> AsyncIterator[None]:
        """Watch the attempt during the block."""
        watch = StallWatch(self.store, Health(), StallPolicy(after_s, fails), gpu)

        async def stop(job: Job) -> None:
            self.stopped.append(job.job_id)

        async with watch.watch(self.job, self.paths, stop):
            yield


@pytest.fixture
async def attempt(store: Store, tmp_path: Path) -> Attempt:
    """A running job whose attempt has written a line."""
    job = await store.queries.job(await submit(store))
    await store.jobs.claim(job, tmp_path / "run", tmp_path / "run" / "output")
    attempt = Attempt(store, tmp_path, await store.queries.job(job.job_id))
    attempt.write()
    return attempt


async def test_a_silent_attempt_stalls_and_is_active_again_when_it_writes(
    attempt: Attempt,
) -> None:
    async with attempt.watched(SHORT):
        await until(attempt.since)
        attempt.write()
        await until(attempt.is_active)

    assert (await attempt.events())[:2] == ["stalled", "active_again"]
    assert attempt.stopped == []


async def test_a_stall_is_recorded_once(attempt: Attempt) -> None:
    async with attempt.watched(SHORT):
        await until(attempt.since)
        await asyncio.sleep(10 * SHORT)

    assert await attempt.events() == ["stalled"]


async def test_an_attempt_that_fails_for_a_stall_is_stopped(attempt: Attempt) -> None:
    async def stopped() -> bool:
        return attempt.stopped == [attempt.job.job_id]

    async with attempt.watched(SHORT, fails=True):
        await until(stopped)

    current = await attempt.store.queries.job(attempt.job.job_id)
    assert await attempt.store.queries.fails_for_stall(current)


async def test_a_new_server_stops_what_the_last_one_decided_to_stop(attempt: Attempt) -> None:
    await attempt.store.jobs.stall(attempt.job.job_id, "2026-01-01T00:00:00.000+00:00", fails=True)

    async def stopped() -> bool:
        return bool(attempt.stopped)

    attempt.write()
    async with attempt.watched(LONG):
        await until(stopped)

    assert await attempt.events() == ["stalled"]


async def test_a_new_server_counts_from_the_last_write_on_disk(attempt: Attempt) -> None:
    attempt.write(age_s=LONG)
    began = datetime.now(UTC)

    async with attempt.watched(10.0):
        since = await until(attempt.since)

    silent = began - datetime.fromisoformat(since)
    assert abs(silent - timedelta(seconds=LONG)) < timedelta(minutes=5)


async def test_an_attempt_that_wrote_while_no_server_ran_is_active_again(attempt: Attempt) -> None:
    await attempt.store.jobs.stall(attempt.job.job_id, "2026-01-01T00:00:00.000+00:00")
    attempt.write()

    async with attempt.watched(LONG):
        await until(attempt.is_active)

    assert await attempt.events() == ["stalled", "active_again"]


async def test_a_file_of_the_future_does_not_hide_later_silence(attempt: Attempt) -> None:
    attempt.write(age_s=-LONG)

    async with attempt.watched(SHORT):
        await until(attempt.since)


async def test_gpu_activity_is_activity(attempt: Attempt) -> None:
    asked: list[str] = []

    def gpu_idle_s(job: Job) -> float:
        asked.append(job.job_id)
        return 0.0 if len(asked) < 50 else LONG

    async with attempt.watched(SHORT, gpu=gpu_idle_s):
        await until(attempt.since)

    assert len(asked) >= 50


async def test_a_new_server_takes_its_first_look_at_a_gpu_for_no_activity(
    attempt: Attempt,
) -> None:
    attempt.write(age_s=LONG)
    answers = iter([0.0])

    async with attempt.watched(10.0, gpu=lambda job: next(answers, LONG)):
        since = await until(attempt.since)

    assert datetime.now(UTC) - datetime.fromisoformat(since) > timedelta(seconds=LONG / 2)


async def test_the_policy_of_a_request_goes_before_the_servers() -> None:
    policy = StallPolicy(1800, fails=False)
    own = EvaluateRequest("m", ("t",), stall_after_s=60, on_stall="fail")

    assert policy.of(REQUEST) == policy
    assert policy.of(own) == StallPolicy(60, fails=True)


async def test_with_0_nothing_ever_stalls(attempt: Attempt) -> None:
    attempt.write(age_s=LONG)

    async with attempt.watched(0):
        await asyncio.sleep(1)

    assert await attempt.events() == []


@pytest.mark.parametrize("name", [LOG_FILE, "output/m/samples.jsonl", "working-directory/a.wav"])
def test_a_write_of_the_harness_is_seen(tmp_path: Path, name: str) -> None:
    paths = Paths(tmp_path, tmp_path / "output", tmp_path / "cache")
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a")
    before = take_snapshot(REQUEST, paths)

    file.write_text("ab")

    assert take_snapshot(REQUEST, paths) != before


def test_a_write_of_the_runner_is_not_seen(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "output", tmp_path / "cache")
    (tmp_path / LOG_FILE).write_text("a")
    before = take_snapshot(REQUEST, paths)

    (tmp_path / PROCESSES_FILE).write_text("{}")

    assert take_snapshot(REQUEST, paths) == before


def test_writing_the_merged_checkpoint_is_activity(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "run", tmp_path / "run" / "output", tmp_path / "cache")
    merged = tmp_path / "merged"
    merged.mkdir()
    kwargs = {"model_path": str(tmp_path / "shards"), "output_path": str(merged)}
    request = EvaluateRequest("m", ("t",), lmms_engine_kwargs=kwargs)
    before = take_snapshot(request, paths)

    (merged / "model.safetensors").write_text("weights")

    assert take_snapshot(request, paths) != before


def test_a_look_at_very_many_files_is_bounded(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "output", tmp_path / "cache")
    for folder in range(30):
        place = tmp_path / "output" / str(folder)
        place.mkdir(parents=True)
        for number in range(MAX_ENTRIES // 20):
            (place / str(number)).touch()

    assert take_snapshot(REQUEST, paths).state[0] <= MAX_ENTRIES


def test_links_are_not_followed(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "output", tmp_path / "cache")
    paths.output_dir.mkdir()
    (paths.output_dir / "loop").symlink_to(paths.output_dir)
    (paths.output_dir / "gone").symlink_to(tmp_path / "no-such-file")

    assert take_snapshot(REQUEST, paths).state[0] == 3
