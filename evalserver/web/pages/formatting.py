"""Formatting values for display: times, durations, numbers, sizes, names."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from evalserver.core.job_id import short_job_id

MINUTE, HOUR, DAY = 60, 3600, 86400

MINUS = "\N{MINUS SIGN}"

NO_VALUE = "—"
"""Shown where a value is missing."""

KIB, GIB = 1024, 1024**3
UNITS = ("KiB", "MiB", "GiB", "TiB")

NAMED_JOB = re.compile(r"(?<=\b[Jj]ob )([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
"""The id of a job in a text."""

DIGITS, MAX_PLACES = 4, 8
"""Of a number without a standard error."""
MIN_PLAIN, MAX_PLAIN = 1e-6, 1e9
"""Numbers outside of these bounds have an exponent."""

MIN_P_VALUE = 0.001
"""Smaller p-values are not told apart."""


def ago(timestamp: str | None) -> Markup:
    """Format a time relative to now, with the exact time as a tooltip; a script updates it."""
    if timestamp is None:
        return Markup("<span class='faint'>{}</span>").format(NO_VALUE)
    seconds = (datetime.now(UTC) - datetime.fromisoformat(timestamp)).total_seconds()
    return Markup('<time datetime="{0}" title="{1}">{2}</time>').format(
        timestamp, exact(timestamp), distance(seconds)
    )


def exact(timestamp: str) -> str:
    """Format a time to the second, in UTC."""
    return datetime.fromisoformat(timestamp).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def distance(seconds: float) -> str:
    """Format a time span in its largest unit: ``3 min ago``. ``times.js`` does the same."""
    if seconds < 10:
        return "just now"
    if seconds < MINUTE:
        return f"{int(seconds)} s ago"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min ago"
    if seconds < 2 * DAY:
        return f"{int(seconds // HOUR)} h ago"
    return f"{int(seconds // DAY)} days ago"


def duration(seconds: float | None) -> str:
    """Format a duration in its two largest units."""
    if seconds is None:
        return NO_VALUE
    if 0 < seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    for unit_s, unit, smaller_s, smaller in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min")):
        if whole >= unit_s:
            count, rest = whole // unit_s, whole % unit_s // smaller_s
            return f"{count} {unit} {rest} {smaller}" if rest else f"{count} {unit}"
    if whole >= MINUTE:
        rest = whole % MINUTE
        return f"{whole // MINUTE} min {rest} s" if rest else f"{whole // MINUTE} min"
    return f"{whole} s"


def between(start: str | None, end: str | None) -> float | None:
    """Return the seconds from start to end, or to now without an end; None without a start."""
    if start is None:
        return None
    until = datetime.now(UTC) if end is None else datetime.fromisoformat(end)
    return max(0.0, (until - datetime.fromisoformat(start)).total_seconds())


def number(value: float | None, stderr: float | None = None, places: int | None = None) -> str:
    """Format a number to two digits of its standard error.

    Without one it gets ``places`` decimals, by default those of its first four digits.
    """
    if value is None:
        return NO_VALUE
    if stderr:
        return f"{value:.{decimals(stderr)}f}"
    if value and not MIN_PLAIN <= abs(value) < MAX_PLAIN:
        return f"{value:.{DIGITS}g}"
    return f"{value:.{shared_places([value]) if places is None else places}f}"


def shared_places(values: Iterable[float | None]) -> int:
    """Return the decimal places that show four digits of the smallest of several numbers; 0 if all
    are whole numbers."""
    known = [abs(value) for value in values if value and math.isfinite(value)]
    if all(value.is_integer() for value in map(float, known)):
        return 0
    return min(MAX_PLACES, max(0, DIGITS - 1 - math.floor(math.log10(min(known)))))


def signed(value: float | None, stderr: float | None = None, places: int | None = None) -> str:
    """Format a difference with its sign, using a minus sign and not a hyphen."""
    if value is None:
        return NO_VALUE
    text = number(abs(value), stderr, places)
    if not text.strip("0."):
        return text
    return f"{'+' if value > 0 else MINUS}{text}"


def p_value(value: float) -> str:
    """Format a p-value: ``p = 0.14``."""
    return "p < 0.001" if value < MIN_P_VALUE else f"p = {value:.2g}"


def decimals(stderr: float) -> int:
    """Return the decimal places that show two digits of a standard error."""
    return min(6, max(0, 1 - math.floor(math.log10(abs(stderr)))))


def size(count: float | None) -> str:
    """Format a number of bytes to three digits."""
    if count is None:
        return NO_VALUE
    if count < KIB:
        return f"{count:g} B"
    for unit in UNITS:
        count /= KIB
        if count < 999.5 or unit == UNITS[-1]:
            return f"{count:.3g} {unit}"
    raise AssertionError


def gpu_memory(used: float, total: float) -> str:
    """Format the memory of a GPU, in GiB."""
    return f"{used / GIB:.1f} of {total / GIB:.0f} GiB"


def middle(text: str, most: int = 64) -> str:
    """Shorten a text to ``most`` characters by leaving out its middle: names of checkpoints often
    differ at their end only."""
    if len(text) <= most:
        return text
    start = most // 3
    return f"{text[:start]}…{text[start + 1 - most :]}"


def link_jobs(text: str) -> Markup:
    """Return a text in which the id of each job, after the word job, is a link with its end."""
    return Markup("").join(
        _job_link(part) if number % 2 else Markup.escape(part)
        for number, part in enumerate(NAMED_JOB.split(text))
    )


def _job_link(job_id: str) -> Markup:
    link = '<a href="/ui/jobs/{0}" title="{0}">{1}</a>'
    return Markup(link).format(job_id, short_job_id(job_id))  # noqa: S704 - escapes what it formats


def pretty(value: Any) -> str:
    """Format a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def polyline(values: Sequence[int | None], maximum: int | None) -> str:
    """The points of a line through values from 0 to ``maximum``, 100 wide and 20 high; a value
    that is unknown is left out. Empty with fewer than two values."""
    steps = len(values) - 1
    if steps < 1 or not maximum:
        return ""
    return " ".join(
        f"{index * 100 / steps:.1f},{20 - 20 * min(1, value / maximum):.1f}"
        for index, value in enumerate(values)
        if value is not None
    )
