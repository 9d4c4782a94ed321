"""The proxy configurations of docs/security.md, unchanged, in front of a real server."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from evalserver.core.roles import Role
from tests.security.lab import Lab
from tests.security.test_starting import certificate
from tests.support import WAIT_SECONDS, free_port

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "security.md").read_text()
UNPACKED = ROOT / ".venvs" / "proxies"
"""Where scripts/test installs missing proxies."""
NAME = "eval.lab.example"
CLIENT_ADDRESS = "127.0.0.2"
"""The client's address; the proxy's own is 127.0.0.1."""
FORGED_ADDRESS = "6.6.6.6"
"""An address that the client claims in a header."""


def block(first: str) -> str:
    """Return the guide's example that starts with this line, without its comment."""
    [found] = re.findall(rf"^    {re.escape(first)}.*\n((?:    .*\n)+)", GUIDE, re.MULTILINE)
    return "\n".join(line[4:] for line in found.splitlines())


@dataclass(frozen=True)
class ProxySetup:
    """Replacements for the ports and files of an example."""

    folder: Path
    port: int
    backend: int
    cert: Path
    key: Path

    def substitute(self, text: str, *changes: tuple[str, str]) -> str:
        """Substitute these texts in the example; each must occur."""
        for old, new in ((f"127.0.0.1:{8000}", f"127.0.0.1:{self.backend}"), *changes):
            assert old in text, old
            text = text.replace(old, new)
        return text


def nginx(setup: ProxySetup) -> list[str]:
    """Return nginx's configuration and the command that runs it in the foreground."""
    example = setup.substitute(
        block("# nginx;"),
        ("listen 443", f"listen 127.0.0.1:{setup.port}"),
        ("/etc/ssl/eval.pem", str(setup.cert)),
        ("/etc/ssl/eval.key", str(setup.key)),
    )
    temporary = "".join(
        f"{kind}_temp_path {setup.folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (setup.folder / "nginx.conf").write_text(
        f"daemon off; pid {setup.folder}/nginx.pid; error_log {setup.folder}/errors;"
        f" events {{}} http {{ access_log off; {temporary}\n{example}\n}}"
    )
    return ["-p", str(setup.folder), "-c", "nginx.conf"]


def caddy(setup: ProxySetup) -> list[str]:
    """Return the same for Caddy, without its request for a certificate."""
    example = setup.substitute(
        block("# Caddy;"), (f"{NAME} {{", f"{NAME} {{\n    tls {setup.cert} {setup.key}")
    )
    (setup.folder / "Caddyfile").write_text(
        "{\n    admin off\n    grace_period 1s\n    default_bind 127.0.0.1\n"
        "    auto_https disable_redirects\n"
        f"    https_port {setup.port}\n    storage file_system {setup.folder}\n}}\n{example}\n"
    )
    return ["run", "--config", str(setup.folder / "Caddyfile")]


PROXIES: dict[str, Callable[[ProxySetup], list[str]]] = {"nginx": nginx, "caddy": caddy}


class Visitor:
    """A client that connects through the proxy, from another address than the proxy's."""

    def __init__(self, lab: Lab, port: int, cert: Path) -> None:
        self.lab = lab
        self.origin = f"https://{NAME}:{port}"
        self._url = f"https://127.0.0.1:{port}"
        context = httpx.create_ssl_context(trust_env=False)
        context.load_verify_locations(cert)
        self.client = httpx.Client(
            transport=httpx.HTTPTransport(verify=context, local_address=CLIENT_ADDRESS),
            headers={"Host": f"{NAME}:{port}", "X-Forwarded-For": FORGED_ADDRESS},
            timeout=WAIT_SECONDS,
        )

    def build_request(
        self, method: str, path: str, role: Role | None = None, **more: object
    ) -> httpx.Request:
        """Build a request for the lab's host name with this role's token."""
        request = self.client.build_request(method, self._url + path, **more)  # type: ignore[arg-type]
        request.extensions["sni_hostname"] = NAME
        if role is not None:
            request.headers["Authorization"] = f"Bearer {self.lab.tokens[role]}"
        return request

    def send(
        self, method: str, path: str, role: Role | None = None, **more: object
    ) -> httpx.Response:
        """Send a request; return the response."""
        return self.client.send(self.build_request(method, path, role, **more))

    def is_up(self) -> bool:
        """Whether the proxy responds."""
        try:
            return self.send("GET", "/health").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module", params=PROXIES)
