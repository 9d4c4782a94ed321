"""The oldest Python that a program must run with, and where this machine has the runner's."""

import shutil
import subprocess
import sys
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


def minimum_faults(*sources: Path, oldest: tuple[int, int] = OLDEST) -> str:
    """Return what needs a newer Python than this one."""
    pytest.importorskip(
        "vermin", reason="vermin is missing: which Python is needed was NOT CHECKED"
    )
    target = ".".join(map(str, oldest))
    program = Path(sys.executable).with_name("vermin")
    options = ["--quiet", "--no-tips", f"--target={target}-", "--violations"]
    done = subprocess.run(
        [program, *options, *sources], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _version(python: str) -> tuple[int, ...]:
    program = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split()))
