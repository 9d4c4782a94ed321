"""A small stand-in for the runner on a node: start lock, heartbeat, cancel, time limit, record.

It is run as the runner is, and does not look for processes that hide: Slurm ends these.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

STARTED_ELSEWHERE = 98
BEAT_SECONDS = 0.2


def now() -> str:
    """The time in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write(path: Path, values: dict[str, object]) -> None:
    """Write a JSON file atomically."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(values))
    draft.replace(path)


def main(run_dir: Path) -> int:
    """Run the attempt."""
    try:
        os.close(os.open(run_dir / "started", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return STARTED_ELSEWHERE
    terminated: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: terminated.append(number))
    job, started_at = json.loads((run_dir / "job.json").read_text()), now()
    write(run_dir / "runner.json", {"pid": os.getpid(), "started_at": started_at})
    with (run_dir / "eval.log").open("ab") as log:
        harness = subprocess.Popen(job["argv"], env=job["env"], stdout=log, stderr=log)
    reason, begun = "exited", time.monotonic()
    while harness.poll() is None:
        with contextlib.suppress(OSError):
            (run_dir / "heartbeat").write_text(now())
        if (run_dir / "cancel").exists():
            reason = "cancelled"
        elif job["timeout_s"] is not None and time.monotonic() > begun + job["timeout_s"]:
            reason = "timed_out"
        elif terminated:
            reason = "terminated"
        if reason != "exited":
            harness.terminate()
        time.sleep(BEAT_SECONDS)
    code = harness.returncode
    if terminated and reason == "exited":
        reason = "terminated"
    end = {
        "reason": reason, "exit_code": code if code >= 0 else 128 - code,
        "started_at": started_at, "ended_at": now(),
    }  # fmt: skip
    write(run_dir / "exit.json", end)
    return int(end["exit_code"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[-1])))
