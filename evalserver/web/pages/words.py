"""How values are written for people: times, durations, numbers, sizes, names."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

MINUTE, HOUR, DAY = 60, 3600, 86400

CHECKPOINT_ARGUMENTS = ("pretrained", "model", "model_version", "model_name", "peft")
"""Under which harnesses are told what to load, the most telling first."""

MINUS = "\N{MINUS SIGN}"

NOTHING = "—"
"""Stands where there is no value."""

UNITS = ("KB", "MB", "GB", "TB")


def ago(moment: str | None) -> Markup:
    """A time as a distance from now, with the exact one behind it; scripts keep it up to date."""
    if moment is None:
        return Markup("<span class='faint'>{}</span>").format(NOTHING)
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    return Markup('<time datetime="{0}" title="{1}">{2}</time>').format(
        moment, exact(moment), distance(seconds)
    )


def exact(moment: str) -> str:
    """The time to the second, in UTC."""
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def distance(seconds: float) -> str:
    """How long ago, in the largest unit: ``3 min ago``. The same words are in ``times.js``."""
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
    """A length of time in its two largest units."""
    if seconds is None:
        return NOTHING
    if 0 < seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    for size, name, below, less in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {name} {rest} {less}" if rest else f"{whole // size} {name}"
    if whole >= MINUTE:
        rest = whole % MINUTE
        return f"{whole // MINUTE} min {rest} s" if rest else f"{whole // MINUTE} min"
    return f"{whole} s"


def between(begin: str | None, end: str | None) -> float | None:
    """Seconds from one time to another; None if there is no beginning, to now without an end."""
    if begin is None:
        return None
    until = datetime.now(UTC) if end is None else datetime.fromisoformat(end)
    return max(0.0, (until - datetime.fromisoformat(begin)).total_seconds())


def number(value: float | None, stderr: float | None = None) -> str:
    """A number with as many digits as it is certain of: two of its standard error, else four."""
    if value is None:
        return NOTHING
    if not stderr:
        return f"{value:.4g}"
    return f"{value:.{decimals(stderr)}f}"


def signed(value: float | None, stderr: float | None = None) -> str:
    """A difference with its sign; a true minus."""
    if value is None:
        return NOTHING
    text = number(abs(value), stderr)
    if not text.strip("0."):
        return text
    return f"{'+' if value > 0 else MINUS}{text}"


def decimals(stderr: float) -> int:
    """Decimal places that show two digits of a standard error."""
    return min(6, max(0, 1 - math.floor(math.log10(abs(stderr)))))


def size(count: float | None) -> str:
    """Bytes, to three digits."""
    if count is None:
        return NOTHING
    if count < 1000:
        return f"{count:g} B"
    for unit in UNITS:
        count /= 1000
        if count < 999.5 or unit == UNITS[-1]:
            return f"{count:.3g} {unit}"
    raise AssertionError


def model_title(request: Mapping[str, Any]) -> str:
    """What a request evaluates: the checkpoint if it names one, else the kind of model."""
    given = request.get("model_args") or {}
    named = (given.get(name) for name in CHECKPOINT_ARGUMENTS)
    found = next((name for name in named if isinstance(name, str) and name), None)
    return found or str(request["model"])


def pretty(value: Any) -> str:
    """JSON with line breaks."""
    return json.dumps(value, indent=2, ensure_ascii=False)
