"""The directory that server and nodes share: it may be missing, read-only, or silent for a while.

What says that it is there is the folder of this server in it, which is made when the server starts
and never afterwards: in the empty directory over which a share was mounted, nothing is created.
Everything here may wait for a disk: call it in a thread.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evalserver.executors.base import ResourcesExhausted
from evalserver.executors.runner_start import translate_errors

OUTAGE_ERRORS = {
    errno.ENOENT, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ECONNREFUSED, errno.ECONNABORTED,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ETIMEDOUT,
    errno.ENODEV, errno.ENXIO, errno.EROFS, errno.EACCES, errno.EPERM,
}  # fmt: skip
"""What a network file system answers when its server or a ticket is gone."""


def require_folder(run_dir: Path) -> None:
    """Raise FileNotFoundError if the server's folder, in which this run directory is, is gone."""
    folder = run_dir.parents[1]
    if not folder.is_dir():
        raise FileNotFoundError(
            errno.ENOENT,
            "it is gone; is the shared directory mounted? If the folder was removed, create it: "
            "what ran there then counts as lost",
            str(folder),
        )


def make_run_dir(run_dir: Path) -> None:
    """Create a run directory in the server's folder, unless it is there. Raises OSError."""
    require_folder(run_dir)
    for place in (run_dir.parent, run_dir):
        place.mkdir(exist_ok=True)


@contextmanager
def translate_outages(run_dir: Path) -> Iterator[None]:
    """Raise ResourcesExhausted for an OSError of the shared directory that may pass, and what
    ``translate_errors`` raises for any other."""
    with translate_errors(run_dir):
        try:
            yield
        except OSError as error:
            if error.errno not in OUTAGE_ERRORS or not _is_shared(error.filename, run_dir):
                raise
            raise ResourcesExhausted(
                f"the shared directory cannot be written: {error.filename}: {error.strerror}"
            ) from error


def _is_shared(name: object, run_dir: Path) -> bool:
    """Whether a file lies in the server's folder or beside it, not where a client wants output."""
    return isinstance(name, str) and Path(name).is_relative_to(run_dir.parents[2])
