"""What every engine offers, and the values that pass through it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from evalserver.job import EvaluateRequest, Metric


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
class Command:
    """How an attempt is run: the command line, files to write into the run directory before (name
    to text), and directories to create."""

    argv: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    directories: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Results:
    """What an attempt produced: ``result`` as the API gives it, and its numbers one by one."""

    result: dict[str, Any]
    metrics: tuple[Metric, ...]


class Engine(Protocol):
    """The adapter for one harness."""

    @property
    def name(self) -> str:
        """What requests call it."""

    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """How to run the harness so that every field of the request reaches it."""

    def read_results(self, output_dir: Path) -> Results:
        """The results that lie in an attempt's output directory. Raises NoResults."""

    def version_argv(self) -> tuple[str, ...]:
        """A command that prints what answers depend on: the harness's version; it is quick."""

    def question_argv(self, question: Question) -> tuple[str, ...]:
        """A command that prints the answer to a question on the last line of stdout."""

    def parse_answer(self, output: str) -> list[str]:
        """The names in the output of a question. Raises ValueError when there are none."""
