"""What the end of a job of Slurm means for its attempt. Pure functions."""

import re
import signal
from dataclasses import replace
from datetime import UTC, datetime

from evalserver.executors.base import Cancelled, Exit, ExitReason, Lost
from evalserver.executors.slurm.answers import SlurmJob, SlurmState
from evalserver.executors.slurm.script import CANNOT_ENTER
from evalserver.executors.slurm.sight import Sight
from evalserver.runner import files

End = Exit | Lost | Cancelled

BY_SLURM = {
    SlurmState.TIMEOUT: ("Slurm ended it at its time limit", "cluster_time_limit", False),
    SlurmState.DEADLINE: ("Slurm ended it at its deadline", "cluster_time_limit", False),
    SlurmState.CANCELLED: (
        "somebody cancelled its Slurm job, not evalserver", "cluster_cancelled", False,
    ),
    SlurmState.OUT_OF_MEMORY: (
        "it used more memory than Slurm allows it", "host_out_of_memory", False,
    ),
    SlurmState.PREEMPTED: ("Slurm preempted it", "preempted", True),
    SlurmState.NODE_FAIL: ("its node failed", "node_failed", True),
    SlurmState.BOOT_FAIL: ("its node did not boot", "node_failed", True),
    SlurmState.LAUNCH_FAILED: ("Slurm could not launch it on its node", "node_failed", True),
    SlurmState.REVOKED: ("Slurm moved it to another cluster", "lost", True),
}  # fmt: skip
"""Why Slurm ended a job, the code of the failure, and whether another attempt may end better."""

NOT_FOUND = (126, 127)
"""Exit codes of a shell that could not run the program."""


def choose_job(jobs: tuple[SlurmJob, ...]) -> SlurmJob | None:
    """Return the job that tells of an attempt, of those with its name.

    There are several if an sbatch that gave no answer was accepted nevertheless: then one of them
    ran, and the others found its start lock.
    """
    unfinished = [job for job in jobs if not job.state.is_final]
    others = [job for job in jobs if not was_second(job)]
    candidates = unfinished or others
    return max(candidates, key=_submitted) if candidates else None


def _submitted(job: SlurmJob) -> tuple[datetime, int]:
    # An ID may have more parts, after an underscore or a plus.
    number = re.match(r"\d*", job.job_id)
    return job.submitted_at or datetime.min.replace(tzinfo=UTC), int(number[0] if number else 0)


def was_second(job: SlurmJob) -> bool:
    """Whether the job found that its attempt was started before."""
    return job.exit_code == files.STARTED_ELSEWHERE


def needs_reason(end: Exit) -> bool:
    """Whether Slurm may know better than the runner why it ended: Slurm signals all processes, so
    that the harness may have ended before its runner knew why."""
    if end.reason is ExitReason.TERMINATED:
        return True
    return end.reason is ExitReason.EXITED and end.exit_code != 0 and end.out_of_memory is None


def explain_exit(end: Exit, job: SlurmJob, sight: Sight) -> End:
    """Add what Slurm knows to what the runner recorded."""
    if job.state is SlurmState.OUT_OF_MEMORY and end.exit_code == 128 + signal.SIGKILL:
        return replace(end, out_of_memory=f"Slurm job {job.job_id} used more memory than it may.")
    if job.state is SlurmState.CANCELLED and sight.is_cancelled:
        return replace(end, reason=ExitReason.CANCELLED)
    if job.state not in BY_SLURM or job.state is SlurmState.OUT_OF_MEMORY:
        return end
    return _by_slurm(job, end.started_at)


def explain_loss(job: SlurmJob | None, sight: Sight) -> Lost | Cancelled:
    """Return how an attempt ended that left no record. None: Slurm does not know the job."""
    if sight.is_cancelled:
        return Cancelled()
    if not sight.exists:
        return Lost("its run directory is gone")
    if sight.doubt is not None:
        return Lost(sight.doubt, started_at=sight.started_at)
    if job is None:
        return Lost("Slurm does not know its job any more", started_at=sight.started_at)
    if job.state in BY_SLURM:
        return _by_slurm(job, sight.started_at)
    if job.exit_code == CANNOT_ENTER:
        why = f"{node_of(job)} does not see its run directory"
        return Lost(why, "cluster_not_started", may_retry=False)
    if job.exit_code in NOT_FOUND:
        why = f"{node_of(job)} cannot run the Python of the executor"
        return Lost(why, "cluster_not_started", may_retry=False)
    if job.exit_code == files.CUT_OFF:
        why = f"{node_of(job)} could not write into its run directory, so its runner ended it"
        return Lost(why, "node_failed", started_at=sight.started_at)
    if not sight.is_started:
        reason = f", {job.reason}" if job.reason else ""
        why = f"its Slurm job ended before its runner started ({job.state_text}{reason})"
        return Lost(why, "cluster_not_started")
    return Lost(f"it was killed on {node_of(job)} ({job.state_text})", started_at=sight.started_at)


def _by_slurm(job: SlurmJob, started_at: str | None) -> Lost:
    why, code, may_retry = BY_SLURM[job.state]
    where = f"Slurm job {job.job_id}" + (f" on {job.node}" if job.node else "")
    return Lost(f"{why} ({where})", code, may_retry, started_at)


def node_of(job: SlurmJob) -> str:
    """Return words for the node of a job."""
    return f"the node {job.node}" if job.node else "its node"
