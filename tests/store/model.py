"""A model of the store in plain Python: a dict of jobs and a list of events.

Written by hand from the contract rather than from ``lifecycle.TRANSITIONS``, so that an error in
that table is detected. The model has the same methods as the store, so that one operation can be
applied to both.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from evalserver.core.job import Demand, Job, Metric, NewJob, Outcome, Slot
from evalserver.core.lifecycle import Status
from evalserver.store import IllegalTransition, request_bytes

SERVER = "server"
FINISHED = ("completed", "failed", "cancelled")

STARTS_FROM = {
    "claim": ("queued",),
    "hand_over": ("queued",),
    "start": ("handed_over",),
    "prioritize": ("queued", "handed_over"),
    "cancel_queued": ("queued",),
    "reattach": ("running",),
    "request_cancel": ("running", "handed_over"),
    "stall": ("running",),
    "end_stall": ("running",),
    "interrupt": ("running", "handed_over"),
    "postpone": ("running",),
    "finish": ("running", "handed_over"),
    "retry": FINISHED,
}
"""The states in which each operation is allowed; in all others, it is rejected."""

CHANGE_STATE = {"claim", "hand_over", "cancel_queued", "interrupt", "finish", "retry"}
"""Operations that change a job's state: of two that are allowed, only the first succeeds. After a
start, which is not among them, an attempt may still be interrupted or finished."""

NO_ATTEMPT: dict[str, Any] = dict.fromkeys(("started_at", "run_dir", "output_dir"))
NO_END: dict[str, Any] = dict.fromkeys(
    (
        "completed_at",
        "cancel_requested_at",
        "exit_code",
        "error",
        "result",
        "provenance",
        "failure",
        "partial",
    )
)


def demand_of(job: Job) -> Demand:
    """What the order of the queue depends on, for a job."""
    request = job.request
    return Demand(request.num_gpus, request.timeout_s, request.wait_for_path_s is not None)


@dataclass(frozen=True)
class Operation:
    """A call of the store's method of this name, and of the model's."""

    name: str
    arguments: tuple[Any, ...]

    def on(self, job: Job) -> "Operation":
        """The operation applied to the job of this record. A claim uses the record itself, and a
        GPU that no other job holds."""
        match self.name:
            case "prune":
                return self
            case "hand_over":
                return Operation(self.name, (job, *self.arguments))
            case "claim":
                return Operation(self.name, (job, *self.arguments, Slot((f"GPU-{job.job_id}",))))
        return Operation(self.name, (job.job_id, *self.arguments))


@dataclass
class Model:
    """The expected content of the store. ``now`` is the time of the next operation."""

    now: str
    jobs: dict[str, Job] = field(default_factory=dict)
    pruned: dict[str, Job] = field(default_factory=dict)
    metrics: dict[str, tuple[Metric, ...]] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    """The finished jobs in finishing order, which may differ from their timestamps."""
    usage: dict[tuple[str, int], tuple[Any, ...]] = field(default_factory=dict)
    """Of every attempt that has ended, by job and attempt: submitter, engine, model, series, GPUs,
    start, end, seconds."""
    places: dict[str, int] = field(default_factory=dict)
    """The place of each job that was ever submitted, among those of its priority."""
    newest_first: set[str] = field(default_factory=set)
    """The jobs that take the places of their series in the order of their steps."""
    log: list[tuple[Any, ...]] = field(default_factory=list)
    """The audit log: number, time, actor, job, event, state before, state after, attempt."""
    events: list[tuple[Any, ...]] = field(default_factory=list)
    """The events that listeners receive: number, event, job, submission, priority, state before,
    state after, engine, attempt, times and submitter of the job, the bytes of its request, demand,
    GPUs, failure, executor and hand-over, place, the job whose place it took, and its series."""

    @property
    def submitted(self) -> int:
        """How many jobs have ever been submitted."""
        return len(self.jobs) + len(self.pruned)

    def record(self, job_id: str) -> Job:
        """A record as a caller might hold it, even if the job was pruned or never existed."""
        known = {**self.pruned, **self.jobs}
        return known.get(job_id) or replace(next(iter(known.values())), job_id=job_id)

    def state(self, job_id: str) -> str | None:
        """The state of a job; None if it does not exist or was pruned.

        A queued job that is in the hands of a cluster is ``handed_over``.
        """
        if job_id not in self.jobs:
            return None
        job = self.jobs[job_id]
        waits = job.status is Status.QUEUED and job.handed_over_at is not None
        return "handed_over" if waits else job.status.value

    def jobs_in(self, state: str) -> list[Job]:
        """The jobs in a state."""
        return [job for job in self.jobs.values() if job.status == state]

    def queue(self) -> list[tuple[str, int, int]]:
        """Id, priority and place: by priority, then in the order of their places."""
        places = [
            (job.job_id, job.priority, self.places[job.job_id])
            for job in self.jobs_in("queued")
            if job.handed_over_at is None
        ]
        return sorted(places, key=lambda place: (-place[1], place[2]))

    def at_places(self) -> dict[str, str]:
        """Which job stands at whose place, in the order of the queue."""
        places = [job_id for job_id, *_ in self.queue()]
        newest: dict[tuple[Any, ...], list[str]] = defaultdict(list)
        for job_id in sorted(places, key=lambda job_id: -(self.jobs[job_id].step or 0)):
            newest[self._alike(job_id)].append(job_id)
        return {job_id: newest[self._alike(job_id)].pop(0) for job_id in places}

    def first(self) -> str:
        """The job that starts next."""
        return next(iter(self.at_places().values()))

    def _alike(self, job_id: str) -> tuple[Any, ...]:
        """What jobs have in common that exchange places; of other jobs, their own id."""
        if job_id not in self.newest_first:
            return (job_id,)
        job = self.jobs[job_id]
        return job.series, job.submitted_by, job.priority, job.executor, job.request.num_gpus

    def answer(self, operation: Operation) -> Any:
        """Apply the operation; return the expected result, or IllegalTransition."""
        try:
            return getattr(self, operation.name)(*operation.arguments)
        except IllegalTransition:
            return IllegalTransition

    def states_after_each(self, operations: Iterable[Operation]) -> Iterator["Model"]:
        """This model, then its state after the first operation, after the second, and so on."""
        model = deepcopy(self)
        yield model
        for operation in operations:
            model = deepcopy(model)
            model.answer(operation)
            yield model

    def submit(self, job: NewJob) -> None:
        """Queue a job for its first attempt."""
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
            batch_id=job.batch_id,
            series=job.request.series,
            step=job.request.step,
            **NO_ATTEMPT,
            **NO_END,
        )
        self.jobs[job.job_id] = record
        self.places[job.job_id] = record.seq
        if job.newest_first:
            self.newest_first.add(job.job_id)
        self._record_event("submitted", job.submitted_by, record, None, "queued")

    def submit_batch(self, jobs: list[NewJob]) -> None:
        """Queue all of the jobs, in their order."""
        for job in jobs:
            self.submit(job)

    def cancel_queued_among(
        self, job_ids: list[str], actor: str, keep: int
    ) -> tuple[list[str], list[str]]:
        """Finish those of the jobs that are queued, in the order of submission, then prune."""
        queued = [job_id for job_id in self.jobs if self.state(job_id) == "queued"]
        found = [job_id for job_id in queued if job_id in job_ids]
        for job_id in found:
            self.cancel_queued(job_id, actor, len(self.jobs))
        return found, self.prune(keep)

    @property
    def holders(self) -> dict[str, str]:
        """The running job that holds each GPU."""
        running = (job for job in self.jobs.values() if job.status is Status.RUNNING)
        return {gpu: job.job_id for job in running for gpu in job.gpus or ()}

    def claim(self, read: Job, run_dir: Path, output_dir: Path, slot: Slot) -> None:
        """Begin the attempt after those in the given record, unless one has begun since.

        The job must be first in the queue.
        """
        job = self._require_next("claim", read)
        self._change(
            "claimed",
            SERVER,
            job,
            in_place_of=self._take_place(job),
            status=Status.RUNNING,
            attempt=job.attempt + 1,
            started_at=self.now,
            run_dir=str(run_dir),
            output_dir=str(output_dir),
            gpus=slot.gpus,
        )

    def hand_over(self, read: Job, run_dir: Path, output_dir: Path) -> None:
        """Begin an attempt as ``claim`` does; the job stays queued, and holds no GPU."""
        job = self._require_next("hand_over", read)
        self._change(
            "handed_over",
            SERVER,
            job,
            in_place_of=self._take_place(job),
            attempt=job.attempt + 1,
            handed_over_at=self.now,
            started_at=None,
            run_dir=str(run_dir),
            output_dir=str(output_dir),
            gpus=None,
        )

    def start(self, job_id: str, started_at: str) -> None:
        """The attempt of a job that was handed over runs, since the given time."""
        job = self._require_state("start", job_id)
        self._change("started", SERVER, job, status=Status.RUNNING, started_at=started_at)

    def prioritize(self, job_id: str, priority: int, actor: str) -> None:
        """Change the job's priority; setting its current priority is not an event."""
        job = self._require_state("prioritize", job_id)
        if job.priority != priority:
            self._change("prioritized", actor, job, priority=priority)

    def reattach(self, job_id: str) -> None:
        """Log the event; the job is unchanged."""
        self._change("reattached", SERVER, self._require_state("reattach", job_id))

    def cancel_queued(self, job_id: str, actor: str, keep: int) -> list[str]:
        """Finish a queued job without starting another attempt."""
        job = self._require_state("cancel_queued", job_id)
        self._change("cancelled", actor, job, status=Status.CANCELLED, completed_at=self.now)
        self.finished.append(job_id)
        return self.prune(keep)

    def request_cancel(self, job_id: str, actor: str) -> None:
        """Record the first request; it survives the loss of the attempt, until a retry."""
        job = self._require_state("request_cancel", job_id)
        if job.cancel_requested_at is None:
            self._change("cancel_requested", actor, job, cancel_requested_at=self.now)

    def stall(self, job_id: str, since: str) -> None:
        """Record since when the job is inactive; only the first time is an event."""
        job = self._require_state("stall", job_id)
        if job.stalled_since is None:
            self._change("stalled", SERVER, job, stalled_since=since)

    def end_stall(self, job_id: str) -> None:
        """The job is active again; if it was not stalled, that is no event."""
        job = self._require_state("end_stall", job_id)
        if job.stalled_since is not None:
            self._change("active_again", SERVER, job, stalled_since=None)

    def interrupt(self, job_id: str, reason: str) -> None:
        """Return the job to its previous position in the queue."""
        job = self._require_state("interrupt", job_id)
        self._change("interrupted", SERVER, job, status=Status.QUEUED, handed_over_at=None)
        self._end_attempt(job, self.now)

    def postpone(self, job_id: str, reason: str) -> None:
        """Return the job to its previous position; the attempt does not count. A job that is to be
        cancelled is not postponed."""
        job = self._require_state("postpone", job_id)
        if job.cancel_requested_at is not None:
            raise IllegalTransition
        again = {"max_attempts": job.max_attempts + 1, "handed_over_at": None}
        self._change("postponed", SERVER, job, None, status=Status.QUEUED, **again)
        self._end_attempt(job, self.now)

    def finish(self, job_id: str, outcome: Outcome, keep: int) -> list[str]:
        """Record the job's outcome; it becomes the most recently finished job."""
        job = self._require_state("finish", job_id)
        if self.state(job_id) == "handed_over":
            if outcome.started_at is not None:
                self.start(job_id, outcome.started_at)
                job = self.jobs[job_id]
            elif outcome.status is Status.COMPLETED:
                raise IllegalTransition
        self._end_attempt(job, outcome.completed_at)
        self._change(
            outcome.status.value,
            SERVER,
            job,
            status=outcome.status,
            completed_at=outcome.completed_at,
            exit_code=outcome.exit_code,
            error=outcome.error,
            result=outcome.result,
            provenance=outcome.provenance,
            failure=outcome.failure,
            partial=outcome.partial,
        )
        self.metrics[job_id] = outcome.metrics
        self.finished.append(job_id)
        return self.prune(keep)

    def retry(self, job_id: str, actor: str) -> None:
        """Queue the job as if it had not finished, with its original number of further attempts."""
        job = self._require_state("retry", job_id)
        attempts = job.attempt + job.request.max_attempts
        self._change(
            "retried",
            actor,
            job,
            status=Status.QUEUED,
            max_attempts=attempts,
            handed_over_at=None,
            **NO_END,
        )
        self.metrics.pop(job_id, None)
        self.finished.remove(job_id)

    def prune(self, keep: int) -> list[str]:
        """Keep only the most recently finished jobs."""
        excess = max(0, len(self.finished) - keep)
        oldest, self.finished = self.finished[:excess], self.finished[excess:]
        for job_id in oldest:
            job = self.pruned[job_id] = self.jobs.pop(job_id)
            self._record_event("pruned", SERVER, job, job.status, None)
        return oldest

    def _require_state(self, operation: str, job_id: str) -> Job:
        if self.state(job_id) not in STARTS_FROM[operation]:
            raise IllegalTransition
        return self.jobs[job_id]

    def _require_next(self, operation: str, read: Job) -> Job:
        job = self._require_state(operation, read.job_id)
        if job.attempt != read.attempt or self.first() != job.job_id:
            raise IllegalTransition
        return job

    def _take_place(self, job: Job) -> str | None:
        """Give the first job the first place; return the job that had it, if that is another."""
        other = next(iter(self.at_places()))
        places = self.places
        places[job.job_id], places[other] = places[other], places[job.job_id]
        return None if other == job.job_id else other

    def _end_attempt(self, job: Job, ended_at: str) -> None:
        if job.status is not Status.RUNNING:
            return
        started_at = job.started_at or ""
        took = datetime.fromisoformat(ended_at) - datetime.fromisoformat(started_at)
        gpus = job.request.num_gpus if job.gpus is None else len(job.gpus)
        facts = (job.submitted_by, job.engine, job.request.model, job.series, gpus)
        seconds = max(0.0, took.total_seconds())
        self.usage[job.job_id, job.attempt] = (*facts, started_at, ended_at, seconds)

    def _change(
        self, kind: str, actor: str, job: Job, in_place_of: str | None = None, **columns: Any
    ) -> None:
        if columns.get("status", job.status) != "running":
            columns["stalled_since"] = None
        changed = self.jobs[job.job_id] = replace(job, event_id=len(self.log) + 1, **columns)
        self._record_event(kind, actor, changed, job.status, changed.status, in_place_of)

    def _record_event(
        self,
        kind: str,
        actor: str,
        job: Job,
        before: str | None,
        after: str | None,
        in_place_of: str | None = None,
    ) -> None:
        number = len(self.log) + 1
        self.log.append((number, self.now, actor, job.job_id, kind, before, after, job.attempt))
        times = (job.created_at, job.started_at, job.completed_at)
        facts = (job.engine, job.attempt, *times, job.submitted_by, request_bytes(job.request))
        demand = demand_of(job)
        gpus = job.gpus if "running" in (before, after) else None
        start_by = None  # these claims let a harness start at any time
        failure = job.failure.code if kind == "failed" and job.failure else None
        place = (job.seq, job.priority, before, after)
        series = (job.series, job.step) if job.job_id in self.newest_first else None
        place_now = (
            *(job.executor, job.handed_over_at, self.places[job.job_id]),
            *(in_place_of, series),
        )
        self.events.append(
            (number, kind, job.job_id, *place, *facts, demand, gpus, start_by, failure, *place_now)
        )
