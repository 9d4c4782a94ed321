"""Placement: whether a job fits now, on which GPUs, and if not, why. Pure: no I/O, no clock.

Jobs compete within a lane. With managed GPUs there are two: of jobs that hold GPUs, and of jobs
that need none (``num_gpus: 0``); else there is one.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from evalserver.core.job import QueuedJob, Slot


class Lane(Enum):
    """Jobs that compete for the same places."""

    ALL = "all"
    WITH_GPU = "with_gpu"
    WITHOUT_GPU = "without_gpu"


@dataclass(frozen=True)
class Limits:
    """What the operator allows: the managed GPUs, and how many evaluations may run at once."""

    gpus: tuple[str, ...] = ()
    max_running: int | None = None
    max_running_without_gpu: int = 1
    max_running_per_token: int | None = None
    """In each lane."""

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes that jobs are in."""
        return (Lane.WITH_GPU, Lane.WITHOUT_GPU) if self.gpus else (Lane.ALL,)

    def lane_of(self, num_gpus: int) -> Lane:
        """Return the lane of a job that needs this number of GPUs."""
        if not self.gpus:
            return Lane.ALL
        return Lane.WITH_GPU if num_gpus > 0 else Lane.WITHOUT_GPU

    def max_in(self, lane: Lane) -> int | None:
        """Return how many jobs of a lane may run at once; None if only the GPUs limit that."""
        if lane is Lane.WITHOUT_GPU:
            return self.max_running_without_gpu
        return 1 if lane is Lane.ALL and self.max_running is None else self.max_running


@dataclass(frozen=True)
class RunningJob:
    """A running job, and the GPUs that it holds; None if the server managed none at its start.

    ``ends_by`` is the POSIX time at which its time limit will have ended it; None if it has none,
    or while its attempt is being prepared without a time to start by.
    """

    job_id: str
    submitted_by: str
    num_gpus: int
    gpus: tuple[str, ...] | None = None
    ends_by: float | None = None


@dataclass(frozen=True)
class Inventory:
    """What is there at one moment: limits, running jobs, and the GPUs that cannot be used.

    ``unavailable`` gives for each such GPU the reason, as the rest of a sentence after its name.
    Those that are ``quarantined`` come back only when somebody releases them.
    """

    limits: Limits = Limits()
    running: tuple[RunningJob, ...] = ()
    unavailable: Mapping[str, str] = field(default_factory=dict)
    quarantined: frozenset[str] = frozenset()

    @cached_property
    def holders(self) -> dict[str, RunningJob]:
        """The job that holds each GPU. One that was started while the server managed no GPUs, and
        needs some, may use any, and so holds all that nobody else holds."""
        held = {gpu: job for job in self.running for gpu in job.gpus or ()}
        for job in self.running:
            if job.gpus is None and job.num_gpus > 0:
                held = {**dict.fromkeys(self.limits.gpus, job), **held}
        return held

    @cached_property
    def free(self) -> tuple[str, ...]:
        """The managed GPUs that a job can have now."""
        return tuple(
            gpu
            for gpu in self.limits.gpus
            if gpu not in self.holders
            and gpu not in self.unavailable
            and gpu not in self.quarantined
        )

    @cached_property
    def in_service(self) -> tuple[str, ...]:
        """The managed GPUs that are not quarantined, free or not."""
        return tuple(gpu for gpu in self.limits.gpus if gpu not in self.quarantined)

    @cached_property
    def running_of(self) -> Counter[tuple[Lane, str]]:
        """How many jobs of each submitter are running in each lane."""
        lane_of = self.limits.lane_of
        return Counter((lane_of(job.num_gpus), job.submitted_by) for job in self.running)

    def running_in(self, lane: Lane) -> list[RunningJob]:
        """Return the running jobs of a lane."""
        return [job for job in self.running if self.limits.lane_of(job.num_gpus) is lane]

    def is_at_limit(self, lane: Lane) -> bool:
        """Return whether as many jobs of a lane run as may run at once."""
        most = self.limits.max_in(lane)
        return most is not None and len(self.running_in(lane)) >= most

    def is_full(self, lane: Lane) -> bool:
        """Return whether no job of a lane can start, whatever it needs."""
        return self.is_at_limit(lane) or (lane is Lane.WITH_GPU and not self.free)

    def is_at_token_limit(self, lane: Lane, submitted_by: str) -> bool:
        """Return whether a submitter runs as many jobs of a lane as it may."""
        most = self.limits.max_running_per_token
        return most is not None and self.running_of[lane, submitted_by] >= most


class Blocked(Enum):
    """Why a job cannot start now."""

    NO_PLACE = "no_place"
    """Too many evaluations run, or too few GPUs are free: those behind it wait, too."""
    TOKEN_LIMIT = "token_limit"  # noqa: S105 - not a secret
    """Only its submitter's limit blocks it: others may go first."""
    TOO_LARGE = "too_large"
    """It needs more GPUs than the server manages: it cannot start until that changes."""
    QUARANTINE = "quarantine"
    """It needs more GPUs than are in service: it cannot start until one is released."""


def place(job: QueuedJob, inventory: Inventory) -> Slot | Blocked:
    """Return where the job can start now, or what blocks it."""
    limits = inventory.limits
    lane = limits.lane_of(job.demand.num_gpus)
    if lane is Lane.WITH_GPU and job.demand.num_gpus > len(limits.gpus):
        return Blocked.TOO_LARGE
    if lane is Lane.WITH_GPU and job.demand.num_gpus > len(inventory.in_service):
        return Blocked.QUARANTINE
    if inventory.is_at_token_limit(lane, job.submitted_by):
        return Blocked.TOKEN_LIMIT
    if inventory.is_full(lane):
        return Blocked.NO_PLACE
    if lane is Lane.ALL:
        return Slot()
    if job.demand.num_gpus > len(inventory.free):
        return Blocked.NO_PLACE
    return Slot(inventory.free[: job.demand.num_gpus])
