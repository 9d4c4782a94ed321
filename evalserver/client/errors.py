"""The exceptions of the clients. They derive from httpx's own, with the server's messages."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx

Json = dict[str, Any]
"""A JSON object."""

MAX_QUOTE_LENGTH = 300

NOT_PROCESSED = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""The server did not process the request."""

GATEWAY_ERRORS = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
"""A proxy got no response from the server, which may have processed the request."""

TEMPORARY = NOT_PROCESSED | GATEWAY_ERRORS

ServerUnreachable = httpx.TransportError
"""No complete response arrived, even after retries: the base class of httpx's own errors."""


class RequestFailed(httpx.HTTPStatusError):
    """The server responded with an error; the text is the server's explanation.

    ``status`` is the HTTP status, ``problem`` the problem document (RFC 9457; empty if there was
    none), ``errors`` the errors of a rejected request as ``{"field", "message"}``. With
    ``repeated``, an earlier attempt of the same request may have succeeded.
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
        """Whether the same request may succeed later."""
        return self.status in TEMPORARY

    @property
    def detail(self) -> str:
        """The server's sentence, without the errors of single fields."""
        return str(self.problem.get("detail") or self)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.request, self.response), {"repeated": self.repeated}


class NotFound(RequestFailed):
    """404: no such job, task, checkpoint or route."""


class Pruned(RequestFailed):
    """410: the server has removed it."""


class JobFailed(RuntimeError):
    """The job failed. The text has its error and the end of its log; ``job`` is its record."""

    def __init__(self, job: Json) -> None:
        super().__init__(f"Job failed: {job.get('error') or 'Unknown error'}")
        self.job = job

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.job,)


class JobCancelled(RuntimeError):
    """The job was cancelled; ``job`` is its record."""

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
    """Return the exception for a response, whose body must have been read."""
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
    faults = [f"{each['field']}: {each['message']}" for each in _field_errors(problem)]
    # The sentence may be that of the only field.
    is_repeated = len(faults) == 1 and faults[0].endswith(f": {detail}")
    return faults[0] if is_repeated else "\n  ".join([detail, *faults])


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
        return f"{status}, which is not a JSON object"
    if response.has_redirect_location:
        return f"{status} to {response.headers['Location']}"
    return status


def _quote(response: httpx.Response) -> str:
    text = " ".join(response.text.split())
    if not text:
        return ""
    shown = text if len(text) <= MAX_QUOTE_LENGTH else f"{text[:MAX_QUOTE_LENGTH]}…"
    return f": {shown}"
