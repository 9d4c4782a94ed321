"""One attempt to deliver a message: signed, to an allowed address, within a time limit."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
from yarl import URL

from evalserver.core.clock import Clock, timestamp, utc_now
from evalserver.followers.webhooks.addresses import AddressRefused, AllowedAddresses
from evalserver.followers.webhooks.signing import signature
from evalserver.store import Webhook
from evalserver.version import __version__

TIMEOUT_SECONDS = 20.0
"""From the start of an attempt to the status of the response."""

MAX_ERROR_LENGTH = 300


@dataclass(frozen=True)
class Attempt:
    """How an attempt ended: without ``error`` the message was delivered."""

    error: str | None = None
    status: int | None = None
    retry_after_s: float | None = None
    """How long the receiver wants to be left alone."""

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no messages any more."""
        return self.status == HTTPStatus.GONE


def connections(
    allowed: AllowedAddresses, timeout_s: float = TIMEOUT_SECONDS
) -> aiohttp.ClientSession:
    """Return a session that connects to these addresses only, to be closed by the caller."""
    # No proxy of the environment, no cookies: the receiver is the address that was checked.
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=allowed, use_dns_cache=False, limit=0, force_close=True
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        auto_decompress=False,
    )


class Sender:
    """Sends messages over the connections of a session of ``connections``."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        allowed: AllowedAddresses,
        clock: Clock = utc_now,
    ) -> None:
        self._session = session
        self._allowed = allowed
        self._clock = clock

    async def send(self, webhook: Webhook, message_id: str, body: str) -> Attempt:
        """Send a message once. Never raises for what the receiver does."""
        seconds = int(self._clock().timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"evalserver/{__version__}",
            "webhook-id": message_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": signature(self._keys(webhook), message_id, seconds, body),
        }
        try:
            url = URL(webhook.url)
            self._allowed.require_allowed(url.host or "")
            async with self._session.post(
                url, data=body.encode(), headers=headers, allow_redirects=False
            ) as answer:
                # The body is not read: it may be endless.
                return _attempt(answer.status, answer.headers.get("Retry-After"), time.time())
        except TimeoutError:
            return Attempt(f"no answer within {self._session.timeout.total:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Attempt(_reason(error))

    def _keys(self, webhook: Webhook) -> Sequence[str]:
        until = webhook.old_secret_until
        if webhook.old_secret is None or until is None or until <= timestamp(self._clock()):
            return [webhook.secret]
        return [webhook.secret, webhook.old_secret]


def _attempt(status: int, retry_after: str | None, now: float) -> Attempt:
    if 200 <= status < 300:
        return Attempt(status=status)
    rest = ""
    if 300 <= status < 400:
        rest = ": redirects are not followed; register the URL that it leads to"
    if status == HTTPStatus.GONE:
        rest = ": the receiver wants no messages any more"
    return Attempt(f"status {status}{rest}", status, _seconds_of(retry_after, now))


def _seconds_of(retry_after: str | None, now: float) -> float | None:
    """Return the seconds in a header ``Retry-After``: a number of them, or a date."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10:
        return float(retry_after)
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None


def _reason(error: Exception) -> str:
    """Return a reason without the URL, whose path may be a secret."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressRefused):
            return str(cause)
        cause = cause.__cause__ or getattr(cause, "os_error", None) or cause.__context__
    if isinstance(error, aiohttp.InvalidURL):
        return "its URL is invalid"
    if isinstance(error, aiohttp.ClientResponseError):
        # Its text has the URL, and what the receiver sent.
        return "its answer is not HTTP"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error}"[:MAX_ERROR_LENGTH]
    return f"{type(error).__name__}: {error}"[:MAX_ERROR_LENGTH]
