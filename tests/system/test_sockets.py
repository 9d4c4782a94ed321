"""Listening sockets: where they listen, and the errors when they cannot."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from evalserver.system.sockets import CannotListen, is_loopback, listen, network_key, url
from tests.support import free_port


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """The sockets that ``listen`` returns, closed afterwards."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(each)) for each in listen(host, port)]


def has_ipv6() -> bool:
    """Whether this machine has the IPv6 loopback address."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="IPv6 is off on this machine")


def test_a_bound_address_accepts_connections_at_once() -> None:
    port = free_port()

    with listening("127.0.0.1", port):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_localhost_is_always_bound_on_ipv4() -> None:
    port = free_port()

    with listening("localhost", port) as sockets:
        assert ("127.0.0.1", port) in [each.getsockname()[:2] for each in sockets]


@needs_ipv6
def test_an_ipv6_address_can_be_listened_on() -> None:
    port = free_port()

    with listening("::1", port):
        socket.create_connection(("::1", port), timeout=5).close()


def test_a_port_in_use_is_rejected_with_advice() -> None:
    port = free_port()

    with (
        listening("127.0.0.1", port),
        pytest.raises(CannotListen, match=rf"http://127.0.0.1:{port}: .*in use.*--port"),
    ):
        listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_error_leaves_nothing_bound(host: str) -> None:
    port = free_port()
    with listening("127.0.0.1", port):
        before = os.listdir("/proc/self/fd")  # noqa: PTH208

        with pytest.raises(CannotListen):
            listen(host, port)

        assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


def test_a_port_just_released_can_be_bound_again() -> None:
    port = free_port()
    with listening("127.0.0.1", port):
        client = socket.create_connection(("127.0.0.1", port), timeout=5)
    client.close()

    with listening("127.0.0.1", port) as sockets:
        assert sockets


def test_an_address_of_another_machine_is_rejected() -> None:
    # TEST-NET-1: no machine has it.
    with pytest.raises(CannotListen, match=r"http://192.0.2.1:8000: no such address"):
        listen("192.0.2.1", 8000)


def test_an_unknown_host_name_is_rejected() -> None:
    with pytest.raises(CannotListen, match=r"cannot listen on http://no-such-host\.invalid:8000: "):
        listen("no-such-host.invalid", 8000)


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_an_invalid_host_name_is_rejected(host: str) -> None:
    with pytest.raises(CannotListen, match="cannot listen on"):
        listen(host, 8000)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", "http://localhost:8000"),
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
    ],
)
def test_the_url_is_the_one_for_clients(host: str, expected: str) -> None:
    assert url(host, 8000) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_only_addresses_of_this_machine_alone_are_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:0:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("no address", "another", False),
    ],
)
def test_addresses_of_one_ipv6_network_belong_to_one_client(
    one: str, other: str, same: bool
) -> None:
    assert (network_key(one) == network_key(other)) is same
