"""The processes below the runner: starting, signalling, killing and reaping all of them."""

from __future__ import annotations

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

SIGNAL_BASE = 128
"""A process that signal n ended has the exit code 128 + n."""
POLL_SECONDS = 0.02
MAX_STOP_PASSES = 1000


def become_subreaper() -> None:
    """Become the parent of every orphaned descendant, so that none escapes."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def harness_setup(cgroups: Iterable[Cgroup]) -> Callable[[], None]:
    """Return what a harness does between fork and exec.

    It enters its cgroups, unblocks the signals that the runner waits for, and requests to be killed
    with the runner: otherwise nothing could stop it, and a second attempt would run beside it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    runner = os.getpid()

    def set_up() -> None:
        for cgroup in cgroups:
            cgroup.enter()
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != runner:
            os.kill(os.getpid(), signal.SIGKILL)

    return set_up


class Processes:
    """All processes of one attempt: the runner's descendants, and those in the cgroup.

    Whether one is left is decided by the kernel: ``waitpid`` reports no child, and orphaned
    descendants become children of the runner, which is a subreaper.
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
        """Reap all that have ended, and return whether any descendant is left."""
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
        """Send a signal to all processes that are visible now."""
        _send(signum, self._visible())

    def end(self, grace_s: float) -> int:
        """End all remaining processes (TERM, KILL after ``grace_s``), and return their number."""
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
        """Kill and reap all processes, until none is left.

        Those in the cgroup are frozen and the others stopped first: a process that forks and exits
        again and again could otherwise always escape.
        """
        while self._is_any_left():
            if self._cgroup is not None:
                self._cgroup.kill()
            self._stop()
            _send(signal.SIGKILL, descendants(os.getpid()))
            if self._is_any_left():
                time.sleep(POLL_SECONDS)

    def _stop(self) -> None:
        """Stop every descendant, until a further pass finds no new one."""
        stopped: set[int] = set()
        for _ in range(MAX_STOP_PASSES):
            # Reaped at once: zombies would fill the table of processes.
            self.reap()
            found = dict.fromkeys(descendants(os.getpid()))
            new = [pid for pid in found if pid not in stopped]
            if not new:
                return
            _send(signal.SIGSTOP, new)
            stopped = set(found)

    def _visible(self) -> set[int]:
        in_cgroup = [] if self._cgroup is None else self._cgroup.pids()
        return {*descendants(os.getpid()), *in_cgroup}

    def _is_any_left(self) -> bool:
        is_child_left = self.reap()
        return is_child_left or (self._cgroup is not None and bool(self._cgroup.pids()))


def exit_code(status: int) -> int:
    """Return the exit code of a wait status: 128 + n if signal n ended the process."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else SIGNAL_BASE - code


def _send(signum: int, pids: Iterable[int]) -> None:
    for pid in pids:
        # A process of another user (sudo) ends by itself, or with its cgroup.
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signum)


def _is_running(pid: int) -> bool:
    process = read_process(pid)
    return process is not None and not process.has_ended
