"""Host names under which a server accepts requests."""

import socket

import pytest

from evalserver.web.security.allowed_hosts import AllowedHosts

ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - not bound


@pytest.mark.parametrize(
    ("bind_address", "header", "allowed"),
    [
        ("localhost", "localhost:8000", True),
        ("localhost", "127.0.0.1", True),
        ("127.0.0.1", "localhost.", True),
        ("127.0.0.1", "[::1]:8000", True),
        ("127.0.0.1", "10.0.0.7", False),
        ("10.0.0.7", "10.0.0.7:8000", True),
        ("10.0.0.7", "10.0.0.8:8000", False),
        ("10.0.0.7", "localhost", False),
        ("gpu7", "GPU7:8000", True),
        ("gpu7", "gpu7.evil.example", False),
        ("::", "[fe80::1]:8000", True),
        (ALL_INTERFACES, "192.168.1.1:80", True),
        (ALL_INTERFACES, "localhost", True),
        (ALL_INTERFACES, "evil.example", False),
        (ALL_INTERFACES, f"{socket.gethostname()}:8000", True),
        (ALL_INTERFACES, "1.2.3.4.evil.example", False),
        (ALL_INTERFACES, "eval.lab.example", True),
    ],
)
def test_a_server_accepts_its_address_and_its_names(
    bind_address: str, header: str, allowed: bool
) -> None:
    assert AllowedHosts(bind_address, ["eval.lab.example"]).allows(header) is allowed
