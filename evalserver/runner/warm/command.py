"""The command line and the environment of a warm parent, as the server starts it.

A forked process shows its parent's arguments and environment in ``/proc``. Both have padding, which
the processes of an attempt overwrite with their own (``identity.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evalserver.runner.launch_spec import (
    PER_ATTEMPT_VARIABLES,
    RUN_DIR_VARIABLE,
    TOKEN_VARIABLE,
)

PROGRAM = Path(__file__).parent
PADDING_BYTES = 8192
"""More than the longest path, and most command lines, have."""


def parent_command(python: str, descriptor: int, preload: Path, include_path: str) -> list[str]:
    """Return the command line of a parent.

    ``descriptor`` is its end of the socket, which it inherits; ``preload`` the program that imports
    the harness (``parent.py``); ``include_path`` a directory of task definitions, or empty.
    """
    return [
        python,
        str(PROGRAM),
        str(descriptor),
        str(preload),
        include_path,
        " " * PADDING_BYTES,
    ]


def parent_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a parent, from that of an attempt's harness.

    It has none of the variables that differ from attempt to attempt. The padding has to be last.
    """
    shared = {
        name: value for name, value in environment.items() if name not in PER_ATTEMPT_VARIABLES
    }
    return {**shared, TOKEN_VARIABLE: " ", RUN_DIR_VARIABLE: " " * PADDING_BYTES}
