"""Why a job waits inside Slurm, in words. Pure functions."""

from datetime import datetime

from evalserver.executors.slurm.answers import SlurmJob
from evalserver.executors.slurm.endings import choose_job

NO_REASON = "no reason yet"


def describe_waiting(jobs: tuple[SlurmJob, ...], now: datetime) -> str | None:
    """Return Slurm's reason, the partition, and when it expects to start the job of these that has
    not ended; None if none waits. ``now`` is in UTC."""
    job = choose_job(jobs)
    if job is None or job.state.is_final or job.started_at is not None:
        return None
    parts = [f"Slurm: {job.reason or NO_REASON}"]
    if job.partition is not None:
        parts.append(f"partition {job.partition}")
    if job.expected_start is not None:
        is_today = job.expected_start.date() == now.date()
        day = "" if is_today else f"{job.expected_start:%Y-%m-%d} "
        parts.append(f"about {day}{job.expected_start:%H:%M} UTC")
    return ", ".join(parts)
