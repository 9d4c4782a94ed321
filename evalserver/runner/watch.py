"""Waiting for the end of an attempt, and bringing it about when that is asked or due."""

import os
import signal
import time

from evalserver.runner.files import CANCEL_FILE
from evalserver.runner.launch_spec import LaunchSpec
from evalserver.runner.process_record import ProcessRecorder
from evalserver.runner.processes import Processes

POLL_SECONDS = 0.2
WOKEN_BY = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Watch:
    """Waits for a process, and stops its whole tree when that is asked or due; its time counts from
    the first one on."""

    def __init__(self, spec: LaunchSpec, processes: Processes, recorder: ProcessRecorder) -> None:
        self._cancel = spec.run_dir / CANCEL_FILE
        self._grace_s = spec.grace_s
        self._processes = processes
        self._recorder = recorder
        self._deadline = None if spec.timeout_s is None else time.monotonic() + spec.timeout_s
        self._terminated = False
        self._kill_at: float | None = None

    def until_it_ends(self, pid: int) -> tuple[str, int]:
        """Why the child process ended, and its wait status."""
        reason = "exited"
        self._processes.watch(pid)
        while True:
            self._processes.reap()
            if self._processes.status is not None:
                return reason, self._processes.status
            if self._kill_at is None:
                reason = self._reason_to_stop() or reason
            elif time.monotonic() >= self._kill_at:
                self._processes.kill()
                continue
            self._recorder.record_if_due()
            self._sleep()

    def due(self) -> str | None:
        """Why nothing may run any more, if so."""
        if os.path.lexists(self._cancel):
            return "cancelled"
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "timed_out"
        return "terminated" if self._terminated else None

    def _reason_to_stop(self) -> str | None:
        reason = self.due()
        if reason is not None:
            self._processes.signal(signal.SIGTERM)
            self._kill_at = time.monotonic() + self._grace_s
        return reason

    def _sleep(self) -> None:
        received = signal.sigtimedwait(WOKEN_BY, POLL_SECONDS)
        if received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT):
            self._terminated = True
