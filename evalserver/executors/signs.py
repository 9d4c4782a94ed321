"""Knowing the processes of an attempt whose runner is gone, where no cgroup lists them.

One sign is enough: the mark in the environment, a pid and start as recorded while the runner
lived, a session of those, the pipe of its output, a file of the run directory open for writing,
or a parent of which one of these holds. What a process has taken off, another sign may show.
"""

import os
from pathlib import Path

import psutil

from evalserver.executors.run_files import process_record_of
from evalserver.runner import files
from evalserver.runner.procfs import Process, all_processes, files_written, read_process

TOKEN_VARIABLE = "EVALSERVER_ATTEMPT"  # noqa: S105 - names an attempt, no secret
"""Marks every process of an attempt in its environment."""


class Signs:
    """What tells the processes of one attempt from all others."""

    def __init__(self, run_dir: Path, token: str) -> None:
        self._token = token
        self._folder = f"{run_dir}/"
        record = process_record_of(run_dir)
        is_of_this_boot = record is not None and record.boot_id == files.boot_id()
        self._record = record if is_of_this_boot else None

    def find(self) -> list[Process]:
        """Every process that bears one of them and runs, or is stopped."""
        running = {each.pid: each for each in all_processes() if not each.has_ended}
        ours = _self_and_above()
        others = [each for pid, each in running.items() if pid not in ours]
        found = {each.pid for each in others if self._is_recorded(each, running)}
        found |= {each.pid for each in others if each.pid not in found and self._bears(each)}
        while below := [each for each in others if each.parent in found and each.pid not in found]:
            found.update(each.pid for each in below)
        return [running[pid] for pid in found]

    def _is_recorded(self, process: Process, running: dict[int, Process]) -> bool:
        record = self._record
        if record is None or process.started < record.runner_started:
            return False
        if record.starts.get(process.pid) == process.started:
            return True
        if process.session not in record.sessions:
            return False
        # Another leader with that number leads another session: the number was used again.
        leader = running.get(process.session)
        return leader is None or record.starts.get(leader.pid) == leader.started

    def _bears(self, process: Process) -> bool:
        if self._is_marked(process.pid):
            return True
        # What is older than the runner is not of its making, whatever it writes to.
        if self._record is None or process.started < self._record.runner_started:
            return False
        pipe = f"pipe:[{self._record.output_pipe}]"
        return any(
            name == pipe or name.startswith(self._folder) for name in files_written(process.pid)
        )

    def _is_marked(self, pid: int) -> bool:
        try:
            return psutil.Process(pid).environ().get(TOKEN_VARIABLE) == self._token
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            return False


def _self_and_above() -> set[int]:
    """This process and its ancestors: a harness that fakes the record must not reach them."""
    found = {1}
    process = read_process(os.getpid())
    while process is not None and process.pid not in found:
        found.add(process.pid)
        process = read_process(process.parent)
    return found
