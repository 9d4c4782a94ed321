"""A server with authentication in a process of its own, and a token for each role."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from evalserver.auth.access import Access
from evalserver.core.roles import ASSIGNABLE_ROLES, Role
from evalserver.store import Store
from tests.cli.commands import run_evalserver
from tests.support import WAIT_SECONDS, Json, ServerProcess, end_runners, request

JSON = {"Content-Type": "application/json"}


class Lab:
    """A real server in a process of its own, and a token for each role."""

    def __init__(self, folder: Path, *options: str, auth: str = "token") -> None:
        self.data_dir = folder / "data"
        self.server = ServerProcess(
            self.data_dir, "--auth", auth, "--cancel-grace", "0.5", *options
        )
        self.tokens: dict[Role, str] = {}
        self.client = httpx.Client(timeout=WAIT_SECONDS, trust_env=False)
        self._browsers: list[httpx.Client] = []

    def open(self) -> None:
        """Create the tokens, start the server, and wait until it responds."""
        self.tokens = asyncio.run(_make_tokens(self.data_dir))
        self.start()

    def start(self) -> None:
        """Start the server and wait until it responds."""
        self.server.launch()
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            assert self.server.process.poll() is None, self.server.log.read_text()
            try:
                if self.client.get(f"{self.server.url}/health/live").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def close(self) -> None:
        """Stop the server and everything it started."""
        self.server.stop()
        for client in (self.client, *self._browsers):
            client.close()
        asyncio.run(end_runners(self.data_dir))

    def command(self, *args: object) -> subprocess.CompletedProcess[str]:
        """Return the ``evalserver token`` command for the lab's data directory."""
        return run_evalserver("token", *args, "--data-dir", self.data_dir)

    def make_token(self, name: str, role: Role, *options: object) -> str:
        """Create a token; return its secret."""
        result = self.command("create", "--name", name, "--role", role, *options)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def send(
        self, method: str, path: str, role: Role | None = None, **kwargs: Any
    ) -> httpx.Response:
        """Return the response to a request with this role's token; None sends no token."""
        headers = dict(kwargs.pop("headers", {}))
        if role is not None:
            headers["Authorization"] = f"Bearer {self.tokens[role]}"
        return self.client.request(method, self.server.url + path, headers=headers, **kwargs)

    def log_in(self, role: Role) -> httpx.Client:
        """Log in with a browser; return its session."""
        browser = httpx.Client(base_url=self.server.url, trust_env=False)
        self._browsers.append(browser)
        response = browser.post(
            "/login", data={"token": self.tokens[role]}, headers={"Origin": self.server.url}
        )
        assert response.status_code == 303, response.text
        return browser

    def submit(self, role: Role = Role.SUBMITTER, **fields: Any) -> str:
        """Submit a job with this role."""
        response = self.send("POST", "/evaluate", role, json=request(**fields))
        assert response.status_code == 200, response.text
        return str(response.json()["job_id"])

    def when(self, job_id: str, *statuses: str) -> Json:
        """Wait until the job has one of these statuses; return it as its submitter sees it."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            job: Json = self.send("GET", f"/jobs/{job_id}", Role.SUBMITTER).json()
            if job["status"] in statuses:
                return job
            time.sleep(0.05)
        raise AssertionError(f"job {job_id} is {job['status']}")


async def _make_tokens(data_dir: Path) -> dict[Role, str]:
    """Create a token for each role in this process: starting one each would take a second."""
    data_dir.mkdir(mode=0o700, exist_ok=True)
    store = await Store.open(data_dir)
    access = Access(store.tokens)
    await access.load()
    try:
        return {
            role: (await access.create(str(role), role, "operator"))[1] for role in ASSIGNABLE_ROLES
        }
    finally:
        await access.close()
        await store.close()


@contextmanager
def lab_with(tables: str, folder: Path) -> Iterator[Lab]:
    """A server whose TOML file has these tables."""
    (folder / "lab.toml").write_text(tables)
    lab = Lab(folder, "--config", str(folder / "lab.toml"))
    lab.open()
    yield lab
    lab.close()
