"""TensorBoard: a directory for each series, with one event file that is rewritten.

TensorBoard cannot take a point back, so nothing is appended. The records are kept in a ledger in
the follower's state; whenever a series gets one, its event file is written from all of them under
the next name, and the one before is emptied. A TensorBoard that is running drops what it has read
of the old file at the mark of a restart with which the new one begins. It never goes on from a file
that is gone, so an emptied one is removed only later.
"""

import hashlib
import os
import re
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from evalserver.core.durable_files import replace_durably, sync
from evalserver.trackers.json_lines import JsonLines, record_of_row
from evalserver.trackers.records import Record, milliseconds
from evalserver.trackers.state import locked

LEDGER_NAME = "records.jsonl"
LOCK_NAME = ".evalserver-follow.lock"
DRAFT_NAME = ".evalserver-follow.new"

SUFFIX = "evalserver"
EVENT_FILE = re.compile(rf"events\.out\.tfevents\.(\d{{10}})\.{SUFFIX}")

EMPTY_FILE_SECONDS = 3600.0
"""How long an emptied file stays: until every TensorBoard has gone on to the next one."""

UNSAFE = re.compile(r"[^A-Za-z0-9._=+-]")
MAX_NAME = 100


class TensorboardFiles:
    """The destination ``tensorboard``. Jobs without numbers are not in it."""

    def __init__(self, directory: Path, state_dir: Path) -> None:
        """Raises ImportError without tensorboardX, StateTaken, Rejected, OSError."""
        _event_writer()
        self._directory = directory
        self._stack = ExitStack()
        directory.mkdir(parents=True, exist_ok=True)
        self._stack.enter_context(locked(directory / LOCK_NAME, str(directory)))
        try:
            self._ledger = JsonLines(
                state_dir / LEDGER_NAME, lock=state_dir / f"{LEDGER_NAME}.lock"
            )
        except BaseException:
            self._stack.close()
            raise
        self._stack.callback(self._ledger.close)
        self._records: dict[str, dict[str, Record]] = defaultdict(dict)
        for row in self._ledger.rows():
            record = record_of_row(row)
            self._records[run_name(record)][record.key] = record
        self._stale = {name for name in self._records if not _has_data(directory / name)}

    def send(self, record: Record) -> None:
        """Add the record to its series."""
        if not any(True for _ in record.values()):
            return
        self._ledger.send(record)
        name = run_name(record)
        self._records[name][record.key] = record
        self._stale.add(name)

    def flush(self) -> None:
        """Write the event files of the series that have changed."""
        self._ledger.flush()
        for name in sorted(self._stale):
            write_event_file(self._directory / name, list(self._records[name].values()))
            self._stale.discard(name)

    def close(self) -> None:
        """Close the ledger."""
        self._stack.close()


def run_name(record: Record) -> str:
    """Return the name of the directory, which TensorBoard shows as the run: that of the series, or
    of the job if it has none."""
    wanted = record.series or f"{record.title} {record.job_id[:8]}"
    name = UNSAFE.sub("_", wanted)[:MAX_NAME]
    if name != wanted or name.startswith("."):
        digest = hashlib.sha256(wanted.encode()).hexdigest()[:8]
        name = f"{name.lstrip('.')}-{digest}"
    return name


def write_event_file(directory: Path, records: list[Record]) -> None:
    """Write the event file of a series in place of the one that is there. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    older = _event_files(directory)
    draft = directory / DRAFT_NAME
    _write_events(draft, sorted(records, key=lambda each: (each.step or 0, each.completed_at)))
    number = 1 + max((int(EVENT_FILE.fullmatch(path.name)[1]) for path in older), default=0)  # type: ignore[index]
    replace_durably(draft, directory / f"events.out.tfevents.{number:010}.{SUFFIX}")
    for path in older:
        _empty_or_remove(path)


def _event_files(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if EVENT_FILE.fullmatch(path.name))


def _has_data(directory: Path) -> bool:
    return any(path.stat().st_size for path in _event_files(directory))


def _empty_or_remove(path: Path) -> None:
    found = path.stat()
    if found.st_size:
        os.truncate(path, 0)
    elif time.time() - found.st_mtime > EMPTY_FILE_SECONDS:
        path.unlink()


def _write_events(path: Path, records: list[Record]) -> None:
    writer, events, summaries = _event_writer()
    path.unlink(missing_ok=True)
    first_s = milliseconds(records[0].completed_at) / 1000
    file = writer.RecordWriter(str(path))
    try:
        head = events.Event(wall_time=first_s, file_version="brain.Event:2")
        start = events.SessionLog(status=events.SessionLog.SessionStatus.Value("START"))
        restart = events.Event(wall_time=first_s, step=0, session_log=start)
        for event in (head, restart):
            file.write(event.SerializeToString())
        for record in records:
            values = [
                summaries.Summary.Value(tag=name, simple_value=value)
                for name, value in record.values()
            ]
            event = events.Event(
                wall_time=milliseconds(record.completed_at) / 1000,
                step=record.step or 0,
                summary=summaries.Summary(value=values),
            )
            file.write(event.SerializeToString())
    finally:
        file.close()
    sync(path)


def _event_writer() -> tuple[Any, Any, Any]:
    """Return tensorboardX's writer of records and its messages. Raises ImportError."""
    from tensorboardX import record_writer
    from tensorboardX.proto import event_pb2, summary_pb2

    return record_writer, event_pb2, summary_pb2
