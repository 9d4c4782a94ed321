"""Turning errors into ``application/problem+json`` (RFC 9457), in one middleware."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import hdrs, web

from evalserver.attempts.retention import NotPrunable
from evalserver.checkpoints.leases.refusals import LeaseRefused, LeasesUnavailable
from evalserver.core.masking import mask_text
from evalserver.harnesses.catalog import HarnessUnavailable
from evalserver.monitoring.eval_log import LogGone, LogUnreadable
from evalserver.scheduling.commands import AlreadyFinished, NotFinished, NotQueued
from evalserver.store import (
    BackupFailed,
    BatchNotFound,
    JobNotFound,
    JobPruned,
    KeyReused,
    StoreUnavailable,
    TokenExists,
    TokenNotFound,
    TooManyWebhooks,
    WebhookNotFound,
)
from evalserver.submission.rejection import Reason, Rejected
from evalserver.system.disk_threads import DiskTimeout
from evalserver.web.http.responses import dump

log = structlog.get_logger("evalserver.web")

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class FieldError:
    """One error in a request: the field, and what is allowed there."""

    field: str
    message: str


class BadRequest(Exception):
    """The request is rejected, and nothing was changed."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers


STATUS_OF: Mapping[type[Exception], HTTPStatus] = {
    JobNotFound: HTTPStatus.NOT_FOUND,
    BatchNotFound: HTTPStatus.NOT_FOUND,
    JobPruned: HTTPStatus.GONE,
    KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    AlreadyFinished: HTTPStatus.CONFLICT,
    NotFinished: HTTPStatus.CONFLICT,
    NotQueued: HTTPStatus.CONFLICT,
    LeaseRefused: HTTPStatus.CONFLICT,
    LeasesUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    NotPrunable: HTTPStatus.CONFLICT,
    BackupFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    HarnessUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    DiskTimeout: HTTPStatus.SERVICE_UNAVAILABLE,
    TokenExists: HTTPStatus.CONFLICT,
    TokenNotFound: HTTPStatus.NOT_FOUND,
    WebhookNotFound: HTTPStatus.NOT_FOUND,
    TooManyWebhooks: HTTPStatus.CONFLICT,
    LogGone: HTTPStatus.GONE,
    LogUnreadable: HTTPStatus.SERVICE_UNAVAILABLE,
}


STATUS_OF_REJECTION: Mapping[Reason, HTTPStatus] = {
    Reason.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Reason.NO_CHECKPOINT: HTTPStatus.NOT_FOUND,
    Reason.QUEUE_FULL: HTTPStatus.TOO_MANY_REQUESTS,
    Reason.SERIES_FULL: HTTPStatus.TOO_MANY_REQUESTS,
    Reason.IN_PROGRESS: HTTPStatus.CONFLICT,
}


def bad_request(rejected: Rejected) -> BadRequest:
    """Convert a rejected submission into the error that clients see."""
    after = rejected.retry_after_s
    return BadRequest(
        STATUS_OF_REJECTION[rejected.reason],
        rejected.detail,
        tuple(FieldError(name, sentence) for name, sentence in rejected.faults.items()),
        headers=None if after is None else {"Retry-After": str(after)},
    )


def error_response(request: web.Request, error: Exception) -> web.StreamResponse:
    """Return the problem document for an exception of a handler; raises what is a redirect."""
    if isinstance(error, BadRequest):
        return problem(error.status, error.detail, error.errors, error.headers)
    if isinstance(error, web.HTTPException):
        return _http_exception_problem(request, error)
    if type(error) in STATUS_OF:
        # The message of a harness that failed may contain secrets.
        return problem(STATUS_OF[type(error)], mask_text(str(error)))
    log.error("internal error while handling a request", path=request.path, exc_info=error)
    detail = "Internal server error; the server's log has the details."
    detail += "" if is_read_only(request) else " Nothing was changed."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def is_read_only(request: web.Request) -> bool:
    """Return whether the request changes nothing, whatever its response."""
    return request.method in (hdrs.METH_GET, hdrs.METH_HEAD)


def problem(
    status: HTTPStatus,
    detail: str,
    errors: tuple[FieldError, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Build a problem document: the error in a sentence, and each invalid field of the request."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": _replace_surrogates(detail),
    }
    if errors:
        body["errors"] = [
            {"field": _replace_surrogates(each.field), "message": _replace_surrogates(each.message)}
            for each in errors
        ]
    sent = dict(headers or {})
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        sent["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status is HTTPStatus.REQUEST_TIMEOUT:
        sent["Connection"] = "close"
    return web.Response(body=dump(body), status=status, content_type=CONTENT_TYPE, headers=sent)


def _replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which stand for bytes of headers that are not UTF-8."""
    return text.encode(errors="replace").decode()


def _http_exception_problem(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if error.status < HTTPStatus.BAD_REQUEST:
        raise error
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.path} does not take {request.method}; it takes {allowed}"
        return problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers={"Allow": allowed})
    if isinstance(error, web.HTTPNotFound):
        return problem(HTTPStatus.NOT_FOUND, f"There is nothing at {request.path}")
    return problem(HTTPStatus(error.status), error.text or error.reason)
