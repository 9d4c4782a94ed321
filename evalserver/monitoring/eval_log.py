"""Random access to the log of one attempt, while it grows and afterwards.

All of it can block on the disk, so call it in a thread. The log is never read as a whole.
"""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from evalserver.runner.files import EXIT_FILE
from evalserver.system.attempt_log import log_path, open_log
from evalserver.system.untrusted_files import (
    MissingFile,
    UnreadableFile,
    UntrustedDirectory,
    read_json,
)

MAX_EXIT_FILE_BYTES = 1024 * 1024
REPLACED = frozenset({errno.ELOOP, errno.ENXIO, errno.ENOTDIR})
"""Errors that mean that something else is where the log was."""
BLOCK_BYTES = 256 * 1024


class LogGone(Exception):
    """The log existed and was removed; the message says how."""


class LogUnreadable(Exception):
    """The log cannot be read at the moment; the message says why."""


class EvalLog:
    """The log of the attempt in ``run_dir``, or an empty log if that is None.

    The log is empty until the runner creates it. All methods but ``close`` raise LogGone if the
    attempt's files were removed, and LogUnreadable if the operating system reports an error.
    """

    def __init__(self, run_dir: Path | None) -> None:
        self._run_dir = run_dir
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self._closed = False

    def size(self) -> int:
        """Return the current size in bytes."""
        with self._descriptor() as descriptor:
            return 0 if descriptor is None else os.fstat(descriptor).st_size

    def read(self, offset: int, max_bytes: int = BLOCK_BYTES) -> bytes:
        """Return up to ``max_bytes`` from an offset; empty at the end of the log."""
        with self._descriptor() as descriptor:
            return b"" if descriptor is None else os.pread(descriptor, max_bytes, offset)

    def find_last_lines(self, lines: int, end: int) -> int:
        """Return the offset where the last ``lines`` lines before the offset ``end`` begin.

        The log is read backwards from ``end`` in blocks, only as far as necessary.
        """
        with self._descriptor() as descriptor:
            return 0 if descriptor is None else _find_last_lines(descriptor, lines, end)

    def close(self) -> None:
        """Close the file. A method that is still using it in a thread closes it when it ends."""
        self._closed = True
        if self._lock.acquire(blocking=False):
            try:
                if self._file is not None:
                    self._file.close()
                self._file = None
            finally:
                self._lock.release()

    @contextmanager
    def _descriptor(self) -> Iterator[int | None]:
        try:
            with self._lock:
                if self._file is None and self._run_dir is not None and not self._closed:
                    self._file = _open(self._run_dir)
                yield None if self._file is None else self._file.fileno()
        except OSError as error:
            raise LogUnreadable(f"The log cannot be read at the moment: {error}") from error
        finally:
            if self._closed:
                self.close()


def _open(run_dir: Path) -> BinaryIO | None:
    """Open the log; None if it does not exist yet."""
    path = log_path(run_dir)
    try:
        return open_log(run_dir)
    except MissingFile:
        if not run_dir.is_dir():
            raise LogGone(f"The log is gone: its run directory {run_dir} was removed") from None
        if _harness_ran(run_dir):
            raise LogGone(f"The log is gone: {path} was removed") from None
        return None
    except UnreadableFile as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno not in REPLACED:
            raise error.__cause__ from None
        raise LogGone(f"The log is gone: {path} is not a regular file any more") from None


def _harness_ran(run_dir: Path) -> bool:
    """Return whether the attempt ended after its harness was started, so that it had a log."""
    try:
        exit_file = read_json(
            UntrustedDirectory.for_attempt(run_dir), EXIT_FILE, MAX_EXIT_FILE_BYTES
        )
        return exit_file["exit_code"] is not None and exit_file["reason"] != "not_started"
    except (UnreadableFile, KeyError):
        return False


def _find_last_lines(descriptor: int, lines: int, end: int) -> int:
    if lines == 0 or end == 0:
        return end
    # A newline at the end terminates the last line and does not begin another.
    position = end - 1
    while position > 0:
        start = max(0, position - BLOCK_BYTES)
        block = os.pread(descriptor, position - start, start)
        newlines = block.count(b"\n")
        if newlines >= lines:
            return start + _nth_newline_from_end(block, lines) + 1
        lines -= newlines
        position = start
    return 0


def _nth_newline_from_end(block: bytes, n: int) -> int:
    position = len(block)
    for _ in range(n):
        position = block.rfind(b"\n", 0, position)
    return position
