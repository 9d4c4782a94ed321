"""How a server starts: with and without authentication, first token, TLS and file permissions."""

import asyncio
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from evalserver.core.roles import Role
from tests.cli.commands import run_evalserver
from tests.security.lab import Lab
from tests.support import WAIT_SECONDS, end_runners

ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - that is what is tested


@pytest.fixture
def labs(tmp_path: Path) -> Iterator[list[Lab]]:
    """Servers that are stopped at the end of the test."""
    started: list[Lab] = []
    yield started
    for each in started:
        if each.server._process is not None and each.server.process.poll() is None:
            each.close()
        each.client.close()
        asyncio.run(end_runners(each.data_dir))


def started(labs: list[Lab], folder: Path, *options: str, auth: str = "auto") -> Lab:
    """Start a server with these options."""
    lab = Lab(folder, *options, auth=auth)
    labs.append(lab)
    lab.start()
    return lab


def test_loopback_requires_no_token(labs: list[Lab], tmp_path: Path) -> None:
    lab = started(labs, tmp_path)

    assert lab.send("GET", "/queue").status_code == 200
    assert "EVALSERVER_TOKEN" not in lab.server.log.read_text()


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded"])
def test_an_unconfigured_proxy_gives_no_access(labs: list[Lab], tmp_path: Path, name: str) -> None:
    lab = started(labs, tmp_path)

    rejected = lab.send("GET", "/queue", headers={name: "for=10.0.0.1"})

    assert rejected.status_code == 403
    assert "--trusted-proxy" in rejected.json()["detail"]
    assert lab.send("GET", "/queue").status_code == 200


