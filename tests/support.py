"""Shared test helpers: waiting for a condition, running a server process, ending runners."""

import asyncio
import json
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import psutil

from evalserver.runner import files
from evalserver.runner.launch_spec import TOKEN_VARIABLE
from tests.conformance.answers import faults_of
from tests.event_reader import EventReader

STAND_IN = Path(__file__).parent / "stand_in"

WAIT_SECONDS = 300.0
"""How long a test waits for a condition: a limit, never an expectation."""

NOBODY = 65534
"""The id of a user who owns no files."""

FINISHED = ("completed", "failed", "cancelled")

Json = dict[str, Any]


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = WAIT_SECONDS) -> Any:
    """Wait until ``condition`` returns a true value, and return it. Fails after ``seconds``."""
    async with asyncio.timeout(seconds):
        while not (found := await condition()):
            await asyncio.sleep(0.05)
    return found


def free_port() -> int:
    """A currently unused port of the loopback address."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def stand_in_environment() -> dict[str, str]:
    """An environment in which this interpreter's harness is the stand-in."""
    return {**os.environ, "PYTHONPATH": str(STAND_IN)}


def remove_tree(path: Path) -> None:
    """Remove a directory into which a process may be writing."""
    while path.exists():
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def without_permissions() -> Iterator[None]:
    """Enforce file permissions within the block, even when root runs the tests."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def make_accessible(path: Path) -> None:
    """Make pytest's own parent directories of a path accessible to every user."""
    for directory in path.parents:
        if directory == Path(tempfile.gettempdir()) or directory.owner() != path.owner():
            return
        directory.chmod(0o755)


async def end_runners(data_dir: Path) -> None:
    """Make every runner under a data directory end its evaluation, and wait until it is gone."""
    locks = [lock for lock in data_dir.glob("runs/*/*/lock")]
    for lock in locks:
        (lock.parent / files.CANCEL_FILE).touch()

    async def gone() -> bool:
        return not any(files.lock_is_held(lock.parent) for lock in locks)

    await until(gone)


async def harness_of(job_id: str) -> psutil.Process:
    """Wait for a process of the job's evaluation, and return it; its parent is the runner."""

    async def found() -> psutil.Process | None:
        for process in psutil.process_iter(["environ"]):
            attempt = (process.info["environ"] or {}).get(TOKEN_VARIABLE, "")
            if attempt.startswith(job_id):
                return process
        return None

    process: psutil.Process = await until(found)
    return process


def request(**fields: Any) -> Json:
    """A body for ``POST /evaluate``: the given fields, and defaults for the rest."""
    return {"model": "dummy", "tasks": ["mme"], **fields}


def results_file(job: Json) -> Json:
    """The results file that the harness itself wrote for a completed job."""
    assert job["status"] == "completed", job["error"]
    (result,) = job["result"].values()
    content: Json = json.loads(Path(result["results"]).read_text())
    return content


def how_started(job: Json) -> tuple[str, str | None]:
    """Return how a finished job was started, and why cold."""
    return job["provenance"]["start"], job["provenance"].get("start_reason")


