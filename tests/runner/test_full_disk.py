"""A runner that cannot write how its harness ended keeps trying: the outcome is not lost."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from evalserver.runner import files
from tests.support import until


async def test_the_outcome_is_written_once_there_is_room_again(tmp_path: Path) -> None:
    # Its draft is a pipe, which no fsync works on: writing fails as on a full disk, and is seen.
    draft = tmp_path / f"{files.EXIT_FILE}.draft"
    os.mkfifo(draft)
    reader = os.open(draft, os.O_RDONLY | os.O_NONBLOCK)
    _start_runner(tmp_path, [sys.executable, "-c", "raise SystemExit(7)"])

    async def has_failed_to_write() -> bool:
        try:
            return os.read(reader, 1) != b""
        except BlockingIOError:
            return False

    await until(has_failed_to_write)
    draft.unlink()
    os.close(reader)

    async def outcome_is_there() -> bool:
        return (tmp_path / files.EXIT_FILE).exists()

    await until(outcome_is_there)
    assert json.loads((tmp_path / files.EXIT_FILE).read_text())["exit_code"] == 7


def _start_runner(run_dir: Path, argv: list[str]) -> None:
    job = files.Job(argv=argv, cwd=str(run_dir), env={}, timeout_s=None, grace_s=1.0)
    (run_dir / files.JOB_FILE).write_text(json.dumps(asdict(job)))
    command = [sys.executable, "-I", "-S", str(files.PROGRAM), str(run_dir)]
    assert subprocess.run(command, check=False).returncode == 0
