"""What a job of a cluster waits for, before it is handed over and there."""

from pathlib import Path

from evalserver.core.job import Job
from evalserver.core.wording import count_of_jobs
from evalserver.scheduling.hand_over import HandOver


def cluster_wait_reason(job: Job, hand_over: HandOver, before: int) -> str:
    """Return what a queued job waits for, with so many jobs of its cluster before it."""
    name, cluster = hand_over.name, hand_over.cluster
    if cluster.fault is not None:
        return f"{name} to be reachable again: {cluster.fault}"
    if job.handed_over_at is not None and job.run_dir is not None:
        words = cluster.waiting_reason(Path(job.run_dir))
        return words or f"its start on {name}, which it was handed over to"
    if before > 0:
        return f"{count_of_jobs(before)} for {name} before it in the queue"
    if hand_over.is_full:
        return (
            f"{name} to end one of the {cluster.max_handed_over} jobs that it may have of this"
            " server (max_handed_over)"
        )
    return f"{name} to take it over, which comes next"
