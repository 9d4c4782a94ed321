"""What ``/proc`` shows of a forked process: arguments and environment of the parent, until they are
overwritten in the process's own memory.

The server finds runners by their arguments, and processes of an attempt by their environment.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from evalserver.runner.launch_spec import PER_ATTEMPT_VARIABLES, TOKEN_VARIABLE

ARG_START = 45
"""Position in ``/proc/self/stat`` after the name, of arg_start, arg_end, env_start and env_end."""


class NoIdentity(Exception):
    """The process's arguments or environment cannot be overwritten; says why."""


class Identity:
    """The memory of this process, and of those that it forks, that ``/proc`` shows.

    Raises NoIdentity if it is not as ``command.py`` arranges it.
    """

    def __init__(self) -> None:
        try:
            fields = Path("/proc/self/stat").read_text("utf-8", "replace").rpartition(")")[2]
            bounds = [int(each) for each in fields.split()[ARG_START : ARG_START + 4]]
        except (OSError, ValueError) as error:
            raise NoIdentity(f"/proc/self/stat cannot be read: {error}") from error
        if len(bounds) < 4 or not all(bounds):
            raise NoIdentity("/proc/self/stat does not say where arguments and environment are")
        self._arguments = _Area(bounds[0], bounds[1])
        environment = _Area(bounds[2], bounds[3])
        self._environment = _Area(_find_padding(environment.read(), bounds[2]), bounds[3])

    def show_arguments(self, argv: Iterable[str]) -> None:
        """Show these arguments, cut off where the memory ends."""
        self._arguments.write(b"".join(os.fsencode(each) + b"\0" for each in argv), cut=True)

    def show_variables(self, variables: Mapping[str, str]) -> None:
        """Show these variables in place of those that differ from attempt to attempt.

        Raises NoIdentity if they are too long.
        """
        lines = (os.fsencode(f"{name}={value}") + b"\0" for name, value in variables.items())
        self._environment.write(b"".join(lines), cut=False)

    def has_room_for(self, variables: Mapping[str, str]) -> bool:
        """Return whether the variables can be shown."""
        return sum(
            len(os.fsencode(f"{name}={value}")) + 1 for name, value in variables.items()
        ) <= (self._environment.size)


class _Area:
    def __init__(self, start: int, end: int) -> None:
        self._start = start
        self.size = end - start

    def read(self) -> bytes:
        return ctypes.string_at(self._start, self.size)

    def write(self, text: bytes, *, cut: bool) -> None:
        if cut:
            text = text[: self.size - 1]
        elif len(text) > self.size:
            raise NoIdentity(f"{len(text)} bytes where {self.size} have room")
        ctypes.memmove(self._start, text.ljust(self.size, b"\0"), self.size)


def _find_padding(environment: bytes, start: int) -> int:
    """Return where the variables begin that differ from attempt to attempt: the last ones."""
    lines = environment.split(b"\0")[:-1]
    names = [os.fsdecode(line.partition(b"=")[0]) for line in lines]
    if TOKEN_VARIABLE not in names or names[-1] not in PER_ATTEMPT_VARIABLES:
        raise NoIdentity("the environment does not end with the padding")
    first = names.index(TOKEN_VARIABLE)
    if any(name in PER_ATTEMPT_VARIABLES for name in names[:first]):
        raise NoIdentity("the environment has a variable of one attempt")
    return start + sum(len(line) + 1 for line in lines[:first])
