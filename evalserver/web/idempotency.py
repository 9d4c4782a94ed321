"""The header ``Idempotency-Key``: a submission that is sent again is the same submission."""

from dataclasses import asdict
from hashlib import sha256
from http import HTTPStatus

import orjson
from aiohttp import web

from evalserver.job import EvaluateRequest
from evalserver.store import Key
from evalserver.web.errors import BadRequest, FieldError
from evalserver.web.keys import HEADERS

HEADER = "Idempotency-Key"
REPLAY_HEADER = "Idempotent-Replay"


def idempotency_key(request: web.Request, wanted: EvaluateRequest, submitted_by: str) -> Key | None:
    """The key that the request carries, or None. Raises BadRequest (422) when it has several."""
    if len(request.headers.getall(HEADER, [])) > 1:
        raise BadRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"The request was refused, and nothing was changed. Please correct: {HEADER}",
            (FieldError(HEADER, "Must be given once."),),
        )
    key = request[HEADERS].get("idempotency_key")
    if key is None:
        return None
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
