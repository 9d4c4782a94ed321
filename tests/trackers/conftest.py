"""Fixtures: servers with a history, and what follows them."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeApi
from tests.support import Api, ServerProcess
from tests.trackers.following import Follow
from tests.trackers.sending import Sending

KEPT = 20
"""Finished jobs that the server keeps: the numbers of older ones are those of pruned jobs."""

MakeFollow = Callable[..., Follow]


@dataclass(frozen=True)
class Followed:
    """A server in this process, and what sends its finished jobs to a file."""

    api: Api
    url: str
    sending: Sending


MakeFollowed = Callable[[], Awaitable[Followed]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file that gets the lines."""
    return tmp_path / "numbers.jsonl"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The directory for the state of followers."""
    return tmp_path / "state"


@pytest.fixture
def make_followed(make_api: MakeApi, state: Path, file: Path) -> MakeFollowed:
    """Starts a server in this process, after its history was written."""

    async def make() -> Followed:
        api = await make_api(max_completed_jobs=KEPT)
        session: Any = api._session
        url = str(session.make_url("")).rstrip("/")
        return Followed(api, url, Sending(url, state, file))

    return make


@pytest.fixture
def server(tmp_path: Path) -> ServerProcess:
    """A server in a process of its own, to be killed; ``async with`` starts it."""
    return ServerProcess(tmp_path / "data", "--max-completed-jobs", str(KEPT))


@pytest.fixture
def make_follow(server: ServerProcess, state: Path) -> Iterator[MakeFollow]:
    """Makes commands that follow that server; what they leave running is ended."""
    made: list[Follow] = []

    def make(*options: object, **others: Any) -> Follow:
        made.append(Follow(server.url, state, *options, **others))
        return made[-1]

    yield make
    for each in made:
        each.end()
