"""The mode of every file that a server keeps, as documented in docs/security.md."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.support import ServerProcess

FIXED_MODES = {
    ".": 0o700,
    "evalserver.db": 0o600,
    "evalserver.db-*": 0o600,
    "server.lock": 0o600,
    "server.sock": 0o600,
    "backups": 0o700,
    "backups/*": 0o600,
    "outputs": 0o700,
    "runs": 0o700,
    "runs/*/attempt-1/job.json": 0o600,
    "runs/*/attempt-1/start.json": 0o600,
    "runs/*/attempt-1/exit.json": 0o600,
    "runs/*/attempt-1/processes.json": 0o600,
    "runs/*/attempt-1/lock": 0o600,
    "runs/*/attempt-1/runner.*": 0o600,
}
"""Modes that do not depend on the umask, in the data directory; the first match applies."""

BELOW_PRIVATE = "runs/*"
"""Everything else is below a private directory and has the modes that the umask leaves."""


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Start processes with this umask within the block."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022])
async def test_every_file_has_its_documented_mode(tmp_path: Path, mask: int) -> None:
    named = tmp_path / "named"
    server = ServerProcess(tmp_path / "data", "--allow-path", str(tmp_path))
    with umask(mask):
        await server.__aenter__()
    try:
        for fields in ({}, {"output_dir": str(named)}):
            job = await server.api.finished(await server.api.submit(**fields))
            assert job["status"] == "completed", job["error"]
        await server.api.call("POST", "/backup")
        found = modes(server.data_dir)
    finally:
        await server.__aexit__()

    expected = {name: expected_mode(name, is_directory, mask) for name, is_directory in found}
    assert {name: mode for (name, _), mode in found.items()} == expected
    assert stat.S_IMODE(named.stat().st_mode) == 0o777 & ~mask


def modes(data_dir: Path) -> dict[tuple[str, bool], int]:
    """Return the mode of everything in a data directory by path, and whether it is a directory."""
    paths = [data_dir, *data_dir.rglob("*")]
    return {
        (str(path.relative_to(data_dir)), path.is_dir()): stat.S_IMODE(path.lstat().st_mode)
        for path in paths
    }


def expected_mode(name: str, is_directory: bool, mask: int) -> int:
    """Return the documented mode; below a private directory, what the umask leaves."""
    for pattern, mode in FIXED_MODES.items():
        if fnmatchcase(name, pattern):
            return mode
    assert fnmatchcase(name, BELOW_PRIVATE), f"{name} is in no row of the table"
    return (0o777 if is_directory else 0o666) & ~mask
