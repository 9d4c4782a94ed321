"""The header ``Idempotency-Key``, with which a repeated submission creates no second job."""

from http import HTTPStatus

from aiohttp import web

from evalserver.core.request import EvaluateRequest
from evalserver.store import Key
from evalserver.submission.idempotency import request_hash
from evalserver.web.http.errors import BadRequest, FieldError
from evalserver.web.keys import HEADERS

HEADER = "Idempotency-Key"
REPLAY_HEADER = "Idempotent-Replay"


def idempotency_key(request: web.Request, wanted: EvaluateRequest, submitted_by: str) -> Key | None:
    """Return the key of the request, or None. Raises BadRequest (422) if it has several."""
    if len(request.headers.getall(HEADER, [])) > 1:
        raise BadRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"The request is invalid, and nothing was changed. Please correct: {HEADER}",
            (FieldError(HEADER, "Must be given once."),),
        )
    key = request[HEADERS].get("idempotency_key")
    if key is None:
        return None
    return Key(key, submitted_by, request_hash(wanted))
