"""Making the files of a lease, and removing them.

Whoever can write beside a checkpoint may replace any part of a path at any time. So directories of
a lease are opened one below the other without following links, and a file of the checkpoint is
opened first, checked where it is, and then linked by its descriptor.
"""

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from evalserver.checkpoints.leases.marks import make_mark, remove_mark
from evalserver.checkpoints.leases.records import LEASES_NAME, Lease, LeasedPath
from evalserver.checkpoints.leases.refusals import GONE, LeaseRefused, explain, unless_gone
from evalserver.checkpoints.readiness import signature
from evalserver.core.request import LINK, MARK
from evalserver.system.allowed_directories import AllowedDirectories
from evalserver.system.untrusted_files import (
    DIRECTORY,
    UnreadableFile,
    UntrustedDirectory,
    enter,
    open_directory,
    open_named_file,
)

MAX_TRIES = 5
"""Another lease may remove the directory of all leases while one is made in it."""


def make_files(lease: Lease, allowed: AllowedDirectories, stop: threading.Event) -> None:
    """Make the links, copies or marks of a lease.

    Raises LeaseRefused, also when ``stop`` is set meanwhile; then what was made is removed again.
    """
    for leased in lease.paths:
        try:
            if lease.kind == MARK:
                make_mark(lease.job_id, Path(leased.real), allowed)
            else:
                _make_tree(lease, leased, allowed, stop)
        except LeaseRefused:
            remove_files(lease)
            raise
        except (OSError, UnreadableFile) as error:
            remove_files(lease)
            raise LeaseRefused(leased.field, explain(lease.kind, leased.original, error)) from error


def remove_files(lease: Lease) -> list[Path]:
    """Remove what was made for a lease, and nothing else.

    Returns the directories that were left, as others have put something there. Raises OSError.
    """
    left: list[Path] = []
    for leased in lease.paths:
        if lease.kind == MARK:
            remove_mark(lease.job_id, Path(leased.real))
        elif not _remove_tree(lease, leased):
            left.append(lease.place(leased))
    return left


def is_intact(lease: Lease, leased: LeasedPath) -> bool:
    """Return whether the files of a lease are as they were when it was planned: none was removed,
    and none was written in place, which changes a link, too."""
    found = signature(lease.place(leased))
    return not isinstance(found, str) and found.digest == leased.digest


def _make_tree(
    lease: Lease, leased: LeasedPath, allowed: AllowedDirectories, stop: threading.Event
) -> None:
    real = Path(leased.real)
    with _new_job_directory(real.parent, lease.job_id, allowed) as top:
        for name in leased.files:
            if stop.is_set():
                raise LeaseRefused("lease", "The disk took too long; nothing was kept.")
            path = PurePosixPath(real.name, name)
            with _made_directory(top, path.parent) as folder:
                _make_file(real / name if name else real, folder, path.name, lease.kind, allowed)
        _sync_tree(lease, leased)
    if not is_intact(lease, leased):
        raise LeaseRefused(
            leased.field,
            f"{real} was changed while it was kept; submit it when it is complete.",
        )


def _make_file(
    source: Path, folder: int, name: str, kind: str, allowed: AllowedDirectories
) -> None:
    with open_named_file(source) as file:
        place = f"/proc/self/fd/{file.fileno()}"
        fault = allowed.fault(Path(place).readlink())
        if fault is not None:
            raise UnreadableFile(f"{source}: it is a link to a file elsewhere. {fault}")
        if kind == LINK:
            os.link(place, name, dst_dir_fd=folder, follow_symlinks=True)
            return
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        status = os.fstat(file.fileno())
        with os.fdopen(os.open(name, how, 0o600, dir_fd=folder), "wb") as copy:
            shutil.copyfileobj(file, copy, 16 * 1024 * 1024)
            copy.flush()
            os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(copy.fileno())


@contextmanager
def _new_job_directory(parent: Path, job_id: str, allowed: AllowedDirectories) -> Iterator[int]:
    """Make the directory of a job's lease, and yield its descriptor. It must not exist yet, unless
    another checkpoint of the job is beside this one."""
    beside = os.open(parent, DIRECTORY)
    try:
        fault = allowed.fault(Path(f"/proc/self/fd/{beside}").readlink())
        if fault is not None:
            raise LeaseRefused("lease", fault)
        for attempt in range(MAX_TRIES):
            with suppress(FileExistsError):
                os.mkdir(LEASES_NAME, 0o755, dir_fd=beside)
            try:
                leases = os.open(LEASES_NAME, DIRECTORY | os.O_NOFOLLOW, dir_fd=beside)
            except FileNotFoundError:
                if attempt == MAX_TRIES - 1:
                    raise
                continue
            try:
                # Closed to others: a file may be readable only because its directory is not.
                with suppress(FileExistsError):
                    os.mkdir(job_id, 0o700, dir_fd=leases)
                folder = os.open(job_id, DIRECTORY | os.O_NOFOLLOW, dir_fd=leases)
                break
            except FileNotFoundError:
                if attempt == MAX_TRIES - 1:
                    raise
            finally:
                os.close(leases)
    finally:
        os.close(beside)
    try:
        yield folder
    finally:
        os.close(folder)


@contextmanager
def _made_directory(top: int, path: PurePosixPath) -> Iterator[int]:
    """Make the directories of a path below ``top``, and yield the descriptor of the last one."""
    folder = os.dup(top)
    try:
        for name in path.parts:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=folder)
            folder = enter(folder, name)
        yield folder
    finally:
        os.close(folder)


def _sync_tree(lease: Lease, leased: LeasedPath) -> None:
    """Write the names of a lease to the disk."""
    for folder in (*_folders(lease, leased), _leases_directory(leased)):
        with open_directory(folder) as opened:
            os.fsync(opened)


def _remove_tree(lease: Lease, leased: LeasedPath) -> bool:
    """Remove the files of one checkpoint; returns whether nothing of others is left there."""
    top = _job_directory(lease, leased)
    real = Path(leased.real)
    for name in leased.files:
        path = PurePosixPath(real.name, name)
        with unless_gone(), open_directory(top.below(*path.parent.parts)) as folder:
            os.unlink(path.name, dir_fd=folder)
    is_empty = all([_remove_directory(each) for each in _folders(lease, leased)])
    _remove_directory(_leases_directory(leased))
    return is_empty


def _remove_directory(directory: UntrustedDirectory) -> bool:
    """Remove a directory if it is empty; returns whether it is gone."""
    above = UntrustedDirectory(directory.trusted, directory.steps[:-1])
    try:
        with open_directory(above) as folder:
            os.rmdir(directory.steps[-1], dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        if error.errno not in (*GONE, errno.ELOOP):
            raise
    return True


def _folders(lease: Lease, leased: LeasedPath) -> list[UntrustedDirectory]:
    """Return the directories of one checkpoint of a lease, the innermost first."""
    top = _job_directory(lease, leased)
    paths = {
        folder
        for name in leased.files
        for folder in PurePosixPath(Path(leased.real).name, name).parents
    }
    return [top.below(*path.parts) for path in sorted(paths, key=lambda path: -len(path.parts))]


def _job_directory(lease: Lease, leased: LeasedPath) -> UntrustedDirectory:
    return _leases_directory(leased).below(lease.job_id)


def _leases_directory(leased: LeasedPath) -> UntrustedDirectory:
    return UntrustedDirectory(Path(leased.real).parent, (LEASES_NAME,))
