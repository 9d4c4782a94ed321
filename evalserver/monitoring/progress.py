"""How far the running evaluations are, as their logs last told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from evalserver.core.health import Health
from evalserver.core.lifecycle import Status
from evalserver.core.supervision import supervise
from evalserver.engines import Progress, ProgressReader
from evalserver.monitoring.eval_log import EvalLog, LogGone, LogUnreadable
from evalserver.monitoring.event_bus import EventBus
from evalserver.store import CommittedEvent

__all__ = ["Progress", "ProgressBoard", "watched"]

LOOK_SECONDS = 0.5
"""Between two looks at a log: so often is progress told at most."""
MOST_BYTES = 64 * 1024
"""What is read of a log at one look: the newest of it, where more is new."""


class ProgressBoard:
    """The newest progress of each running job.

    In memory alone: after a restart the logs tell it again.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._newest: dict[str, Progress] = {}

    def of(self, job_id: str) -> Progress | None:
        """The job's newest progress; None before its harness has told any, and after its end."""
        return self._newest.get(job_id)

    def all(self) -> dict[str, Progress]:
        """The newest progress of every running job that has told any, by job id."""
        return dict(self._newest)

    def post(self, job_id: str, progress: Progress) -> None:
        """Keep it, and wake who waits for news of the job."""
        if self._newest.get(job_id) != progress:
            self._newest[job_id] = progress
            self._bus.tell(job_id)

    def on_event(self, event: CommittedEvent) -> None:
        """Forget the progress of an attempt that has ended; a listener of the store."""
        if event.before is Status.RUNNING and event.after is not Status.RUNNING:
            self.clear(event.job_id)

    def clear(self, job_id: str) -> None:
        """Forget it: the attempt has ended."""
        self._newest.pop(job_id, None)


@asynccontextmanager
async def watched(
    board: ProgressBoard, health: Health, job_id: str, run_dir: Path, reader: ProgressReader
) -> AsyncIterator[None]:
    """Within the block, what the attempt's log tells of its progress is posted.

    Whatever becomes of the log, the block goes on.
    """
    name = f"progress of job {job_id}"
    watch = partial(_watch, board, job_id, run_dir, reader)
    watching = asyncio.create_task(supervise(name, watch, health), name="watch a log")
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _watch(board: ProgressBoard, job_id: str, run_dir: Path, reader: ProgressReader) -> None:
    look = _Look(EvalLog(run_dir), reader)
    try:
        while True:
            board.post(job_id, await asyncio.to_thread(look))
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        look.log.close()


class _Look:
    """Reads what is new in a log, or the end of it; the cost is bounded, whatever was printed."""

    def __init__(self, log: EvalLog, reader: ProgressReader) -> None:
        self.log = log
        self._reader = reader
        self._offset = 0

    def __call__(self) -> Progress:
        try:
            start = max(self._offset, self.log.size() - MOST_BYTES)
            piece = self.log.read(start, MOST_BYTES)
        except (LogGone, LogUnreadable):
            # The attempt goes on all the same, and may have more to tell later.
            start, piece = self._offset, b""
        gap, self._offset = start > self._offset, start + len(piece)
        return self._reader.read(piece, after_gap=gap)
