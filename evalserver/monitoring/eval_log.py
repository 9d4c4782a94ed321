"""Reading the log of one attempt, ``eval.log`` of its run directory, while it grows and after.

Everything here may wait for a disk: call it in a thread. Nothing is ever read whole.
"""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evalserver.runner.files import EXIT_FILE, LOG_FILE
from evalserver.system.untrusted_files import (
    MissingFile,
    UnreadableFile,
    UntrustedDirectory,
    open_descriptor,
    read_json,
)

MAX_EXIT_BYTES = 1024 * 1024
REPLACED = frozenset({errno.ELOOP, errno.ENXIO, errno.ENOTDIR})
BLOCK_BYTES = 256 * 1024


class LogGone(Exception):
    """There was a log, and it is not there any more; says why."""


class LogUnreadable(Exception):
    """The log cannot be read right now; says why."""


class EvalLog:
    """The log of the attempt in ``run_dir``; None: there is none yet.

    It is empty until the runner has begun it. Every method but ``close`` raises LogGone when the
    attempt's files were removed, and LogUnreadable when the system refuses.
    """

    def __init__(self, run_dir: Path | None) -> None:
        self._run_dir = run_dir
        self._descriptor: int | None = None
        self._in_use = threading.Lock()
        self._closed = False

    def size(self) -> int:
        """How many bytes it has by now."""
        with self._file() as file:
            return 0 if file is None else os.fstat(file).st_size

    def read(self, offset: int, most: int = BLOCK_BYTES) -> bytes:
        """Up to ``most`` bytes from an offset; none at the end."""
        with self._file() as file:
            return b"" if file is None else os.pread(file, most, offset)

    def start_of_last(self, lines: int, end: int) -> int:
        """The offset at which the last lines of the first ``end`` bytes begin.

        The file is read backwards from there, block by block, as far as is needed.
        """
        with self._file() as file:
            return 0 if file is None else _start_of_last(file, lines, end)

    def close(self) -> None:
        """Close the file; a method that still works on it in a thread closes it at its end."""
        self._closed = True
        if self._in_use.acquire(blocking=False):
            try:
                if self._descriptor is not None:
                    os.close(self._descriptor)
                self._descriptor = None
            finally:
                self._in_use.release()

    @contextmanager
    def _file(self) -> Iterator[int | None]:
        try:
            with self._in_use:
                if self._descriptor is None and self._run_dir is not None and not self._closed:
                    self._descriptor = _open(self._run_dir)
                yield self._descriptor
        except OSError as error:
            raise LogUnreadable(f"The log cannot be read right now: {error}") from error
        finally:
            if self._closed:
                self.close()


def _open(run_dir: Path) -> int | None:
    """The log's descriptor, or None while there is no log yet."""
    path = run_dir / LOG_FILE
    try:
        return open_descriptor(UntrustedDirectory.for_attempt(run_dir), LOG_FILE)
    except MissingFile:
        if not run_dir.is_dir():
            raise LogGone(f"The log is gone: its run directory {run_dir} was removed") from None
        if _harness_ran(run_dir):
            raise LogGone(f"The log is gone: {path} was removed") from None
        return None
    except UnreadableFile as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno not in REPLACED:
            raise error.__cause__ from None
        raise LogGone(_replaced(path)) from None


def _replaced(path: Path) -> str:
    return f"The log is gone: something that is no file has taken the place of {path}"


def _harness_ran(run_dir: Path) -> bool:
    """Has the attempt ended after its harness had been started? Then there was a log."""
    try:
        end = read_json(UntrustedDirectory.for_attempt(run_dir), EXIT_FILE, MAX_EXIT_BYTES)
        return end["exit_code"] is not None and end["reason"] != "not_started"
    except (UnreadableFile, KeyError):
        return False


def _start_of_last(file: int, lines: int, end: int) -> int:
    if lines == 0 or end == 0:
        return end
    # The newline at the very end ends the last line, and begins none.
    position = end - 1
    while position > 0:
        start = max(0, position - BLOCK_BYTES)
        block = os.pread(file, position - start, start)
        newlines = block.count(b"\n")
        if newlines >= lines:
            return start + _nth_newline_from_end(block, lines) + 1
        lines -= newlines
        position = start
    return 0


def _nth_newline_from_end(block: bytes, n: int) -> int:
    found = len(block)
    for _ in range(n):
        found = block.rfind(b"\n", 0, found)
    return found