def test_open_access_behind_a_proxy_can_be_configured(labs: list[Lab], tmp_path: Path) -> None:
    lab = started(labs, tmp_path, auth="none")

    assert lab.send("GET", "/queue", headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 200


def test_an_open_server_creates_no_token_for_anonymous_clients(
    labs: list[Lab], tmp_path: Path
) -> None:
    lab = started(labs, tmp_path)

    response = lab.send("POST", "/tokens", json={"name": "later", "role": "admin"})

    assert response.status_code == 403


def test_a_public_address_requires_tokens_and_prints_the_first_one_once(
    labs: list[Lab], tmp_path: Path
) -> None:
    lab = started(labs, tmp_path, "--host", ALL_INTERFACES)
    assert lab.send("GET", "/queue").status_code == 401

    [token] = re.findall(r"^  export EVALSERVER_TOKEN=(evs_\S+)$", lab.server.log.read_text(), re.M)
    lab.tokens[Role.ADMIN] = token
    assert lab.send("GET", "/tokens", Role.ADMIN).status_code == 200
    assert f"/login#token={token}" in lab.server.log.read_text()

    lab.server.stop()
    lab.start()
    assert lab.server.log.read_text().count("export EVALSERVER_TOKEN=") == 1


@pytest.mark.parametrize(
    "option", [("--trusted-proxy", "127.0.0.1"), ("--allowed-host", "eval.lab.example")]
)
def test_tokens_are_required_behind_a_proxy(
    labs: list[Lab], tmp_path: Path, option: tuple[str, str]
) -> None:
    lab = started(labs, tmp_path, *option)

    assert lab.send("GET", "/queue").status_code == 401


def test_no_authentication_on_a_public_address_logs_a_prominent_warning(
    labs: list[Lab], tmp_path: Path
) -> None:
    lab = started(labs, tmp_path, "--host", ALL_INTERFACES, auth="none")

    assert lab.send("GET", "/queue").status_code == 200
    assert "NO ACCESS CONTROL: ANY CLIENT THAT CAN REACH" in lab.server.log.read_text()


def test_files_are_private_to_their_owner(labs: list[Lab], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    lab = Lab(tmp_path)
    labs.append(lab)
    lab.open()
    lab.submit()
    entries = [path for path in lab.data_dir.iterdir() if path.stat().st_mode & 0o077]

    assert entries == []


def test_a_world_readable_database_is_rejected_when_tokens_are_required(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "data"
    run_evalserver("token", "create", "--name=a", "--role=admin", "--data-dir", data_dir)
    data_dir.chmod(0o755)
    (data_dir / "evalserver.db").chmod(0o644)

    rejected = run_evalserver("serve", "--auth=token", "--port=1", "--data-dir", data_dir)

    assert rejected.returncode == 1
    assert "can be read by all users" in rejected.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_world_writable_data_directory_is_rejected(labs: list[Lab], tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    labs.append(lab)
    lab.data_dir.mkdir()
    lab.data_dir.chmod(0o777)
    lab.server.launch()

    assert lab.server.process.wait(WAIT_SECONDS) == 1
    assert f"chmod 700 {lab.data_dir}" in lab.server.log.read_text()


def test_running_as_root_logs_a_warning(labs: list[Lab], tmp_path: Path) -> None:
    assert "run as root" in started(labs, tmp_path).server.log.read_text()


def test_a_rate_limited_client_gets_a_retry_after(labs: list[Lab], tmp_path: Path) -> None:
    lab = started(labs, tmp_path, "--rate-limit", "1", auth="none")

    responses = [lab.send("GET", "/queue") for _ in range(40)]

    assert {each.status_code for each in responses} == {200, 429}
    assert int(responses[-1].headers["Retry-After"]) >= 1


def test_one_token_cannot_fill_the_queue(labs: list[Lab], tmp_path: Path) -> None:
    lab = Lab(tmp_path, "--max-queued-per-token", "3", "--max-queued-jobs", "5")
    labs.append(lab)
    lab.open()
    lab.when(lab.submit(model_args={"behave": "hang"}), "running")
    body = {"model": "dummy", "tasks": ["mme"]}

    def submitted(role: Role) -> list[int]:
        responses = (lab.send("POST", "/evaluate", role, json=body) for _ in range(5))
        return [each.status_code for each in responses]

    assert submitted(Role.SUBMITTER) == [200, 200, 200, 429, 429]
    assert submitted(Role.ADMIN) == [200, 200, 429, 429, 429]


def test_the_number_of_connections_is_limited(labs: list[Lab], tmp_path: Path) -> None:
    lab = started(labs, tmp_path, "--max-connections", "8")
    lab.client.close()
    sockets = [socket.create_connection(("127.0.0.1", lab.server.port)) for _ in range(20)]
    received: dict[socket.socket, bytes] = {}
    while len(received) < 12:
        readable = select.select(set(sockets) - received.keys(), [], [], WAIT_SECONDS)[0]
        assert readable, f"only {len(received)} of 20 got a response"
        received |= {each: each.recv(64) for each in readable}
    for each in sockets:
        each.close()

    assert all(response.startswith(b"HTTP/1.1 503") for response in received.values())


def test_oversized_request_headers_are_rejected(labs: list[Lab], tmp_path: Path) -> None:
    lab = started(labs, tmp_path)

    many_headers = lab.send("GET", "/health", headers={f"X-{n}": "a" for n in range(500)})
    long_header = lab.send("GET", "/health", headers={"X-A": "a" * 20_000})

    assert (many_headers.status_code, long_header.status_code) == (400, 400)


def certificate(folder: Path, name: str, host: str = "localhost") -> tuple[Path, Path]:
    """Create a self-signed certificate for a host, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl is not installed")
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{host}",
         "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def served_certificate(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port))


def test_tls_is_served_and_the_certificate_reloaded(labs: list[Lab], tmp_path: Path) -> None:
    first, key = certificate(tmp_path, "first")
    second, second_key = certificate(tmp_path, "second")
    lab = Lab(tmp_path, "--tls-cert", str(first), "--tls-key", str(key))
    labs.append(lab)
    lab.tokens[Role.ADMIN] = lab.make_token("admin", Role.ADMIN)
    lab.server.launch()
    url = f"https://localhost:{lab.server.port}"
    client = httpx.Client(verify=ssl.create_default_context(cafile=str(first)), trust_env=False)
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            response = client.post(f"{url}/login", data={"token": lab.tokens[Role.ADMIN]})
            break
        except httpx.TransportError:
            time.sleep(0.1)
    session = response.cookies[f"__Host-evalserver_{lab.server.port}"]
    assert "Secure" in response.headers["Set-Cookie"]
    assert client.get(f"{url}/queue").status_code == 200
    client.cookies.clear()
    # What a page without TLS, or of another host name, could have set.
    planted = {"Cookie": f"evalserver_{lab.server.port}={session}"}
    assert client.get(f"{url}/queue", headers=planted).status_code == 401
    client.close()

    first.write_bytes(second.read_bytes())
    lab.server.process.send_signal(signal.SIGHUP)  # the key does not belong to the certificate
    while "the old one stays in use" not in lab.server.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert served_certificate(lab.server.port) != second.read_text()

    key.write_bytes(second_key.read_bytes())
    lab.server.process.send_signal(signal.SIGHUP)
    while served_certificate(lab.server.port).strip() != second.read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_revoked_tokens_are_rejected_after_a_restart_too(labs: list[Lab], tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    labs.append(lab)
    lab.open()
    browser = lab.log_in(Role.VIEWER)
    lab.server.stop()
    lab.start()
    assert browser.get("/queue").status_code == 200
    lab.server.stop()
    assert lab.command("revoke", "viewer").returncode == 0
    lab.start()

    assert browser.get("/queue").status_code == 401
    assert lab.send("GET", "/queue", Role.VIEWER).status_code == 401
