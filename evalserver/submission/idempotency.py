"""When two requests, or two batches, with an idempotency key are the same."""

from collections.abc import Sequence
from hashlib import sha256

import orjson

from evalserver.core.in_steps import in_steps
from evalserver.core.request import REQUIRED, EvaluateRequest
from evalserver.core.series import fields_of_labels


def request_hash(request: EvaluateRequest) -> str:
    """Return the SHA-256 of a request, in hexadecimal digits.

    It does not depend on how the JSON was formatted. Only values that differ from the defaults
    count, so that a field that a later version adds does not change the hash of requests without
    it. Neither does a field count that only says what a label says: clients whose submissions had
    the label alone may add it.
    """
    # Not asdict: its deep copy takes longer than everything else here.
    defaults = vars(EvaluateRequest(request.model, request.tasks))
    said = {
        name: value
        for name, value in vars(request).items()
        if name in REQUIRED or value != defaults[name]
    }
    for name, value in fields_of_labels(request.labels).items():
        if said.get(name) == value:
            del said[name]
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def batch_hash(requests: Sequence[EvaluateRequest]) -> str:
    """Return the SHA-256 of the requests of a batch, which no single request has."""
    digest = sha256(b"batch")
    async for request in in_steps(requests):
        digest.update(request_hash(request).encode())
    return digest.hexdigest()
