"""Checks of every guarantee after a chaos test, from what is on disk."""

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

from tests.chaos.clients import ClientLog, find_processes
from tests.support import ServerProcess

Event = tuple[str, str, str | None, int, str]
"""Job, event, new state, attempt, detail."""

RUNNER_COPY = ".runner-"
"""The copy of the runner for the nodes of clusters, which stays."""
BEGINNINGS = ("claimed", "handed_over")
QUEUEING = ("submitted", "interrupted", "postponed", "retried")
TERMINAL = ("completed", "failed", "cancelled")


def find_violations(
    server: ServerProcess, client_log: ClientLog, folder: Path, keep: int
) -> dict[str, list[str]]:
    """Return the violations of each guarantee; every list should be empty."""
    events = _load_events(server.data_dir)
    return {
        "jobs lost": _lost_jobs(events, client_log),
        "jobs that no client submitted": _unknown_jobs(events, client_log),
        "starts out of order": _starts_out_of_order(events, client_log),
        "double runs": _double_runs(events, folder / "journal"),
        "attempts without a reason": _unexplained_attempts(events),
        "processes that outlived a cancel": client_log.outlived,
        "orphans": [str(process) for process in find_processes(folder)],
        "retention": _retention_errors(server.data_dir, events, keep),
        "audit": _audit_errors(server.data_dir),
    }


def _load_events(data_dir: Path) -> list[Event]:
    with closing(sqlite3.connect(f"file:{data_dir / 'evalserver.db'}?mode=ro", uri=True)) as db:
        sql = "SELECT job_id, event, to_status, attempt, detail FROM job_events ORDER BY event_id"
        return db.execute(sql).fetchall()


def _lost_jobs(events: list[Event], client_log: ClientLog) -> list[str]:
    states = {job: after for job, event, after, _, _ in events if event != "pruned"}
    return [job for job in client_log.priorities if states.get(job) not in TERMINAL]


def _unknown_jobs(events: list[Event], client_log: ClientLog) -> list[str]:
    submitted = {job for job, event, *_ in events if event == "submitted"}
    unknown = sorted(submitted - set(client_log.priorities))
    return unknown if len(unknown) > client_log.unanswered else []


def _starts_out_of_order(events: list[Event], client_log: ClientLog) -> list[str]:
    """Return claims of a job while another one was ahead of it in its lane."""
    positions: dict[str, tuple[int, int]] = {}
    queued: set[str] = set()
    found = []
    for number, (job, event, after, _, _) in enumerate(events):
        if event == "submitted" and job in client_log.priorities:
            positions[job] = (-client_log.priorities[job], number)
        if event in BEGINNINGS and job in positions:
            found += [
                f"{job} before {other}"
                for other in queued
                if client_log.lanes[other] == client_log.lanes[job]
                and positions[other] < positions[job]
            ]
        if event in QUEUEING and job in positions:
            queued.add(job)
        elif after != "queued" or event in BEGINNINGS:
            queued.discard(job)
    return found


def _double_runs(events: list[Event], journal: Path) -> list[str]:
    lines = [line.split() for line in journal.read_text().splitlines() if " " in line]
    slots = [(line[1], line[2], line[3]) for line in lines if line[0] == "slot"]
    starts = Counter(attempt for attempt, *_ in slots)
    claimed = {
        f"{job}/{attempt}": json.loads(detail).get("gpus")
        for job, event, _, attempt, detail in events
        if event in BEGINNINGS
    }
    return [
        *(f"{attempt} overlapped another" for attempt, state, _ in slots if state != "free"),
        *(
            f"{attempt} saw {gpus}, held {held}"
            for attempt, _, gpus in slots
            if (held := claimed.get(attempt)) is not None and gpus != (",".join(held) or "-1")
        ),
        *(f"{attempt} was started {n} times" for attempt, n in starts.items() if n > 1),
        *(f"{attempt} was not claimed" for attempt in starts if attempt not in claimed),
    ]


def _unexplained_attempts(events: list[Event]) -> list[str]:
    """Return attempts after the first without a loss or retry in the audit log."""
    allowed: Counter[str] = Counter()
    found = []
    for job, event, _, attempt, detail in events:
        if event in QUEUEING:
            allowed[job] += 1
        if event in BEGINNINGS and attempt > allowed[job]:
            found.append(f"{job}/{attempt}")
        if event == "interrupted" and "reason" not in json.loads(detail):
            found.append(f"{job}/{attempt} without a reason")
    return found


def _retention_errors(data_dir: Path, events: list[Event], keep: int) -> list[str]:
    with closing(sqlite3.connect(f"file:{data_dir / 'evalserver.db'}?mode=ro", uri=True)) as db:
        kept = {row[0] for row in db.execute("SELECT job_id FROM jobs")}
    folders = {
        folder.name.removeprefix("lmms_eval_")
        for folder in (data_dir / "runs").iterdir()
        if not folder.name.startswith(RUNNER_COPY)
    }
    finished = [job for job, event, *_ in events if event in TERMINAL]
    newest = list(dict.fromkeys(reversed(finished)))[:keep]
    return [
        *(f"the files of {job} were left behind" for job in folders - kept),
        *(f"{job} was pruned before older ones" for job in newest if job not in kept),
        *([f"{len(kept)} jobs were kept"] if len(kept) > keep else []),
    ]


def _audit_errors(data_dir: Path) -> list[str]:
    found = []
    for command in (["audit", "verify"], ["db", "check"]):
        argv = [sys.executable, "-m", "evalserver", *command, "--data-dir", str(data_dir)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            found.append(f"{' '.join(command)}: {done.stderr.strip()}")
    return found
