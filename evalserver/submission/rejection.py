"""Rejections of submissions: returned values, which the caller translates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from evalserver.store import SeriesFull

RETRY_AFTER_SECONDS = 30

MAX_FAULTS = 100
MAX_NAMED = 10
"""Faults that a rejection has, and fields that its sentence names."""


class Reason(Enum):
    """The kind of a rejection."""

    INVALID = "invalid"
    """The request is invalid; ``faults`` has the fields."""
    NO_CHECKPOINT = "no checkpoint"
    """The checkpoint to merge does not exist."""
    QUEUE_FULL = "queue full"
    SERIES_FULL = "series full"
    """As many jobs of the series wait as the operator allows."""
    IN_PROGRESS = "in progress"
    """A request with the same idempotency key is being processed."""


@dataclass(frozen=True)
class Rejected:
    """A submission that changed nothing.

    ``detail`` is one sentence for the caller, ``faults`` has a sentence for each field, and after
    ``retry_after_s`` seconds the same request may be accepted.
    """

    reason: Reason
    detail: str
    faults: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: int | None = None


def series_full(reason: SeriesFull) -> Rejected:
    """Return the rejection of a request whose series has as many waiting jobs as it may."""
    return Rejected(
        Reason.SERIES_FULL,
        f"{reason}; nothing was accepted, try again later",
        retry_after_s=RETRY_AFTER_SECONDS,
    )


def invalid(faults: Mapping[str, str]) -> Rejected:
    """Return the rejection of a request with these faults: a sentence for each field.

    Of many faults it has the first, and says how many more there are.
    """
    names = list(faults)
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    detail = (
        "The request is invalid, and nothing was changed. Please correct:"
        f" {', '.join(names[:MAX_NAMED])}{more}"
    )
    shown = {name: faults[name] for name in names[:MAX_FAULTS]}
    if len(names) > MAX_FAULTS:
        shown[""] = f"There are {len(names) - MAX_FAULTS} more errors."
    return Rejected(Reason.INVALID, detail, shown)
