"""When a request that failed is tried again: which failures pass, and how long to pause."""

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
"""The request never left, so that nothing can have come of it."""

PERMANENT_ERRORS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


class Repeat(Enum):
    """When a request may be sent again."""

    ALWAYS = "always"
    """Twice is as good as once."""
    WITH_KEY = "with key"
    """It carries an Idempotency-Key: twice is as good as once where the server knows keys."""
    IF_NOT_RECEIVED = "if not received"
    """Twice would be too often: only when it is sure that the server did nothing."""


@dataclass(frozen=True)
class Failure:
    """A try that failed. ``received``: the server may have done what it was asked for."""

    error: httpx.TransportError | RequestFailed
    received: bool
    temporary: bool
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Retries:
    """How often, and for how long in all: ``limit_s`` seconds, pausing ``first_s`` seconds, then
    twice as many each time up to ``longest_s``, and somewhat fewer by chance."""

    limit_s: float = 120.0
    first_s: float = 0.5
    longest_s: float = 8.0
    chance: Callable[[], float] = random.random

    def pause_s(self, failures_before: int, asked_s: float | None = None) -> float:
        """Seconds until the next try: what the server asks for, if that is more."""
        # Many clients of one server that restarts should not all come back at once.
        doubled: float = min(self.longest_s, self.first_s * 2 ** min(failures_before, 32))
        return max(doubled * (0.5 + self.chance() / 2), asked_s or 0.0)


def transport_failure(error: httpx.TransportError) -> Failure:
    """No answer came."""
    return Failure(
        error,
        received=not isinstance(error, (*NOT_RECEIVED, *PERMANENT_ERRORS)),
        temporary=not (isinstance(error, PERMANENT_ERRORS) or is_untrusted(error)),
    )


def is_untrusted(error: BaseException | None) -> bool:
    """Whether it comes from a certificate that nobody known has signed, or for another host."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


def answer_failure(error: RequestFailed, now: datetime) -> Failure:
    """The server answered with an error."""
    wait = retry_after_s(error.response.headers, now)
    # Another request with the same key is at work: its answer is soon to be had.
    at_work = error.status == HTTPStatus.CONFLICT and wait is not None
    return Failure(
        error,
        received=error.status not in NOT_PROCESSED,
        temporary=error.temporary or at_work,
        retry_after_s=wait,
    )


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that ``Retry-After`` asks for, in either of its forms; None if it does not."""
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
