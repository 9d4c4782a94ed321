"""What the store promises, said once more in plain Python: a dict of jobs and a list of events.

Written by hand from the contract and not from ``lifecycle.TRANSITIONS``, so that an error in that
table shows. The model has the store's own methods, so that one deed can be done to both.
"""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evalserver.core.job import Job, Metric, NewJob, Outcome
from evalserver.core.lifecycle import Status
from evalserver.store import IllegalTransition, request_bytes

SERVER = "server"
FINISHED = ("completed", "failed", "cancelled")

STARTS_FROM = {
    "claim": ("queued",),
    "prioritize": ("queued",),
    "cancel_queued": ("queued",),
    "reattach": ("running",),
    "request_cancel": ("running",),
    "interrupt": ("running",),
    "finish": ("running",),
    "retry": FINISHED,
}
"""In which states a job may be done what to; in all others, it is refused."""

LEAVE_THE_STATE = {"claim", "cancel_queued", "interrupt", "finish", "retry"}
"""Of two of these that may both be done to a job, only the first can be."""

NO_ATTEMPT: dict[str, Any] = dict.fromkeys(("started_at", "run_dir", "output_dir"))
NO_END: dict[str, Any] = dict.fromkeys(
    ("completed_at", "cancel_requested_at", "exit_code", "error", "result", "provenance")
)


@dataclass(frozen=True)
class Operation:
    """Something that is asked of the store, and of the model by the same name."""

    name: str
    arguments: tuple[Any, ...]

    def on(self, job: Job) -> "Operation":
        """The same, to the job of this record. A claim goes by what was read of the job."""
        if self.name == "prune":
            return self
        return Operation(self.name, (job if self.name == "claim" else job.job_id, *self.arguments))


