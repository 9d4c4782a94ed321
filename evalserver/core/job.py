"""The job as frozen data: the record, the outcome, the metrics. No behaviour."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.core.result_check import ResultCheck

LOCAL = "local"
"""The executor that is the server's own machine."""


@dataclass(frozen=True)
class Metric:
    """One number of a result: a metric of a task under one filter.

    ``task_version`` and ``num_fewshot`` (examples in a prompt) are the harness's; None if unknown.
    """

    task: str
    metric: str
    filter: str
    value: float
    stderr: float | None
    n: int | None
    higher_is_better: bool | None
    task_version: str | None = None
    num_fewshot: int | None = None


@dataclass(frozen=True)
class Failure:
    """Why a job failed, as a code of the table of failures, and what to do about it."""

    code: str
    advice: str


@dataclass(frozen=True)
class Job:
    """A job's record as stored. Times are ISO 8601 text in UTC."""

    seq: int
    job_id: str
    status: Status
    engine: str
    priority: int
    labels: dict[str, str]
    request: EvaluateRequest
    submitted_by: str
    created_at: str
    started_at: str | None
    completed_at: str | None
    cancel_requested_at: str | None
    attempt: int
    max_attempts: int
    run_dir: str | None
    output_dir: str | None
    exit_code: int | None
    error: str | None
    result: dict[str, Any] | None
    provenance: dict[str, Any] | None
    event_id: int
    """The newest event that the record reflects."""
    result_check: ResultCheck | None = None
    failure: Failure | None = None
    partial: dict[str, Any] | None = None
    """The metrics of a failed job, as far as it has some: by task, then by metric and filter."""
    pruned_at: str | None = None
    """When the job was pruned; then the record has only what is kept of pruned jobs."""
    gpus: tuple[str, ...] | None = None
    """The GPUs that the last attempt got; None if the server managed none then."""
    stalled_since: str | None = None
    """Since when a running job has written nothing and used no GPU."""
    executor: str = LOCAL
    handed_over_at: str | None = None
    """When the latest attempt was handed over to a cluster; None if it was not."""
    batch_id: str | None = None
    """The batch that it was submitted with; None if it was submitted alone."""
    series: str | None = None
    """The training run that it belongs to."""
    step: int | None = None
    """The step of the run that its checkpoint is of."""
    damage: str | None = None
    """Which part of the record is unreadable and left out; None if the record is intact."""


class Demand(NamedTuple):
    """What the order of the queue depends on, besides priority and submission."""

    num_gpus: int = 1
    timeout_s: float | None = None
    waits_for_checkpoint: bool = False

    @classmethod
    def of(cls, request: EvaluateRequest) -> "Demand":
        """Return the demand of a request."""
        return cls(request.num_gpus, request.timeout_s, request.wait_for_path_s is not None)


class SeriesStep(NamedTuple):
    """A series, and the step of a job in it."""

    series: str
    step: int


class QueuedJob(NamedTuple):
    """What the scheduler knows of a queued job.

    ``place`` is its place among the jobs of its priority: the number of its submission, or that of
    a job which started in its place. ``newest_first`` is set if the jobs of its series take the
    places that they have in the order of their steps, the newest first.
    """

    job_id: str
    priority: int
    place: int
    submitted_by: str = ""
    demand: Demand = Demand()
    executor: str = LOCAL
    newest_first: SeriesStep | None = None


@dataclass(frozen=True, slots=True)
class UnfinishedJob:
    """A queued or running job, and what of its request says which checkpoints it needs."""

    seq: int
    job_id: str
    status: Status
    attempt: int
    max_attempts: int
    series: str | None
    step: int | None
    model_args: dict[str, Any] | None
    lmms_engine_kwargs: dict[str, Any] | None
    lease: str | None


@dataclass(frozen=True)
class Slot:
    """The place where a job starts: the GPUs that it holds (None: the server manages none).

    ``over`` are the first of the ``over_count`` jobs that were ahead of it in its lane, and ``why``
    it starts before them. It must start until ``start_by`` (POSIX time), or it would delay them.
    """

    gpus: tuple[str, ...] | None = None
    over: tuple[str, ...] = ()
    over_count: int = 0
    why: str | None = None
    start_by: float | None = None


@dataclass(frozen=True)
class NewJob:
    """A job as it is submitted."""

    job_id: str
    engine: str
    request: EvaluateRequest
    submitted_by: str
    provenance: dict[str, Any] | None = None
    executor: str = LOCAL
    batch_id: str | None = None
    max_waiting: int | None = None
    """How many jobs of its series and submitter may be queued with it; None for any number."""
    newest_first: bool = False
    """Whether it takes part in the exchange of places of its series: the newest step first."""


@dataclass(frozen=True)
class Outcome:
    """How a job's last attempt ended.

    ``metrics`` are those of ``result``, or of ``partial`` if the job failed.
    """

    status: Status
    completed_at: str
    exit_code: int | None = None
    error: str | None = None
    result: dict[str, Any] | None = None
    metrics: tuple[Metric, ...] = ()
    provenance: dict[str, Any] | None = None
    result_check: ResultCheck | None = None
    failure: Failure | None = None
    partial: dict[str, Any] | None = None
    output_bytes: int | None = None
    """What the files of all attempts take on disk; None if unknown."""
    started_at: str | None = None
    """When the attempt started, if it was handed over and no start was recorded before its end."""
