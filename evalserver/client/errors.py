"""What can go wrong for a client. Errors of HTTP are httpx's own, with the server's words."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx

Json = dict[str, Any]
"""A JSON object, as the server sends it."""

MAX_QUOTE_LENGTH = 300

NOT_PROCESSED = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""The server says that it did not do what it was asked for."""

GATEWAY_ERRORS = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
"""Somebody between has no answer from the server, which may have done it all the same."""

TEMPORARY = NOT_PROCESSED | GATEWAY_ERRORS

ServerUnreachable = httpx.TransportError
"""No answer came, or not a whole one, however often it was tried: base of httpx's own errors."""


class RequestFailed(httpx.HTTPStatusError):
    """The server answered with an error; the text is its own account of what was wrong.

    ``status`` is the HTTP status, ``problem`` the problem document (RFC 9457; empty when the answer
    was none), ``errors`` the faults of a refused request as ``{"field", "message"}``. With
    ``repeated``, an earlier try of the same request may have been carried out.
    """

    def __init__(
        self, request: httpx.Request, response: httpx.Response, *, repeated: bool = False
    ) -> None:
        self.status = response.status_code
        self.problem = _parse_problem(response)
        self.errors = _field_errors(self.problem)
        self.repeated = repeated
        super().__init__(_describe(response, self.problem), request=request, response=response)

    @property
    def temporary(self) -> bool:
        """Whether the same request may well be answered later."""
        return self.status in TEMPORARY

    @property
    def detail(self) -> str:
        """The server's sentence, without the faults of single fields."""
        return str(self.problem.get("detail") or self)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.request, self.response), {"repeated": self.repeated}


class NotFound(RequestFailed):
    """404: there is no such job, task or checkpoint, and never was; or no such route."""


class Pruned(RequestFailed):
    """410: it was there, and the server has removed it since."""


class JobFailed(RuntimeError):
    """The job that was waited for failed. The text has its error and the end of its log.

    ``job`` is the whole record.
    """

    def __init__(self, job: Json) -> None:
        super().__init__(f"Job failed: {job.get('error') or 'Unknown error'}")
        self.job = job

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.job,)


class JobCancelled(RuntimeError):
    """The job that was waited for was cancelled; ``job`` is the whole record."""

    def __init__(self, job: Json) -> None:
        super().__init__(f"Job {job['job_id']} was cancelled")
        self.job = job

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.job,)


ERROR_CLASSES: Mapping[int, type[RequestFailed]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.GONE: Pruned,
}


def error_from(
    request: httpx.Request, response: httpx.Response, *, repeated: bool = False
) -> RequestFailed:
    """The error that an answer means; its body must have been read."""
    kind = ERROR_CLASSES.get(response.status_code, RequestFailed)
    return kind(request, response, repeated=repeated)


def _parse_problem(response: httpx.Response) -> Json:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _describe(response: httpx.Response, problem: Json) -> str:
    detail = problem.get("detail")
    if response.is_success or not isinstance(detail, str):
        return f"{_request_line(response)} was answered {_status(response)}{_quote(response)}"
    faults = (f"{each['field']}: {each['message']}" for each in _field_errors(problem))
    return "\n  ".join([detail, *faults])


def _field_errors(problem: Json) -> list[dict[str, str]]:
    faults = problem.get("errors")
    if not isinstance(faults, list):
        return []
    return [
        each for each in faults if isinstance(each, dict) and {"field", "message"} <= each.keys()
    ]


def _request_line(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url}"


def _status(response: httpx.Response) -> str:
    status = f"{response.status_code} {response.reason_phrase}".strip()
    if response.is_success:
        return f"{status}, which is no JSON object"
    if response.has_redirect_location:
        return f"{status} to {response.headers['Location']}"
    return status


def _quote(response: httpx.Response) -> str:
    text = " ".join(response.text.split())
    if not text:
        return ""
    shown = text if len(text) <= MAX_QUOTE_LENGTH else f"{text[:MAX_QUOTE_LENGTH]}…"
    return f": {shown}"
