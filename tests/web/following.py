"""What the tests of following jobs share: jobs in a state, and looks into the application."""

from collections.abc import Callable
from typing import Any

from evalserver.monitoring.progress import Progress
from evalserver.web.keys import BUS
from tests.event_reader import Message
from tests.support import Api, until

HANG = {"behave": "hang"}
HALF = Progress("Model Responding", fraction=0.5, done=4, total=8, rate=2.0, eta_s=2.0)


def app(api: Api) -> Any:
    """The application itself."""
    return api._session.app


async def finished(api: Api, **fields: Any) -> str:
    """A job that has ended."""
    job_id = await api.submit(**fields)
    await api.finished(job_id)
    return job_id


async def running(api: Api, **fields: Any) -> str:
    """A job that runs, and goes on running, with nothing more to tell of its progress."""
    job_id = await api.submit(**{"model_args": HANG, **fields})
    await until(lambda: _progress(api, job_id))
    return job_id


async def _progress(api: Api, job_id: str) -> Any:
    return (await api.job(job_id))["progress"]


async def told(api: Api, path: str, **kwargs: Any) -> list[Message]:
    """All that a stream says until it ends by itself."""
    async with api.stream(path, **kwargs) as reader:
        return await reader.rest()


async def listeners(api: Api, count: int) -> None:
    """Wait until so many requests wait for news."""

    async def reached() -> bool:
        return len(app(api)[BUS]) == count

    await until(reached)


def without_progress(messages: list[Message]) -> list[Message]:
    """All but what is told of progress."""
    return [each for each in messages if each.kind != "progress"]


def is_kind(kind: str) -> Callable[[Message], bool]:
    """Is a message of this kind?"""
    return lambda message: message.kind == kind
