"""What makes two requests the same, for submissions that carry an idempotency key."""

from dataclasses import asdict
from hashlib import sha256

import orjson

from evalserver.core.request import EvaluateRequest

REQUIRED = ("model", "tasks")


def request_hash(request: EvaluateRequest) -> str:
    """The SHA-256, in hexadecimal digits, of what a request says.

    The same for the same request, however its JSON was written. Only what differs from the defaults
    counts, so that a field that a later version adds changes no hash of requests without it.
    """
    defaults = asdict(EvaluateRequest(request.model, request.tasks))
    said = {
        name: value
        for name, value in asdict(request).items()
        if name in REQUIRED or value != defaults[name]
    }
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
