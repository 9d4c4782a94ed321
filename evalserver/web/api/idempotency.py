"""The header ``Idempotency-Key``, with which a repeated submission creates no second job."""

from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import web

from evalserver.core.request import EvaluateRequest
from evalserver.store import Key
from evalserver.submission.idempotency import batch_hash, request_hash
from evalserver.web.http.errors import BadRequest, FieldError
from evalserver.web.keys import HEADERS

HEADER = "Idempotency-Key"
REPLAY_HEADER = "Idempotent-Replay"


def idempotency_key(request: web.Request, wanted: EvaluateRequest, submitted_by: str) -> Key | None:
    """Return the key of the request, or None. Raises BadRequest (422) if it has several."""
    key = _read_key(request)
    return None if key is None else Key(key, submitted_by, request_hash(wanted))


async def batch_key(
    request: web.Request, wanted: Sequence[EvaluateRequest], submitted_by: str
) -> Key | None:
    """Return the key of the batch, or None. Raises BadRequest (422) if it has several."""
    key = _read_key(request)
    return None if key is None else Key(key, submitted_by, await batch_hash(wanted))


def _read_key(request: web.Request) -> str | None:
    if len(request.headers.getall(HEADER, [])) > 1:
        raise BadRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"The request is invalid, and nothing was changed. Please correct: {HEADER}",
            (FieldError(HEADER, "Must be given once."),),
        )
    key: str | None = request[HEADERS].get("idempotency_key")
    return key
