"""The virtual environments in ``.venvs/``, created on demand and recreated when outdated.

Uses only the standard library, because it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / ".venvs"
REQUIREMENTS = ROOT / "requirements"
STAMP = "installed-from"


class Missing(Exception):
    """Something is missing on this machine; the message says what to do."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment: its name, and the arguments of each pip call."""

    name: str
    installs: tuple[tuple[str, ...], ...]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return VENVS / self.name / "bin" / "python"


def _locked(name: str) -> tuple[str, ...]:
    # The lock is complete. Resolving it again fails in pip before version 24 because of extras.
    return ("--require-hashes", "--no-deps", "-r", str(REQUIREMENTS / f"{name}.txt"))


SERVER = Environment("server", (_locked("server"), ("--no-deps", "--editable", str(ROOT))))
DEV = Environment(
    "dev", (_locked("dev"), ("--no-deps", "--no-build-isolation", "--editable", str(ROOT)))
)
LM_EVAL = Environment("lm-eval", (_locked("lm-eval"),))
LMMS_EVAL = Environment("lmms-eval", (("torch==2.13.0",), _locked("lmms-eval")))
INSPECT = Environment("inspect", (_locked("inspect"),))
LMMS_ENGINE = Environment(
    "lmms-engine",
    (
        ("torch==2.13.0",),
        _locked("lmms-engine-needs"),
        # A source package that needs torch to build.
        ("--no-build-isolation", *_locked("lmms-engine")),
    ),
)
TRACKERS = Environment("trackers", (_locked("trackers"),))
TRAINERS = _locked("trainers")
"""The frameworks of the adapters' tests, a layer on LMMS_ENGINE."""
MODEL = _locked("model")
"""The demo's model, installed into LM_EVAL; not available for every platform."""


def require_python() -> None:
    """Go on under Python 3.11 or newer, starting over with one if need be. Raises Missing."""
    if sys.version_info >= (3, 11):
        return
    for minor in range(20, 10, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer is not None:
            os.execv(newer, [newer, *sys.argv])  # noqa: S606 - the interpreter that was found
    found = ".".join(map(str, sys.version_info[:3]))
    raise Missing(f"Python 3.11 or newer is needed, this is {found}; install it and try again")


def ensure(environment: Environment) -> Path:
    """Make the environment unless it is there as its requirements say; returns its interpreter.

    Raises Missing when it cannot be made.
    """
    home = VENVS / environment.name
    stamp = home / STAMP
    wanted = _fingerprint(environment.installs)
    if stamp.is_file() and stamp.read_text() == wanted and environment.python.exists():
        return environment.python
    say(f"making {home.relative_to(ROOT)}")
    shutil.rmtree(home, ignore_errors=True)
    _make_venv(home)
    for arguments in environment.installs:
        _pip(environment.python, arguments)
    stamp.write_text(wanted)
    return environment.python


def add(environment: Environment, arguments: tuple[str, ...], name: str) -> bool:
    """Install something more into an environment that is there; False if it is not to be had."""
    stamp = VENVS / environment.name / f"{STAMP}-{name}"
    wanted = _fingerprint((arguments,))
    if stamp.is_file() and stamp.read_text() == wanted:
        return True
    say(f"adding {name} to {environment.python.parent.parent.relative_to(ROOT)}")
    try:
        _pip(environment.python, arguments)
    except Missing as error:
        say(str(error))
        return False
    stamp.write_text(wanted)
    return True


def add_layer(base: Environment, name: str, arguments: tuple[str, ...]) -> Path:
    """Make an environment that has another's packages, and these before them; its interpreter.

    Packages that the base has are installed only where these need another version. torchvision is
    left out as in the base. Raises Missing.
    """
    layer = Environment(f"layers/{name}", (arguments,))
    home, stamp = VENVS / layer.name, VENVS / layer.name / STAMP
    wanted = _fingerprint((("base", str(ensure(base))), *base.installs, arguments))
    if stamp.is_file() and stamp.read_text() == wanted:
        return layer.python
    say(f"making {home.relative_to(ROOT)}")
    shutil.rmtree(home, ignore_errors=True)
    _make_venv(home)
    (_site_packages(layer) / "base.pth").write_text(f"{_site_packages(base)}\n")
    _pip(layer.python, arguments)
    for part in _site_packages(layer).glob("torchvision*"):
        shutil.rmtree(part)
    stamp.write_text(wanted)
    return layer.python


def _site_packages(environment: Environment) -> Path:
    [found] = (VENVS / environment.name / "lib").glob("python*/site-packages")
    return found


def say(text: str) -> None:
    """Print a progress message."""
    print(f"--- {text}", flush=True)


def _make_venv(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "venv", str(home)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        shutil.rmtree(home, ignore_errors=True)
        raise Missing(
            "this Python cannot make virtual environments (on Debian: apt install python3-venv):\n"
            + (done.stderr or done.stdout).strip()
        )


def _pip(python: Path, arguments: tuple[str, ...]) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    if done.returncode != 0:
        last = "\n".join(line for line in done.stderr.splitlines() if "WARNING" not in line)
        raise Missing(f"pip could not install {' '.join(arguments)}:\n{last[-4000:]}")


def _fingerprint(installs: tuple[tuple[str, ...], ...]) -> str:
    digest = hashlib.sha256(repr((sys.version_info[:2], installs)).encode())
    for arguments in installs:
        if "-r" in arguments:
            digest.update(Path(arguments[-1]).read_bytes())
        if "--editable" in arguments:
            digest.update((ROOT / "setup.cfg").read_bytes())
    return digest.hexdigest()
