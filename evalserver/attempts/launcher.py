"""Starting the attempt of a job: its files are checked, and the executor gets what to run."""

import asyncio

import structlog

from evalserver.attempts.conclusion import Concluder
from evalserver.attempts.preparation import Preparation, Refusal
from evalserver.attempts.retry import RETRY_SECONDS, retry_until_writable
from evalserver.attempts.run_directories import RunDirectories
from evalserver.core.job import Job
from evalserver.executors import Executor, ExecutorError, Executors, LaunchSpec, ResourcesExhausted
from evalserver.store import Store

log = structlog.get_logger("evalserver.attempts.launcher")

LATE = "its preparation took so long that it would have delayed the job that it overtook"
"""Why a job is put back into the queue."""


class Launcher:
    """Starts attempts on their executors."""

    def __init__(
        self,
        store: Store,
        executors: Executors,
        directories: RunDirectories,
        preparation: Preparation,
        concluder: Concluder,
    ) -> None:
        self._store = store
        self._executors = executors
        self._directories = directories
        self._preparation = preparation
        self._concluder = concluder

    async def launch(self, job: Job) -> bool:
        """Start the current attempt of the job. Returns False if it is not started any more: the
        job has ended, or is in the queue again.

        Waits while the executor lacks the resources, or cannot be reached.
        """
        paths = self._directories.current_attempt(job)
        executor = self._executors.of(job.executor)
        if job.cancel_requested_at is not None:
            await executor.stop(paths.run_dir)
        start_by = await retry_until_writable(lambda: self._store.queries.start_by(job.job_id))
        spec = await self._preparation.run(job, paths, start_by)
        if isinstance(spec, Refusal):
            await self._concluder.fail(job, spec.reason, spec.code)
            return False
        try:
            is_started = await self._start(job, executor, spec, start_by)
        except ExecutorError as error:
            why = f"The evaluation could not be started: {error}"
            await self._concluder.fail(job, why, "not_started")
            return False
        if is_started:
            run_dir = str(paths.run_dir)
            log.info("evaluation started", job=job.job_id, attempt=job.attempt, run_dir=run_dir)
        return is_started

    async def _start(
        self, job: Job, executor: Executor, spec: LaunchSpec | None, start_by: float | None
    ) -> bool:
        """Start the attempt, unless that has become too late, or it is to be cancelled."""
        while True:
            if spec is None or self._preparation.seconds_until(start_by) == 0:
                await self._concluder.postpone(job, LATE)
                return False
            if await self._try_start(executor, spec):
                return True
            current = await retry_until_writable(lambda: self._store.queries.job(job.job_id))
            if current.cancel_requested_at:
                await self._concluder.cancel(job)
                return False
            await asyncio.sleep(RETRY_SECONDS)

    async def _try_start(self, executor: Executor, spec: LaunchSpec) -> bool:
        """Start the attempt. Returns False if the resources for it are lacking now."""
        try:
            await executor.start(spec)
        except ResourcesExhausted as error:
            log.error("cannot start an evaluation yet; trying again", error=str(error))
            return False
        return True
