"""The protocol of executors, and the values that pass through it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from evalserver.runner.launch_spec import LaunchSpec


class ExecutorError(Exception):
    """An attempt could not be started, or a program could not be asked; says why."""


class ResourcesExhausted(ExecutorError):
    """An attempt cannot be started now, and no part of it was: the disk is full, or memory,
    processes or file descriptors have run out. A later try may succeed."""


class ExitReason(StrEnum):
    """Why an attempt ended, as its runner writes it (``runner/files.py``)."""

    EXITED = "exited"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    TERMINATED = "terminated"
    NOT_STARTED = "not_started"
    STALLED = "stalled"
    """The server's word for CANCELLED, if it stopped the attempt because that had stalled."""


@dataclass(frozen=True)
class Exit:
    """How an attempt ended, as its runner recorded it (``runner/files.py``)."""

    reason: ExitReason
    exit_code: int | None
    started_at: str
    ended_at: str
    leftovers: int = 0
    error: str | None = None
    stage: str | None = None
    out_of_memory: str | None = None


@dataclass(frozen=True)
class Lost:
    """An attempt whose runner ended without recording how, or that a cluster ended.

    ``why`` completes a sentence, ``code`` is of the table of failures. ``may_retry`` is False if a
    further attempt would end in the same way. ``started_at`` is when the attempt started, if it did
    and that is known.
    """

    why: str
    code: str = "lost"
    may_retry: bool = True
    started_at: str | None = None


@dataclass(frozen=True)
class Cancelled:
    """An attempt that a cluster ended on request before its runner started, or without a record."""


@dataclass(frozen=True)
class AttemptInfo:
    """What an attempt was started with, the pid of its runner, and where that ran.

    A value that cannot be read is None or empty. The runner may have ended. ``host`` and
    ``cluster_job_id`` are those of a node of a cluster; None for the server's own machine.
    """

    runner_pid: int | None = None
    argv: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    host: str | None = None
    cluster_job_id: str | None = None


@dataclass(frozen=True)
class KilledOrphans:
    """How many processes of a lost attempt were killed. ``doubt`` says, as part of a sentence, why
    one may still be alive; None if that is impossible."""

    count: int
    doubt: str | None


class Executor(Protocol):
    """A place where attempts run. The run directory identifies an attempt."""

    async def reserve(self, run_dir: Path) -> None:
        """Create the run directory. From then on, a missing directory means that it was removed."""

    async def start(self, spec: LaunchSpec) -> None:
        """Start a runner for the attempt, and return when it supervises.

        An attempt that was started before is left unchanged. Raises ExecutorError;
        ResourcesExhausted if starting it later may succeed.
        """

    async def was_started(self, run_dir: Path) -> bool:
        """Return whether a runner may have started this attempt, which was reserved."""

    async def wait(self, run_dir: Path) -> Exit | Lost | Cancelled:
        """Wait for the end of the attempt."""

    async def stop(self, run_dir: Path) -> None:
        """Ask the runner to end all processes of the attempt. ``wait`` returns when it has.

        Raises OSError.
        """

    async def describe(self, run_dir: Path) -> AttemptInfo:
        """Return what is known of an attempt that was started."""

    async def kill_orphans(self, run_dir: Path, token: str) -> KilledOrphans:
        """Kill the remaining processes of an attempt whose runner has ended."""

    async def ask(self, argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> str:
        """Run a program outside of any job, and return what it prints on stdout.

        Raises ExecutorError, with the last line of its stderr, if it cannot be run, fails, or takes
        longer than ``timeout_s`` seconds.
        """


@dataclass(frozen=True)
class ClusterNode:
    """A node of a cluster, in the cluster's own words."""

    name: str
    partitions: tuple[str, ...]
    state: str
    resources: str | None
    used: str | None
    reason: str | None


@dataclass(frozen=True)
class ClusterJob:
    """An attempt as its cluster knows it: its id there, the command that shows it, and its node."""

    id: str
    command: str
    node: str | None


class Cluster(Executor, Protocol):
    """An executor that attempts are handed over to, where they wait for their start.

    ``start`` hands an attempt over: it raises ResourcesExhausted while the cluster cannot be
    reached or takes no more, and ExecutorError if the cluster rejects the attempt for good.
    """

    kind: str
    """The type of its table of the settings."""
    max_handed_over: int
    """How many attempts may be there at once, waiting or running."""

    @property
    def fault(self) -> str | None:
        """Why the cluster cannot be reached now, as a sentence; None if it can."""

    async def wait_started(self, run_dir: Path) -> str | None:
        """Wait for the first sign of the attempt's runner, and return its time.

        Returns None if the attempt has ended, or was removed from the cluster, before such a sign
        was seen; ``wait`` then returns how.
        """

    def waiting_reason(self, run_dir: Path) -> str | None:
        """Return why an attempt that was handed over has not started, in the cluster's words."""

    async def prioritize(self, run_dir: Path, priority: int) -> None:
        """Give an attempt that waits another priority, if the cluster allows that."""

    async def hold(self, run_dir: Path) -> None:
        """Keep an attempt that waits from starting, until ``release``."""

    async def release(self, run_dir: Path) -> None:
        """Let an attempt start again."""

    async def nodes(self) -> Sequence[ClusterNode]:
        """Return the nodes of the cluster. Raises ExecutorError if it cannot be asked."""

    def find_job(self, run_dir: Path) -> ClusterJob | None:
        """Return an attempt as the cluster knows it; None if that is not known yet."""
