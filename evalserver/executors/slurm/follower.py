"""What has been seen of one attempt on Slurm, look after look, until it is known how it ended.

``exit.json`` is the authority. Without it, nothing is concluded from one look: a network file
system shows files late, and a controller that has just started does not know all its jobs yet.
"""

from dataclasses import dataclass

from evalserver.executors.slurm.answers import SlurmJob, SlurmState
from evalserver.executors.slurm.endings import (
    End,
    choose_job,
    explain_exit,
    explain_loss,
    needs_reason,
)
from evalserver.executors.slurm.options import DEFAULT_SILENCE_SECONDS
from evalserver.executors.slurm.sight import Sight


@dataclass(frozen=True)
class Patience:
    """How long an attempt is looked at before its end is concluded without ``exit.json``.

    At least ``looks`` looks at Slurm's queue and ``grace_s`` seconds. While nobody can say that its
    processes are gone, also until its runner has written nothing for ``max_silence_s`` seconds: it
    has ended its harness by then. With ``exit.json``, files that the attempt has written are waited
    for until they are seen here, but not longer than ``max_unseen_s``.
    """

    looks: int = 3
    grace_s: float = 5.0
    max_silence_s: float = DEFAULT_SILENCE_SECONDS
    max_unseen_s: float = 120.0


class Follower:
    """Follows one attempt. Times are monotonic, in seconds."""

    def __init__(self, patience: Patience, number: int, now: float) -> None:
        """``number`` is that of the last snapshot, which may be from before the submission."""
        self._patience = patience
        self._number = self._last = number
        self._records: tuple[SlurmJob, ...] | None = None
        self._without: tuple[SlurmState | None, bool] | None = None
        self._since = now
        self._looks = 0
        self._heartbeat: int | None = None
        self._heard_at = now
        self._job: SlurmJob | None = None
        self._unseen_since: float | None = None

    @property
    def needs_records(self) -> bool:
        """Whether Slurm has not had the job for some looks, and accounting was not asked."""
        is_absent = self._without is not None and self._without[0] is None
        return is_absent and self._records is None and self._looks >= self._patience.looks

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody needs the job any more: its run directory is gone."""
        is_gone = self._without is not None and not self._without[1]
        return is_gone and self._looks >= self._patience.looks

    @property
    def is_in_queue(self) -> bool:
        """Whether Slurm had a job in its queue, at the last look, that has not ended."""
        return self._job is not None and not self._job.state.is_final

    def remember(self, records: tuple[SlurmJob, ...]) -> None:
        """Take what accounting knows for when the queue has no job of this name: only how it ended,
        since a job that a controller has forgotten reads RUNNING there for ever."""
        self._records = tuple(record for record in records if record.state.is_final)

    def look(self, sight: Sight, number: int, jobs: tuple[SlurmJob, ...], now: float) -> End | None:
        """Take a look into account; returns how the attempt has ended, if that is clear now.

        ``number`` counts the looks at Slurm; the jobs are those with the attempt's name.
        """
        if sight.heartbeat != self._heartbeat:
            self._heartbeat, self._heard_at = sight.heartbeat, now
        if self._waits_for_files(sight, now):
            return None
        if sight.end is not None and not needs_reason(sight.end):
            return sight.end
        if number <= self._number:
            return None
        job = self._job = choose_job(jobs or self._records or ())
        self._count(job, sight.exists, number, now)
        if sight.end is not None:
            if job is not None and job.state.is_final:
                return explain_exit(sight.end, job, sight)
            return sight.end if job is None and self._is_over_grace(now) else None
        if self.is_in_queue or not self._is_over_grace(now):
            return None
        if sight.is_started and not _is_sure(job) and self._is_heard(now):
            return None
        return explain_loss(job, sight)

    def _waits_for_files(self, sight: Sight, now: float) -> bool:
        if sight.unseen is None:
            return False
        if self._unseen_since is None:
            self._unseen_since = now
        return now - self._unseen_since < self._patience.max_unseen_s

    def _count(self, job: SlurmJob | None, exists: bool, number: int, now: float) -> None:
        without = (None if job is None else job.state, exists)
        if without != self._without:
            self._without, self._since, self._looks = without, now, 0
        if self._looks == 0 or number > self._last:
            self._looks += 1
        self._last = number

    def _is_over_grace(self, now: float) -> bool:
        looks, grace_s = self._patience.looks, self._patience.grace_s
        return self._looks >= looks and now - self._since >= grace_s

    def _is_heard(self, now: float) -> bool:
        return now - self._heard_at < self._patience.max_silence_s


def _is_sure(job: SlurmJob | None) -> bool:
    """Whether Slurm knows that no process of the job is left: not where a node was cut off."""
    return job is not None and job.state.is_final and job.state is not SlurmState.NODE_FAIL
