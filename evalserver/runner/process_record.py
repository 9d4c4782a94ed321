"""The processes of an attempt, written down while their runner lives.

Should the runner be killed, it is read by whoever ends what is left of them: a process can take
away the variable that marks it, but not its pid, nor the time of its start.
"""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from evalserver.runner.files import PROCESSES_FILE, boot_id, replace_file
from evalserver.runner.procfs import descendants, read_process

RECORD_SECONDS = 1.0
"""Between two looks at the processes, at least."""
MAX_SHARE = 0.02
"""Of a core, that looking may take: with thousands of threads it is done less often."""


class ProcessRecorder:
    """Keeps ``processes.json`` of one attempt up to date."""

    def __init__(self, run_dir: Path, output_pipe: int) -> None:
        self._path = run_dir / PROCESSES_FILE
        self._constant = {"boot_id": boot_id(), "output_pipe": output_pipe}
        self._look_at = 0.0
        self._written: list[tuple[int, int, int]] = []

    def record_if_due(self) -> None:
        """Look at the processes, about once a second, and write them down if they have changed."""
        begun = time.monotonic()
        if begun < self._look_at:
            return
        processes = _own_processes()
        if processes != self._written:
            with suppress(OSError):  # without room the older record has to do
                replace_file(self._path, json.dumps({**self._constant, "processes": processes}))
                self._written = processes
        now = time.monotonic()
        self._look_at = now + max(RECORD_SECONDS, (now - begun) / MAX_SHARE)


def _own_processes() -> list[tuple[int, int, int]]:
    """Pid, start and session of the runner and all below it that run."""
    found = [read_process(pid) for pid in (os.getpid(), *descendants(os.getpid()))]
    return [
        (each.pid, each.started, each.session)
        for each in found
        if each is not None and not each.has_ended
    ]
