"""``EvalClient`` and ``AsyncEvalClient``: the same calls, blocking and awaitable.

Each call is written once, as a coroutine. The asynchronous client has these coroutines, with a
transport that waits in an event loop; the blocking client runs them with a transport that blocks.
"""

import inspect
import os
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import suppress
from functools import wraps
from types import GenericAlias
from typing import Any, ClassVar, Concatenate, ParamSpec, Self, TypeVar, get_args, get_origin

import httpx

from evalserver.client.about_server import ServerCalls
from evalserver.client.address import address
from evalserver.client.administration import AdminCalls
from evalserver.client.batches import BatchCalls
from evalserver.client.events import EventCalls
from evalserver.client.gates import GateCalls
from evalserver.client.logs import LogCalls
from evalserver.client.retries import Retries
from evalserver.client.sending import Sender
from evalserver.client.training import TrainingCalls
from evalserver.client.transports import AsyncTransport, BlockingTransport
from evalserver.client.waiting import WaitingCalls
from evalserver.client.webhooks import WebhookCalls

RETRY_SECONDS = 120.0

P = ParamSpec("P")
R = TypeVar("R")


class Calls(
    ServerCalls,
    WaitingCalls,
    BatchCalls,
    LogCalls,
    EventCalls,
    GateCalls,
    TrainingCalls,
    AdminCalls,
    WebhookCalls,
):
    """Every call to a server."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender


class AsyncEvalClient(Calls):
    """Asynchronous client for an evalserver, or for lmms-eval's own server.

    The methods are those of ``EvalClient``: await them, or iterate with ``async for``. The examples
    in their documentation are those of the blocking client.

    >>> import asyncio
    >>> async def evaluate():
    ...     async with AsyncEvalClient() as client:
    ...         job = await client.evaluate(model="dummy", tasks=["mme"])
    ...         return await client.wait_for_job(job["job_id"])
    >>> asyncio.run(evaluate())["status"]
    Job ...
    ... completed
    'completed'
    """

    _transport: ClassVar[type[AsyncTransport]] = AsyncTransport

    def __init__(
        self,
        base_url: str | None = None,
        timeout: float | None = None,
        token: str | None = None,
        *,
        retry_for: float = RETRY_SECONDS,
    ) -> None:
        """See ``EvalClient``."""
        place = address(base_url, token, os.environ)
        self.base_url = place.url
        self.client = httpx.AsyncClient(verify=place.verification())
        super().__init__(Sender(place, self._transport(self.client), timeout, Retries(retry_for)))

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __del__(self) -> None:
        if hasattr(self, "client") and not self.client.is_closed:
            words = "an AsyncEvalClient was not closed: use 'async with', or 'await client.close()'"
            warnings.warn(words, ResourceWarning, stacklevel=2)

    def __repr__(self) -> str:
        return f"AsyncEvalClient({self.base_url!r})"


def _blocking(
    call: Callable[Concatenate[Calls, P], Awaitable[R]],
) -> "Callable[Concatenate[EvalClient, P], R]":
    """Return the call for the blocking client."""

    @wraps(call)
    def method(self: "EvalClient", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return _run(call(self._calls, *args, **kwargs))

    method.__signature__ = _blocking_signature(call)  # type: ignore[attr-defined]
    return method


def _blocking_rows(
    call: Callable[Concatenate[Calls, P], AsyncGenerator[R, None]],
) -> "Callable[Concatenate[EvalClient, P], Generator[R, None, None]]":
    """Return the call for the blocking client, for calls that yield."""

    @wraps(call)
    def method(
        self: "EvalClient", /, *args: P.args, **kwargs: P.kwargs
    ) -> Generator[R, None, None]:
        return _run_rows(self, call(self._calls, *args, **kwargs))

    method.__signature__ = _blocking_signature(call)  # type: ignore[attr-defined]
    return method


def _blocking_signature(call: Callable[..., Any]) -> inspect.Signature:
    """Return the signature that ``help`` shows: that of the call, with what the method returns."""
    shown = inspect.signature(call)
    returned = shown.return_annotation
    if get_origin(returned) is not AsyncGenerator:
        return shown
    rows = GenericAlias(Generator, (get_args(returned)[0], None, None))
    return shown.replace(return_annotation=rows)


def _run(call: Awaitable[R]) -> R:
    try:
        call.__await__().send(None)
    except StopIteration as end:
        result: R = end.value
        return result
    raise RuntimeError("a call of the blocking client tried to wait in an event loop")


def _run_rows(client: "EvalClient", rows: AsyncGenerator[R, None]) -> Generator[R, None, None]:
    # Keeps a reference to the client, which closes its connections when it is collected.
    try:
        while True:
            try:
                yield _run(anext(rows))
            except StopAsyncIteration:
                return
    finally:
        _run(rows.aclose())


class EvalClient:
    """Client for an evalserver, or for lmms-eval's own server. It is thread-safe.

    Every call raises RequestFailed when the server answers with an error, and ServerUnreachable
    when there is no answer after all retries.

    >>> with EvalClient("http://localhost:8000") as client:
    ...     job = client.evaluate(model="dummy", tasks=["mme"])
    ...     result = client.wait_for_job(job["job_id"], verbose=False)["result"]
    >>> result["dummy"]["metrics"]["mme"]["acc,none"]
    0.5
    """

    _transport: ClassVar[type[BlockingTransport]] = BlockingTransport

    def __init__(
        self,
        base_url: str | None = None,
        timeout: float | None = None,
        token: str | None = None,
        *,
        retry_for: float = RETRY_SECONDS,
    ) -> None:
        """Create a client; nothing is sent yet.

        ``base_url`` defaults to the variable ``EVALSERVER_URL``, or else to
        ``http://localhost:8000``; ``token`` to ``EVALSERVER_TOKEN``. ``timeout`` is the limit in
        seconds of connecting and of a response; None means 10 and 120. Temporary failures
        (connections that fail, 429, 502, 503, 504) are retried for ``retry_for`` seconds.

        Raises ValueError when ``base_url`` is no HTTP URL, or ``token`` cannot be sent in a header.
        """
        place = address(base_url, token, os.environ)
        self.base_url = place.url
        self.client = httpx.Client(verify=place.verification())
        self._calls = Calls(
            Sender(place, self._transport(self.client), timeout, Retries(retry_for))
        )

    health = _blocking(Calls.health)
    is_healthy = _blocking(Calls.is_healthy)
    list_tasks = _blocking(Calls.list_tasks)
    list_models = _blocking(Calls.list_models)
    get_queue_status = _blocking(Calls.get_queue_status)
    usage = _blocking(Calls.usage)
    gpus = _blocking(Calls.gpus)
    executors = _blocking(Calls.executors)
    merge_checkpoint = _blocking(Calls.merge_checkpoint)

    evaluate = _blocking(Calls.evaluate)
    get_job = _blocking(Calls.get_job)
    wait_for_job = _blocking(Calls.wait_for_job)
    cancel_job = _blocking(Calls.cancel_job)
    retry_job = _blocking(Calls.retry_job)
    set_priority = _blocking(Calls.set_priority)

    submit_batch = _blocking(Calls.submit_batch)
    batches = _blocking(Calls.batches)
    get_batch = _blocking(Calls.get_batch)
    wait_for_batch = _blocking(Calls.wait_for_batch)
    cancel_batch = _blocking(Calls.cancel_batch)
    batch_results = _blocking_rows(Calls.batch_results)

    jobs = _blocking_rows(Calls.jobs)
    results = _blocking(Calls.results)
    get_results = _blocking(Calls.get_results)
    samples = _blocking_rows(Calls.samples)
    compare = _blocking(Calls.compare)
    compare_samples = _blocking_rows(Calls.compare_samples)
    gate = _blocking(Calls.gate)
    gate_verdicts = _blocking_rows(Calls.gate_verdicts)
    gate_verdict = _blocking(Calls.gate_verdict)
    leaderboard = _blocking(Calls.leaderboard)
    logs = _blocking_rows(Calls.logs)
    events = _blocking_rows(Calls.events)
    newest_event_id = _blocking(Calls.newest_event_id)

    submit_checkpoint = _blocking(Calls.submit_checkpoint)
    in_use = _blocking(Calls.in_use)
    completed_since = _blocking(Calls.completed_since)

    cordon_gpu = _blocking(Calls.cordon_gpu)
    uncordon_gpu = _blocking(Calls.uncordon_gpu)
    drain = _blocking(Calls.drain)
    resume = _blocking(Calls.resume)
    prune = _blocking(Calls.prune)
    prune_job = _blocking(Calls.prune_job)
    erase = _blocking(Calls.erase)
    refresh_catalog = _blocking(Calls.refresh_catalog)
    back_up = _blocking(Calls.back_up)

    create_webhook = _blocking(Calls.create_webhook)
    webhooks = _blocking(Calls.webhooks)
    get_webhook = _blocking(Calls.get_webhook)
    delete_webhook = _blocking(Calls.delete_webhook)
    enable_webhook = _blocking(Calls.enable_webhook)
    rotate_webhook_secret = _blocking(Calls.rotate_webhook_secret)
    test_webhook = _blocking(Calls.test_webhook)
    resend_webhook = _blocking(Calls.resend_webhook)
    discard_webhook = _blocking(Calls.discard_webhook)

    def close(self) -> None:
        """Close all connections."""
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # The interpreter may be shutting down.
        with suppress(Exception):
            self.client.close()

    def __repr__(self) -> str:
        return f"EvalClient({self.base_url!r})"
