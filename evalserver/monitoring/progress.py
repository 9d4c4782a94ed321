"""The progress of running evaluations, as read from their logs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from evalserver.core.health import Health
from evalserver.core.lifecycle import Status
from evalserver.core.supervision import supervised
from evalserver.engines import Progress, ProgressReader
from evalserver.monitoring.eval_log import EvalLog, LogGone, LogUnreadable
from evalserver.monitoring.event_bus import EventBus
from evalserver.store import CommittedEvent

__all__ = ["Progress", "ProgressBoard", "watch_progress"]

POLL_SECONDS = 0.5
"""Between two reads of a log."""
MAX_READ_BYTES = 64 * 1024
"""Read of a log at a time: the newest bytes, if there are more."""


class ProgressBoard:
    """The newest progress of each running job.

    It is kept only in memory: after a restart it is read from the logs again.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._newest: dict[str, Progress] = {}

    def get(self, job_id: str) -> Progress | None:
        """Return the newest progress of a job; None before there is any, and after its end."""
        return self._newest.get(job_id)

    def all(self) -> dict[str, Progress]:
        """Return the newest progress of all running jobs, by job id."""
        return dict(self._newest)

    def update(self, job_id: str, progress: Progress) -> None:
        """Store the progress of a job, and notify its listeners if it changed."""
        if self._newest.get(job_id) != progress:
            self._newest[job_id] = progress
            self._bus.notify(job_id)

    def on_event(self, event: CommittedEvent) -> None:
        """Remove the progress of an attempt that has ended; called by the store."""
        if event.before is Status.RUNNING and event.after is not Status.RUNNING:
            self.clear(event.job_id)

    def clear(self, job_id: str) -> None:
        """Remove the progress of a job whose attempt has ended."""
        self._newest.pop(job_id, None)


@asynccontextmanager
async def watch_progress(
    board: ProgressBoard, health: Health, job_id: str, run_dir: Path, reader: ProgressReader
) -> AsyncIterator[None]:
    """Update the board from the log of an attempt during the block.

    Errors of reading the log do not affect the block.
    """
    name = f"progress of job {job_id}"
    watch = partial(_watch, board, job_id, run_dir, reader)
    async with supervised({name: watch}, health):
        yield


async def _watch(board: ProgressBoard, job_id: str, run_dir: Path, reader: ProgressReader) -> None:
    log_reader = _LogReader(EvalLog(run_dir), reader)
    try:
        while True:
            board.update(job_id, await asyncio.to_thread(log_reader))
            await asyncio.sleep(POLL_SECONDS)
    finally:
        log_reader.log.close()


class _LogReader:
    """Reads what was appended to a log, or its end if that is too much."""

    def __init__(self, log: EvalLog, reader: ProgressReader) -> None:
        self.log = log
        self._reader = reader
        self._offset = 0

    def __call__(self) -> Progress:
        try:
            start = max(self._offset, self.log.size() - MAX_READ_BYTES)
            piece = self.log.read(start, MAX_READ_BYTES)
        except (LogGone, LogUnreadable):
            # The attempt continues, and its log may be readable later.
            start, piece = self._offset, b""
        gap, self._offset = start > self._offset, start + len(piece)
        return self._reader.read(piece, after_gap=gap)
