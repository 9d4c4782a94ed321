"""Fixtures: a real vision model, and servers that run the real harnesses."""

import asyncio
import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.digits_model import make_digits_task, serving_digits
from tests.real_harness import interpreter, offline_environment
from tests.shared import make_once
from tests.support import WAIT_SECONDS, ServerProcess

DIGITS = Path(__file__).parents[1] / "digits"
CAPITALS = Path(__file__).parents[2] / "examples" / "demo" / "tasks"

INSPECT_TASKS = Path(__file__).parents[1] / "inspect_tasks"

ENGINES = {"lmms-eval": "lmms_eval", "lm-eval": "lm_eval", "inspect": "inspect"}
"""The engine of each harness."""


@dataclass(frozen=True)
class Digits:
    """A vision model behind an OpenAI-compatible endpoint, and the task that asks about digits."""

    url: str
    tasks: Path
    earlier: int = 0
    """How many requests the model answered before this test."""

    @property
    def model_args(self) -> dict[str, Any]:
        """The arguments with which lmms-eval's ``async_openai`` reaches the model."""
        return {"model": "digits-svc", "base_url": f"{self.url}/v1", "api_key": "none"}

    def requests(self) -> list[dict[str, Any]]:
        """All requests that the model has answered since the test began."""
        place = f"{self.url}/requests"
        with urllib.request.urlopen(place, timeout=WAIT_SECONDS) as answer:  # noqa: S310 - http
            received: list[dict[str, Any]] = json.load(answer)
            return received[self.earlier :]


@pytest.fixture(scope="session")
def digit_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the task ``digits_vqa`` and its images."""
    return make_once(
        tmp_path_factory, "digits", lambda place: make_digits_task(place, place / "hub")
    )


@pytest.fixture(scope="module")
def digits_url() -> Iterator[str]:
    """A vision model that runs for the tests of a file: it starts in seconds."""
    with serving_digits() as url:
        yield url


@pytest.fixture
def digits(digit_tasks: Path, digits_url: str) -> Digits:
    """A vision model."""
    before = len(Digits(digits_url, digit_tasks).requests())
    return Digits(digits_url, digit_tasks, before)


@pytest.fixture
def slow_digits(digit_tasks: Path) -> Iterator[Digits]:
    """A vision model that takes a while for each answer."""
    yield from _digits(digit_tasks, "--delay", "0.1")


@pytest.fixture
def surrogate_digits(digit_tasks: Path) -> Iterator[Digits]:
    """A vision model that ends every eighth answer with a lone surrogate."""
    yield from _digits(digit_tasks, "--lone-surrogate")


def _digits(digit_tasks: Path, *options: str) -> Iterator[Digits]:
    with serving_digits(*options) as url:
        yield Digits(url, digit_tasks)


RealServer = Callable[..., ServerProcess]


@pytest.fixture
def real_server(tmp_path: Path, engine_caches: Callable[..., Path]) -> RealServer:
    """Creates a server with a real harness, with the tasks of a directory or only its own.

    Its database already has the harness's task and model names: listing them takes a harness ten
    seconds.
    """

    def make(harness: str, tasks: Path | None, *options: str) -> ServerProcess:
        data_dir = tmp_path / "data"
        data_dir.mkdir(mode=0o700)
        shutil.copy(engine_caches(harness, tasks), data_dir)
        return _server(tmp_path, harness, tasks, *options)

    return make


@pytest.fixture(scope="session")
def engine_caches(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Creates a database with the cached task and model names of a harness."""

    @cache
    def query_engine(harness: str, tasks: Path | None) -> Path:
        name = f"names-{harness}-{sha256(str(tasks).encode()).hexdigest()[:8]}"
        place = make_once(tmp_path_factory, name, lambda place: make(place, harness, tasks))
        return place / "evalserver.db"

    def make(place: Path, harness: str, tasks: Path | None) -> None:
        server = _server(place, harness, tasks)
        # In a thread: the test that needs this first may run in an event loop.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(_query_names(server))).result()
        shutil.copy(server.data_dir / "evalserver.db", place)

    return query_engine


async def _query_names(server: ServerProcess) -> None:
    async with server:
        await asyncio.gather(*(server.api.call("GET", f"/{each}") for each in ("tasks", "models")))


def _server(place: Path, harness: str, tasks: Path | None, *options: str) -> ServerProcess:
    include = () if tasks is None else ("--include-path", str(tasks))
    return ServerProcess(
        place / "data",
        *("--engine-python", str(interpreter(harness)), "--default-engine", ENGINES[harness]),
        *(*include, *options),
        environment=offline_environment(place / "hub"),
    )


@pytest.fixture
def lmms_server(real_server: RealServer, digit_tasks: Path) -> ServerProcess:
    """A server whose engine is the real lmms-eval, with the task ``digits_vqa``."""
    return real_server("lmms-eval", digit_tasks)


@pytest.fixture
def lm_server(real_server: RealServer) -> ServerProcess:
    """A server whose engine is the real lm-eval, with the demo's task ``capitals``."""
    return real_server("lm-eval", CAPITALS)


@pytest.fixture
def inspect_server(real_server: RealServer) -> ServerProcess:
    """A server whose engine is the real Inspect AI, with the tasks of ``tests/inspect_tasks``."""
    return real_server("inspect", INSPECT_TASKS)
