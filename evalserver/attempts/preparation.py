"""What an attempt needs before it is started: its launch specification, and the fingerprints of its
checkpoints."""

import asyncio
from dataclasses import dataclass, replace

from evalserver.attempts.conclusion import Policy, attempt_token
from evalserver.attempts.launch import Planner
from evalserver.attempts.provenance import at_start, submitted_request
from evalserver.attempts.run_directories import RunDirectories
from evalserver.checkpoints.leases.leases import Leases
from evalserver.checkpoints.waits import missing_checkpoint_reason
from evalserver.core.clock import Clock, utc_now
from evalserver.core.job import Job
from evalserver.engines import Paths
from evalserver.engines.env_profiles import ProfileUnavailable
from evalserver.executors import LaunchSpec
from evalserver.system.disk_threads import DiskThreads, DiskTimeout

START_LIMIT_SECONDS = 300.0
"""How long a disk may take to answer before an attempt is started."""


@dataclass(frozen=True)
class Refusal:
    """Why an attempt is not started, with a code of the table of failures."""

    reason: str
    code: str


class Preparation:
    """Prepares attempts."""

    def __init__(
        self,
        directories: RunDirectories,
        planner: Planner,
        policy: Policy,
        clock: Clock = utc_now,
        leases: Leases | None = None,
    ) -> None:
        self._leases = leases
        self._directories = directories
        self._planner = planner
        self._policy = policy
        self._clock = clock
        self._threads = DiskThreads("reading the files of an attempt", START_LIMIT_SECONDS)

    async def run(
        self, job: Job, paths: Paths, start_by: float | None
    ) -> LaunchSpec | Refusal | None:
        """Return what is to be started, or why the job fails; None if that takes until after
        ``start_by``, the POSIX time until which the attempt must start (None: any)."""
        limit_s = self._policy.max_start_fingerprints_s
        try:
            async with asyncio.timeout(self.seconds_until(start_by)) as in_time:
                return await self._threads.run(self._prepare, job, paths, limit_s=limit_s)
        except TimeoutError:
            if not in_time.expired():
                raise
            return None
        except DiskTimeout as error:
            why = f"The evaluation was not started; {error}, where its checkpoint or output is"
            return Refusal(why, "unreadable_files")

    def seconds_until(self, start_by: float | None) -> float | None:
        """Return how long a job that overtook another one may still start without delaying it;
        None: at any time."""
        return None if start_by is None else max(0.0, start_by - self._clock().timestamp())

    def _prepare(self, job: Job, paths: Paths) -> LaunchSpec | Refusal:
        """Return what is to be started, or why the job fails. Reads the disk."""
        fault = self._directories.fault(job)
        if fault is not None:
            return Refusal(f"The evaluation was not started. {fault}", "not_allowed")
        reason = missing_checkpoint_reason(job) or self._lease_fault(job)
        if reason is not None:
            return Refusal(reason, "checkpoint_missing")
        try:
            spec = self._planner.launch_spec(job, paths, attempt_token(job))
        except ProfileUnavailable as error:
            return Refusal(f"The evaluation was not started: {error}", "missing_key")
        files = at_start(
            job,
            self._directories.outputs,
            full=self._policy.full_fingerprints,
            request_of=submitted_request if self._leases is None else self._leases.request_of,
        )
        command = replace(spec.command, files={**spec.command.files, **files})
        return replace(spec, command=command)

    def _lease_fault(self, job: Job) -> str | None:
        return None if self._leases is None else self._leases.fault(job)
