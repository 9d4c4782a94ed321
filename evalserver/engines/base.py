"""The values that pass through every engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from evalserver.core.job import Metric
from evalserver.engines.failed_requests import FailedRequests
from evalserver.runner.launch_spec import Command

__all__ = ["Command", "NoResults", "Paths", "Question", "Results"]


class NoResults(Exception):
    """The harness left no results that can be used; says why."""


class Question(StrEnum):
    """What can be asked of a harness outside a job."""

    TASKS = "tasks"
    MODELS = "models"


@dataclass(frozen=True)
class Paths:
    """The places of one attempt: its run directory, where the harness writes results, and the
    response cache of the job, which all its attempts share."""

    run_dir: Path
    output_dir: Path
    cache_dir: Path


@dataclass(frozen=True)
class Results:
    """What an attempt produced: ``result`` as the API gives it, its numbers one by one, how many of
    its requests to the model failed (None: the harness does not go on when one does), and what the
    harness says of itself and of the machine, for the job's provenance."""

    result: dict[str, Any]
    metrics: tuple[Metric, ...]
    failed_requests: FailedRequests | None = None
    said: Mapping[str, str] = field(default_factory=dict)
