"""What every executor offers, and the values that pass through it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class ExecutorError(Exception):
    """An attempt could not be started, or a program could not be asked; says why."""


class NoRoom(ExecutorError):
    """An attempt cannot be started right now, and nothing of it was: the disk is full, or memory,
    processes or open files have run out. Later it can be."""


class ExitReason(StrEnum):
    """Why an attempt ended; the runner's own words (see ``runner/files.py``)."""

    EXITED = "exited"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    TERMINATED = "terminated"
    NOT_STARTED = "not_started"


@dataclass(frozen=True)
class Exit:
    """How an attempt ended, as its runner wrote it down."""

    reason: ExitReason
    exit_code: int | None
    started_at: str
    ended_at: str
    leftovers: int = 0
    error: str | None = None
    stage: str | None = None


@dataclass(frozen=True)
class Lost:
    """An attempt whose runner left no word of its end: ``why``, as a part of a sentence."""

    why: str


@dataclass(frozen=True)
class Strays:
    """What was left of an attempt: how many processes were killed, and what could not be excluded
    to be alive still, as a part of a sentence; None: nothing is."""

    ended: int
    doubt: str | None


@dataclass(frozen=True)
class Attempt:
    """One run of a job: what to run, and the run directory that it has for itself alone.

    Before the start ``files`` are written into the run directory (name to text), and
    ``directories`` are created.
    ``token`` names the attempt in its processes' environment, so that strays can be found.
    ``secrets`` are the texts that its log must not show. ``before`` are the command lines that are
    run first, by the names of their stages; where one fails, the attempt has failed.
    """

    token: str
    run_dir: Path
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    grace_s: float
    timeout_s: float | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    directories: tuple[Path, ...] = ()
    secrets: tuple[str, ...] = ()
    before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Executor(Protocol):
    """A place where attempts run. A run directory is all that is needed to find one again."""

    async def reserve(self, run_dir: Path) -> None:
        """Make the run directory: from now on, if it is not there, it is gone."""

    async def start(self, attempt: Attempt) -> None:
        """Start a runner for the attempt; returns when it supervises.

        Raises ExecutorError, and NoRoom when it is to be tried again.

        An attempt that was started before is left as it is.
        """

    def was_started(self, run_dir: Path) -> bool:
        """May a runner have taken this attempt, which was reserved?"""

    async def wait(self, run_dir: Path) -> Exit | Lost:
        """Wait for the attempt's end."""

    async def stop(self, run_dir: Path) -> None:
        """Ask the runner to end the whole tree; ``wait`` tells when it has."""

    async def end_strays(self, run_dir: Path, token: str) -> Strays:
        """Kill what is left of an attempt whose runner is gone."""
