"""What Slurm's programs print, as values. Pure functions.

The formats of ``squeue -O`` and ``sinfo -O`` have a width and a separator for each field, the free
text last; those of ``sacct -P`` a separator. JSON has other names and meanings in each version.
"""

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

MAX_NAME = 128
"""Characters of a job's name that are read."""

JOB_FIELDS = {
    "JobID": 24, "State": 20, "exit_code": 12, "Reason": 100, "BatchHost": 80, "Partition": 100,
    "SubmitTime": 20, "StartTime": 20, "EndTime": 20, "RestartCnt": 8, "Name": MAX_NAME,
}  # fmt: skip
JOB_FORMAT = ",".join(f"{name}:{width}|" for name, width in JOB_FIELDS.items())
"""For ``squeue -O``."""

NODE_FIELDS = {
    "NodeList": 80, "PartitionName": 100, "StateLong": 24, "Gres": 200, "GresUsed": 200,
    "Reason": 200,
}  # fmt: skip
NODE_FORMAT = ",".join(f"{name}:{width}|" for name, width in NODE_FIELDS.items())
"""For ``sinfo -N -O``."""

RECORD_FIELDS = (
    "JobIDRaw", "State", "ExitCode", "NodeList", "Partition", "Submit", "Start", "End", "JobName",
)  # fmt: skip
RECORD_FORMAT = ",".join(RECORD_FIELDS)
"""For ``sacct -P``."""

ABSENT = {"", "N/A", "n/a", "Unknown", "None", "(null)", "none", "None assigned"}


class SlurmState(StrEnum):
    """The state of a job of Slurm."""

    PENDING = "PENDING"
    CONFIGURING = "CONFIGURING"
    RUNNING = "RUNNING"
    COMPLETING = "COMPLETING"
    STAGE_OUT = "STAGE_OUT"
    SUSPENDED = "SUSPENDED"
    STOPPED = "STOPPED"
    SIGNALING = "SIGNALING"
    RESIZING = "RESIZING"
    REQUEUED = "REQUEUED"
    REQUEUE_HOLD = "REQUEUE_HOLD"
    SPECIAL_EXIT = "SPECIAL_EXIT"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    NODE_FAIL = "NODE_FAIL"
    PREEMPTED = "PREEMPTED"
    BOOT_FAIL = "BOOT_FAIL"
    LAUNCH_FAILED = "LAUNCH_FAILED"
    DEADLINE = "DEADLINE"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    REVOKED = "REVOKED"
    OTHER = "OTHER"
    """One that is not in this list; ``SlurmJob.state_text`` has Slurm's word."""

    @property
    def is_final(self) -> bool:
        """Whether the job has ended, with every process of it."""
        return self in FINAL_STATES


STATES = {state.value: state for state in SlurmState}

FINAL_STATES = frozenset(
    {
        SlurmState.COMPLETED, SlurmState.CANCELLED, SlurmState.FAILED, SlurmState.TIMEOUT,
        SlurmState.NODE_FAIL, SlurmState.PREEMPTED, SlurmState.BOOT_FAIL, SlurmState.LAUNCH_FAILED,
        SlurmState.DEADLINE, SlurmState.OUT_OF_MEMORY, SlurmState.REVOKED,
    }
)  # fmt: skip


class UnreadableAnswer(ValueError):
    """A program of Slurm printed something else than it was asked for; quotes it."""


@dataclass(frozen=True)
class SlurmJob:
    """A job as Slurm sees it. The name is the key: Slurm uses an ID again.

    ``exit_code`` is None until the end, and negative for a signal. sacct's is not the program's own
    if that is above 128. ``expected_start`` is known of some pending jobs, ``started_at`` of none.
    """

    job_id: str
    name: str
    state: SlurmState
    state_text: str
    exit_code: int | None
    reason: str | None
    node: str | None
    partition: str | None
    submitted_at: datetime | None
    started_at: datetime | None
    expected_start: datetime | None
    ended_at: datetime | None
    restarts: int = 0


