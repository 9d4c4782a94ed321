"""Time limits as Slurm writes them."""

import re

MINUTES_PER_HOUR, HOURS_PER_DAY, SECONDS_PER_MINUTE = 60, 24, 60

WITH_DAYS = re.compile(r"([0-9]{1,4})-([0-9]{1,2})(?::([0-9]{1,2})(?::([0-9]{1,2}))?)?")
"""Days and hours, and if there are more: minutes, seconds."""
HOURS = re.compile(r"([0-9]{1,5}):([0-9]{1,2}):([0-9]{1,2})")
MINUTES = re.compile(r"([0-9]{1,7})(?::([0-9]{1,2}))?")
"""Minutes, and if there are more: seconds."""


def parse_minutes(text: str) -> int | None:
    """Return the minutes, at least 1, of ``--time``; seconds count as one minute more, as they do
    for Slurm. None for another text."""
    if match := WITH_DAYS.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    elif match := HOURS.fullmatch(text):
        days, (hours, minutes, seconds) = 0, (int(part) for part in match.groups())
    elif match := MINUTES.fullmatch(text):
        days, hours, (minutes, seconds) = 0, 0, (int(part or 0) for part in match.groups())
    else:
        return None
    total = (days * HOURS_PER_DAY + hours) * MINUTES_PER_HOUR + minutes + (seconds > 0)
    return total or None
