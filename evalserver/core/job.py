"""What a job is: the request, its record, its metrics. Frozen values, no behaviour."""

from dataclasses import dataclass, field
from typing import Any

from evalserver.core.lifecycle import Status


@dataclass(frozen=True)
class EvaluateRequest:
    """A checked request of ``POST /evaluate``; the fields are those of CONTRACT section 2.

    None means that the client did not say, and that the harness's own default holds.
    """

    model: str
    tasks: tuple[str, ...]
    model_args: dict[str, Any] | None = None
    num_fewshot: int | None = None
    batch_size: int | str | None = None
    device: str | None = None
    limit: int | float | None = None
    gen_kwargs: str | dict[str, Any] | None = None
    log_samples: bool = True
    predict_only: bool = False
    num_gpus: int = 1
    output_dir: str | None = None
    engine: str | None = None
    priority: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    max_attempts: int = 2
    seed: int | None = None
    use_cache: bool | None = None
    wait_for_path_s: float | None = None
    lmms_engine_kwargs: dict[str, str] | None = None


@dataclass(frozen=True)
class Metric:
    """One number of a result: a task's metric under one filter."""

    task: str
    metric: str
    filter: str
    value: float
    stderr: float | None
    n: int | None
    higher_is_better: bool | None


@dataclass(frozen=True)
class Job:
    """One job's record, as the store keeps it. Times are ISO 8601 text in UTC."""

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
    """The newest event that the record knows of."""
    damage: str | None = None
    """What of the record cannot be read, and is left out; None when all can."""


@dataclass(frozen=True)
class NewJob:
    """What is known of a job when it is submitted."""

    job_id: str
    engine: str
    request: EvaluateRequest
    submitted_by: str
    provenance: dict[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """How the last attempt of a job ended."""

    status: Status
    completed_at: str
    exit_code: int | None = None
    error: str | None = None
    result: dict[str, Any] | None = None
    metrics: tuple[Metric, ...] = ()
    provenance: dict[str, Any] | None = None
