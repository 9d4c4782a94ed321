"""Sending requests with retries, and turning failures into helpful errors."""

import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from evalserver.client.address import AUTHORITIES_VARIABLE, Address
from evalserver.client.errors import Json, RequestFailed, error_from
from evalserver.client.retries import (
    Failure,
    Repeat,
    Retries,
    answer_failure,
    is_untrusted,
    transport_failure,
)
from evalserver.client.transports import Transport
from evalserver.version import __version__

log = logging.getLogger("evalserver.client")

IDEMPOTENCY_KEY = "Idempotency-Key"

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
"""Default timeouts of connecting and of a response: a machine that is gone must not block a client
forever."""

MIN_TIMEOUT_SECONDS = 0.1

ADVICE = f"{AUTHORITIES_VARIABLE} may name a file with that of the authority that signed it"


@dataclass(frozen=True)
class Call:
    """One request, and when it may be repeated.

    In the query a list repeats its name, and None leaves it out. ``server_wait_s`` are seconds that
    the server may take on purpose before it answers. ``limit_s`` are the seconds for which the
    request is retried (None: the client's own limit). At ``deadline``, on the transport's clock, it
    ends in any case.
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeat: Repeat = Repeat.ALWAYS
    server_wait_s: float = 0.0
    limit_s: float | None = None
    deadline: float = math.inf


class Sender:
    """Sends requests to one server."""

    def __init__(
        self, address: Address, transport: Transport, timeout: float | None, retries: Retries
    ) -> None:
        self.url = address.url
        self.transport = transport
        self._timeout = timeout
        self._retries = retries
        self._headers = {"User-Agent": f"evalserver/{__version__} httpx/{httpx.__version__}"}
        if address.authorization is not None:
            self._headers["Authorization"] = address.authorization

    @property
    def limit_s(self) -> float:
        """Seconds for which a request is retried by default."""
        return self._retries.limit_s

    async def answer(self, call: Call) -> Json:
        """Return the JSON object of the response. Raises RequestFailed, ServerUnreachable."""
        response = await self._send(call, stream=False)
        return _json_of(response)

    async def open(self, call: Call) -> httpx.Response:
        """Return a streamed response, for ``transport`` to read and to close.

        Raises RequestFailed, ServerUnreachable.
        """
        return await self._send(call, stream=True)

    async def read(self, response: httpx.Response) -> None:
        """Read the rest of a streamed response, and close it."""
        try:
            await self.transport.read(response)
        finally:
            await self.transport.end(response)

    async def pause(self, breaks_before: int) -> None:
        """Pause before a broken stream is requested again."""
        await self.transport.sleep(self._retries.pause_s(breaks_before))

    async def _send(self, call: Call, *, stream: bool) -> httpx.Response:
        began = self.transport.now()
        limit_s = self.limit_s if call.limit_s is None else call.limit_s
        failures = 0
        received = False
        while True:
            outcome = await self._try(call, stream=stream, received=received)
            if isinstance(outcome, httpx.Response):
                return outcome
            received = received or outcome.received
            pause_s = self._retries.pause_s(failures, outcome.retry_after_s)
            tried_s = self.transport.now() - began
            left_s = min(began + limit_s, call.deadline) - self.transport.now() - pause_s
            if left_s < 0 or not await self._may_repeat(call, outcome, left_s):
                final = self._final_error(call, outcome, tried_s)
                raise final from None if final is outcome.error else outcome.error
            self._log_retry(call, outcome, failures, pause_s)
            await self.transport.sleep(pause_s)
            failures += 1

    async def _try(self, call: Call, *, stream: bool, received: bool) -> httpx.Response | Failure:
        request = self._request(call)
        try:
            response = await self.transport.send(request, stream=stream)
            if response.is_success:
                return response
            if stream:
                await self.read(response)
        except httpx.TransportError as error:
            return transport_failure(error)
        failed = error_from(request, response, repeated=received)
        return answer_failure(failed, datetime.now(UTC))

    async def _may_repeat(self, call: Call, failure: Failure, left_s: float) -> bool:
        if not failure.temporary:
            return False
        if not failure.received or call.repeat is Repeat.ALWAYS:
            return True
        return call.repeat is Repeat.WITH_KEY and await self._supports_idempotency(left_s)

    async def _supports_idempotency(self, left_s: float) -> bool:
        """Return whether the server's OpenAPI description mentions Idempotency-Key."""
        description = Call("GET", "/openapi.json", limit_s=left_s)
        try:
            response = await self._send(description, stream=False)
        except (RequestFailed, httpx.TransportError):
            return False
        return IDEMPOTENCY_KEY.lower() in response.text.lower()

    def _request(self, call: Call) -> httpx.Request:
        content = None if call.body is None else _json_text(call.body)
        sent = {**self._headers, **call.headers}
        if content is not None:
            sent["Content-Type"] = "application/json"
        return self.transport.client.build_request(
            call.method,
            self.url + call.path,
            params={
                name: _query_value(value) for name, value in call.query.items() if value is not None
            },
            content=content,
            headers=sent,
            timeout=self._time_limits(call),
        )

    def _time_limits(self, call: Call) -> httpx.Timeout:
        patience = ANSWER_SECONDS if self._timeout is None else self._timeout
        connect = CONNECT_SECONDS if self._timeout is None else self._timeout
        left = max(call.deadline - self.transport.now(), MIN_TIMEOUT_SECONDS)
        read = min(patience + call.server_wait_s, left)
        return httpx.Timeout(
            min(patience, left),
            connect=min(connect, left),
            read=None if math.isinf(read) else read,
        )

    def _final_error(
        self, call: Call, failure: Failure, tried_s: float
    ) -> httpx.TransportError | RequestFailed:
        """Return the error to raise: of the same class, with a helpful message."""
        error = failure.error
        if isinstance(error, RequestFailed):
            return error
        if is_untrusted(error):
            words = f"the certificate of {self.url} is not trusted ({_reason(error)}); {ADVICE}"
            return type(error)(words, request=self._request(call))
        if not failure.temporary:
            return error
        for_long = f", for {tried_s:.0f} s now" if tried_s >= 1 else ""
        words = f"{self.url} does not answer{for_long} ({_reason(error)})"
        if failure.received and call.repeat is not Repeat.ALWAYS:
            words += (
                f". It may have received {call.method} {call.path}, and would process it again: "
                "check whether it did before you repeat it"
            )
        return type(error)(words, request=self._request(call))

    def _log_retry(self, call: Call, failure: Failure, failures: int, pause_s: float) -> None:
        level = logging.INFO if failures else logging.WARNING
        log.log(
            level,
            "%s: %s %s: %s; trying again in %.1f s",
            *(self.url, call.method, call.path, _reason(failure.error), pause_s),
        )


def _json_of(response: httpx.Response) -> Json:
    try:
        value = response.json()
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    raise error_from(response.request, response)


def _json_text(body: Json) -> bytes:
    return json.dumps(body, allow_nan=False, default=os.fspath).encode()


def _query_value(value: Any) -> str | list[str]:
    if isinstance(value, list):
        return [str(each) for each in value]
    return str(int(value)) if isinstance(value, bool) else str(value)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
