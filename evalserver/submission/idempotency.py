"""When two requests with an idempotency key are the same."""

from dataclasses import asdict
from hashlib import sha256

import orjson

from evalserver.core.request import EvaluateRequest

REQUIRED = ("model", "tasks")


def request_hash(request: EvaluateRequest) -> str:
    """Return the SHA-256 of a request, in hexadecimal digits.

    It does not depend on how the JSON was formatted. Only values that differ from the defaults
    count, so that a field that a later version adds does not change the hash of requests without
    it.
    """
    defaults = asdict(EvaluateRequest(request.model, request.tasks))
    said = {
        name: value
        for name, value in asdict(request).items()
        if name in REQUIRED or value != defaults[name]
    }
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
