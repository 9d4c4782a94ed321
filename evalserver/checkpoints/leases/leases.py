"""The leases of one server: made at submission, used by attempts, removed after the job's end.

They are made by the server, not by the client: the response says that the promise holds, the
trainer does not wait for more than names being written, and whoever made a lease can remove it.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary

import structlog

from evalserver.checkpoints.leases.files import is_intact, make_files, remove_files
from evalserver.checkpoints.leases.needs import Need, needs_among
from evalserver.checkpoints.leases.planning import plan_lease
from evalserver.checkpoints.leases.records import RECORDS_NAME, Lease, LeaseRecords
from evalserver.checkpoints.leases.refusals import LeaseRefused, LeasesUnavailable
from evalserver.core.job import Job, NewJob, UnfinishedJob
from evalserver.core.request import COPY, EvaluateRequest
from evalserver.system.allowed_directories import AllowedDirectories
from evalserver.system.disk_threads import DiskThreads, DiskTimeout

log = structlog.get_logger("evalserver.checkpoints.leases")

LEASE_LIMIT_SECONDS = 60.0
"""How long linking, marking or removing the files of one job may take."""
COPY_LIMIT_SECONDS = 3600.0
LOOK_LIMIT_SECONDS = 30.0
"""How long resolving the paths of a page of jobs may take."""


class Leases:
    """Leases by job. Call ``load`` first."""

    def __init__(self, data_dir: Path, allowed: AllowedDirectories) -> None:
        self._records = LeaseRecords(data_dir / RECORDS_NAME)
        self._allowed = allowed
        self._threads = DiskThreads("keeping a checkpoint", LEASE_LIMIT_SECONDS)
        self._copying = DiskThreads("copying a checkpoint", COPY_LIMIT_SECONDS)
        self._looking = DiskThreads("resolving the paths of checkpoints", LOOK_LIMIT_SECONDS)
        self._leases: dict[str, Lease] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._being_made: set[str] = set()

    async def load(self) -> None:
        """Read which leases there are. Raises DiskTimeout."""
        found = await self._threads.run(lambda: list(self._records.load()))
        self._leases = {lease.job_id: lease for lease in found}

    @property
    def job_ids(self) -> tuple[str, ...]:
        """The jobs that have a lease, also those of which it is only being made or removed."""
        return tuple(self._leases)

    def find(self, job_id: str) -> Lease | None:
        """Return the lease of a job, or None."""
        return self._leases.get(job_id)

    async def needs_among(self, jobs: Sequence[UnfinishedJob], path: Path) -> list[Need]:
        """Return the jobs that need a path, as ``needs_among`` says. Raises DiskTimeout."""
        return await self._looking.run(needs_among, jobs, path, self.find)

    def is_held(self, job_id: str) -> bool:
        """Return whether somebody decides about the job's lease right now."""
        return job_id in self._locks or job_id in self._being_made

    @asynccontextmanager
    async def hold(self, job_id: str) -> AsyncIterator[None]:
        """Keep others from deciding about the job's lease meanwhile."""
        async with self._locks.setdefault(job_id, asyncio.Lock()):
            yield

    async def take(self, job: Job | NewJob) -> bool:
        """Make the lease that a job asks for; returns whether one was made, which ``hold`` guards.

        Raises LeaseRefused, LeasesUnavailable, DiskTimeout.
        """
        if job.request.lease is None or job.job_id in self._leases:
            return False
        stop = threading.Event()
        threads = self._copying if job.request.lease == COPY else self._threads
        self._being_made.add(job.job_id)
        try:
            await threads.run(self._make, job.job_id, job.request, stop)
        except BaseException:
            stop.set()
            raise
        return True

    async def release(self, job_id: str) -> None:
        """Remove the job's lease, if it has one. What cannot be removed now stays on record."""
        lease = self._leases.get(job_id)
        if lease is None:
            return
        try:
            left = await self._threads.run(self._remove, lease)
        except (OSError, DiskTimeout) as error:
            log.error("cannot remove a lease yet; trying again", job=job_id, error=str(error))
            return
        if left:
            log.warning("others have put files into a lease; they stay", paths=list(map(str, left)))
        self._leases.pop(job_id, None)

    def request_of(self, job: Job | NewJob) -> EvaluateRequest:
        """Return the job's request with the paths that its evaluation reads."""
        lease = self._leases.get(job.job_id)
        if lease is None or not lease.has_files:
            return job.request
        paths = {
            argument: str(lease.place(leased))
            for leased in lease.paths
            for argument in leased.arguments
        }
        return job.request.changed(model_args={**(job.request.model_args or {}), **paths})

    def fault(self, job: Job) -> str | None:
        """Return why the job cannot be evaluated as its lease promised, or None. Reads the disk."""
        lease = self._leases.get(job.job_id)
        if lease is None or not lease.has_files:
            return None
        for leased in lease.paths:
            if not is_intact(lease, leased):
                return (
                    f"What was kept of {leased.original}, in {lease.place(leased)}, was removed or"
                    f" written to since the submission. A trainer that writes to its files in place"
                    f" needs lease {COPY}"
                )
        return None

    def _make(self, job_id: str, request: EvaluateRequest, stop: threading.Event) -> None:
        try:
            lease = plan_lease(job_id, request, self._allowed)
            try:
                self._records.add(lease)
            except OSError as error:
                raise LeasesUnavailable(
                    f"The server cannot keep the record of a lease right now: {error}"
                ) from error
            self._leases[job_id] = lease
            try:
                make_files(lease, self._allowed, stop)
                if stop.is_set():
                    remove_files(lease)
            except LeaseRefused:
                self._records.remove(job_id)
                self._leases.pop(job_id, None)
                raise
        finally:
            self._being_made.discard(job_id)

    def _remove(self, lease: Lease) -> list[Path]:
        left = remove_files(lease)
        self._records.remove(lease.job_id)
        return left
