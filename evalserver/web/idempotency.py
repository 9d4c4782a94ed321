"""The header ``Idempotency-Key``: a submission that is sent again is the same submission."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from http import HTTPStatus

import orjson
from aiohttp import web

from evalserver.job import EvaluateRequest
from evalserver.store import Key
from evalserver.web.errors import BadRequest, FieldError

HEADER = "Idempotency-Key"
REPLAY_HEADER = "Idempotent-Replay"

LONGEST_KEY = 255
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
                f"A request with this {HEADER} is being carried out; send it again later",
                retry_after_s=RETRY_AFTER_SECONDS,
            )
        self._keys.add(held)
        try:
            yield
        finally:
            self._keys.discard(held)

    def __len__(self) -> int:
        return len(self._keys)


def idempotency_key(request: web.Request, wanted: EvaluateRequest, submitted_by: str) -> Key | None:
    """The key that the request carries, or None. Raises BadRequest (422) when it is none."""
    given = request.headers.getall(HEADER, [])
    if not given:
        return None
    [key, *others] = given
    # From the space to the tilde: what is printable in ASCII.
    if others or not 1 <= len(key) <= LONGEST_KEY or not all(" " <= each <= "~" for each in key):
        fault = f"Must be given once, with 1 to {LONGEST_KEY} printable ASCII characters."
        raise BadRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"The request was refused, and nothing was changed. Please correct the header {HEADER}",
            (FieldError(HEADER, fault),),
        )
    return Key(key, submitted_by, _hash(wanted))


def _hash(wanted: EvaluateRequest) -> str:
    """The same for the same request, however its JSON was written.

    Of what differs from the defaults alone, so that a further field of a later version changes
    no hash of a request that does not have it.
    """
    ordinary = asdict(EvaluateRequest(wanted.model, wanted.tasks))
    ours = ("model", "tasks")
    said = {
        name: value
        for name, value in asdict(wanted).items()
        if name in ours or value != ordinary[name]
    }
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
