"""The layout of jobs' files in the data directory, and removing them.

Under ``DATA_DIR/runs/<prefix><job id>/``, or in place of ``DATA_DIR/runs`` the directory that an
executor has for them:

* ``attempt-1/`` is the run directory of the first attempt,
* ``attempt-1/output/`` is its output, unless the client named another directory,
* ``cache/`` contains responses of the model, shared by all attempts.
"""

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evalserver.checkpoints.merging import requested_merge
from evalserver.core.job import Job, NewJob
from evalserver.engines import Paths
from evalserver.system.allowed_directories import AllowedDirectories

BLOCK_BYTES = 512
"""The unit of ``st_blocks``."""

JOB_ID_LENGTH = len(str(uuid.UUID(int=0)))


@dataclass(frozen=True)
class RunDirectories:
    """The layout of one data directory."""

    root: Path
    prefix: str
    outputs: AllowedDirectories | None = None
    """Where clients may have output written; None: anywhere."""
    task_files: AllowedDirectories | None = None
    """Where task files may be; None: anywhere."""
    roots: Mapping[str, Path] = field(default_factory=dict)
    """The directories of executors that have one of their own in place of ``root``. Like it, each
    belongs to this server alone."""

    def next_attempt(self, job: Job) -> Paths:
        """Return the paths of the job's next attempt."""
        return self._attempt(job, job.attempt + 1)

    def first_attempt(self, job: NewJob) -> Paths:
        """Return the paths that the first attempt of a new job would have."""
        return self._attempt(job, 1)

    def current_attempt(self, job: Job) -> Paths:
        """Return the paths of the job's current attempt."""
        paths = self._attempt(job, job.attempt)
        # As recorded when it was claimed: settings may have changed since.
        run_dir = Path(job.run_dir) if job.run_dir else paths.run_dir
        return Paths(
            run_dir=run_dir,
            output_dir=Path(job.output_dir) if job.output_dir else paths.output_dir,
            cache_dir=run_dir.parent / "cache",
        )

    def fault(self, job: Job) -> str | None:
        """Return why the job may not use the paths in its request; checks them as they are now."""
        for name, path in self._requested_directories(job).items():
            fault = None if self.outputs is None else self.outputs.fault(path)
            if fault is not None:
                return f"{name}: {fault}"
        files = [Path(task) for task in job.request.tasks if task.startswith("/")]
        faults = [self.task_files.fault(each) for each in files] if self.task_files else []
        return next((f"tasks: {fault}" for fault in faults if fault is not None), None)

    def remove(self, job_ids: Iterable[str]) -> None:
        """Delete all files of these jobs, except directories that a client named."""
        # Without glob, which caches a compiled pattern for each job.
        suffixes = tuple(job_ids)
        if not suffixes:
            return
        for folder in self._folders():
            if folder.name.endswith(suffixes):
                shutil.rmtree(folder, ignore_errors=True)

    def size(self, job: Job) -> int:
        """Return how many bytes the files of a job take on disk, except those in directories that a
        client named."""
        return _disk_usage(self.current_attempt(job).run_dir.parent)

    def job_ids(self) -> list[str]:
        """Return the job ids with which names of directories end."""
        found = {folder.name[-JOB_ID_LENGTH:] for folder in self._folders()}
        return sorted(name for name in found if _is_job_id(name))

    def _folders(self) -> Iterator[Path]:
        for root in dict.fromkeys([self.root, *self.roots.values()]):
            if root.is_dir():
                yield from root.iterdir()

    def _requested_directories(self, job: Job) -> dict[str, Path]:
        """Return the directories in the request, by the names of its fields."""
        merge = requested_merge(job.request)
        output = {"output_dir": self.current_attempt(job).output_dir}
        return {
            **(output if job.request.output_dir is not None else {}),
            **({} if merge is None else {"lmms_engine_kwargs.model_path": merge.shards}),
            **({} if merge is None else {"lmms_engine_kwargs.output_path": merge.output_path}),
        }

    def _attempt(self, job: Job | NewJob, number: int) -> Paths:
        job_dir = self.roots.get(job.executor, self.root) / f"{self.prefix}{job.job_id}"
        run_dir = job_dir / f"attempt-{number}"
        named = job.request.output_dir
        # A directory of its own: only files of this attempt may count as its results.
        output_dir = Path(named) / job.job_id / run_dir.name if named else run_dir / "output"
        return Paths(run_dir, output_dir.absolute(), job_dir / "cache")


def _disk_usage(folder: Path) -> int:
    """Return the bytes of all files below a folder, each file once however many names it has."""
    sizes: dict[tuple[int, int], int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(place, name))  # noqa: PTH118 - many files
            except OSError:
                continue  # it was removed meanwhile
            sizes[status.st_dev, status.st_ino] = status.st_blocks * BLOCK_BYTES
    return sum(sizes.values())


def _is_job_id(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
