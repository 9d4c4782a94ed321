"""Reading what a runner wrote into a run directory. The harness can write there, too, so that
everything is validated before it is used."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from evalserver.executors.base import AttemptInfo, Exit, ExitReason, Lost
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
"""For the runner's other files, which have less than a thousandth of that."""
MAX_NAME = 255
"""Characters of a host name, and of a job's ID on a cluster."""


def read_attempt_info(run_dir: Path) -> AttemptInfo:
    """Read what an attempt was started with. What is missing or malformed is None or empty."""
    job = _read(run_dir, files.JOB_FILE, MAX_JOB_BYTES)
    argv, env, secrets = job.get("argv"), job.get("env"), job.get("secrets")
    runner = _read(run_dir, files.RUNNER_FILE)
    return AttemptInfo(
        runner_pid=runner_pid(run_dir),
        host=_short_text(runner.get("host")),
        cluster_job_id=_short_text(runner.get("slurm_job_id")),
        argv=tuple(argv) if isinstance(argv, list) and _are_texts(argv) else None,
        environment=env if isinstance(env, dict) and _are_texts(env.values()) else {},
        secrets=tuple(str(each) for each in secrets) if isinstance(secrets, list) else (),
    )


def runner_pid(run_dir: Path) -> int | None:
    """Return the recorded pid of the attempt's runner, or None. The process may have ended."""
    pid = _read(run_dir, files.RUNNER_FILE).get("pid")
    return pid if isinstance(pid, int) and 0 < pid < 2**31 else None


def started_at_of(run_dir: Path) -> str | None:
    """Return when the attempt's runner started, as it recorded that, or None."""
    started_at = _read(run_dir, files.RUNNER_FILE).get("started_at")
    return started_at if _is_text(started_at) else None


def cgroup_of(run_dir: Path) -> Path | None:
    """Return the recorded cgroup, or None. It may be any path."""
    path = _read(run_dir, files.RUNNER_FILE).get("cgroup")
    return Path(path) if isinstance(path, str) and path.startswith("/") else None


def boot_id_of(run_dir: Path) -> object:
    """Return the recorded boot id of the machine, or None."""
    return _read(run_dir, files.RUNNER_FILE).get("boot_id")


@dataclass(frozen=True)
class ProcessRecord:
    """The last record of an attempt's processes; ``starts`` maps a pid to its start time."""

    boot_id: object
    runner_started: int
    starts: Mapping[int, int]
    sessions: frozenset[int]
    output_pipe: object


def process_record_of(run_dir: Path) -> ProcessRecord | None:
    """Return the last record of the attempt's processes, or None."""
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


def read_exit(run_dir: Path) -> Exit | Lost:
    """Read how the attempt ended, after its runner has ended."""
    try:
        values = read_json(UntrustedDirectory.for_attempt(run_dir), files.EXIT_FILE, MAX_BYTES)
        end = Exit(**{**values, "reason": ExitReason(values["reason"])})
    except MissingFile:
        return Lost(_loss_reason(run_dir))
    except (UnreadableFile, ValueError, TypeError, KeyError) as error:
        return Lost(f"its {files.EXIT_FILE} cannot be read ({error})")
    invalid = [name for name, is_valid in EXIT_FIELDS.items() if not is_valid(getattr(end, name))]
    if invalid:
        return Lost(f"its {files.EXIT_FILE} has an invalid {invalid[0]}")
    return end


def _is_code(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 2**31


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.encode(errors="replace").decode() == value


def _short_text(value: object) -> str | None:
    return value if _is_text(value) and 0 < len(value) <= MAX_NAME else None


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(each, str) for each in values)


EXIT_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "exit_code": lambda value: value is None or _is_code(value),
    "started_at": _is_text,
    "ended_at": _is_text,
    "leftovers": _is_code,
    "error": lambda value: value is None or _is_text(value),
    "stage": lambda value: value is None or _is_text(value),
    "out_of_memory": lambda value: value is None or _is_text(value),
}
"""The fields of ``exit.json``, and what is a valid value for each."""


def _loss_reason(run_dir: Path) -> str:
    # The runner leaves its lock file. Without it, the directory was removed, or is being removed.
    if not (run_dir / files.LOCK_FILE).exists():
        return "its run directory is gone"
    if boot_id_of(run_dir) not in (None, files.boot_id()):
        return "the machine was restarted"
    return "it was killed"


def _read(run_dir: Path, name: str, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    try:
        return read_json(UntrustedDirectory.for_attempt(run_dir), name, max_bytes)
    except UnreadableFile:
        return {}
