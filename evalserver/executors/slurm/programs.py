"""Running Slurm's programs: where they are, with which variables, for how long, what went wrong."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DRAIN_SECONDS = 5.0
"""How long the output of a killed program is read: what left its group may hold the pipes open."""

MAX_MESSAGE = 1000
"""Characters of Slurm's own words in an error."""

VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "SLURM_CONF")
"""What the programs get of the server's environment. They would read options from others, and
sbatch passes on what it has to the job."""

UNREACHABLE_WORDS = (
    "unable to contact", "unable to connect", "unable to resolve", "unable to establish",
    "timed out", "connection refused", "connection reset", "no route to host",
    "network is unreachable", "zero bytes were transmitted", "transport endpoint",
    "unexpected message", "standby", "munge", "authentication", "incompatible versions",
    "configuration source", "cannot allocate memory", "error while loading shared libraries",
    "resource temporarily unavailable", "could not load state information",
)  # fmt: skip
"""In what a program says when it got no answer, in lower case. Anything else is an answer."""

TEMPORARY_WORDS = (
    "submitjoblimit", "submitjobperuserlimit", "submitjobperaccountlimit", "qos policy",
    "temporarily unable to accept job", "partition not available",
)  # fmt: skip
"""In what a program says when the same request may be granted later, in lower case."""


class SlurmError(Exception):
    """A command of Slurm did not do what it was asked; says why."""


class SlurmUnreachable(SlurmError):
    """There was no answer, so nothing is known and nothing may be concluded from it.

    ``may_have_been_accepted`` says of a submission that Slurm may have the job nevertheless: look
    for its name before the job is submitted again.
    """

    def __init__(self, message: str, *, may_have_been_accepted: bool = False) -> None:
        super().__init__(message)
        self.may_have_been_accepted = may_have_been_accepted


class SlurmRefused(SlurmError):
    """Slurm said no, in its own words. ``is_temporary``: for now, such as at a limit of jobs."""

    def __init__(self, message: str, *, is_temporary: bool = False) -> None:
        super().__init__(message)
        self.is_temporary = is_temporary


@dataclass(frozen=True)
class Answer:
    """What a program printed, and its exit code; negative if a signal ended it."""

    program: str
    exit_code: int
    stdout: str
    stderr: str

    @property
    def message(self) -> str:
        """What it said on stderr, on one line, without its own name before each part."""
        prefix = rf"^(\S*/)?{self.program}: (error: )?"
        lines = (re.sub(prefix, "", line).strip() for line in self.stderr.splitlines())
        words = "; ".join(line for line in lines if line)
        return words[:MAX_MESSAGE] or f"exit code {self.exit_code} without a message"

    def require_read(self) -> str:
        """Return stdout of a program that only reads. Raises SlurmUnreachable if it failed."""
        if self.exit_code != 0:
            raise SlurmUnreachable(f"{self.program}: {self.message}")
        return self.stdout

    def require_done(self) -> str:
        """Return stdout of a program that changes something.

        Raises SlurmRefused if Slurm answered no, else SlurmUnreachable.
        """
        if self.exit_code == 0:
            return self.stdout
        said = self.stderr.lower()
        if self.exit_code in (1, 255) and said.strip() and not _has(said, UNREACHABLE_WORDS):
            is_temporary = _has(said, TEMPORARY_WORDS)
            raise SlurmRefused(f"{self.program}: {self.message}", is_temporary=is_temporary)
        # Before a connection was made, nothing was sent.
        is_sure = "(connect failure)" in said or self.exit_code in (126, 127)
        raise SlurmUnreachable(
            f"{self.program}: {self.message}", may_have_been_accepted=not is_sure
        )


class SlurmPrograms:
    """Runs Slurm's programs, each for ``timeout_s`` seconds at most.

    ``environment`` is where PATH and the address of the cluster are taken from.
    """

    def __init__(self, environment: Mapping[str, str], timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._environment = {name: environment[name] for name in VARIABLES if name in environment}
        # Times are printed and read in UTC, messages in English.
        self._environment |= {"TZ": "UTC", "LC_ALL": "C"}
        self._paths: dict[str, str] = {}

    async def run(self, name: str, *arguments: str, stdin: str = "") -> Answer:
        """Run a program to its end. Raises SlurmUnreachable if it cannot be run or takes longer."""
        path = await self._find(name)
        try:
            process = await asyncio.create_subprocess_exec(
                path,
                *arguments,
                env=self._environment,
                cwd="/",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise SlurmUnreachable(f"cannot run {path}: {error.strerror}") from error
        try:
            async with asyncio.timeout(self._timeout_s):
                stdout, stderr = await process.communicate(stdin.encode())
        except TimeoutError:
            raise SlurmUnreachable(
                f"{name} gave no answer within {self._timeout_s:g} s", may_have_been_accepted=True
            ) from None
        finally:
            if process.returncode is None:
                await _kill_group(process)
        texts = (each.decode(errors="replace") for each in (stdout, stderr))
        return Answer(name, await process.wait(), *texts)

    async def _find(self, name: str) -> str:
        if name not in self._paths:
            search_path = self._environment.get("PATH", os.defpath)
            found = await asyncio.to_thread(_which, name, search_path)
            if found is None:
                raise SlurmUnreachable(f"{name} is not installed: it is not in {search_path}")
            self._paths[name] = found
        return self._paths[name]


def _which(name: str, search_path: str) -> str | None:
    found = shutil.which(name, path=search_path)
    return None if found is None else str(Path(found).absolute())


async def _kill_group(process: asyncio.subprocess.Process) -> None:
    """Kill a program with its children: a site may have put a script in its place."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # asyncio reports the end of a process only after its pipes were read to their ends.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            await process.communicate()


def _has(text: str, words: tuple[str, ...]) -> bool:
    return any(word in text for word in words)
