"""The command line in a pipe, as a script uses it, against a server."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.support import WAIT_SECONDS, stand_in_environment


def script_environment(url: str | None = None) -> dict[str, str]:
    """The environment of a script in UTC that knows the server's address."""
    mine = stand_in_environment()
    for name in ("EVALSERVER_URL", "EVALSERVER_TOKEN", "NO_COLOR", "FORCE_COLOR"):
        mine.pop(name, None)
    address = {} if url is None else {"EVALSERVER_URL": url}
    return mine | {"TZ": "UTC", "LANG": "C.UTF-8"} | address


class Shell:
    """Runs ``evalserver ...`` with everything in pipes."""

    def __init__(self, url: str | None = None, **environment: str) -> None:
        self._environment = script_environment(url) | environment

    def run(self, *arguments: object, given: str = "") -> subprocess.CompletedProcess[str]:
        """The command, once it has ended; ``given`` is its standard input."""
        return subprocess.run(
            [sys.executable, "-m", "evalserver", *map(str, arguments)],
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
        )

    def run_unread(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """The command, whose output nobody reads."""
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
        """The command, with a redirection of a shell's."""
        return subprocess.run(
            ["bash", "-c", f'"$0" -m evalserver {command} {redirection}', sys.executable],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
        )

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """The command, while it runs."""
        return subprocess.Popen(
            [sys.executable, "-m", "evalserver", *map(str, arguments)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def says(self, *arguments: object) -> str:
        """What a command prints that must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: object) -> Any:
        """The document that a command prints with ``--json``."""
        return json.loads(self.says(*arguments, "--json"))

    def submit(self, *arguments: object) -> str:
        """Submit an evaluation of the stand-in; returns its job's id."""
        return self.says("submit", "-m", "dummy", "-t", "mme", *arguments).strip()

    def ended(self, *arguments: object) -> str:
        """Submit an evaluation, and wait until it has ended, however it does; its job's id."""
        job_id = self.submit(*arguments)
        self.run("wait", job_id)
        return job_id
