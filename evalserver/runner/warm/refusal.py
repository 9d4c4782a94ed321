"""Whether a warm parent can start an attempt, as far as that depends on the attempt."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from evalserver.runner import files
from evalserver.runner.launch_spec import LaunchSpec, read_launch_spec
from evalserver.runner.warm import fingerprint
from evalserver.runner.warm.harness_start import per_attempt
from evalserver.runner.warm.identity import Identity


class Refused(Exception):
    """An attempt cannot be started by this parent; says why."""


def require_suitable(
    run_dir: Path, python: str, environment: Mapping[bytes, bytes], identity: Identity
) -> None:
    """Raise Refused if the attempt of a run directory needs another parent, or none.

    ``python``, ``environment`` and ``identity`` are those of this one.
    """
    try:
        spec = read_launch_spec(run_dir)
    except (OSError, ValueError) as error:
        raise Refused(f"{files.JOB_FILE} cannot be read: {error}") from error
    argv = spec.command.argv
    if spec.before:
        raise Refused("the attempt has an earlier stage")
    if len(argv) < 2 or argv[0] != python:
        raise Refused("the attempt has another interpreter")
    if not Path(argv[1]).is_absolute() or not Path(argv[1]).is_file():
        raise Refused("the command line does not begin with a script")
    variables = per_attempt(spec.environment)
    shared = {name: spec.environment[name] for name in spec.environment.keys() - variables}
    if {os.fsencode(name): os.fsencode(value) for name, value in shared.items()} != environment:
        raise Refused("the attempt has another environment")
    if not identity.has_room_for(variables):
        raise Refused("the path of the run directory is too long")
    _require_same_modules(spec)


def _require_same_modules(spec: LaunchSpec) -> None:
    """Modules of the working directory come first, if the harness looks for them there."""
    own = Path.cwd()
    try:
        is_same = own.samefile(spec.cwd)
    except OSError as error:
        raise Refused(f"the working directory cannot be used: {error}") from error
    if is_same or not sys.path[0] or sys.path[0] != str(own):
        return
    if fingerprint.names(str(own)) or fingerprint.names(str(spec.cwd)):
        raise Refused("the attempt has another working directory, with modules in one of them")
