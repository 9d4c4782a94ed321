"""How far the running evaluations are, as their logs last told."""

from dataclasses import dataclass

from evalserver.event_bus import EventBus


@dataclass(frozen=True)
class Progress:
    """How far an evaluation is in one of its stages.

    ``fraction`` is from 0 to 1, ``done`` and ``total`` are counts of the stage's own unit,
    ``rate`` is that unit per second, ``eta_s`` the seconds until the stage's end; None where the
    harness does not say.
    """

    stage: str
    fraction: float | None = None
    done: int | None = None
    total: int | None = None
    rate: float | None = None
    eta_s: float | None = None


class ProgressBoard:
    """The newest progress of each running job.

    In memory alone: after a restart the logs tell it again.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._newest: dict[str, Progress] = {}

    def of(self, job_id: str) -> Progress | None:
        """The job's newest progress; None before its harness has told any, and after its end."""
        return self._newest.get(job_id)

    def all(self) -> dict[str, Progress]:
        """The newest progress of every running job that has told any, by job id."""
        return dict(self._newest)

    def post(self, job_id: str, progress: Progress) -> None:
        """Keep it, and wake who waits for news of the job."""
        if self._newest.get(job_id) != progress:
            self._newest[job_id] = progress
            self._bus.tell(job_id)

    def clear(self, job_id: str) -> None:
        """Forget it: the attempt has ended."""
        self._newest.pop(job_id, None)
