"""When a failed request is retried: which failures are temporary, and how long to pause."""

import random
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus

import httpx

from evalserver.client.errors import NOT_PROCESSED, RequestFailed

NOT_RECEIVED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
)
"""The request was never sent, so it had no effect."""

PERMANENT_ERRORS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


class Repeat(Enum):
    """When a request may be sent again."""

    ALWAYS = "always"
    """The request is idempotent."""
    WITH_KEY = "with key"
    """The request has an Idempotency-Key: it is idempotent if the server supports keys."""
    IF_NOT_RECEIVED = "if not received"
    """The request is not idempotent: it is repeated only if the server cannot have received it."""


@dataclass(frozen=True)
class Failure:
    """A failed attempt. ``received``: the server may have processed the request."""

    error: httpx.TransportError | RequestFailed
    received: bool
    temporary: bool
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Retries:
    """Exponential backoff with jitter: for ``limit_s`` seconds in total, with pauses of ``first_s``
    seconds, doubled each time up to ``longest_s``."""

    limit_s: float = 120.0
    first_s: float = 0.5
    longest_s: float = 8.0
    chance: Callable[[], float] = random.random

    def pause_s(self, failures_before: int, asked_s: float | None = None) -> float:
        """Return the seconds until the next attempt; at least ``asked_s``, what the server asks
        for."""
        # Jitter: the clients of a server that restarts should not all come back at once.
        doubled: float = min(self.longest_s, self.first_s * 2 ** min(failures_before, 32))
        return max(doubled * (0.5 + self.chance() / 2), asked_s or 0.0)


def transport_failure(error: httpx.TransportError) -> Failure:
    """Return the failure for a request without a response."""
    return Failure(
        error,
        received=not isinstance(error, (*NOT_RECEIVED, *PERMANENT_ERRORS)),
        temporary=not (isinstance(error, PERMANENT_ERRORS) or is_untrusted(error)),
    )


def is_untrusted(error: BaseException | None) -> bool:
    """Return whether the cause is an untrusted certificate, or one for another host."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


def answer_failure(error: RequestFailed, now: datetime) -> Failure:
    """Return the failure for an error response."""
    wait = retry_after_s(error.response.headers, now)
    # Another request with the same key is in progress: its response will be available soon.
    at_work = error.status == HTTPStatus.CONFLICT and wait is not None
    return Failure(
        error,
        received=error.status not in NOT_PROCESSED,
        temporary=error.temporary or at_work,
        retry_after_s=wait,
    )


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds of the header ``Retry-After``, in either of its forms; None without it."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (_with_zone(moment) - now).total_seconds())


def _with_zone(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
