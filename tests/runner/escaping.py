"""Programs that try to get away from their runner, and how a test knows whether one has."""

import fcntl
import os
import sys
from pathlib import Path

import pytest

from evalserver.runner import cgroups
from tests.support import WAIT_SECONDS

CONTAINMENTS = ("unified", "freezer", "none")
"""What may hold an attempt's processes together: a cgroup of either version, or none."""

HELD_FILE = "held"

GIVES_UP_SECONDS = 2 * WAIT_SECONDS
"""A process that did get away ends by itself then."""

FORKS_AND_ENDS = """
import os, sys, time
pause, last = float(sys.argv[1]), float(sys.argv[2])
while time.time() < last:
    if pause:
        time.sleep(pause)
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
"""

ONLY_HANGS = f"import time; time.sleep({GIVES_UP_SECONDS})"


def starts_away(program: str, *arguments: object, and_then: str) -> str:
    """A harness that starts a program of which nothing shows where it came from: in a session of
    its own, without an environment, a parent, or an output. It holds ``HELD_FILE`` open, locked."""
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
    """Is a process of such a harness alive? The kernel tells: they all hold one lock."""
    descriptor = os.open(directory / HELD_FILE, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def contain_by(kind: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runners and servers of this test use cgroups of this kind alone, if any."""
    monkeypatch.setenv(cgroups.VARIABLE, kind)
    if kind == "none":
        return
    made = cgroups.make_cgroup(directory)
    if made is None:
        pytest.skip(f"no cgroup of the kind {kind} can be made on this machine")
    made.remove()
