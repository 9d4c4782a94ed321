"""Waiting for the processes of an attempt, and stopping them on request or at the time limit."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from evalserver.runner.files import CANCEL_FILE
from evalserver.runner.hang import HangGuard
from evalserver.runner.launch_spec import LaunchSpec
from evalserver.runner.process_record import ProcessRecorder
from evalserver.runner.processes import SIGNAL_BASE, Processes, exit_code

POLL_SECONDS = 0.2
STRAY_TERM_SECONDS = 2.0
"""How long to wait for a signal to the runner itself after its harness was ended by one."""
HUNG = "hung"
"""Why a harness ended that a guard has found to hang; no reason of ``exit.json``."""
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
WAKE_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def cancel_was_requested(run_dir: Path) -> bool:
    """Return whether the file that cancels the attempt is there.

    The directory is listed: a network file system may remember for a minute that a name was
    missing, but looks for changes when a directory is opened.
    """
    try:
        return CANCEL_FILE in os.listdir(run_dir)  # noqa: PTH208 - names are all it takes
    except OSError:
        return False


class Watch:
    """Waits for one process after another, and stops all processes when the attempt is cancelled,
    terminated, or has run out of time, which counts from the first process on."""

    def __init__(self, spec: LaunchSpec, processes: Processes, recorder: ProcessRecorder) -> None:
        self._run_dir = spec.run_dir
        self._cancel = spec.run_dir / CANCEL_FILE
        self._grace_s = spec.grace_s
        self._processes = processes
        self._recorder = recorder
        self._deadline = None if spec.timeout_s is None else time.monotonic() + spec.timeout_s
        self._terminated = False
        self._kill_at: float | None = None

    def wait(self, pid: int, guard: HangGuard | None = None) -> tuple[str, int]:
        """Wait for a child process; return why it ended, and its wait status.

        It is killed, and the reason is HUNG, if the guard says so.
        """
        reason = "exited"
        self._processes.watch(pid)
        while True:
            self._processes.reap()
            if self._processes.status is not None:
                status = self._processes.status
                return self._reason_at_end(reason, status), status
            if self._kill_at is None:
                reason = self._stop_if_required() or reason
                if reason == "exited" and guard is not None and guard.has_hung():
                    self._processes.kill()
                    return HUNG, self._processes.status or 0
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
        if not self._terminated:
            return None
        return "cancelled" if cancel_was_requested(self._run_dir) else "terminated"

    def _reason_at_end(self, reason: str, status: int) -> str:
        """Return why it really ended.

        A cluster sends TERM to all processes of a job at once, and the harness may end before the
        runner has seen its own. And the file that cancels it may be seen late.
        """
        if reason == "exited":
            was_terminated = exit_code(status) == SIGNAL_BASE + signal.SIGTERM
            self._receive_stop(STRAY_TERM_SECONDS if was_terminated else 0.0)
        if reason not in ("exited", "terminated") or not self._terminated:
            return reason
        if cancel_was_requested(self._run_dir):
            return "cancelled"
        return "exited" if status == 0 and reason == "exited" else "terminated"

    def _receive_stop(self, seconds: float) -> None:
        if signal.sigtimedwait(STOP_SIGNALS, seconds) is not None:
            self._terminated = True

    def _stop_if_required(self) -> str | None:
        reason = self.stop_reason()
        if reason is not None:
            self._processes.signal(signal.SIGTERM)
            self._kill_at = time.monotonic() + self._grace_s
        return reason

    def _sleep(self) -> None:
        received = signal.sigtimedwait(WAKE_SIGNALS, POLL_SECONDS)
        if received is not None and received.si_signo in STOP_SIGNALS:
            self._terminated = True
