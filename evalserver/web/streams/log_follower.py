"""Following the log of a job that has not ended, from one attempt to the next."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from evalserver.core.job import Job
from evalserver.core.lifecycle import FINISHED, Status
from evalserver.monitoring.eval_log import EvalLog
from evalserver.monitoring.event_bus import EventBus
from evalserver.store import JobNotFound, JobPruned, Store, StoreUnavailable

POLL_SECONDS = 0.5
"""Between two checks whether the log has grown."""


class LogFollower:
    """Reads what a job's log has and gets, until the job has ended or the server stops.

    It begins with ``eval_log``, the log of the job's present attempt. With ``attempt`` it reads
    the log of that one alone, until it has ended.
    """

    def __init__(self, store: Store, job: Job, attempt: int | None, eval_log: EvalLog) -> None:
        self._store = store
        self._job = job
        self._attempt = attempt
        self._reading = job.attempt
        self._log = eval_log
        self._offset = 0
        self._pruned = False

    async def pieces(self, bus: EventBus, offset: int) -> AsyncGenerator[bytes, None]:
        """The bytes from an offset of the log on, as they come; none when there was nothing new."""
        self._offset = offset
        with bus.listening(self._job.job_id) as listener:
            await self._reload_job()
            while True:
                # Known before the log is read: so all that was printed by then is read.
                over = self._is_over() or listener.closed
                while piece := await self._read():
                    yield piece
                if over:
                    return
                yield b""
                if await listener.wait(POLL_SECONDS):
                    await self._reload_job()

    def close(self) -> None:
        """Close the log that is being read."""
        self._log.close()

    async def _read(self) -> bytes:
        piece = await asyncio.to_thread(self._log.read, self._offset)
        self._offset += len(piece)
        if piece or self._attempt is not None or self._job.attempt == self._reading:
            return piece
        self._log.close()
        self._log = EvalLog(Path(self._job.run_dir or ""))
        self._reading, self._offset = self._job.attempt, 0
        return await self._read()

    async def _reload_job(self) -> None:
        try:
            self._job = await self._store.queries.job(self._job.job_id)
        except (JobNotFound, JobPruned):
            self._pruned = True
        except StoreUnavailable:
            return  # the evaluation goes on, as far as anybody knows

    def _is_over(self) -> bool:
        if self._pruned or self._job.status in FINISHED:
            return True
        runs = self._job.status is Status.RUNNING and self._job.attempt == self._attempt
        return self._attempt is not None and not runs
