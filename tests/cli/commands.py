"""Run the command line in this process or in a separate one."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from evalserver.cli.main import main
from tests.support import WAIT_SECONDS, stand_in_environment


def evalserver(*arguments: object, **environment: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, [str(word) for word in arguments], env=environment)


def run_evalserver(
    *arguments: object, environment: Mapping[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command in a separate process."""
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
    """Assert that the command exited with 1 and printed one error line with this message."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert message in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def data_dir_option(folder: Path) -> tuple[str, Path]:
    """Return the option that selects a data directory."""
    return "--data-dir", folder
