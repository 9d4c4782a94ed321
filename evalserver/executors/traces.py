"""Finding the processes of an attempt whose runner has ended, where no cgroup lists them.

One trace is enough: the token in the environment, a recorded pid with its start time, a recorded
session, the pipe of the harness's output, a file of the run directory that is open for writing, or
a parent with one of these. A process that removes one trace may keep another.
"""

import os
from pathlib import Path

import psutil

from evalserver.executors.run_files import process_record_of
from evalserver.runner import files
from evalserver.runner.launch_spec import TOKEN_VARIABLE
from evalserver.runner.procfs import Process, all_processes, files_written, read_process


class Traces:
    """What distinguishes the processes of one attempt from all others."""

    def __init__(self, run_dir: Path, token: str) -> None:
        self._token = token
        self._path_prefix = f"{run_dir}/"
        record = process_record_of(run_dir)
        is_current_boot = record is not None and record.boot_id == files.boot_id()
        self._record = record if is_current_boot else None

    def find(self) -> list[Process]:
        """Return every process with a trace that is running or stopped."""
        running = {each.pid: each for each in all_processes() if not each.has_ended}
        excluded = _self_and_ancestors()
        others = [each for pid, each in running.items() if pid not in excluded]
        found = {each.pid for each in others if self._is_recorded(each, running)}
        found |= {each.pid for each in others if each.pid not in found and self._has_trace(each)}
        while children := [
            each for each in others if each.parent in found and each.pid not in found
        ]:
            found.update(each.pid for each in children)
        return [running[pid] for pid in found]

    def _is_recorded(self, process: Process, running: dict[int, Process]) -> bool:
        record = self._record
        if record is None or process.started < record.runner_started:
            return False
        if record.starts.get(process.pid) == process.started:
            return True
        if process.session not in record.sessions:
            return False
        # If the leader is not the recorded one, the kernel has reused the session's number.
        leader = running.get(process.session)
        return leader is None or record.starts.get(leader.pid) == leader.started

    def _has_trace(self, process: Process) -> bool:
        if self._has_token(process.pid):
            return True
        # A process that is older than the runner was not started by it, whatever it writes to.
        if self._record is None or process.started < self._record.runner_started:
            return False
        pipe = f"pipe:[{self._record.output_pipe}]"
        return any(
            name == pipe or name.startswith(self._path_prefix)
            for name in files_written(process.pid)
        )

    def _has_token(self, pid: int) -> bool:
        try:
            return psutil.Process(pid).environ().get(TOKEN_VARIABLE) == self._token
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            return False


def _self_and_ancestors() -> set[int]:
    """Return the pids of this process and its ancestors: a forged record must not reach them."""
    found = {1}
    process = read_process(os.getpid())
    while process is not None and process.pid not in found:
        found.add(process.pid)
        process = read_process(process.parent)
    return found
