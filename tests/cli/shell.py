"""The command line connected to pipes, as a script uses it."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.support import WAIT_SECONDS, stand_in_environment


def script_environment(url: str | None = None) -> dict[str, str]:
    """Return the environment of a script in UTC, with the server's address."""
    mine = stand_in_environment()
    for name in ("EVALSERVER_URL", "EVALSERVER_TOKEN", "NO_COLOR", "FORCE_COLOR"):
        mine.pop(name, None)
    address = {} if url is None else {"EVALSERVER_URL": url}
    return mine | {"TZ": "UTC", "LANG": "C.UTF-8"} | address


class Shell:
    """Runs ``evalserver ...`` with stdin, stdout and stderr connected to pipes."""

    def __init__(self, url: str | None = None, **environment: str) -> None:
        self._environment = script_environment(url) | environment

    def run(self, *arguments: object, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command to its end; ``given`` is its standard input."""
        return subprocess.run(
            [sys.executable, "-m", "evalserver", *map(str, arguments)],
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
        )

    def run_unread(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run the command with a stdout whose read end is closed."""
        reading, writing = os.pipe()
        os.close(reading)
        try:
            return subprocess.run(
                [sys.executable, "-m", "evalserver", *map(str, arguments)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=subprocess.PIPE,
                text=True,
                timeout=WAIT_SECONDS,
            )
        finally:
            os.close(writing)

    def run_with(self, redirection: str, command: str) -> subprocess.CompletedProcess[str]:
        """Run the command with a shell redirection."""
        return subprocess.run(
            ["bash", "-c", f'"$0" -m evalserver {command} {redirection}', sys.executable],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
        )

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start the command without waiting for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "evalserver", *map(str, arguments)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stdout_of(self, *arguments: object) -> str:
        """Run a command that must succeed, and return its stdout."""
        result = self.run(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def json(self, *arguments: object) -> Any:
        """Run a command with ``--json``, and return the parsed document."""
        return json.loads(self.stdout_of(*arguments, "--json"))

    def submit(self, *arguments: object) -> str:
        """Submit an evaluation with the stand-in harness, and return the job id."""
        return self.stdout_of("submit", "-m", "dummy", "-t", "mme", *arguments).strip()

    def submit_and_wait(self, *arguments: object) -> str:
        """Submit an evaluation, wait for it to finish with any status, and return the job id."""
        job_id = self.submit(*arguments)
        self.run("wait", job_id)
        return job_id
