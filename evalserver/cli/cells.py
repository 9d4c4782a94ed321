"""Formatting values for people: times, durations, numbers, and texts from untrusted sources."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

EMPTY = "-"
"""Shown for missing values, so that scripts can count the columns."""

MINUTE, HOUR, DAY = 60, 3600, 86400


def text(value: Any) -> str:
    """Format a value on one line, without control characters, which clients could inject."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(text(item) for item in value)
    if isinstance(value, Mapping):
        return pairs(value)
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(value)
    )


def optional(value: Any) -> str:
    """Return a value that may be missing."""
    return EMPTY if value is None else text(value)


def pairs(values: Mapping[str, Any]) -> str:
    """Format as ``name=value name=value``, without missing values."""
    return " ".join(f"{name}={text(value)}" for name, value in values.items() if value is not None)


def lines(value: str) -> str:
    """Format a text of several lines, without control characters."""
    return "\n".join(text(line) for line in value.splitlines())


def local_time(value: str | None) -> str:
    """Format a time of the server (ISO 8601, UTC) in the local time zone, to the second."""
    if value is None:
        return EMPTY
    return f"{datetime.fromisoformat(value).astimezone():%Y-%m-%d %H:%M:%S}"


def duration(seconds: float | None) -> str:
    """Format as ``8s``, ``3m 20s``, ``2h 5m`` or ``1d 4h``."""
    if seconds is None or math.isnan(seconds):
        return EMPTY
    whole = max(0, round(seconds))
    for unit, smaller_unit, name, smaller_name in ((DAY, HOUR, "d", "h"), (HOUR, MINUTE, "h", "m")):
        if whole >= unit:
            return f"{whole // unit}{name} {whole % unit // smaller_unit}{smaller_name}"
    return f"{whole // MINUTE}m {whole % MINUTE}s" if whole >= MINUTE else f"{whole}s"


def run_time(job: Mapping[str, Any]) -> str:
    """Format how long the last attempt of a finished job took."""
    if job["started_at"] is None or job["completed_at"] is None:
        return EMPTY
    began, ended = (datetime.fromisoformat(job[name]) for name in ("started_at", "completed_at"))
    return duration((ended - began).total_seconds())


def status(job: Mapping[str, Any]) -> str:
    """Format the status of a job, and whether its results are odd."""
    check = job.get("result_check")
    warned = job["status"] == "completed" and check is not None and check["findings"]
    return text(job["status"]) + (" (warnings)" if warned else "")


def findings(job: Mapping[str, Any]) -> list[str]:
    """Format what the check of a job's results found, a line each."""
    check = job.get("result_check")
    return [
        text(f"{each['task']}: {each['message']}" if each["task"] else each["message"])
        for each in (check["findings"] if check else ())
    ]


def progress(job: Mapping[str, Any]) -> str:
    """Format the progress of a job: its queue position, its stage, or how long it took."""
    if job["status"] == "queued":
        return f"{job['position_in_queue']} ahead"
    if job["status"] != "running":
        return run_time(job)
    state = job["progress"] or {"stage": "starting", "fraction": None}
    percentage = "" if state["fraction"] is None else f" {state['fraction']:.0%}"
    return f"{text(state['stage'])}{percentage}{stalled(job)}"


def stalled(job: Mapping[str, Any]) -> str:
    """Format that a job has stalled, to be added to its progress."""
    return ", stalled" if job.get("stalled_since") else ""


def number(value: float | None) -> str:
    """Format a number with four significant decimals."""
    if value is None:
        return EMPTY
    if isinstance(value, int) or (value.is_integer() and abs(value) >= 1):
        return f"{value:.0f}"
    return f"{value:.4f}" if 0.001 <= abs(value) < 10_000 or value == 0 else f"{value:.4g}"
