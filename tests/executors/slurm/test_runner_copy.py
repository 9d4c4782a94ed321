"""The copy of the runner below a shared directory, made by real servers' processes at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from evalserver.executors.slurm.runner_copy import PREFIX, copy_runner
from evalserver.runner import files
from evalserver.runner.launch_spec import Command, LaunchSpec
from tests.runner.pythons import oldest_python
from tests.support import until

SERVERS = 4
COPIES = """
import sys
from pathlib import Path
from evalserver.executors.slurm.runner_copy import copy_runner
print("ready", flush=True)
sys.stdin.readline()
print(copy_runner(Path(sys.argv[1])))
"""


def contents(folder: Path) -> dict[str, bytes]:
    """Return the program's files by name."""
    return {path.name: path.read_bytes() for path in folder.glob("*.py")}


def test_the_copy_has_every_file_of_the_runner(tmp_path: Path) -> None:
    program = copy_runner(tmp_path)

    assert contents(program) == contents(files.PROGRAM)
    assert list(tmp_path.glob(f"{PREFIX}*")) == [program.parents[1]]


async def test_the_copy_runs_an_attempt_without_the_rest_of_the_package(tmp_path: Path) -> None:
    await _run_attempt(tmp_path, sys.executable)


async def test_the_oldest_python_runs_an_attempt_from_the_copy(tmp_path: Path) -> None:
    await _run_attempt(tmp_path, oldest_python())


async def _run_attempt(run_root: Path, python: str) -> None:
    exit_file = _start_attempt(run_root, python) / files.EXIT_FILE

    async def has_ended() -> bool:
        return exit_file.exists()

    await until(has_ended)
    assert json.loads(exit_file.read_text())["exit_code"] == 7


def _start_attempt(run_root: Path, python: str) -> Path:
    program, run_dir = copy_runner(run_root), run_root / "attempt"
    run_dir.mkdir()
    command = Command((sys.executable, "-c", "raise SystemExit(7)"))
    spec = LaunchSpec(run_dir, "a token", command, run_dir, {}, grace_s=1.0)
    (run_dir / files.JOB_FILE).write_text(spec.to_json())
    subprocess.run([python, "-I", "-S", program, run_dir], check=True, cwd="/")
    return run_dir


def test_a_second_copy_changes_nothing(tmp_path: Path) -> None:
    program = copy_runner(tmp_path)
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*")}

    assert copy_runner(tmp_path) == program
    assert {path: path.stat().st_ino for path in tmp_path.rglob("*")} == before


def test_servers_that_copy_at_once_agree(tmp_path: Path) -> None:
    servers = [
        subprocess.Popen(
            [sys.executable, "-c", COPIES, tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(SERVERS)
    ]
    for server in servers:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
    outputs = [server.communicate("go\n") for server in servers]

    assert [server.returncode for server in servers] == [0] * SERVERS
    assert {Path(output.strip()) for output, _ in outputs} == {copy_runner(tmp_path)}
    assert contents(copy_runner(tmp_path)) == contents(files.PROGRAM)
    # What the slower ones had begun is gone.
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("exit()\n")])
def test_a_damaged_copy_is_repaired(tmp_path: Path, damage: object) -> None:
    program = copy_runner(tmp_path)
    assert callable(damage)
    damage(program / "files.py")

    assert copy_runner(tmp_path) == program
    assert contents(program) == contents(files.PROGRAM)


def test_an_upgraded_runner_gets_another_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = copy_runner(tmp_path)
    upgraded = tmp_path / "upgraded" / "evalserver" / "runner"
    upgraded.mkdir(parents=True)
    for name, content in contents(files.PROGRAM).items():
        (upgraded / name).write_bytes(content + b"\n# newer\n")
    monkeypatch.setattr(files, "PROGRAM", upgraded)

    new = copy_runner(tmp_path)

    assert new != old
    assert contents(new) == contents(upgraded)
    assert "files.py" in contents(old)


def test_a_missing_shared_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        copy_runner(tmp_path / "missing")
