"""Host names under which a server accepts requests."""

import socket

import pytest

from evalserver.web.security.allowed_hosts import AllowedHosts

EVERYWHERE = "0.0.0.0"  # noqa: S104 - it is not listened on


@pytest.mark.parametrize(
    ("bound", "header", "fine"),
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
        (EVERYWHERE, "192.168.1.1:80", True),
        (EVERYWHERE, "localhost", True),
        (EVERYWHERE, "evil.example", False),
        (EVERYWHERE, f"{socket.gethostname()}:8000", True),
        (EVERYWHERE, "1.2.3.4.evil.example", False),
        (EVERYWHERE, "eval.lab.example", True),
    ],
)
def test_a_server_accepts_its_address_and_its_names(bound: str, header: str, fine: bool) -> None:
    assert AllowedHosts(bound, ["eval.lab.example"]).allows(header) is fine
