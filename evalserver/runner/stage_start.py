"""Starting the process of a stage: cold, as a new program, or warm, as a fork that has imported the
harness."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import Protocol

from evalserver.runner.cgroups import Cgroup
from evalserver.runner.files import write_start
from evalserver.runner.hang import HangGuard
from evalserver.runner.launch_spec import LaunchSpec
from evalserver.runner.output import MaskedLog
from evalserver.runner.processes import harness_setup

HUNG_FORK = "the fork hung"


class NotForked(Exception):
    """A harness could not be forked; says why."""


class WarmStart(Protocol):
    """Forks the harness of an attempt from a process that has imported it."""

    def start(
        self, spec: LaunchSpec, argv: tuple[str, ...], output: int, cgroups: list[Cgroup]
    ) -> int:
        """Fork the harness; return its pid once it begins to run. Raises NotForked."""


class StageStarter:
    """Starts the processes of an attempt's stages, whose output goes into ``log``.

    The last one, the harness itself, is started warm, if that is possible. If it hangs after that
    for ``hang_s`` seconds, or cannot be forked, it is started cold.
    """

    def __init__(
        self,
        spec: LaunchSpec,
        log: MaskedLog,
        cgroups: list[Cgroup],
        warm: WarmStart | None,
        hang_s: float,
    ) -> None:
        self._spec = spec
        self._log = log
        self._cgroups = cgroups
        self._warm = warm
        self._hang_s = hang_s

    def start(self, argv: tuple[str, ...], *, is_last: bool) -> tuple[int, HangGuard | None]:
        """Start a process; return its pid, and what notices that it hangs, if it was forked.

        Raises OSError, ValueError or subprocess.SubprocessError.
        """
        if self._warm is not None and is_last:
            try:
                pid = self._warm.start(self._spec, argv, self._log.writer, self._cgroups)
                return pid, HangGuard(self._log, self._hang_s)
            except NotForked as error:
                self.start_cold_from_now_on(str(error))
        return self._start_cold(argv), None

    def start_cold_from_now_on(self, why: str) -> None:
        """Note why the harness was not started warm, or not to the end."""
        self._warm = None
        with suppress(OSError):  # the evaluation is worth more than the reason
            write_start(self._spec.run_dir, why)

    def _start_cold(self, argv: tuple[str, ...]) -> int:
        process = subprocess.Popen(  # noqa: S603 - the command line was built as a list
            argv,
            cwd=self._spec.cwd,
            env=self._spec.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log.writer,
            stderr=subprocess.STDOUT,
            preexec_fn=harness_setup(self._cgroups),
        )
        # It is reaped by waitpid, like every other descendant, and not by subprocess.
        process.returncode = 0
        return process.pid
