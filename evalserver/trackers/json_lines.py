"""A file with a line of JSON for each record, appended; also the ledger of other destinations."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evalserver.trackers.destination import Rejected
from evalserver.trackers.records import Json, Number, Record
from evalserver.trackers.state import locked

BEGINNING = b'{"job_id": "'
"""With this every line begins: another file is never written to."""


class JsonLines:
    """The destination ``jsonl``: appends records that the file does not have.

    A line that a crash left unfinished is cut off.
    """

    def __init__(self, path: Path, *, lock: Path | None = None) -> None:
        """Open the file, and lock it, or else the file ``lock``.

        Raises Rejected if it is not a file of records, StateTaken, OSError.
        """
        self.path = path
        self._stack = ExitStack()
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock") if lock is None else lock
        self._stack.enter_context(locked(lock, str(path)))
        try:
            self._descriptor = self._open()
            self._keys = {key_of(row) for row in self.rows()}
        except BaseException:
            self._stack.close()
            raise

    def send(self, record: Record) -> None:
        """Append the record unless it is there."""
        if record.key in self._keys:
            return
        self._reopen_if_replaced()
        line = f"{json.dumps(row_of(record), ensure_ascii=False, allow_nan=False)}\n".encode()
        end = os.fstat(self._descriptor).st_size
        try:
            _write(self._descriptor, line)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._descriptor, end)
            raise
        self._keys.add(record.key)

    def flush(self) -> None:
        """Wait until the lines are on disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
        self._stack.close()

    def rows(self) -> Iterator[Json]:
        """Yield the lines of the file. Raises Rejected at one that is no record."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    row = json.loads(line)
                    key_of(row)
                except (ValueError, TypeError, KeyError):
                    raise Rejected(
                        f"{self.path}:{number} is not a record of evalserver follow; repair or"
                        " remove the line, or give another file"
                    ) from None
                yield row

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o666)
        try:
            _require_records(descriptor, self.path)
            _cut_unfinished_line(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _reopen_if_replaced(self) -> None:
        """Begin a new file if the old one was moved away, as log rotation does."""
        ours = os.fstat(self._descriptor)
        try:
            named = self.path.stat()
        except FileNotFoundError:
            named = None
        if named is None or (named.st_dev, named.st_ino) != (ours.st_dev, ours.st_ino):
            self.flush()
            replacement = self._open()
            os.close(self._descriptor)
            self._descriptor = replacement


def row_of(record: Record) -> Json:
    """Return the JSON object for a record."""
    return {**asdict(record), "numbers": [asdict(number) for number in record.numbers]}


def record_of_row(row: Json) -> Record:
    """Return the record of a JSON object."""
    numbers = tuple(Number(**number) for number in row["numbers"])
    return Record(**{**row, "tasks": tuple(row["tasks"]), "numbers": numbers})


def key_of(row: Any) -> str:
    """Return the key of the record of a JSON object. Raises TypeError, KeyError."""
    return f"{row['job_id']}/{row['event_id']}"


def _require_records(descriptor: int, path: Path) -> None:
    head = os.pread(descriptor, len(BEGINNING), 0)
    if not BEGINNING.startswith(head):
        raise Rejected(f"{path} is there, and is not a file of evalserver follow; give another one")


def _cut_unfinished_line(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    end = size
    piece = 1 << 16
    while end > 0:
        start = max(0, end - piece)
        at = os.pread(descriptor, end - start, start).rfind(b"\n")
        if at >= 0:
            end = start + at + 1
            break
        end = start
    if end != size:
        os.ftruncate(descriptor, end)
        os.fsync(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
