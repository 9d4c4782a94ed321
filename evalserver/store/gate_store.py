"""The verdicts of gates as the rest of the server sees them: commands and queries, no SQL."""

from collections.abc import Callable, Sequence

from evalserver.core.job import Job, Metric
from evalserver.store import gate_verdicts, series_baselines
from evalserver.store.gate_verdicts import NEWEST_VERDICT, KeptVerdict, NewVerdict
from evalserver.store.readers import Readers
from evalserver.store.series_baselines import EarlierStep
from evalserver.store.writer import Writer


class GateStore:
    """The part of a store that is about gates; every command returns once it is durable.

    Commands raise StoreUnavailable, having changed nothing, when the database cannot be written.
    """

    def __init__(self, writer: Writer, readers: Readers, now: Callable[[], str]) -> None:
        self._writer = writer
        self._readers = readers
        self._now = now

    async def keep(self, new: NewVerdict, actor: str) -> KeptVerdict:
        """Keep a verdict, and write its event; one of a series' gate once for each attempt and
        policy.

        Raises IllegalTransition if the job is not completed, or has made another attempt since.
        """
        return await self._writer.run(lambda tx: gate_verdicts.keep(tx, new, self._now(), actor))

    async def find(self, verdict_id: int) -> KeptVerdict | None:
        """The verdict with this id; None if there is none (any more)."""
        return await gate_verdicts.find_verdict(self._readers, verdict_id)

    async def newest(
        self,
        most: int,
        before: int = NEWEST_VERDICT,
        *,
        job_id: str | None = None,
        series: Sequence[str] | None = None,
    ) -> list[KeptVerdict]:
        """The newest verdicts with an id below ``before``; on a job, on jobs of some series, or on
        all."""
        return await gate_verdicts.verdicts(self._readers, most, before, job_id, series)

    async def earlier_steps(self, job: Job) -> list[EarlierStep]:
        """The completed jobs of a job's series with its engine, tasks and limit and a lower step,
        the highest step first."""
        return await series_baselines.earlier_steps(self._readers, job)

    async def metrics_of(self, job_ids: Sequence[str]) -> dict[str, list[Metric]]:
        """The metrics of several jobs, by job."""
        return await series_baselines.metrics_of_jobs(self._readers, job_ids)
