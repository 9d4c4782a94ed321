"""Why a submission is rejected: a value that is returned, for whoever called to translate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Reason(Enum):
    """What kind of thing is wrong."""

    INVALID = "invalid"
    """The request itself: ``faults`` says which fields."""
    NO_CHECKPOINT = "no checkpoint"
    """What is to be merged does not exist."""
    QUEUE_FULL = "queue full"
    IN_PROGRESS = "in progress"
    """A request with the same idempotency key is being carried out right now."""


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
    """The rejection of a request with these faults: fields, and a sentence for each."""
    names = ", ".join(faults)
    detail = f"The request is invalid, and nothing was changed. Please correct: {names}"
    return Rejected(Reason.INVALID, detail, faults)
