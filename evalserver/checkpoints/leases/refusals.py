"""Why there is no lease, for the client that asked for one."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from evalserver.core.request import COPY, LINK, MARK
from evalserver.system.untrusted_files import UnreadableFile

NO_LINKS = frozenset({errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
NO_RIGHTS = frozenset({errno.EPERM, errno.EACCES, errno.EROFS})
GONE = frozenset({errno.ENOENT, errno.ENOTDIR})


class LeaseRefused(Exception):
    """There is no lease, and nothing was left behind; names the field, and says why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


class LeasesUnavailable(Exception):
    """The server cannot keep a lease on record right now; nothing was left behind."""


def explain(kind: str, original: str, error: OSError | UnreadableFile) -> str:
    """Return the sentence for an error while a lease of this kind was made."""
    if isinstance(error, UnreadableFile):
        return f"It could not be kept: {error}"
    code = error.errno or 0
    return f"{original} could not be kept: {os.strerror(code)}.{_advice(kind, code)}"


@contextmanager
def unless_gone() -> Iterator[None]:
    """Ignore that something is not there; a link in its place is none of ours."""
    try:
        yield
    except OSError as error:
        if error.errno not in (*GONE, errno.ELOOP):
            raise


def _advice(kind: str, code: int) -> str:
    if code in GONE:
        return " It was removed meanwhile."
    if kind == LINK and code in NO_LINKS:
        return (
            " Its file system, or the border between two, allows no hard links here: use lease"
            f" {COPY}, or {MARK}."
        )
    if kind == LINK and code in NO_RIGHTS:
        return (
            " The server's user must be allowed to write beside the checkpoint, and must own its"
            f" files or be allowed to write to them (fs.protected_hardlinks): or use lease {COPY}."
        )
    return " The server's user must be allowed to write there." if code in NO_RIGHTS else ""
