"""Start-up: which packages a command imports, and how long it takes compared to Python."""

import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from tests.cli.shell import Shell, script_environment
from tests.support import ServerProcess

RUNS = 5

MAX_RATIO = 100
"""Limit relative to the start of Python alone; measured are 5 (help) and 8 (status)."""

SERVER_ONLY = {"aiohttp", "aiosqlite", "apispec", "marshmallow", "orjson", "prometheus_client",
               "psutil", "sqlite3", "structlog"}  # fmt: skip
"""Packages that only the server needs."""


def imported_packages(url: str | None, *arguments: str) -> set[str]:
    """Return the packages that a command imports."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "evalserver", *arguments],
        env=script_environment(url),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def shortest_time(command: Sequence[str], url: str | None = None) -> float:
    """Return the shortest time of several runs of a command, in seconds."""
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, *command], env=script_environment(url), check=True, capture_output=True
        )
        seconds.append(time.perf_counter() - began)
    return min(seconds)


@pytest.mark.parametrize("command", ["--help", "submit --help", "--version"])
def test_help_imports_neither_the_http_client_nor_tables(command: str) -> None:
    packages = imported_packages(None, *command.split())

    assert "click" in packages
    assert not packages & {*SERVER_ONLY, "httpx", "rich", "yaml", "asyncio"}


@pytest.mark.parametrize("command", ["status", "results", "wait", "logs"])
async def test_client_commands_import_no_server_packages(
    server: ServerProcess, command: str
) -> None:
    async with server:
        job = Shell(server.url).submit_and_wait()

        packages = imported_packages(server.url, command, job)

    assert "httpx" in packages
    assert not packages & {*SERVER_ONLY, "rich", "yaml"}


async def test_a_command_starts_quickly(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    async with server:
        job = Shell(server.url).submit_and_wait()
        python = shortest_time(["-c", "pass"])
        times = {
            "--help": shortest_time(["-m", "evalserver", "--help"]),
            "status": shortest_time(["-m", "evalserver", "status", job], server.url),
        }
    with capsys.disabled():
        for name, seconds in times.items():
            print(f"\nevalserver {name}: {seconds:.3f} s, {seconds / python:.1f} times Python")

    assert max(times.values()) < MAX_RATIO * python
