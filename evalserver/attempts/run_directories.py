"""Where each job's files lie under the data directory, and removing them.

Under ``DATA_DIR/runs/<prefix><job id>/``:

* ``attempt-1/`` is the run directory of the first attempt,
* ``attempt-1/output/`` its output, unless the client named another place,
* ``cache/`` keeps the responses that all attempts share.
"""

import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evalserver.checkpoints.merging import requested_merge
from evalserver.core.job import Job, NewJob
from evalserver.engines import Paths
from evalserver.system.allowed_directories import AllowedDirectories

JOB_ID_LENGTH = len(str(uuid.UUID(int=0)))


@dataclass(frozen=True)
class RunDirectories:
    """The layout of one data directory."""

    root: Path
    prefix: str
    outputs: AllowedDirectories | None = None
    """Where output may be written that a client names; None: anywhere."""
    task_files: AllowedDirectories | None = None
    """Whose files may be tasks; None: anybody's."""

    def next_attempt(self, job: Job) -> Paths:
        """The places of the attempt that the job is about to make."""
        return self._attempt(job, job.attempt + 1)

    def first_attempt(self, job: NewJob) -> Paths:
        """The places that the first attempt of a new job would have."""
        return self._attempt(job, 1)

    def current_attempt(self, job: Job) -> Paths:
        """The places of the attempt that the job is making."""
        paths = self._attempt(job, job.attempt)
        # As recorded when it was claimed: settings may have changed since.
        run_dir = Path(job.run_dir) if job.run_dir else paths.run_dir
        return Paths(
            run_dir=run_dir,
            output_dir=Path(job.output_dir) if job.output_dir else paths.output_dir,
            cache_dir=run_dir.parent / "cache",
        )

    def fault(self, job: Job) -> str | None:
        """Why the job may not use the places that its request names, as they are by now."""
        for name, path in self._named(job).items():
            fault = None if self.outputs is None else self.outputs.fault(path)
            if fault is not None:
                return f"{name}: {fault}"
        files = [Path(task) for task in job.request.tasks if task.startswith("/")]
        faults = [self.task_files.fault(each) for each in files] if self.task_files else []
        return next((f"tasks: {fault}" for fault in faults if fault is not None), None)

    def remove(self, job_ids: Iterable[str]) -> None:
        """Delete all files of these jobs; never a directory that a client named."""
        # Not by glob, which keeps a compiled pattern for each of the last jobs.
        endings = tuple(job_ids)
        if not endings or not self.root.is_dir():
            return
        for folder in self.root.iterdir():
            if folder.name.endswith(endings):
                shutil.rmtree(folder, ignore_errors=True)

    def job_ids(self) -> list[str]:
        """The jobs that seem to have files here: whose ids end the name of a directory."""
        if not self.root.is_dir():
            return []
        found = {folder.name[-JOB_ID_LENGTH:] for folder in self.root.iterdir()}
        return sorted(name for name in found if _is_job_id(name))

    def _named(self, job: Job) -> dict[str, Path]:
        """The directories that the request names, by its fields."""
        merge = requested_merge(job.request)
        named = {"output_dir": self.current_attempt(job).output_dir}
        return {
            **(named if job.request.output_dir is not None else {}),
            **({} if merge is None else {"lmms_engine_kwargs.model_path": merge.shards}),
            **({} if merge is None else {"lmms_engine_kwargs.output_path": merge.output_path}),
        }

    def _attempt(self, job: Job | NewJob, number: int) -> Paths:
        job_dir = self.root / f"{self.prefix}{job.job_id}"
        run_dir = job_dir / f"attempt-{number}"
        named = job.request.output_dir
        # A folder of its own below the client's: only files of this attempt count as its results.
        output_dir = Path(named) / job.job_id / run_dir.name if named else run_dir / "output"
        return Paths(run_dir, output_dir.absolute(), job_dir / "cache")


def _is_job_id(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
