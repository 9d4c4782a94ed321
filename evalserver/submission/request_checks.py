"""Completing a request with defaults, and checking it: what a submission does before it writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evalserver.checkpoints.leases.planning import lease_faults
from evalserver.checkpoints.merging import pin_checkpoint, with_merged_checkpoint
from evalserver.core.job import LOCAL
from evalserver.core.request import EvaluateRequest
from evalserver.core.series import missing_fields, series_faults
from evalserver.engines import Engine
from evalserver.engines.env_profiles import EnvProfile, require_profile
from evalserver.executors.settings import ExecutorSettings, require_executor
from evalserver.harnesses.catalog import Catalog
from evalserver.submission.capabilities import capability_faults, with_defaults
from evalserver.submission.gpu_faults import gpu_faults
from evalserver.submission.known_names import find_unknown_names
from evalserver.submission.named_checkpoints import Checkpoints, inspect_checkpoints
from evalserver.submission.series_policies import SeriesPolicy, policy_of
from evalserver.system.allowed_directories import AllowedDirectories
from evalserver.system.disk_threads import DiskThreads


@dataclass(frozen=True)
class SubmissionPolicy:
    """The operator's settings: default engine, default time limit in seconds, the directories in
    which clients may name files, and the sets of variables and the executors that they may name."""

    default_engine: str
    default_timeout_s: float | None
    allowed: AllowedDirectories
    profiles: Mapping[str, EnvProfile] = field(default_factory=dict)
    managed_gpus: int = 0
    """The number of GPUs that the server manages; 0: an evaluation sees all."""
    executors: Mapping[str, ExecutorSettings] = field(
        default_factory=lambda: {LOCAL: ExecutorSettings(LOCAL)}
    )
    default_executor: str = LOCAL
    series: Sequence[SeriesPolicy] = ()
    """The rules for series, of which the first that matches applies."""


@dataclass(frozen=True)
class Prepared:
    """A request with all defaults, its engine and executor, and the rules for its series."""

    request: EvaluateRequest
    engine: Engine
    executor: str
    series: SeriesPolicy | None = None


class RequestChecks:
    """Prepares and checks the requests of one server."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        catalog: Catalog,
        threads: DiskThreads,
        policy: SubmissionPolicy,
    ) -> None:
        self._engines = engines
        self._catalog = catalog
        self._threads = threads
        self._policy = policy

    def executor_of(self, engine: str | None, requested: str | None = None) -> str:
        """Return the name of the executor of a request: its own, its engine's, or the default."""
        settings = self._engines[engine or self._policy.default_engine].settings
        return requested or settings.executor or self._policy.default_executor

    async def prepare(self, request: EvaluateRequest) -> Prepared:
        """Return the request with its defaults, and with the checkpoint to merge resolved."""
        name = request.engine or self._policy.default_engine
        engine = self._engines[name]
        executor = self.executor_of(name, request.executor)
        request = with_defaults(
            engine.normalized(request),
            engine,
            self._policy.default_timeout_s,
            executor=executor,
            **missing_fields(request),
        )
        if request.lmms_engine_kwargs is not None:
            request = await self._threads.run(pin_checkpoint, request)
        return Prepared(request, engine, executor, policy_of(request.series, self._policy.series))

    def find_faults(self, prepared: Prepared) -> dict[str, str]:
        """Return the fields that can be rejected at once, with a sentence for each."""
        request = prepared.request
        # A cluster has GPUs of its own.
        managed_gpus = self._policy.managed_gpus if request.executor == LOCAL else 0
        unknown = {
            "env_profile": require_profile(request.env_profile, self._policy.profiles),
            "executor": require_executor(request.executor or "", self._policy.executors),
        }
        return {
            **capability_faults(with_merged_checkpoint(request), prepared.engine),
            **gpu_faults(request, managed_gpus),
            **series_faults(request),
            **lease_faults(request),
            **{name: fault for name, fault in unknown.items() if fault is not None},
        }

    async def inspect_checkpoints(self, prepared: Prepared) -> Checkpoints:
        """Inspect the checkpoints that a request names. Reads the disk."""
        return await inspect_checkpoints(prepared.request, self._policy.allowed, self._threads)

    async def find_unknown_names(self, requests: Mapping[str, Prepared]) -> dict[str, str]:
        """Return the fields with names that a harness does not know, with a sentence for each.

        ``requests`` has the prefix of the fields of each.
        """
        by_engine: dict[str, dict[str, EvaluateRequest]] = {}
        for prefix, each in requests.items():
            by_engine.setdefault(each.engine.name, {})[prefix] = each.request
        faults: dict[str, str] = {}
        for name, of_engine in by_engine.items():
            faults |= await find_unknown_names(self._catalog, self._engines[name], of_engine)
        return faults
