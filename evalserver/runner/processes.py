"""The processes below the runner: finding, signalling and reaping all of them."""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Inherit every orphan below this process, so that none gets away."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def harness_setup() -> Callable[[], None]:
    """What a harness does between its fork and its start.

    It unblocks the signals that the runner waits for, and is killed with the runner: without one
    nobody could stop it, and a second attempt would run beside it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    runner = os.getpid()

    def set_up() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != runner:
            os.kill(os.getpid(), signal.SIGKILL)

    return set_up


def reap(wanted: int | None = None) -> int | None:
    """Reap every dead descendant; returns the wait status of ``wanted`` if it was among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == wanted:
            found = status


def end_leftovers(grace_s: float) -> int:
    """End what the harness left behind, and count it: TERM, a grace, then KILL until none is."""
    leftovers = len(_descendants())
    signal_descendants(signal.SIGTERM)
    kill_at = time.monotonic() + grace_s
    while True:
        reap()
        if not _descendants():
            return leftovers
        if time.monotonic() >= kill_at:
            signal_descendants(signal.SIGKILL)
        time.sleep(0.02)


def signal_descendants(signum: int) -> None:
    """Send a signal to every process below this one."""
    for pid in _descendants():
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue


def exit_code(status: int) -> int:
    """The exit code in a wait status: 128 + n when signal n ended the process."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _descendants() -> list[int]:
    parents = dict(_processes())
    found: list[int] = []
    generation = {os.getpid()}
    while generation:
        generation = {pid for pid, parent in parents.items() if parent in generation}
        found.extend(generation)
    return found


def _processes() -> Iterator[tuple[int, int]]:
    """Pid and parent of every process that is not a zombie."""
    for entry in os.listdir("/proc"):  # noqa: PTH208 - many entries, names are all it takes
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                # The name, in parentheses, may hold anything: the fields begin after the last one.
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if state != "Z":
            yield int(entry), int(parent)
