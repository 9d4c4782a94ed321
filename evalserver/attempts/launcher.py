"""Starting the attempt of a job: its files are checked, and the executor gets what to run."""

import asyncio
from dataclasses import dataclass, replace

import structlog

from evalserver.attempts.conclusion import Concluder, Policy, attempt_token
from evalserver.attempts.launch import Planner
from evalserver.attempts.provenance import at_start
from evalserver.attempts.retry import RETRY_SECONDS, retry_until_writable
from evalserver.attempts.run_directories import RunDirectories
from evalserver.checkpoints.waits import missing_checkpoint_reason
from evalserver.core.job import Job
from evalserver.engines import Paths
from evalserver.engines.env_profiles import ProfileUnavailable
from evalserver.executors import Executor, ExecutorError, Executors, LaunchSpec, ResourcesExhausted
from evalserver.store import Store
from evalserver.system.disk_threads import DiskThreads, DiskTimeout

log = structlog.get_logger("evalserver.attempts.launcher")

START_LIMIT_SECONDS = 300.0
"""How long a disk may take to answer before an attempt is started."""


@dataclass(frozen=True)
class Refusal:
    """Why an attempt is not started, with a code of the table of failures."""

    reason: str
    code: str


class Launcher:
    """Starts attempts on their executors."""

    def __init__(
        self,
        store: Store,
        executors: Executors,
        directories: RunDirectories,
        planner: Planner,
        concluder: Concluder,
        policy: Policy,
    ) -> None:
        self._store = store
        self._executors = executors
        self._directories = directories
        self._planner = planner
        self._concluder = concluder
        self._policy = policy
        self._threads = DiskThreads("reading the files of an attempt", START_LIMIT_SECONDS)

    async def launch(self, job: Job) -> bool:
        """Start the current attempt of the job. Returns False if the job has ended instead.

        Waits while the executor lacks the resources, or cannot be reached.
        """
        paths = self._directories.current_attempt(job)
        executor = self._executors.of(job.executor)
        if job.cancel_requested_at is not None:
            await executor.stop(paths.run_dir)
        limit_s = self._policy.max_fingerprints_s if self._policy.full_fingerprints else None
        try:
            spec = await self._threads.run(self._prepare, job, paths, limit_s=limit_s)
        except DiskTimeout as error:
            why = f"The evaluation was not started; {error}, where its checkpoint or output is"
            spec = Refusal(why, "unreadable_files")
        if isinstance(spec, Refusal):
            await self._concluder.fail(job, spec.reason, spec.code)
            return False
        try:
            while not await self._try_start(executor, spec):
                current = await retry_until_writable(lambda: self._store.queries.job(job.job_id))
                if current.cancel_requested_at:
                    await self._concluder.cancel(job)
                    return False
                await asyncio.sleep(RETRY_SECONDS)
        except ExecutorError as error:
            why = f"The evaluation could not be started: {error}"
            await self._concluder.fail(job, why, "not_started")
            return False
        run_dir = str(paths.run_dir)
        log.info("evaluation started", job=job.job_id, attempt=job.attempt, run_dir=run_dir)
        return True

    async def _try_start(self, executor: Executor, spec: LaunchSpec) -> bool:
        """Start the attempt. Returns False if the resources for it are lacking now."""
        try:
            await executor.start(spec)
        except ResourcesExhausted as error:
            log.error("cannot start an evaluation yet; trying again", error=str(error))
            return False
        return True

    def _prepare(self, job: Job, paths: Paths) -> LaunchSpec | Refusal:
        """Return what is to be started, or why the job fails. Reads the disk."""
        fault = self._directories.fault(job)
        if fault is not None:
            return Refusal(f"The evaluation was not started. {fault}", "not_allowed")
        reason = missing_checkpoint_reason(job)
        if reason is not None:
            return Refusal(reason, "checkpoint_missing")
        try:
            spec = self._planner.launch_spec(job, paths, attempt_token(job))
        except ProfileUnavailable as error:
            return Refusal(f"The evaluation was not started: {error}", "missing_key")
        files = at_start(job, self._directories.outputs, full=self._policy.full_fingerprints)
        command = replace(spec.command, files={**spec.command.files, **files})
        return replace(spec, command=command)
