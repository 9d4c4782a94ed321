"""Waiting for the processes of an attempt, and stopping them on request or at the time limit."""

from __future__ import annotations

import os
import signal
import time

from evalserver.runner.files import CANCEL_FILE
from evalserver.runner.launch_spec import LaunchSpec
from evalserver.runner.process_record import ProcessRecorder
from evalserver.runner.processes import Processes

POLL_SECONDS = 0.2
WAKE_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Watch:
    """Waits for one process after another, and stops all processes when the attempt is cancelled,
    terminated, or has run out of time, which counts from the first process on."""

    def __init__(self, spec: LaunchSpec, processes: Processes, recorder: ProcessRecorder) -> None:
        self._cancel = spec.run_dir / CANCEL_FILE
        self._grace_s = spec.grace_s
        self._processes = processes
        self._recorder = recorder
        self._deadline = None if spec.timeout_s is None else time.monotonic() + spec.timeout_s
        self._terminated = False
        self._kill_at: float | None = None

    def wait(self, pid: int) -> tuple[str, int]:
        """Wait for a child process; return why it ended, and its wait status."""
        reason = "exited"
        self._processes.watch(pid)
        while True:
            self._processes.reap()
            if self._processes.status is not None:
                return reason, self._processes.status
            if self._kill_at is None:
                reason = self._stop_if_required() or reason
            elif time.monotonic() >= self._kill_at:
                self._processes.kill()
                continue
            self._recorder.record_if_due()
            self._sleep()

    def stop_reason(self) -> str | None:
        """Return why the attempt must stop, or None."""
        if os.path.lexists(self._cancel):
            return "cancelled"
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "timed_out"
        return "terminated" if self._terminated else None

    def _stop_if_required(self) -> str | None:
        reason = self.stop_reason()
        if reason is not None:
            self._processes.signal(signal.SIGTERM)
            self._kill_at = time.monotonic() + self._grace_s
        return reason

    def _sleep(self) -> None:
        received = signal.sigtimedwait(WAKE_SIGNALS, POLL_SECONDS)
        if received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT):
            self._terminated = True
