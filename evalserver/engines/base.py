"""The values that all engines take and return."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from evalserver.core.job import Metric
from evalserver.core.result_check import Finding
from evalserver.engines.failed_requests import FailedRequests
from evalserver.runner.launch_spec import Command

__all__ = ["Command", "NoResults", "Paths", "Question", "Results", "WarmHarness"]


class NoResults(Exception):
    """The harness wrote no results that can be read; the text says why."""


class Question(StrEnum):
    """What a harness can be asked outside of a job."""

    TASKS = "tasks"
    MODELS = "models"


@dataclass(frozen=True)
class WarmHarness:
    """How a harness can be started warm (docs/warm-starts.md): ``preload`` is the program that
    imports it in a warm parent, ``tried`` are the versions that this was tried with."""

    preload: Path
    tried: frozenset[str]


@dataclass(frozen=True)
class Paths:
    """The paths of one attempt: its run directory, the harness's output directory, and the response
    cache, which all attempts of the job share."""

    run_dir: Path
    output_dir: Path
    cache_dir: Path


@dataclass(frozen=True)
class Results:
    """What an attempt produced: ``result`` as the API returns it, its metrics, how many of its
    requests to the model failed (None: the harness stops at the first failure), what the
    harness reports about itself and the machine, for the job's provenance, what is odd about
    the results, and whether there has to be a number: not where none was asked for, nor where a
    task has no score by its nature."""

    result: dict[str, Any]
    metrics: tuple[Metric, ...]
    failed_requests: FailedRequests | None = None
    reported: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    numbers_expected: bool = True
