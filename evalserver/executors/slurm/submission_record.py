"""``slurm.json`` in a run directory: what was asked of Slurm for an attempt, and what it answered.

It is written before ``sbatch``, so that a submission without an answer is looked for and not made
twice. The name is made from the path of the run directory, so it is known without this file, too.
"""

import hashlib
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from evalserver.executors.slurm.options import DEFAULT_SILENCE_SECONDS
from evalserver.runner import files
from evalserver.system.untrusted_files import UnreadableFile, UntrustedDirectory, read_json

RECORD_FILE = "slurm.json"
MAX_BYTES = 64 * 1024
FIRST_YEAR = 2000
"""Of a time that is believed: what is not ours may be at the end of the calendar."""
NAME_PREFIX = "evalserver-"
"""Of the names of all attempts' jobs."""
MAX_PART = 36
"""Characters of a directory's name in that of a job: as many as an ID of ours has."""


@dataclass(frozen=True)
class SubmissionRecord:
    """One submission. Slurm uses IDs again: only cluster, ID, time and name together mean this one.

    ``submitted_at`` is when ``sbatch`` was run, in UTC. Without ``job_id`` there was no answer yet.
    ``max_silence_s`` is the setting of that time, by which the runner acts.
    """

    name: str
    cluster: str
    submitted_at: str
    job_id: str | None = None
    max_silence_s: float = DEFAULT_SILENCE_SECONDS

    @property
    def time(self) -> datetime:
        """When ``sbatch`` was run."""
        return datetime.fromisoformat(self.submitted_at)


def slurm_name(run_dir: Path) -> str:
    """Return the name of the job of Slurm for this run directory, which no other has."""
    digest = hashlib.sha256(str(run_dir).encode(errors="surrogateescape")).hexdigest()[:8]
    job, attempt = (re.sub(r"[^A-Za-z0-9._-]", "-", part) for part in run_dir.parts[-2:])
    return f"{NAME_PREFIX}{digest}-{job[-MAX_PART:]}-{attempt.removeprefix('attempt-')[-MAX_PART:]}"


def write_record(run_dir: Path, record: SubmissionRecord) -> None:
    """Write the record durably. Raises OSError."""
    files.write_atomically(run_dir / RECORD_FILE, asdict(record))


def remove_record(run_dir: Path) -> None:
    """Forget a submission that was refused. Raises OSError."""
    (run_dir / RECORD_FILE).unlink(missing_ok=True)


def read_record(run_dir: Path) -> SubmissionRecord | None:
    """Return the record, or None if there is none that can be read."""
    try:
        directory = UntrustedDirectory.for_attempt(run_dir)
        record = SubmissionRecord(**read_json(directory, RECORD_FILE, MAX_BYTES))
        is_valid = (
            record.name == slurm_name(run_dir)
            and isinstance(record.cluster, str)
            and (record.job_id is None or re.fullmatch(r"[0-9]{1,20}", record.job_id))
            and record.time.tzinfo is UTC
            and record.time.year >= FIRST_YEAR
            and isinstance(record.max_silence_s, int | float)
            and 0 < record.max_silence_s < float("inf")
        )
    except (UnreadableFile, TypeError, ValueError):
        return None
    return record if is_valid else None
