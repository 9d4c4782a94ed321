"""The idempotency keys of submissions that are being processed."""

from collections.abc import Iterator
from contextlib import contextmanager

from evalserver.store import Key
from evalserver.submission.rejection import Reason, Rejected

RETRY_AFTER_SECONDS = 1

IN_PROGRESS = Rejected(
    Reason.IN_PROGRESS,
    "A request with this Idempotency-Key is being processed; send it again later",
    retry_after_s=RETRY_AFTER_SECONDS,
)


class KeysInFlight:
    """The keys of submissions in progress."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, str]] = set()

    @contextmanager
    def hold(self, key: Key) -> Iterator[Rejected | None]:
        """Hold the key for the block; yields a rejection when another request holds it."""
        held = (key.submitted_by, key.key)
        if held in self._keys:
            yield IN_PROGRESS
            return
        self._keys.add(held)
        try:
            yield None
        finally:
            self._keys.discard(held)

    def __len__(self) -> int:
        return len(self._keys)
