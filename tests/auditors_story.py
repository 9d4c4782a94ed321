"""A scripted job history for project/test_audit_guide.py, run through the Store step by step."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evalserver.core.clock import timestamp
from evalserver.core.job import Metric, NewJob, Outcome
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.store import Store

KEEP = 2


def at(minute: int) -> str:
    """The timestamp of the operation at this minute."""
    return timestamp(datetime(2030, 1, 1, tzinfo=UTC) + timedelta(minutes=minute))


async def live(folder: Path) -> None:
    """Alice and Bob evaluate; runs are lost, fail, are cancelled, retried, and pruned.

    Each operation has its own minute; two finished jobs are kept.
    """
    clock = _Minutes()
    store = await Store.open(folder, clock)

    async def do(minute: int, operation: Callable[[], Any]) -> None:
        clock.minute = minute
        await operation()

    async def claim(job_id: str) -> None:
        job = await store.queries.job(job_id)
        await store.jobs.claim(job, Path(f"/runs/{job_id}/{job.attempt + 1}"), Path("/out"))

    await do(1, lambda: store.jobs.submit(_job("lost", "alice", "small")))
    await do(2, lambda: store.jobs.submit(_job("broken", "bob", "big")))
    await do(3, lambda: claim("lost"))
    await do(5, lambda: store.jobs.interrupt("lost", "the machine went down"))
    await do(6, lambda: claim("lost"))
    await do(8, lambda: store.jobs.finish("lost", _completed(8, 0.5), KEEP))
    await do(9, lambda: claim("broken"))
    await do(10, lambda: store.jobs.finish("broken", _failed(10), KEEP))
    await do(11, lambda: store.jobs.retry("broken", "carol"))
    await do(12, lambda: claim("broken"))
    await do(13, lambda: store.jobs.request_cancel("broken", "bob"))
    await do(14, lambda: store.jobs.finish("broken", Outcome(Status.CANCELLED, at(14)), KEEP))
    await do(20, lambda: store.jobs.submit(_job("again", "alice", "small")))
    await do(21, lambda: claim("again"))
    await do(22, lambda: store.jobs.finish("again", _completed(22, 0.75), KEEP))
    await do(23, lambda: store.jobs.submit(_job("unwanted", "bob", "big")))
    await do(24, lambda: store.jobs.cancel_queued("unwanted", "alice", keep=3))
    await do(25, lambda: store.jobs.submit(_job("third", "alice", "small")))
    await do(26, lambda: claim("third"))
    await do(27, lambda: store.jobs.finish("third", _completed(27, 0.25), keep=3))
    await do(28, lambda: store.jobs.submit(_job("waiting", "bob", "big")))
    await do(29, lambda: store.jobs.submit(_job("running", "bob", "big", priority=1)))
    await do(30, lambda: claim("running"))
    await store.close()


@dataclass
class _Minutes:
    """A clock that only advances when it is set."""

    minute: int = 0

    def __call__(self) -> datetime:
        return datetime.fromisoformat(at(self.minute))


def _job(job_id: str, submitter: str, model: str, priority: int = 0) -> NewJob:
    request = EvaluateRequest(model, ("mme",), {"size": 1}, priority=priority)
    return NewJob(job_id, "lmms_eval", request, submitter)


def _completed(minute: int, value: float) -> Outcome:
    metric = Metric("mme", "acc", "none", value, 0.1, 64, True)
    provenance = {"evalserver": "0.1", "host": "gpu1", "command": ["python", "-m", "lmms_eval"]}
    return Outcome(
        Status.COMPLETED, at(minute), 0, result={}, metrics=(metric,), provenance=provenance
    )


def _failed(minute: int) -> Outcome:
    return Outcome(Status.FAILED, at(minute), 9, "out of memory\nand so on")
