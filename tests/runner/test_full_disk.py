"""A runner whose disk is full tries to write its exit record until it succeeds."""

import json
import subprocess
import sys
from pathlib import Path

from evalserver.runner import files
from evalserver.runner.launch_spec import Command, LaunchSpec
from tests.small_disk import mount_small_disk
from tests.support import until

FILLS_THE_DISK = """
import contextlib, sys
with open("filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
    while True:
        file.write(b"x" * 4096)
open("is-full", "w").close()
raise SystemExit(7)
"""


async def test_the_exit_record_is_written_when_the_disk_has_space_again(
    tmp_path: Path, small_disks: list[Path]
) -> None:
    mount_small_disk(tmp_path)
    small_disks.append(tmp_path)
    _start_runner(tmp_path, [sys.executable, "-c", FILLS_THE_DISK])

    async def is_full() -> bool:
        return (tmp_path / "is-full").exists()

    await until(is_full)
    (tmp_path / "filler").unlink()

    async def outcome_is_there() -> bool:
        return (tmp_path / files.EXIT_FILE).exists()

    await until(outcome_is_there)
    assert json.loads((tmp_path / files.EXIT_FILE).read_text())["exit_code"] == 7


def _start_runner(run_dir: Path, argv: list[str]) -> None:
    spec = LaunchSpec(run_dir, "a token", Command(tuple(argv)), run_dir, {}, grace_s=1.0)
    (run_dir / files.JOB_FILE).write_text(spec.to_json())
    command = [sys.executable, "-I", "-S", str(files.PROGRAM), str(run_dir)]
    assert subprocess.run(command, check=False).returncode == 0
