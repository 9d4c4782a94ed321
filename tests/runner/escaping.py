"""Programs that try to escape from their runner, and how a test detects it."""

import fcntl
import os
import sys
from pathlib import Path

import pytest

from evalserver.runner import cgroups
from tests.support import WAIT_SECONDS

CGROUP_KINDS = ("unified", "freezer", "none")
"""The kinds of cgroup that an attempt can have, including none."""

HELD_FILE = "held"

MAX_ESCAPE_SECONDS = 2 * WAIT_SECONDS
"""An escaped process exits by itself after this time."""

KEEPS_FORKING = """
import os, sys, time
pause, last = float(sys.argv[1]), float(sys.argv[2])
while time.time() < last:
    if pause:
        time.sleep(pause)
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
"""

ONLY_HANGS = f"import time; time.sleep({MAX_ESCAPE_SECONDS})"


def start_detached(program: str, *arguments: object, and_then: str) -> str:
    """Return a harness that starts a program with no trace of its origin: in its own session,
    without environment, parent or output. It keeps ``HELD_FILE`` open and locked."""
    command = [sys.executable, "-S", "-c", program, *map(str, arguments)]
    return f"""
import fcntl, os, time
held = os.open({HELD_FILE!r}, os.O_RDWR | os.O_CREAT)
fcntl.flock(held, fcntl.LOCK_EX)
os.set_inheritable(held, True)
if os.fork() == 0:
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    os.execve({command[0]!r}, {command!r}, {{}})
os.close(held)
os.wait()
print("ready", flush=True)
{and_then}
"""


def has_survivors(directory: Path) -> bool:
    """Return whether a process of such a harness is alive: they all hold one lock."""
    descriptor = os.open(directory / HELD_FILE, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def use_cgroups(kind: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runners and servers of this test use only cgroups of this kind, if any."""
    monkeypatch.setenv(cgroups.VARIABLE, kind)
    if kind == "none":
        return
    made = cgroups.make_cgroup(directory)
    if made is None:
        pytest.skip(f"no cgroup of the kind {kind} can be made on this machine")
    made.remove()
