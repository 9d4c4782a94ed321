"""The processes below the runner: starting, signalling, killing and reaping all of them."""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from evalserver.runner.cgroups import Cgroup
from evalserver.runner.procfs import descendants, read_process

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
WAIT_ALL = 0x40000000
"""``__WALL`` of waitpid: also children that were cloned to send no SIGCHLD at their end."""

POLL_SECONDS = 0.02
MAX_STOP_PASSES = 1000


def become_subreaper() -> None:
    """Inherit every orphan below this process, so that none gets away."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def harness_setup(cgroup: Cgroup | None) -> Callable[[], None]:
    """What a harness does between its fork and its start.

    It enters its cgroup, unblocks the signals that the runner waits for, and is killed with the
    runner: without one nobody could stop it, and a second attempt would run beside it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    runner = os.getpid()

    def set_up() -> None:
        if cgroup is not None:
            cgroup.enter()
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != runner:
            os.kill(os.getpid(), signal.SIGKILL)

    return set_up


class Processes:
    """All processes of one attempt: the runner's descendants, and what is in the cgroup.

    That none is left is believed of the kernel alone: ``waitpid`` has no child any more, and a
    subreaper's children are all that lost their parents below it.
    """

    def __init__(self, cgroup: Cgroup | None) -> None:
        self._cgroup = cgroup
        self._watched: int | None = None
        self.status: int | None = None
        """The wait status of the watched process, once it has ended."""

    def watch(self, pid: int) -> None:
        """Keep the wait status of this child when it is reaped."""
        self._watched = pid
        self.status = None

    def reap(self) -> bool:
        """Reap all that have ended; is any descendant left?"""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | WAIT_ALL)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._watched:
                self.status = status

    def signal(self, signum: int) -> None:
        """Send a signal to all that can be seen now."""
        _send(signum, self._visible())

    def end(self, grace_s: float) -> int:
        """End all that is left, and count it: TERM, a grace, then KILL."""
        if not self._is_any_left():
            return 0
        leftovers = max(1, sum(map(_is_running, self._visible())))
        self.signal(signal.SIGTERM)
        kill_at = time.monotonic() + grace_s
        while self._is_any_left():
            if time.monotonic() >= kill_at:
                self.kill()
                break
            time.sleep(POLL_SECONDS)
        return leftovers

    def kill(self) -> None:
        """Kill all, and reap them, until none is left.

        Those in the cgroup are frozen meanwhile, the others stopped: who forks and ends, again and
        again, would always be one ahead.
        """
        while self._is_any_left():
            if self._cgroup is not None:
                self._cgroup.kill()
            self._stop()
            _send(signal.SIGKILL, descendants(os.getpid()))
            if self._is_any_left():
                time.sleep(POLL_SECONDS)

    def _stop(self) -> None:
        """Stop every descendant, looking again until there is no new one."""
        stopped: set[int] = set()
        for _ in range(MAX_STOP_PASSES):
            # What ended is reaped at once: it would fill the table of processes.
            self.reap()
            seen = dict.fromkeys(descendants(os.getpid()))
            new = [pid for pid in seen if pid not in stopped]
            if not new:
                return
            _send(signal.SIGSTOP, new)
            stopped = set(seen)

    def _visible(self) -> set[int]:
        in_cgroup = [] if self._cgroup is None else self._cgroup.pids()
        return {*descendants(os.getpid()), *in_cgroup}

    def _is_any_left(self) -> bool:
        is_child_left = self.reap()
        return is_child_left or (self._cgroup is not None and bool(self._cgroup.pids()))


def exit_code(status: int) -> int:
    """The exit code in a wait status: 128 + n when signal n ended the process."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _send(signum: int, pids: Iterable[int]) -> None:
    for pid in pids:
        # One that became another user's (sudo) ends by itself, or with its cgroup.
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signum)


def _is_running(pid: int) -> bool:
    process = read_process(pid)
    return process is not None and not process.has_ended
