"""Importing a harness as a new interpreter would find it, and what a process needs so that attempts
can be started from it."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from evalserver.runner.warm import in_place
from evalserver.runner.warm.descriptors import open_descriptors
from evalserver.runner.warm.harness_start import EnvironmentChange, per_attempt

UNUSABLE_VARIABLES = ("PYTHONSAFEPATH", "PYTHONINSPECT", "PYTHONPROFILEIMPORTTIME")
"""With these, a new interpreter does what a forked process does not."""


class Unusable(Exception):
    """This process cannot become a parent; says why."""


def load_program(preload: Path) -> Any:
    """Load the program as an interpreter would, with nothing of ours among the modules.

    Raises Unusable.
    """
    sys.path[0] = str(preload.parent)
    sys.argv = [str(preload)]
    in_place.new_main(str(preload))
    for name in [each for each in sys.modules if each.partition(".")[0] == "evalserver"]:
        del sys.modules[name]
    spec = importlib.util.spec_from_file_location("evalserver_preload", preload)
    if spec is None or spec.loader is None:
        raise Unusable(f"{preload} is no Python program")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


def forget_modules_of(folder: Path) -> None:
    """Remove modules of ours: the harness may have others of these names."""
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "").parent == folder and name != in_place.MAIN:
            del sys.modules[name]


def initial_environment() -> dict[bytes, bytes]:
    """Return the environment that this process was started with, but for the padding.

    Raises Unusable.
    """
    found = {}
    for line in Path("/proc/self/environ").read_bytes().split(b"\0"):
        name, is_variable, value = line.partition(b"=")
        if is_variable:
            found[name] = value
    for padded in per_attempt({os.fsdecode(each): "" for each in found}):
        del found[os.fsencode(padded)]
        os.environ.pop(padded, None)
    unusable = [each for each in UNUSABLE_VARIABLES if found.get(each.encode())]
    if unusable:
        raise Unusable(f"{unusable[0]} is set")
    return found


def environment_change(initial: Mapping[bytes, bytes]) -> EnvironmentChange:
    """Return how this process's environment differs from the initial one. Raises Unusable."""
    now = dict(os.environb)
    if per_attempt({os.fsdecode(name): "" for name in now}):
        raise Unusable("importing the harness sets a variable of the attempt")
    return EnvironmentChange(
        {name: value for name, value in now.items() if initial.get(name) != value},
        frozenset(initial.keys() - now.keys()),
    )


def require_nothing_left_open(known: set[int]) -> None:
    """Raise Unusable if there is a descriptor that is neither standard nor known."""
    for descriptor in open_descriptors():
        if descriptor not in known:
            target = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - it may be no path
            raise Unusable(f"importing the harness left {target} open")


def require_no_thread() -> None:
    """Raise Unusable if a thread runs beside this one: no fork would have it."""
    others = [each.name for each in threading.enumerate() if each != threading.current_thread()]
    if others:
        raise Unusable(f"importing the harness started the thread {others[0]}")


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
