"""Helpers for the tests of streams: jobs in a given state, and the application's internals."""

from collections.abc import Callable
from typing import Any

from evalserver.monitoring.progress import Progress
from evalserver.web.keys import BUS
from tests.event_reader import Message
from tests.support import Api, until

HANG = {"behave": "hang"}
HALF = Progress("Model Responding", fraction=0.5, done=4, total=8, rate=2.0, eta_s=2.0)


def app(api: Api) -> Any:
    """Return the application itself."""
    return api._session.app


async def finished(api: Api, **fields: Any) -> str:
    """Run a job to its end; return its ID."""
    job_id = await api.submit(**fields)
    await api.finished(job_id)
    return job_id


async def running(api: Api, **fields: Any) -> str:
    """Start a job that keeps running and reports no further progress; return its ID."""
    job_id = await api.submit(**{"model_args": HANG, **fields})
    await until(lambda: _progress(api, job_id))
    return job_id


async def _progress(api: Api, job_id: str) -> Any:
    return (await api.job(job_id))["progress"]


async def read_stream(api: Api, path: str, **kwargs: Any) -> list[Message]:
    """Return all messages of a stream that ends by itself."""
    async with api.stream(path, **kwargs) as reader:
        return await reader.rest()


async def wait_for_subscribers(api: Api, count: int) -> None:
    """Wait until this many requests are subscribed to events."""

    async def reached() -> bool:
        return len(app(api)[BUS]) == count

    await until(reached)


def without_progress(messages: list[Message]) -> list[Message]:
    """Return the messages without those about progress."""
    return [each for each in messages if each.kind != "progress"]


def is_kind(kind: str) -> Callable[[Message], bool]:
    """Return a predicate for messages of this kind."""
    return lambda message: message.kind == kind
