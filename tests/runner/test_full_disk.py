"""A runner that cannot write how its harness ended keeps trying: the outcome is not lost."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from evalserver.runner import files
from tests.support import until


async def test_the_outcome_is_written_once_there_is_room_again(tmp_path: Path) -> None:
    # Where its draft should be is a directory: writing fails as on a full disk.
    in_the_way = tmp_path / f"{files.EXIT_FILE}.draft"
    in_the_way.mkdir()
    _start_runner(tmp_path, [sys.executable, "-c", "print('done'); raise SystemExit(7)"])

    async def harness_is_done() -> bool:
        log = tmp_path / files.LOG_FILE
        return log.exists() and "done" in log.read_text()

    await until(harness_is_done)
    in_the_way.rmdir()

    async def outcome_is_there() -> bool:
        return (tmp_path / files.EXIT_FILE).exists()

    await until(outcome_is_there)
    assert json.loads((tmp_path / files.EXIT_FILE).read_text())["exit_code"] == 7


def _start_runner(run_dir: Path, argv: list[str]) -> None:
    job = files.Job(argv=argv, cwd=str(run_dir), env={}, timeout_s=None, grace_s=1.0)
    (run_dir / files.JOB_FILE).write_text(json.dumps(asdict(job)))
    command = [sys.executable, "-I", "-S", str(files.PROGRAM), str(run_dir)]
    assert subprocess.run(command, check=False).returncode == 0
