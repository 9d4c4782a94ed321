"""Starting the harness of an attempt in a runner that a warm parent has forked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from evalserver.runner.cgroups import Cgroup
from evalserver.runner.launch_spec import PER_ATTEMPT_VARIABLES, LaunchSpec
from evalserver.runner.processes import harness_setup
from evalserver.runner.stage_start import NotForked
from evalserver.runner.warm import in_place
from evalserver.runner.warm.identity import Identity
from evalserver.runner.warm.randomness import Randomness

MAX_ERROR_BYTES = 4096
NOT_SET_UP = 1


@dataclass(frozen=True)
class EnvironmentChange:
    """What importing the harness changed in the environment."""

    values: Mapping[bytes, bytes]
    removed: frozenset[bytes]

    def apply(self, environment: Mapping[str, str]) -> dict[bytes, bytes]:
        """Return an environment as it would be after the imports."""
        encoded = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
        kept = {name: value for name, value in encoded.items() if name not in self.removed}
        return {**kept, **self.values}


def per_attempt(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that differ from attempt to attempt."""
    return {name: value for name, value in environment.items() if name in PER_ATTEMPT_VARIABLES}


class ForkedStart:
    """Forks the harness of one attempt, which runs its command line in the new process.

    ``libraries`` are those that the parent has loaded (``ending.py``).
    """

    def __init__(
        self,
        identity: Identity,
        change: EnvironmentChange,
        randomness: Randomness,
        libraries: frozenset[str],
    ) -> None:
        self._identity = identity
        self._change = change
        self._randomness = randomness
        self._libraries = libraries

    def start(
        self, spec: LaunchSpec, argv: tuple[str, ...], output: int, cgroups: list[Cgroup]
    ) -> int:
        """Fork the harness; return its pid once it begins to run. Raises NotForked."""
        set_up = harness_setup(cgroups)
        reader, report = os.pipe()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(reader)
            os.close(report)
            raise NotForked(f"the fork failed: {error}") from error
        if pid == 0:
            self._run(spec, argv, output, set_up, report)
        os.close(report)
        try:
            fault = os.read(reader, MAX_ERROR_BYTES)
        finally:
            os.close(reader)
        if fault:
            os.waitpid(pid, 0)
            raise NotForked(fault.decode(errors="replace"))
        return pid

    def _run(
        self,
        spec: LaunchSpec,
        argv: tuple[str, ...],
        output: int,
        set_up: Callable[[], None],
        report: int,
    ) -> NoReturn:
        try:
            set_up()
            os.dup2(output, 1)
            os.dup2(output, 2)
            in_place.close_descriptors({report})
            os.chdir(spec.cwd)
            in_place.replace_environment(self._change.apply(spec.environment))
            self._identity.show_arguments(argv)
            self._identity.show_variables(per_attempt(spec.environment))
            main = in_place.forget_the_parent(argv)
            self._randomness.renew()
        except BaseException as error:
            os.write(report, f"the forked process could not be set up: {error!r}".encode())
            os._exit(NOT_SET_UP)
        os.close(report)
        in_place.run_script(argv[1], main, self._libraries)
