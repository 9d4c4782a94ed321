"""Rejections of submissions: returned values, which the caller translates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Reason(Enum):
    """The kind of a rejection."""

    INVALID = "invalid"
    """The request is invalid; ``faults`` has the fields."""
    NO_CHECKPOINT = "no checkpoint"
    """The checkpoint to merge does not exist."""
    QUEUE_FULL = "queue full"
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


def invalid(faults: Mapping[str, str]) -> Rejected:
    """Return the rejection of a request with these faults: a sentence for each field."""
    names = ", ".join(faults)
    detail = f"The request is invalid, and nothing was changed. Please correct: {names}"
    return Rejected(Reason.INVALID, detail, faults)
