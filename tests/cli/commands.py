"""The command line as tests use it: in this process, and in one of its own."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from evalserver.cli.main import main
from tests.support import WAIT_SECONDS, stand_in_environment


def evalserver(*arguments: object, **environment: str) -> Result:
    """A command in this process."""
    return CliRunner().invoke(main, [str(word) for word in arguments], env=environment)


def run_evalserver(
    *arguments: object, environment: Mapping[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "evalserver", *map(str, arguments)],
        env={**stand_in_environment(), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        **options,
    )


def assert_fails(result: Result, message: str) -> None:
    """The command must end with exit code 1, and one line on stderr with these words."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert message in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def where(folder: Path) -> tuple[str, Path]:
    """The option that names a data directory."""
    return "--data-dir", folder