class Api:
    """The server's HTTP API for tests: asserts the status, returns the body."""

    def __init__(self, session: Any, base: str = "") -> None:
        self._session = session
        self._base = base

    @property
    def session(self) -> Any:
        """What sends the requests."""
        return self._session

    async def call(self, method: str, path: str, status: int = 200, **kwargs: Any) -> Any:
        """Send a request; return its JSON body. It must have this status and match the
        description."""
        async with self._session.request(method, self._base + path, **kwargs) as answer:
            body = await answer.json(content_type=None)
            assert answer.status == status, body
            faults = faults_of(method, path, status, answer.content_type, body)
            assert not faults, f"{method} {path} answered what /openapi.json does not say: {faults}"
            return body

    async def status_of(self, path: str) -> int:
        """The status of the response to ``GET``, whatever its body."""
        async with self._session.get(self._base + path) as answer:
            await answer.read()
            return int(answer.status)

    async def text(self, path: str) -> str:
        """The text that ``GET`` returns."""
        async with self._session.get(self._base + path) as answer:
            assert answer.status == 200, await answer.text()
            return str(await answer.text())

    @asynccontextmanager
    async def stream(self, path: str, **kwargs: Any) -> AsyncIterator[EventReader]:
        """A stream of server-sent events, open within the block."""
        unlimited = aiohttp.ClientTimeout(total=None)
        async with self._session.get(self._base + path, timeout=unlimited, **kwargs) as answer:
            assert answer.status == 200, await answer.text()
            yield EventReader(answer)

    async def submit(self, **fields: Any) -> str:
        """Submit an evaluation; returns its job id."""
        body = await self.call("POST", "/evaluate", json=request(**fields))
        return str(body["job_id"])

    async def submit_unchecked(self, **fields: Any) -> str:
        """Submit an evaluation whose names are not checked against the harness."""
        body = await self.call("POST", "/evaluate?validate=false", json=request(**fields))
        return str(body["job_id"])

    async def job(self, job_id: str) -> Json:
        """The job as the server returns it."""
        body: Json = await self.call("GET", f"/jobs/{job_id}")
        return body

    async def when(self, job_id: str, *statuses: str) -> Json:
        """Wait until the job's status is one of these, and return the job."""

        async def reached() -> Json | None:
            job = await self.job(job_id)
            return job if job["status"] in statuses else None

        found: Json = await until(reached)
        return found

    async def wait_for_harness(self, job_id: str) -> Json:
        """Wait until the job's harness runs: if the server is killed now, the runner continues."""
        job = await self.when(job_id, "running")
        await harness_of(job_id)
        return job

    async def finished(self, job_id: str) -> Json:
        """Wait until the job has finished, and return it."""
        return await self.when(job_id, *FINISHED)


class ServerProcess:
    """A real server in its own process, on a data directory that outlives it.

    Evaluations start cold unless an option says otherwise: a warm parent costs as much as the one
    evaluation that most tests run.
    """

    def __init__(
        self, data_dir: Path, *options: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.stderr: int | None = None
        """Where the server's log goes; None: to the file ``log``."""
        self.cwd: Path | None = None
        """Its working directory; None: that of the tests."""
        self.wrapper: tuple[str, ...] = ()
        """A command that starts the server, whose own command line follows."""
        self._options = options
        self._environment = dict(stand_in_environment() if environment is None else environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """The server's stderr, across all its starts."""
        return self.data_dir.with_name(f"{self.data_dir.name}.log")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process of the last start."""
        assert self._process is not None
        return self._process

    @property
    def api(self) -> Api:
        """The server's HTTP interface."""
        return Api(self._session, self.url)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        try:
            await self.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()
        self.stop()
        await end_runners(self.data_dir)

    async def start(self) -> None:
        """Start the server, and wait until it is ready."""
        self.launch()
        await until(self.answers)

    def launch(self) -> None:
        """Start the server without waiting for it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.wrapper, sys.executable, "-m", "evalserver", "serve", "--host", "127.0.0.1",
                 "--port", str(self.port), "--data-dir", str(self.data_dir),
                 "--warm", "off", *self._options],
                env=self._environment,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log if self.stderr is None else self.stderr,
            )  # fmt: skip

    def launch_limited(self, limit: tuple[int, int]) -> None:
        """Start the server without waiting for it, with a resource limit."""
        self.launch()
        resource.prlimit(self.process.pid, limit[0], (limit[1], limit[1]))

    async def wait_until_ready(self) -> None:
        """Wait until the server responds."""
        await until(self.answers)

    def stop(self) -> int:
        """Stop the server as an operator does; returns its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=WAIT_SECONDS)

    def kill(self) -> None:
        """Kill the server, as a crash would."""
        self.process.kill()
        self.process.wait(timeout=WAIT_SECONDS)

    def query(self, sql: str, *values: str) -> list[str]:
        """The first column of a query's result, also while no server runs."""
        path = f"file:{self.data_dir / 'evalserver.db'}?mode=ro"
        with closing(sqlite3.connect(path, uri=True)) as connection:
            return [str(row[0]) for row in connection.execute(sql, values)]

    async def is_reattached(self) -> bool:
        """Whether a server has reattached to a running evaluation of an earlier one."""
        return bool(self.query("SELECT 1 FROM job_events WHERE event = 'reattached'"))

    async def answers(self) -> bool:
        """Whether the server responds. Fails if its process has ended."""
        assert self.process.poll() is None, self.log.read_text()
        assert self._session is not None
        try:
            async with self._session.get(f"{self.url}/health") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False
