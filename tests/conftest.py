"""What every test may ask for: real data directories, real applications, real servers."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pytest_aiohttp.plugin import AiohttpClient

from evalserver.server.application import make_app
from evalserver.settings.server_args import ServerArgs
from evalserver.store import Store
from evalserver.web.keys import STREAM_LIMITS
from evalserver.web.streams.event_stream import StreamLimits
from tests.browser import CHROMIUM
from tests.real_harness import is_installed
from tests.slurm_cluster import SlurmCluster, why_no_cluster
from tests.small_disk import unmount
from tests.support import STAND_IN, Api, ServerProcess, end_runners

# A harness's threads would outnumber the cores, and wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No example is too slow: the machine may be busy with something else.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

PLACES = {"allow_path": ("/",)}
"""Tests have output written beside the data directory, and those of paths say what is allowed."""

SLOW_FOLDERS = ("end_to_end", "bench", "conformance", "security", "client")
"""Their files are started first: one of them, begun last, would run on alone."""

MakeApi = Callable[..., Awaitable[Api]]
MakeServer = Callable[..., ServerProcess]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An open store on a new database."""
    store = await Store.open(tmp_path)
    yield store
    await store.close()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory."""
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
async def ended_runners(data_dir: Path) -> AsyncIterator[None]:
    """Ends what still runs below the data directory, after all that is asked for behind it."""
    yield
    await end_runners(data_dir)


@pytest.fixture
def small_disks() -> Iterator[list[Path]]:
    """Directories on which the test mounts a small disk; unmounted after it."""
    mounted: list[Path] = []
    yield mounted
    for place in mounted:
        unmount(place)


@pytest.fixture(scope="session")
def shared_slurm() -> Iterator[SlurmCluster]:
    """A real Slurm with two nodes, for all tests of this process."""
    with SlurmCluster() as cluster:
        yield cluster


@pytest.fixture
def slurm(shared_slurm: SlurmCluster) -> SlurmCluster:
    """A real Slurm with two nodes, shared by the tests of this process: leave every daemon up.

    Slurm drains a node for what killed daemons leave there; a test before may have killed some.
    """
    shared_slurm.resume_nodes()
    return shared_slurm


class AsServed(TestServer):
    """Serves as the server does: a client that goes away does not cancel its handler."""

    async def _make_runner(self, **kwargs: Any) -> web.BaseRunner:
        return await super()._make_runner(**{**kwargs, "handler_cancellation": False})


@pytest.fixture
def make_api(
    data_dir: Path,
    ended_runners: None,
    aiohttp_client: AiohttpClient,
    monkeypatch: pytest.MonkeyPatch,
) -> MakeApi:
    """Starts the real application with the stand-in harness.

    Settings are keyword arguments; ``limits`` are the times of its streams of events.
    """
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))

    async def make(limits: StreamLimits | None = None, **settings: Any) -> Api:
        usual = {"cancel_grace": 1.0, "warm": "off", **PLACES}
        args = ServerArgs(data_dir=str(data_dir), **{**usual, **settings})
        app = make_app(args)
        app[STREAM_LIMITS] = limits or StreamLimits()
        return Api(await aiohttp_client(AsServed(app)))

    return make


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    """The real application with default settings and the stand-in harness."""
    return await make_api()


@pytest.fixture
def server(tmp_path: Path) -> ServerProcess:
    """A server in a process of its own, with the stand-in harness; ``async with`` starts it."""
    return ServerProcess(tmp_path / "data", "--cancel-grace", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files of slow folders first; within a folder nothing changes."""
    order = {name: at for at, name in enumerate(SLOW_FOLDERS)}
    items.sort(key=lambda item: order.get(item.path.parent.name, len(order)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test of what is not installed fails in CI, and is skipped elsewhere, loudly.

    Slurm cannot be brought up on every machine: without it, its tests are skipped in CI, too.
    """
    for marker in item.iter_markers("real_harness"):
        if not is_installed(marker.args[0]):
            _not_tested(f"the real {marker.args[0]} is NOT INSTALLED")
    if item.get_closest_marker("browser") and not CHROMIUM:
        _not_tested("Chromium is NOT INSTALLED")
    if item.get_closest_marker("slurm") and (why := why_no_cluster()):
        pytest.skip(f"{why}, so this was NOT TESTED")


def _not_tested(why: str) -> None:
    reason = f"{why}, so this was NOT TESTED: run ./scripts/test"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
