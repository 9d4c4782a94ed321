"""The oldest Python that the runner must run with, where this machine has it."""

import shutil
import subprocess
from pathlib import Path

import pytest

OLDEST = (3, 9)
"""The version; Debian 11 and Red Hat Enterprise Linux 9 have it."""


def oldest_python() -> str:
    """Return an interpreter of that version; skips the test where there is none."""
    name = "python" + ".".join(map(str, OLDEST))
    installed = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{name[6:]}.*/bin/{name}"))
    for candidate in (*map(str, installed), shutil.which(name)):
        if candidate is not None and _version(candidate) == OLDEST:
            return candidate
    pytest.skip(f"no {name} on this machine, so the runner was NOT TRIED with it")


def _version(python: str) -> tuple[int, ...]:
    program = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split()))
