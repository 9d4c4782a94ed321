"""Time in UTC. The clock is passed in as a function, so that tests need not sleep."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Format a time as ISO 8601 in UTC with milliseconds, which also sorts correctly as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
