"""A record of the processes of an attempt, kept while the runner is alive.

If the runner is killed, the server uses it to find the remaining processes: a process can remove
the token from its environment, but can change neither its pid nor its start time.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from evalserver.runner.files import PROCESSES_FILE, boot_id, replace_file
from evalserver.runner.procfs import descendants, read_process

RECORD_SECONDS = 1.0
"""The minimum time between two records."""
MAX_SHARE = 0.02
"""The share of a core that recording may take: with thousands of processes it is rarer."""
MAX_PIDS = 100_000


class ProcessRecorder:
    """Keeps ``processes.json`` of one attempt up to date."""

    def __init__(self, run_dir: Path, output_pipe: int) -> None:
        self._path = run_dir / PROCESSES_FILE
        self._constant = {"boot_id": boot_id(), "output_pipe": output_pipe}
        self._next_at = 0.0
        self._written: list[tuple[int, int, int]] = []
        self.pids: set[int] = set()
        """Of every process that was listed, up to a maximum."""

    def record_if_due(self) -> None:
        """List the processes, about once a second, and write them if they have changed."""
        begun = time.monotonic()
        if begun < self._next_at:
            return
        processes = _own_processes()
        if len(self.pids) < MAX_PIDS:
            self.pids.update(pid for pid, *_ in processes[1:])
        if processes != self._written:
            with suppress(OSError):  # if the disk is full, the older record remains
                replace_file(self._path, json.dumps({**self._constant, "processes": processes}))
                self._written = processes
        now = time.monotonic()
        self._next_at = now + max(RECORD_SECONDS, (now - begun) / MAX_SHARE)


def _own_processes() -> list[tuple[int, int, int]]:
    """Return pid, start time and session of the runner and its running descendants."""
    found = [read_process(pid) for pid in (os.getpid(), *descendants(os.getpid()))]
    return [
        (each.pid, each.started, each.session)
        for each in found
        if each is not None and not each.has_ended
    ]
