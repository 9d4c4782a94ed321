"""What stands in a cell of a table: times, durations, texts of others, as a person reads them."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

NOTHING = "-"
"""What stands where there is nothing, so that columns can be counted."""

MINUTE, HOUR, DAY = 60, 3600, 86400


def text(value: Any) -> str:
    """A value on one line that cannot steer the terminal: texts come from clients and logs."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(text(item) for item in value)
    if isinstance(value, Mapping):
        return pairs(value)
    return "".join(
        mark if mark.isprintable() else mark.encode("unicode_escape").decode()
        for mark in str(value)
    )


def pairs(values: Mapping[str, Any]) -> str:
    """``name=value name=value``, of those that are there."""
    return " ".join(f"{name}={text(value)}" for name, value in values.items() if value is not None)


def lines(value: str) -> str:
    """A text of several lines, none of which can steer the terminal."""
    return "\n".join(text(line) for line in value.splitlines())


def moment(value: str | None) -> str:
    """A time of the server's (ISO 8601, UTC) on the clock of this machine, to the second."""
    if value is None:
        return NOTHING
    return f"{datetime.fromisoformat(value).astimezone():%Y-%m-%d %H:%M:%S}"


def duration(seconds: float | None) -> str:
    """``8s``, ``3m 20s``, ``2h 5m``, ``1d 4h``."""
    if seconds is None or math.isnan(seconds):
        return NOTHING
    whole = max(0, round(seconds))
    for unit, below, name, small in ((DAY, HOUR, "d", "h"), (HOUR, MINUTE, "h", "m")):
        if whole >= unit:
            return f"{whole // unit}{name} {whole % unit // below}{small}"
    return f"{whole // MINUTE}m {whole % MINUTE}s" if whole >= MINUTE else f"{whole}s"


def took(job: Mapping[str, Any]) -> str:
    """How long the last attempt of a finished job took."""
    if job["started_at"] is None or job["completed_at"] is None:
        return NOTHING
    began, ended = (datetime.fromisoformat(job[name]) for name in ("started_at", "completed_at"))
    return duration((ended - began).total_seconds())


def progress(job: Mapping[str, Any]) -> str:
    """How far a job is: its place in the queue, its stage and share, or how long it took."""
    if job["status"] == "queued":
        return f"{job['position_in_queue']} before it"
    if job["status"] != "running":
        return took(job)
    said = job["progress"] or {"stage": "starting", "fraction": None}
    share = "" if said["fraction"] is None else f" {said['fraction']:.0%}"
    return f"{text(said['stage'])}{share}"


def number(value: float | None) -> str:
    """A number as precise as a person compares it."""
    if value is None:
        return NOTHING
    if isinstance(value, int) or (value.is_integer() and abs(value) >= 1):
        return f"{value:.0f}"
    return f"{value:.4f}" if 0.001 <= abs(value) < 10_000 or value == 0 else f"{value:.4g}"
