"""From a job to the ``LaunchSpec`` of its attempt: command lines, files and environment."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evalserver.attempts.provenance import RequestOf, submitted_request
from evalserver.attempts.run_directories import RunDirectories
from evalserver.attempts.start_plan import engine_plan, plan_start, warm_mode
from evalserver.attempts.visible_gpus import gpu_environment
from evalserver.checkpoints.merging import requested_merge, with_merged_checkpoint
from evalserver.core.job import LOCAL, Job, NewJob
from evalserver.core.masking import COMMAND_MASK, find_secrets, mask_secrets, parse_assignments
from evalserver.core.request import ARGUMENT_FIELDS
from evalserver.engines import Engine, MergeThenEvaluateReader, Paths, ProgressReader, merge
from evalserver.engines.env_profiles import (
    EnvProfile,
    ProfileUnavailable,
    ProfileVariables,
    require_profile,
)
from evalserver.engines.environment import secret_values
from evalserver.engines.settings import ATTEMPT_DIRECTORY, WARM_OFF, WARM_PRELOAD
from evalserver.executors import GPU_VARIABLES, ColdStart, Command, LaunchSpec

MERGING = "merging the checkpoint"
"""The stage before the harness, if a request names a checkpoint in shards."""

WORKING_DIRECTORY = "working-directory"
"""In the run directory, for engines whose attempts run in directories of their own."""


@dataclass(frozen=True)
class LaunchContext:
    """What all attempts have in common."""

    environment: Mapping[str, str]
    working_directory: Path
    cancel_grace_s: float
    profiles: Mapping[str, EnvProfile] = field(default_factory=dict)
    has_nvml: bool = True
    """Whether the managed GPUs are known to be NVIDIA's."""
    memory_bytes: int | None = None
    warm: str = WARM_OFF
    """Whether attempts are started warm, for engines whose table does not say it."""


class Planner:
    """Makes launch specifications of jobs. It starts nothing.

    ``request_of`` returns a job's request with the paths that its evaluation reads.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        directories: RunDirectories,
        context: LaunchContext,
        request_of: RequestOf = submitted_request,
    ) -> None:
        self._request_of = request_of
        self._engines = engines
        self._directories = directories
        self._context = context

    def preview(self, job: NewJob) -> LaunchSpec:
        """Return what would run for a job that is not submitted.

        Secrets are masked in its command and files; it has no environment, and the files of its
        profile are not read.
        """
        spec = self._launch_spec(job, self._directories.first_attempt(job), "", ProfileVariables())
        command = Command(
            tuple(mask_secrets(spec.command.argv, spec.secrets, COMMAND_MASK)),
            mask_secrets(spec.command.files, spec.secrets, COMMAND_MASK),
        )
        return replace(spec, command=command, env={}, secrets=())

    def launch_spec(self, job: Job | NewJob, paths: Paths, token: str) -> LaunchSpec:
        """Return what to run for an attempt of the job with these paths and this token.

        Reads the files of the job's profile. Raises ProfileUnavailable.
        """
        return self._launch_spec(job, paths, token, self._load_profile(job.request.env_profile))

    def _load_profile(self, name: str | None) -> ProfileVariables:
        if name is None:
            return ProfileVariables()
        reason = require_profile(name, self._context.profiles)
        if reason is not None:
            raise ProfileUnavailable(f"env_profile: {reason}")
        return self._context.profiles[name].load()

    def _launch_spec(
        self, job: Job | NewJob, paths: Paths, token: str, profile: ProfileVariables
    ) -> LaunchSpec:
        engine = self._engines[job.engine]
        gpus = job.gpus if isinstance(job, Job) else None
        environment = {
            **self.environment(engine, job.executor),
            **profile.values,
            **gpu_environment(gpus, is_nvidia=self._context.has_nvml),
        }
        command = engine.command(with_merged_checkpoint(self._request_of(job)), paths)
        working_directory = self._context.working_directory
        if engine.settings.working_directory == ATTEMPT_DIRECTORY:
            working_directory = paths.run_dir / WORKING_DIRECTORY
            command = replace(command, directories=(*command.directories, working_directory))
        before = self._stages_before(job, paths)
        arguments = (_as_mapping(getattr(job.request, name)) for name in ARGUMENT_FIELDS)
        return LaunchSpec(
            run_dir=paths.run_dir,
            token=token,
            command=command,
            cwd=working_directory,
            env=environment,
            grace_s=self._context.cancel_grace_s,
            timeout_s=job.request.timeout_s,
            secrets=tuple(
                find_secrets(
                    *arguments,
                    environment,
                    secret_values(environment),
                    {"secret": profile.secrets},
                )
            ),
            before=before,
            memory_bytes=self._context.memory_bytes,
            num_gpus=job.request.num_gpus,
            output_dir=paths.output_dir,
            warm=plan_start(engine, job, self._context.warm, has_stages=bool(before)),
        )

    def preloaded(self, names: Collection[str]) -> list[LaunchSpec]:
        """Return what warm parents need to know of attempts of each of these engines, if one is to
        be ready from the start on: specifications without a command line.

        Reads the files of the engines' default profiles. Raises ProfileUnavailable.
        """
        engines = (engine for name, engine in self._engines.items() if name in names)
        return [each for engine in engines if (each := self._preloaded(engine)) is not None]

    def _preloaded(self, engine: Engine) -> LaunchSpec | None:
        plan = engine_plan(engine, self._context.warm)
        if warm_mode(engine, self._context.warm) != WARM_PRELOAD or isinstance(plan, ColdStart):
            return None
        profile = self._load_profile(engine.settings.defaults.get("env_profile"))
        run_dir = self._directories.root
        is_own = engine.settings.working_directory == ATTEMPT_DIRECTORY
        return LaunchSpec(
            run_dir=run_dir,
            token="",
            command=Command((engine.settings.python,)),
            cwd=run_dir if is_own else self._context.working_directory,
            env={**self.environment(engine), **profile.values},
            grace_s=self._context.cancel_grace_s,
            warm=plan,
        )

    def progress_reader(self, job: Job) -> ProgressReader:
        """Return a reader of progress for the log of an attempt of the job."""
        reader = self._engines[job.engine].progress_reader()
        return MergeThenEvaluateReader(reader) if _merges_first(job) else reader

    def environment(self, engine: Engine, executor: str = LOCAL) -> dict[str, str]:
        """Return the environment that a harness of the engine is started with there.

        A cluster says itself which GPUs a job has.
        """
        hidden = () if executor == LOCAL else GPU_VARIABLES
        ours = {
            name: value for name, value in self._context.environment.items() if name not in hidden
        }
        return {**ours, **engine.settings.environment}

    def _stages_before(self, job: Job | NewJob, paths: Paths) -> Mapping[str, tuple[str, ...]]:
        if not _merges_first(job):
            return {}
        return {MERGING: self._engines[merge.NAME].command(job.request, paths).argv}


def _merges_first(job: Job | NewJob) -> bool:
    """Return whether a checkpoint is merged before the job's harness runs."""
    return job.engine != merge.NAME and requested_merge(job.request) is not None


def _as_mapping(arguments: str | dict[str, Any] | None) -> dict[str, Any]:
    return parse_assignments(arguments) if isinstance(arguments, str) else arguments or {}
