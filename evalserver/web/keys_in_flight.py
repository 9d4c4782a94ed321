"""The submissions that are being carried out right now, by their ``Idempotency-Key``."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from evalserver.store import Key
from evalserver.web.errors import BadRequest

RETRY_AFTER_SECONDS = 1


class KeysInFlight:
    """The keys of the submissions that are being carried out."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, str]] = set()

    @contextmanager
    def holding(self, key: Key) -> Iterator[None]:
        """Hold the key for the block. Raises BadRequest (409) when it is held."""
        held = (key.submitted_by, key.key)
        if held in self._keys:
            raise BadRequest(
                HTTPStatus.CONFLICT,
                "A request with this Idempotency-Key is being carried out; send it again later",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        self._keys.add(held)
        try:
            yield
        finally:
            self._keys.discard(held)

    def __len__(self) -> int:
        return len(self._keys)