def visitor(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Visitor]:
    """A client of a server behind this proxy."""
    name = str(request.param)
    program = shutil.which(name) or shutil.which(UNPACKED / name)
    if program is None:
        pytest.skip(f"{name} is NOT INSTALLED, so this was NOT TESTED: run ./scripts/test")
    folder = tmp_path_factory.mktemp(name)
    folder.chmod(0o755)  # nginx's workers run as another user
    lab = Lab(folder, "--trusted-proxy", "127.0.0.1", "--allowed-host", NAME, auth="auto")
    cert, key = certificate(folder, NAME, NAME)
    setup = ProxySetup(folder, free_port(), lab.server.port, cert, key)
    with (folder / "proxy.log").open("wb") as log:
        proxy = subprocess.Popen([program, *PROXIES[name](setup)], stdout=log, stderr=log)
    visitor = Visitor(lab, setup.port, cert)
    try:
        lab.open()
        deadline = time.monotonic() + WAIT_SECONDS
        while not visitor.is_up():
            assert proxy.poll() is None, (folder / "proxy.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        lab.when(lab.submit(model_args={"behave": "hang"}), "running")
        yield visitor
    finally:
        visitor.client.close()
        proxy.terminate()
        proxy.wait(WAIT_SECONDS)
        lab.close()


def test_a_token_is_required_and_accepted(visitor: Visitor) -> None:
    assert visitor.send("GET", "/queue").status_code == 401
    assert visitor.send("GET", "/queue", Role.VIEWER).status_code == 200


def test_a_browser_logs_in_and_acts(visitor: Visitor) -> None:
    form = {"token": visitor.lab.tokens[Role.SUBMITTER], "next": "/"}
    own_origin = {"Origin": visitor.origin}
    login = visitor.send("POST", "/login", data=form, headers=own_origin)
    cookie = login.headers["Set-Cookie"].partition(";")[0]
    body = {"model": "dummy", "tasks": ["mme"]}
    session = {"Cookie": cookie}

    assert login.status_code == 303
    assert cookie.startswith("__Host-evalserver_")
    visitor.client.cookies.clear()
    assert visitor.send("GET", "/", headers=session).status_code == 200
    assert (
        visitor.send("POST", "/evaluate", json=body, headers=own_origin | session).status_code
        == 200
    )
    foreign_origin = {"Origin": "https://evil.example"}
    assert (
        visitor.send("POST", "/evaluate", json=body, headers=foreign_origin | session).status_code
        == 403
    )


def test_events_are_delivered_without_delay(visitor: Visitor) -> None:
    request = visitor.build_request("GET", "/events", Role.VIEWER)
    with closing(visitor.client.send(request, stream=True)) as response:
        lines = response.iter_lines()
        next(lines)
        job_id = visitor.lab.submit()

        assert next(line for line in lines if job_id in line)


def test_a_long_poll_ends_when_the_job_changes_or_the_time_is_up(visitor: Visitor) -> None:
    job_id = visitor.lab.submit()
    job = visitor.send("GET", f"/jobs/{job_id}", Role.VIEWER).json()

    same = visitor.send("GET", f"/jobs/{job_id}?wait=1&since={job['event_id']}", Role.VIEWER)
    visitor.lab.send("DELETE", f"/jobs/{job_id}", Role.ADMIN)
    changed = visitor.send("GET", f"/jobs/{job_id}?wait=60&since={job['event_id']}", Role.VIEWER)

    assert (same.status_code, same.json()["status"]) == (200, "queued")
    assert changed.json()["status"] == "cancelled"


def test_the_clients_address_is_the_real_one_not_a_forged_header(visitor: Visitor) -> None:
    visitor.send("POST", "/login", data={"token": "evs_wrong"}, headers={"Origin": visitor.origin})

    [line] = [
        each
        for each in visitor.lab.server.log.read_text().splitlines()
        if "login with an unknown token" in each
    ]
    assert f"address={CLIENT_ADDRESS}" in line
    assert FORGED_ADDRESS not in line


def test_a_foreign_host_name_is_rejected(visitor: Visitor) -> None:
    with socket.create_connection(("127.0.0.1", visitor.lab.server.port)) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\nHost: evil.example\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.0 421")


def test_an_oversized_body_is_rejected(visitor: Visitor) -> None:
    refused = visitor.send("POST", "/evaluate", Role.SUBMITTER, content=b" " * 3_000_000)

    assert refused.status_code in (413, 415)
