"""Formatting values for people: times, durations, numbers, and texts from untrusted sources."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from evalserver.core.job_id import short_job_id, short_job_ids
from evalserver.core.model_title import model_title

EMPTY = "-"
"""Shown for missing values, so that scripts can count the columns."""

CUT = "…"
"""Stands for what is left out of a text."""

TASKS_LENGTH = 40
"""Characters of the names of tasks in a table; more of them are counted."""
REASON_LENGTH = 100
"""Characters of a reason or an error in a table."""

FIRST_LOG_LINES, LAST_LOG_LINES = 1, 6
"""Lines of the log of a failed job; the first says of which file they are."""
LINE_LENGTH, HEADLINE_LENGTH = 200, 400
"""Characters of each, and of what happened."""

DIGITS, DECIMALS, MAX_DECIMALS = 3, 4, 8
"""Digits of the smallest number of a column, and decimals of the column."""
MAX_NUMBER = 1e12
MIN_P_VALUE = 0.001
"""Smaller p-values are not told apart."""

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


def error_lines(job: Mapping[str, Any]) -> list[str]:
    """Format why a job failed: what happened, and the last lines of its log.

    The middle of a long log is left out; a line says how many lines that are.
    """
    headline, *log = lines(job["error"] or "for an unknown reason").splitlines() or [""]
    short = [shorten(line, LINE_LENGTH) for line in log]
    left_out = len(short) - FIRST_LOG_LINES - LAST_LOG_LINES
    if left_out > 1:
        middle = f"... {left_out} more lines: evalserver logs {job_id(job['job_id'])}"
        short = [*short[:FIRST_LOG_LINES], middle, *short[-LAST_LOG_LINES:]]
    return [shorten(headline, HEADLINE_LENGTH), *short]


def advice(job: Mapping[str, Any]) -> str:
    """Format what to do about a failure, with the job's id in the commands."""
    return text(job["failure"]["advice"].replace(" JOB.", f" {job_id(job['job_id'])}."))


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


def job_id(value: str) -> str:
    """Format the id of a job in a table: its end, since ids of one minute begin alike."""
    return text(short_job_id(value))


def job_ids(values: Iterable[str]) -> dict[str, str]:
    """Format the ids of the jobs of a table, by id: their ends, as long as tells them apart."""
    return {value: text(short) for value, short in short_job_ids(values).items()}


def model(request: Mapping[str, Any]) -> str:
    """Format the model of a request as its checkpoint, else as its type."""
    return text(model_title(request))


def tasks(names: Sequence[str]) -> str:
    """Format the first tasks, and how many more there are."""
    shown = text(names[0])
    for count, name in enumerate(names[1:], 1):
        longer = f"{shown},{text(name)}"
        if len(longer) > TASKS_LENGTH:
            return f"{shown} +{len(names) - count}"
        shown = longer
    return shown


def shorten(value: Any, length: int) -> str:
    """Format a text with at most so many characters: its beginning and its end, where the
    conclusion is."""
    whole = optional(value)
    if len(whole) <= length:
        return whole
    end = (length - len(CUT)) // 2
    return whole[: length - len(CUT) - end] + CUT + whole[-end:]


def numbers(values: Sequence[float | None]) -> list[str]:
    """Format the numbers of a column, which all have the same decimals."""
    places = decimals(values)
    return [number(value, places) for value in values]


def decimals(values: Iterable[float | None]) -> int:
    """Return how many decimals show these numbers: none if all are whole, else four, or more if a
    number needs them."""
    known = [abs(value) for value in values if value is not None and value != 0]
    if all(float(value).is_integer() for value in known):
        return 0
    needed = DIGITS - 1 - math.floor(math.log10(min(known)))
    return min(max(DECIMALS, needed), MAX_DECIMALS)


def number(value: float | None, places: int) -> str:
    """Format a number with so many decimals; with an exponent if it is larger or smaller than
    these can show."""
    if value is None:
        return EMPTY
    shown = f"{value:.{places}f}"
    is_lost = value != 0 and not shown.strip("-0.")
    return f"{value:.2e}" if is_lost or abs(value) >= MAX_NUMBER else shown


def p_value(value: float) -> str:
    """Format a p-value: ``p = 0.14``."""
    return "p < 0.001" if value < MIN_P_VALUE else f"p = {value:.2g}"


def signed(value: float, places: int) -> str:
    """Format a difference with its sign."""
    return f"+{number(value, places)}" if value > 0 else number(value, places)
