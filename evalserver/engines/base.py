"""What every engine offers, and the values that pass through it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from evalserver.engines.failed_requests import FailedRequests
from evalserver.engines.progress import ProgressReader
from evalserver.engines.samples import Verdict
from evalserver.job import EvaluateRequest, Metric


class NoResults(Exception):
    """The harness left no results that can be used; says why."""


class Question(StrEnum):
    """What can be asked of a harness outside a job."""

    TASKS = "tasks"
    MODELS = "models"


@dataclass(frozen=True)
class Paths:
    """The places of one attempt: its run directory, where the harness writes results, its log, and
    the response cache of the job, which all its attempts share."""

    run_dir: Path
    output_dir: Path
    cache_dir: Path
    log: Path


@dataclass(frozen=True)
class Command:
    """How an attempt is run: the command line, files to write into the run directory before (name
    to text), and directories to create."""

    argv: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    directories: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Results:
    """What an attempt produced: ``result`` as the API gives it, its numbers one by one, how many of
    its requests to the model failed (None: the harness does not go on when one does), and what the
    harness says of itself and of the machine, for the job's provenance."""

    result: dict[str, Any]
    metrics: tuple[Metric, ...]
    failed_requests: FailedRequests | None = None
    said: Mapping[str, str] = field(default_factory=dict)


class Engine(Protocol):
    """The adapter for one harness."""

    @property
    def name(self) -> str:
        """What requests call it."""

    @property
    def python(self) -> str:
        """The interpreter that runs the harness."""

    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """How to run the harness so that every field of the request reaches it."""

    @property
    def caches_by_default(self) -> bool:
        """Does an attempt keep the model's answers for the next one, if the client does not say?"""

    def read_results(self, request: EvaluateRequest, paths: Paths) -> Results:
        """What an attempt left in its output directory, for all tasks that were asked for.

        Raises NoResults.
        """

    def samples_files(self, result: Mapping[str, Any]) -> dict[str, Path]:
        """The file of each task that has samples, among those that a job's result names."""

    def verdict(self, sample: Mapping[str, Any], metric: str) -> Verdict | None:
        """Was this sample, a line of a samples file, answered right? None: the metric says nothing.

        Only for a metric of which more is better.
        """

    def score(self, sample: Mapping[str, Any], metric: str) -> float | None:
        """The number that this sample got; None: it has none of its own under this metric."""

    def filter_of(self, sample: Mapping[str, Any]) -> str | None:
        """Under which of its task's filters the sample was judged; None: it does not say."""

    def progress_reader(self) -> ProgressReader:
        """What reads progress from the log of one attempt."""

    def version_argv(self) -> tuple[str, ...]:
        """A command that prints what answers depend on: the harness's version; it is quick."""

    def question_argv(self, question: Question) -> tuple[str, ...]:
        """A command that prints the answer to a question on the last line of stdout."""

    def parse_answer(self, output: str) -> list[str]:
        """The names in the output of a question. Raises ValueError when there are none."""
