"""Time as evalserver keeps it: UTC, passed in as a function so that tests need not sleep."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """ISO 8601 text in UTC to the millisecond: it sorts as text, and every client can parse it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
