"""Failed background tasks are restarted; every one of them, in a real server."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from evalserver.checkpoints.waits import CheckpointWaits
from evalserver.core.health import Health
from evalserver.core.supervision import MAX_PAUSE_SECONDS, pause_after, supervise
from evalserver.scheduling.scheduler import Scheduler
from evalserver.store.writer import Writer
from tests.conftest import MakeApi
from tests.support import Api, Json, until


class Failing:
    """Raises a given number of times, then succeeds."""

    def __init__(self, failures: int, error: BaseException) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error

    async def __call__(self) -> None:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error


@pytest.mark.parametrize("error", [RuntimeError("a fault"), asyncio.CancelledError()])
async def test_a_task_that_raises_is_restarted(error: BaseException) -> None:
    work = Failing(1, error)

    await supervise("work", work, Health())

    assert work.calls == 2


async def test_health_reports_a_failed_task_until_it_recovers() -> None:
    health = Health()
    task = asyncio.create_task(supervise("work", Failing(1, RuntimeError("a fault")), health))

    async def reason() -> str | None:
        return health.degraded_reason

    assert (await until(reason)).startswith("work failed, and is restarted after 1 s")
    await task
    assert health.degraded_reason is None


async def test_a_supervised_task_can_be_cancelled() -> None:
    task = asyncio.create_task(supervise("work", asyncio.Event().wait, Health()))  # type: ignore[arg-type]
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


def test_restart_delays_grow_up_to_a_minute() -> None:
    pauses = [pause_after(failures) for failures in (1, 2, 3, 1000)]

    assert pauses == [1.0, 2.0, 4.0, MAX_PAUSE_SECONDS]


def _raising_once(original: Callable[..., Any], raised: list[str]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if not raised:
            raised.append(original.__name__)
            raise RuntimeError("a fault of ours")
        return original(*args, **kwargs)

    return call


@pytest.mark.parametrize(
    ("owner", "name", "fields"),
    [
        (Scheduler, "_next", {}),
        (Scheduler, "_claim", {}),
        (Scheduler, "find_next", {}),
        (CheckpointWaits, "check", {"wait_for_path_s": 600}),
        (CheckpointWaits, "_find_reason", {"wait_for_path_s": 600}),
        (Writer, "_collect", {}),
    ],
)
async def test_jobs_run_despite_a_fault_in_any_background_task(
    make_api: MakeApi,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    owner: type,
    name: str,
    fields: Json,
) -> None:
    api = await make_api()
    raised: list[str] = []
    monkeypatch.setattr(owner, name, _raising_once(getattr(owner, name), raised))
    (tmp_path / "weights").write_bytes(b"1")

    job_id = await api.submit(model_args={"pretrained": str(tmp_path / "weights")}, **fields)
    job = await api.finished(job_id)

    assert (job["status"], job["attempt"], raised) == ("completed", 1, [name])


async def test_a_restarted_scheduler_supervises_the_running_job_and_starts_nothing_twice(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    journal = tmp_path / "journal"
    raised: list[str] = []
    from evalserver.attempts.attempts import Attempts

    monkeypatch.setattr(Attempts, "_guard", _failing_once_started(raised))
    job_id = await api.submit(model_args={"journal": str(journal), "name": "once", "seconds": 3})
    job = await api.finished(job_id)

    assert (job["status"], job["attempt"], raised) == ("completed", 1, ["started"])
    assert journal.read_text() == "start once\nend once\n"


def _failing_once_started(raised: list[str]) -> Callable[..., Any]:
    """Supervises a job as ``Attempts`` does, but fails once right after the job has started."""

    async def see_through(self: Any, job: Any, work: Callable[[Any], Any]) -> None:
        if raised:
            await work(job)
            return
        await self._launcher.launch(job)
        raised.append("started")
        raise RuntimeError("a fault of ours")

    return see_through
