"""Marking a checkpoint as needed, for trainers that look before they remove one."""

import os
from pathlib import Path

from evalserver.checkpoints.leases.refusals import LeaseRefused, unless_gone
from evalserver.core.lease_marks import COMPLETE, NEEDED, mark_name, mark_text
from evalserver.system.allowed_directories import AllowedDirectories
from evalserver.system.untrusted_files import DIRECTORY, UntrustedDirectory, open_directory


def make_mark(job_id: str, real: Path, allowed: AllowedDirectories) -> None:
    """Put the mark of a job into a checkpoint. Raises LeaseRefused, OSError."""
    folder = os.open(real, DIRECTORY)
    try:
        fault = allowed.fault(Path(f"/proc/self/fd/{folder}").readlink())
        if fault is not None:
            raise LeaseRefused("lease", fault)
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(mark_name(job_id), how, 0o644, dir_fd=folder), "wb") as file:
            file.write(mark_text(job_id, NEEDED))
            file.flush()
            os.fsync(file.fileno())
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_mark(job_id: str, real: Path) -> None:
    """Remove the mark of a job, or at least say in it that it is over. Raises OSError."""
    name = mark_name(job_id)
    with unless_gone(), open_directory(UntrustedDirectory(real)) as folder:
        try:
            os.unlink(name, dir_fd=folder)
        except PermissionError:
            # Others own the directory now; the mark itself can still say that it is over.
            how = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            with os.fdopen(os.open(name, how, dir_fd=folder), "wb") as file:
                file.write(mark_text(job_id, COMPLETE))