@dataclass(frozen=True)
class SlurmNode:
    """A node. ``state`` is Slurm's word and its marks: ``idle*`` does not answer.

    ``gres`` and ``gres_used`` are in Slurm's notation: ``gpu:2``, ``gpu:1(IDX:0)``.
    """

    name: str
    partitions: tuple[str, ...]
    state: str
    gres: str | None
    gres_used: str | None
    reason: str | None


def parse_jobs(text: str, prefix: str = "") -> tuple[SlurmJob, ...]:
    """Read what squeue printed in JOB_FORMAT, of jobs whose names begin so. Raises
    UnreadableAnswer."""
    return tuple(_job(*row) for row in _rows(text, len(JOB_FIELDS), prefix))


def parse_records(text: str) -> tuple[SlurmJob, ...]:
    """Read what sacct printed in RECORD_FORMAT. Raises UnreadableAnswer."""
    return tuple(_record(*row) for row in _rows(text, len(RECORD_FIELDS)))


def parse_nodes(text: str) -> tuple[SlurmNode, ...]:
    """Read what sinfo printed in NODE_FORMAT: a line for each partition of a node, in any order.

    Raises UnreadableAnswer.
    """
    nodes: dict[str, SlurmNode] = {}
    for name, partition, state, gres, used, reason in _rows(text, len(NODE_FIELDS)):
        before = nodes[name].partitions if name in nodes else ()
        nodes[name] = SlurmNode(
            name,
            tuple(sorted((*before, partition))),
            state,
            _present(gres),
            _present(used),
            _present(reason),
        )
    return tuple(nodes.values())


def _rows(text: str, number: int, prefix: str = "") -> list[list[str]]:
    """Split lines into fields. The last may contain separators, and even line breaks: users choose
    the names of their jobs. Rows whose last field begins otherwise are left out."""
    rows: list[list[str]] = []
    for line in text.split("\n"):
        fields = line.split("|", number - 1)
        if len(fields) == number:
            rows.append(fields)
        elif rows:
            rows[-1][-1] += f"\n{line}"
        elif line.strip():
            raise UnreadableAnswer(f"{line[:200]!r}")
    return [
        [*(field.strip() for field in first), last.rstrip().removesuffix("|").rstrip()]
        for *first, last in rows
        # Before anything else is done with them: there may be thousands.
        if last.startswith(prefix)
    ]


def _job(
    job_id: str, state_text: str, exit_code: str, reason: str, node: str, partition: str,
    submit: str, start: str, end: str, restarts: str, name: str,
) -> SlurmJob:  # fmt: skip
    state = _state(state_text)
    return SlurmJob(
        job_id=job_id,
        name=name,
        state=state,
        state_text=state_text,
        exit_code=_from_wait_status(exit_code) if state.is_final else None,
        reason=_present(reason),
        node=_present(node),
        partition=_present(partition),
        submitted_at=_time(submit),
        started_at=None if state is SlurmState.PENDING else _time(start),
        expected_start=_time(start) if state is SlurmState.PENDING else None,
        ended_at=_time(end) if state.is_final else None,
        restarts=int(restarts) if restarts.isdecimal() else 0,
    )


def _record(
    job_id: str, state_text: str, exit_code: str, node: str, partition: str, submit: str,
    start: str, end: str, name: str,
) -> SlurmJob:  # fmt: skip
    code, _, number = exit_code.partition(":")
    job = _job(job_id, state_text, "", "", node, partition, submit, start, end, "", name)
    if not (job.state.is_final and code.isdecimal() and number.isdecimal()):
        return job
    return replace(job, exit_code=-int(number) if int(number) else int(code))


def _state(text: str) -> SlurmState:
    # sacct says "CANCELLED by 1000".
    word = text.partition(" ")[0]
    return STATES.get(word, SlurmState.OTHER)


def _from_wait_status(text: str) -> int | None:
    try:
        return os.waitstatus_to_exitcode(int(text))
    except ValueError:  # Slurm's own codes are no statuses of wait
        return None


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def _present(text: str) -> str | None:
    return None if text in ABSENT else text
