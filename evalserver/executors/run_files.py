"""Reading what a runner left in a run directory. A harness may write there, too: what is read is
looked at before it is believed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalserver.executors.base import Exit, ExitReason, Lost
from evalserver.runner import files
from evalserver.system.untrusted_files import (
    MissingFile,
    UnreadableFile,
    UntrustedDirectory,
    read_json,
)

MAX_JOB_BYTES = 64 * 1024 * 1024
MAX_RECORD_BYTES = 16 * 1024 * 1024
MAX_BYTES = 1024 * 1024
"""Of what the runner writes; it is less than a thousandth of that."""


def argv_of(run_dir: Path) -> list[str] | None:
    """The command line that the attempt was started with; None if it cannot be read any more."""
    argv = _read(run_dir, files.JOB_FILE, MAX_JOB_BYTES).get("argv")
    return argv if isinstance(argv, list) and _are_texts(argv) else None


def environment_of(run_dir: Path) -> dict[str, str]:
    """The environment that the attempt was started with; empty if it cannot be read any more."""
    env = _read(run_dir, files.JOB_FILE, MAX_JOB_BYTES).get("env")
    return env if isinstance(env, dict) and _are_texts(env.values()) else {}


def runner_pid(run_dir: Path) -> int | None:
    """The pid that the attempt's runner wrote down, or None; the process may be gone."""
    pid = _read(run_dir, files.RUNNER_FILE).get("pid")
    return pid if isinstance(pid, int) and 0 < pid < 2**31 else None


def cgroup_of(run_dir: Path) -> Path | None:
    """The cgroup that the runner wrote down, or None; it may be any path."""
    path = _read(run_dir, files.RUNNER_FILE).get("cgroup")
    return Path(path) if isinstance(path, str) and path.startswith("/") else None


def boot_id_of(run_dir: Path) -> object:
    """The machine's boot id as the runner wrote it down, or None."""
    return _read(run_dir, files.RUNNER_FILE).get("boot_id")


@dataclass(frozen=True)
class ProcessRecord:
    """The processes of an attempt as its runner last wrote them down; starts by pid."""

    boot_id: object
    runner_started: int
    starts: Mapping[int, int]
    sessions: frozenset[int]
    output_pipe: object


def process_record_of(run_dir: Path) -> ProcessRecord | None:
    """What the runner wrote down of its processes, or None."""
    record = _read(run_dir, files.PROCESSES_FILE, MAX_RECORD_BYTES)
    processes = record.get("processes")
    if not isinstance(processes, list) or not processes or not all(map(_is_process, processes)):
        return None
    return ProcessRecord(
        boot_id=record.get("boot_id"),
        runner_started=processes[0][1],
        starts={pid: started for pid, started, _ in processes},
        sessions=frozenset(session for *_, session in processes),
        output_pipe=record.get("output_pipe"),
    )


def _is_process(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == len(("pid", "started", "session"))
        and all(isinstance(each, int) and each > 0 for each in value)
    )


def secrets_of(run_dir: Path) -> list[str]:
    """The texts that nothing may show of an attempt that was started there."""
    secrets = _read(run_dir, files.JOB_FILE, MAX_JOB_BYTES).get("secrets")
    return [str(each) for each in secrets] if isinstance(secrets, list) else []


def read_exit(run_dir: Path) -> Exit | Lost:
    """How the attempt ended, once its runner is gone."""
    try:
        values = read_json(UntrustedDirectory.for_attempt(run_dir), files.EXIT_FILE, MAX_BYTES)
        end = Exit(**{**values, "reason": ExitReason(values["reason"])})
    except MissingFile:
        return Lost(_why_lost(run_dir))
    except (UnreadableFile, ValueError, TypeError, KeyError) as error:
        return Lost(f"what it wrote down of its end cannot be read ({error})")
    wrong = [name for name, is_right in OF_EXIT.items() if not is_right(getattr(end, name))]
    if wrong:
        return Lost(f"what it wrote down of its end has another {wrong[0]} than runners write")
    return end


def _is_code(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 2**31


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.encode(errors="replace").decode() == value


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(each, str) for each in values)


OF_EXIT: Mapping[str, Callable[[Any], bool]] = {
    "exit_code": lambda value: value is None or _is_code(value),
    "started_at": _is_text,
    "ended_at": _is_text,
    "leftovers": _is_code,
    "error": lambda value: value is None or _is_text(value),
    "stage": lambda value: value is None or _is_text(value),
}


def _why_lost(run_dir: Path) -> str:
    if not (run_dir / files.LOCK_FILE).exists():  # runners leave it; who removes all may be at it
        return "its run directory is gone"
    if boot_id_of(run_dir) not in (None, files.boot_id()):
        return "the machine was restarted"
    return "it was killed"


def _read(run_dir: Path, name: str, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    try:
        return read_json(UntrustedDirectory.for_attempt(run_dir), name, max_bytes)
    except UnreadableFile:
        return {}
