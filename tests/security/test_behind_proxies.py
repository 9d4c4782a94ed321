"""The proxies of docs/security.md, as they are written there, in front of a real server."""

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
    """The example of the guide that begins with this line, without its comment."""
    [found] = re.findall(rf"^    {re.escape(first)}.*\n((?:    .*\n)+)", GUIDE, re.MULTILINE)
    return "\n".join(line[4:] for line in found.splitlines())


@dataclass(frozen=True)
class Place:
    """What an example of the guide gets in the place of its own ports and files."""

    folder: Path
    port: int
    backend: int
    cert: Path
    key: Path

    def filled(self, text: str, *changes: tuple[str, str]) -> str:
        """The example with these texts changed, of which each must be there."""
        for old, new in ((f"127.0.0.1:{8000}", f"127.0.0.1:{self.backend}"), *changes):
            assert old in text, old
            text = text.replace(old, new)
        return text


def nginx(place: Place) -> list[str]:
    """Its configuration, and the words that run it in the foreground."""
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
    """The same for Caddy, which would get itself a certificate."""
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
    """Who comes through the proxy, from another address than the proxy's own."""

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
        """A request for the lab's name, by who has this role."""
        request = self.client.build_request(method, self._url + path, **more)  # type: ignore[arg-type]
        request.extensions["sni_hostname"] = NAME
        if role is not None:
            request.headers["Authorization"] = f"Bearer {self.lab.tokens[role]}"
        return request

    def ask(
        self, method: str, path: str, role: Role | None = None, **more: object
    ) -> httpx.Response:
        """The answer."""
        return self.client.send(self.request(method, path, role, **more))

    def answers(self) -> bool:
        """Is the proxy there?"""
        try:
            return self.ask("GET", "/health").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module", params=PROXIES)
def visitor(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Visitor]:
    """A visitor of a server behind this proxy."""
    name = str(request.param)
    program = shutil.which(name) or shutil.which(UNPACKED / name)
    if program is None:
        pytest.skip(f"{name} is NOT INSTALLED, so this was NOT TESTED: run ./scripts/test")
    folder = tmp_path_factory.mktemp(name)
    folder.chmod(0o755)  # nginx's workers are of another user
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


def test_a_token_is_asked_for_and_taken(visitor: Visitor) -> None:
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


def test_news_comes_when_it_happens(visitor: Visitor) -> None:
    request = visitor.request("GET", "/events", Role.VIEWER)
    with closing(visitor.client.send(request, stream=True)) as answer:
        lines = answer.iter_lines()
        next(lines)
        job_id = visitor.lab.submit()

        assert next(line for line in lines if job_id in line)


def test_a_long_poll_is_answered_when_the_job_changes_or_the_time_is_up(visitor: Visitor) -> None:
    job_id = visitor.lab.submit()
    job = visitor.ask("GET", f"/jobs/{job_id}", Role.VIEWER).json()

    same = visitor.ask("GET", f"/jobs/{job_id}?wait=1&since={job['event_id']}", Role.VIEWER)
    visitor.lab.ask("DELETE", f"/jobs/{job_id}", Role.ADMIN)
    changed = visitor.ask("GET", f"/jobs/{job_id}?wait=60&since={job['event_id']}", Role.VIEWER)

    assert (same.status_code, same.json()["status"]) == (200, "queued")
    assert changed.json()["status"] == "cancelled"


def test_the_address_is_that_of_the_client_and_not_what_it_says(visitor: Visitor) -> None:
    visitor.ask("POST", "/login", data={"token": "evs_wrong"}, headers={"Origin": visitor.origin})

    [line] = [
        each
        for each in visitor.lab.server.log.read_text().splitlines()
        if "login with an unknown token" in each
    ]
    assert f"address={CLIENT}" in line
    assert STRANGER not in line


def test_a_name_that_is_not_the_servers_is_refused(visitor: Visitor) -> None:
    with socket.create_connection(("127.0.0.1", visitor.lab.server.port)) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\nHost: evil.example\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.0 421")


def test_a_body_that_is_too_large_is_refused(visitor: Visitor) -> None:
    refused = visitor.ask("POST", "/evaluate", Role.SUBMITTER, content=b" " * 3_000_000)

    assert refused.status_code in (413, 415)
