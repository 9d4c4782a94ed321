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
"""Where scripts/test puts what is not installed."""
NAME = "eval.lab.example"
CLIENT = "127.0.0.2"
"""The address from which clients come; the proxy's own is 127.0.0.1."""
STRANGER = "6.6.6.6"
"""An address that a client says it had."""


def block(first: str) -> str:
    """Return the guide's example that starts with this line, without its comment."""
    [found] = re.findall(rf"^    {re.escape(first)}.*\n((?:    .*\n)+)", GUIDE, re.MULTILINE)
    return "\n".join(line[4:] for line in found.splitlines())


@dataclass(frozen=True)
class Place:
    """Replacements for the ports and files of an example."""

    folder: Path
    port: int
    backend: int
    cert: Path
    key: Path

    def filled(self, text: str, *changes: tuple[str, str]) -> str:
        """Substitute these texts in the example; each must occur."""
        for old, new in ((f"127.0.0.1:{8000}", f"127.0.0.1:{self.backend}"), *changes):
            assert old in text, old
            text = text.replace(old, new)
        return text


def nginx(place: Place) -> list[str]:
    """Return nginx's configuration and the command that runs it in the foreground."""
    example = place.filled(
        block("# nginx;"),
        ("listen 443", f"listen 127.0.0.1:{place.port}"),
        ("/etc/ssl/eval.pem", str(place.cert)),
        ("/etc/ssl/eval.key", str(place.key)),
    )
    temporary = "".join(
        f"{kind}_temp_path {place.folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (place.folder / "nginx.conf").write_text(
        f"daemon off; pid {place.folder}/nginx.pid; error_log {place.folder}/errors;"
        f" events {{}} http {{ access_log off; {temporary}\n{example}\n}}"
    )
    return ["-p", str(place.folder), "-c", "nginx.conf"]


def caddy(place: Place) -> list[str]:
    """Return the same for Caddy, without its request for a certificate."""
    example = place.filled(
        block("# Caddy;"), (f"{NAME} {{", f"{NAME} {{\n    tls {place.cert} {place.key}")
    )
    (place.folder / "Caddyfile").write_text(
        "{\n    admin off\n    grace_period 1s\n    default_bind 127.0.0.1\n"
        "    auto_https disable_redirects\n"
        f"    https_port {place.port}\n    storage file_system {place.folder}\n}}\n{example}\n"
    )
    return ["run", "--config", str(place.folder / "Caddyfile")]


PROXIES: dict[str, Callable[[Place], list[str]]] = {"nginx": nginx, "caddy": caddy}


class Visitor:
    """A client that connects through the proxy, from another address than the proxy's."""

    def __init__(self, lab: Lab, port: int, cert: Path) -> None:
        self.lab = lab
        self.origin = f"https://{NAME}:{port}"
        self._url = f"https://127.0.0.1:{port}"
        context = httpx.create_ssl_context(trust_env=False)
        context.load_verify_locations(cert)
        self.client = httpx.Client(
            transport=httpx.HTTPTransport(verify=context, local_address=CLIENT),
            headers={"Host": f"{NAME}:{port}", "X-Forwarded-For": STRANGER},
            timeout=WAIT_SECONDS,
        )

    def request(
        self, method: str, path: str, role: Role | None = None, **more: object
    ) -> httpx.Request:
        """Send a request for the lab's host name with this role's token."""
        request = self.client.build_request(method, self._url + path, **more)  # type: ignore[arg-type]
        request.extensions["sni_hostname"] = NAME
        if role is not None:
            request.headers["Authorization"] = f"Bearer {self.lab.tokens[role]}"
        return request

    def ask(
        self, method: str, path: str, role: Role | None = None, **more: object
    ) -> httpx.Response:
        """Return the response."""
        return self.client.send(self.request(method, path, role, **more))

    def answers(self) -> bool:
        """Whether the proxy responds."""
        try:
            return self.ask("GET", "/health").status_code == 200
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
    place = Place(folder, free_port(), lab.server.port, cert, key)
    with (folder / "proxy.log").open("wb") as log:
        proxy = subprocess.Popen([program, *PROXIES[name](place)], stdout=log, stderr=log)
    visitor = Visitor(lab, place.port, cert)
    try:
        lab.open()
        until = time.monotonic() + WAIT_SECONDS
        while not visitor.answers():
            assert proxy.poll() is None, (folder / "proxy.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        lab.when(lab.submit(model_args={"behave": "hang"}), "running")
        yield visitor
    finally:
        visitor.client.close()
        proxy.terminate()
        proxy.wait(WAIT_SECONDS)
        lab.close()


def test_a_token_is_required_and_accepted(visitor: Visitor) -> None:
    assert visitor.ask("GET", "/queue").status_code == 401
    assert visitor.ask("GET", "/queue", Role.VIEWER).status_code == 200


def test_a_browser_logs_in_and_acts(visitor: Visitor) -> None:
    form = {"token": visitor.lab.tokens[Role.SUBMITTER], "next": "/"}
    own = {"Origin": visitor.origin}
    entered = visitor.ask("POST", "/login", data=form, headers=own)
    cookie = entered.headers["Set-Cookie"].partition(";")[0]
    body = {"model": "dummy", "tasks": ["mme"]}
    acts = {"Cookie": cookie}

    assert entered.status_code == 303
    assert cookie.startswith("__Host-evalserver_")
    visitor.client.cookies.clear()
    assert visitor.ask("GET", "/", headers=acts).status_code == 200
    assert visitor.ask("POST", "/evaluate", json=body, headers=own | acts).status_code == 200
    foreign = {"Origin": "https://evil.example"}
    assert visitor.ask("POST", "/evaluate", json=body, headers=foreign | acts).status_code == 403


def test_events_are_delivered_without_delay(visitor: Visitor) -> None:
    request = visitor.request("GET", "/events", Role.VIEWER)
    with closing(visitor.client.send(request, stream=True)) as answer:
        lines = answer.iter_lines()
        next(lines)
        job_id = visitor.lab.submit()

        assert next(line for line in lines if job_id in line)


def test_a_long_poll_ends_when_the_job_changes_or_the_time_is_up(visitor: Visitor) -> None:
    job_id = visitor.lab.submit()
    job = visitor.ask("GET", f"/jobs/{job_id}", Role.VIEWER).json()

    same = visitor.ask("GET", f"/jobs/{job_id}?wait=1&since={job['event_id']}", Role.VIEWER)
    visitor.lab.ask("DELETE", f"/jobs/{job_id}", Role.ADMIN)
    changed = visitor.ask("GET", f"/jobs/{job_id}?wait=60&since={job['event_id']}", Role.VIEWER)

    assert (same.status_code, same.json()["status"]) == (200, "queued")
    assert changed.json()["status"] == "cancelled"


def test_the_clients_address_is_the_real_one_not_a_forged_header(visitor: Visitor) -> None:
    visitor.ask("POST", "/login", data={"token": "evs_wrong"}, headers={"Origin": visitor.origin})

    [line] = [
        each
        for each in visitor.lab.server.log.read_text().splitlines()
        if "login with an unknown token" in each
    ]
    assert f"address={CLIENT}" in line
    assert STRANGER not in line


def test_a_foreign_host_name_is_rejected(visitor: Visitor) -> None:
    with socket.create_connection(("127.0.0.1", visitor.lab.server.port)) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\nHost: evil.example\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.0 421")


def test_an_oversized_body_is_rejected(visitor: Visitor) -> None:
    refused = visitor.ask("POST", "/evaluate", Role.SUBMITTER, content=b" " * 3_000_000)

    assert refused.status_code in (413, 415)