@dataclass
class Model:
    """All that the store should hold. ``now`` is the time of what is done next."""

    now: str
    jobs: dict[str, Job] = field(default_factory=dict)
    pruned: dict[str, Job] = field(default_factory=dict)
    metrics: dict[str, tuple[Metric, ...]] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    """The finished jobs in the order in which they ended, which their times need not show."""
    log: list[tuple[Any, ...]] = field(default_factory=list)
    """The audit log: number, time, actor, job, event, state before, state after, attempt."""
    told: list[tuple[Any, ...]] = field(default_factory=list)
    """What listeners hear: number, event, job, submission, priority, state before, state after,
    engine, attempt, times and submitter of the job, and the bytes of its request."""

    @property
    def submitted(self) -> int:
        """How many jobs there ever were."""
        return len(self.jobs) + len(self.pruned)

    def record(self, job_id: str) -> Job:
        """What somebody goes by who need not know that the job is gone, or never was."""
        known = {**self.pruned, **self.jobs}
        return known.get(job_id) or replace(next(iter(known.values())), job_id=job_id)

    def state(self, job_id: str) -> str | None:
        """The state of a job; None where there is none, or none any more."""
        return self.jobs[job_id].status.value if job_id in self.jobs else None

    def having(self, state: str) -> list[Job]:
        """The jobs in a state."""
        return [job for job in self.jobs.values() if job.status == state]

    def queue(self) -> list[tuple[str, int, int]]:
        """Id, priority and submission number: by priority, then in the order of submission."""
        places = [(job.job_id, job.priority, job.seq) for job in self.having("queued")]
        return sorted(places, key=lambda place: (-place[1], place[2]))

    def answer(self, operation: Operation) -> Any:
        """Do it, and return what the store should; IllegalTransition where it should refuse."""
        try:
            return getattr(self, operation.name)(*operation.arguments)
        except IllegalTransition:
            return IllegalTransition

    def after_each(self, deeds: Iterable[Operation]) -> Iterator["Model"]:
        """This model, then what it is after the first deed, after the second, and so on."""
        model = deepcopy(self)
        yield model
        for operation in deeds:
            model = deepcopy(model)
            model.answer(operation)
            yield model

    def submit(self, job: NewJob) -> None:
        """A job is queued for its first attempt."""
        record = Job(
            seq=self.submitted + 1,
            job_id=job.job_id,
            status=Status.QUEUED,
            engine=job.engine,
            priority=job.request.priority,
            labels=job.request.labels,
            request=job.request,
            submitted_by=job.submitted_by,
            created_at=self.now,
            attempt=0,
            max_attempts=job.request.max_attempts,
            event_id=len(self.log) + 1,
            **NO_ATTEMPT,
            **NO_END,
        )
        self.jobs[job.job_id] = record
        self._tell("submitted", job.submitted_by, record, None, "queued")

    def claim(self, read: Job, run_dir: Path, output_dir: Path) -> None:
        """The attempt behind those of the record that was read begins, if none began since.

        The job must be the first of the queue.
        """
        job = self._may("claim", read.job_id)
        first, *_ = self.queue()[0]
        if job.attempt != read.attempt or first != job.job_id:
            raise IllegalTransition
        self._change(
            "claimed",
            SERVER,
            job,
            status=Status.RUNNING,
            attempt=job.attempt + 1,
            started_at=self.now,
            run_dir=str(run_dir),
            output_dir=str(output_dir),
        )

    def prioritize(self, job_id: str, priority: int, actor: str) -> None:
        """It has another place in the queue; the priority that it has is no news."""
        job = self._may("prioritize", job_id)
        if job.priority != priority:
            self._change("prioritized", actor, job, priority=priority)

    def reattach(self, job_id: str) -> None:
        """It is noted, and the job is as it was."""
        self._change("reattached", SERVER, self._may("reattach", job_id))

    def cancel_queued(self, job_id: str, actor: str, keep: int) -> list[str]:
        """The job has finished without an attempt, or without a further one."""
        job = self._may("cancel_queued", job_id)
        self._change("cancelled", actor, job, status=Status.CANCELLED, completed_at=self.now)
        self.finished.append(job_id)
        return self.prune(keep)

    def request_cancel(self, job_id: str, actor: str) -> None:
        """The first to ask is noted; the wish outlives a loss of the attempt, until a retry."""
        job = self._may("request_cancel", job_id)
        if job.cancel_requested_at is None:
            self._change("cancel_requested", actor, job, cancel_requested_at=self.now)

    def interrupt(self, job_id: str, reason: str) -> None:
        """The job is queued where it was."""
        self._change("interrupted", SERVER, self._may("interrupt", job_id), status=Status.QUEUED)

    def finish(self, job_id: str, outcome: Outcome, keep: int) -> list[str]:
        """The job has its outcome, and is the newest of those that finished."""
        self._change(
            outcome.status.value,
            SERVER,
            self._may("finish", job_id),
            status=outcome.status,
            completed_at=outcome.completed_at,
            exit_code=outcome.exit_code,
            error=outcome.error,
            result=outcome.result,
            provenance=outcome.provenance,
        )
        self.metrics[job_id] = outcome.metrics
        self.finished.append(job_id)
        return self.prune(keep)

    def retry(self, job_id: str, actor: str) -> None:
        """As if it had not ended, with as many further attempts as it was given at first."""
        job = self._may("retry", job_id)
        attempts = job.attempt + job.request.max_attempts
        self._change("retried", actor, job, status=Status.QUEUED, max_attempts=attempts, **NO_END)
        self.metrics.pop(job_id, None)
        self.finished.remove(job_id)

    def prune(self, keep: int) -> list[str]:
        """Of the finished jobs, those that ended last are kept."""
        excess = max(0, len(self.finished) - keep)
        oldest, self.finished = self.finished[:excess], self.finished[excess:]
        for job_id in oldest:
            job = self.pruned[job_id] = self.jobs.pop(job_id)
            self.metrics.pop(job_id, None)
            self._tell("pruned", SERVER, job, job.status, None)
        return oldest

    def _may(self, operation: str, job_id: str) -> Job:
        if self.state(job_id) not in STARTS_FROM[operation]:
            raise IllegalTransition
        return self.jobs[job_id]

    def _change(self, kind: str, actor: str, job: Job, **columns: Any) -> None:
        changed = self.jobs[job.job_id] = replace(job, event_id=len(self.log) + 1, **columns)
        self._tell(kind, actor, changed, job.status, changed.status)

    def _tell(self, kind: str, actor: str, job: Job, before: str | None, after: str | None) -> None:
        number = len(self.log) + 1
        self.log.append((number, self.now, actor, job.job_id, kind, before, after, job.attempt))
        times = (job.created_at, job.started_at, job.completed_at)
        facts = (job.engine, job.attempt, *times, job.submitted_by, request_bytes(job.request))
        self.told.append((number, kind, job.job_id, job.seq, job.priority, before, after, *facts))
