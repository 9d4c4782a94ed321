"""Taking the leases of jobs that are being submitted, and giving them back if there is no job."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from evalserver.checkpoints.leases.leases import Leases
from evalserver.checkpoints.leases.refusals import LeaseRefused
from evalserver.core.job import NewJob
from evalserver.submission.rejection import Rejected, invalid


class Replayable(Protocol):
    """A submission that was accepted, now or before."""

    @property
    def replayed(self) -> bool:
        """Whether an earlier submission was accepted, and this one made nothing."""


A = TypeVar("A", bound=Replayable)


@dataclass
class Taken:
    """The leases of a submission: ``refusal`` is set if there are none."""

    refusal: Rejected | None = None
    is_needless: bool = False
    """Whether the submission made no jobs."""

    def judged(self, outcome: A | Rejected) -> A | Rejected:
        """Return the outcome of the submission, which decides whether the leases stay."""
        self.is_needless = isinstance(outcome, Rejected) or outcome.replayed
        return outcome


class LeaseTaking:
    """Takes leases for submissions."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    @asynccontextmanager
    async def of(self, jobs: Sequence[NewJob]) -> AsyncIterator[Taken]:
        """Take the leases of jobs for the time of their submission, before they are written.

        If an error keeps it open whether they were written, the sweep decides later. Raises
        DiskTimeout, LeasesUnavailable.
        """
        taken = Taken()
        wanted = [job for job in jobs if job.request.lease is not None]
        async with AsyncExitStack() as stack:
            for job in wanted:
                await stack.enter_async_context(self._leases.hold(job.job_id))
            try:
                for number, job in enumerate(jobs):
                    await self._take(job, number, len(jobs), taken)
                yield taken
            finally:
                if taken.refusal is not None or taken.is_needless:
                    for job in wanted:
                        await self._leases.release(job.job_id)

    async def _take(self, job: NewJob, number: int, count: int, taken: Taken) -> None:
        if taken.refusal is not None:
            return
        try:
            await self._leases.take(job)
        except LeaseRefused as refused:
            field = refused.field if count == 1 else f"jobs.{number}.{refused.field}"
            taken.refusal = invalid({field: refused.reason})
