"""What is run for a job: its command lines, files and environment, as its engine has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalserver.attempts.run_directories import RunDirectories
from evalserver.checkpoints.merging import merge_of, merged
from evalserver.core.job import Job, NewJob
from evalserver.core.masking import find_secrets, parse_assignments
from evalserver.engines import Engine, MergeFirst, Paths, ReadsProgress, merge
from evalserver.executors import Attempt

MASK = "***"

MERGING = "merging the checkpoint"
"""The stage before an evaluation, of a request with a checkpoint in shards."""


@dataclass(frozen=True)
class Surroundings:
    """What every attempt gets beside its own command line."""

    environment: Mapping[str, str]
    working_directory: Path
    cancel_grace_s: float


@dataclass(frozen=True)
class Plan:
    """The command line of an attempt, the files beside it (name to text), where it runs, and the
    command lines that are run before it, by the names of their stages."""

    argv: tuple[str, ...]
    files: Mapping[str, str]
    cwd: Path
    before: Mapping[str, tuple[str, ...]]


class Planner:
    """Makes attempts of jobs. It starts nothing."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        directories: RunDirectories,
        surroundings: Surroundings,
    ) -> None:
        self._engines = engines
        self._directories = directories
        self._surroundings = surroundings

    def plan(self, job: NewJob) -> Plan:
        """What would run for a job that is not submitted, with secrets masked."""
        attempt = self.attempt(job, self._directories.first_attempt(job), "")
        return Plan(
            tuple(_masked(each, attempt.secrets) for each in attempt.argv),
            {name: _masked(text, attempt.secrets) for name, text in attempt.files.items()},
            attempt.cwd,
            attempt.before,
        )

    def attempt(self, job: Job | NewJob, paths: Paths, token: str) -> Attempt:
        """An attempt of the job in these places; its processes carry the token."""
        engine = self._engines[job.engine]
        command = engine.command(merged(job.request), paths)
        environment = self.environment(engine)
        return Attempt(
            token=token,
            run_dir=paths.run_dir,
            argv=command.argv,
            env=environment,
            cwd=self._surroundings.working_directory,
            grace_s=self._surroundings.cancel_grace_s,
            timeout_s=job.request.timeout_s,
            files=command.files,
            directories=command.directories,
            secrets=tuple(
                find_secrets(job.request.model_args, _mapping(job.request.gen_kwargs), environment)
            ),
            before=self._before(job, paths),
        )

    def progress_reader(self, job: Job) -> ReadsProgress:
        """What reads the progress of an attempt of the job from its log."""
        reader = self._engines[job.engine].progress_reader()
        return MergeFirst(reader) if _merges_first(job) else reader

    def environment(self, engine: Engine) -> dict[str, str]:
        """What a harness of the engine is started with."""
        return {**self._surroundings.environment, **engine.settings.environment}

    def _before(self, job: Job | NewJob, paths: Paths) -> Mapping[str, tuple[str, ...]]:
        if not _merges_first(job):
            return {}
        return {MERGING: self._engines[merge.NAME].command(job.request, paths).argv}


def _merges_first(job: Job | NewJob) -> bool:
    """Is there a merge before what the job is about, which is no merge itself?"""
    return job.engine != merge.NAME and merge_of(job.request) is not None


def _mapping(arguments: str | dict[str, Any] | None) -> dict[str, Any]:
    return parse_assignments(arguments) if isinstance(arguments, str) else arguments or {}


def _masked(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
