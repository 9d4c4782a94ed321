"""Which forwarded addresses and protocols are trusted."""

import pytest
from aiohttp.test_utils import make_mocked_request

from evalserver.web.security.proxies import TrustedProxies


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ([], "10.0.0.1", "6.6.6.6", "10.0.0.1"),
        (["10.0.0.1"], "10.0.0.2", "6.6.6.6", "10.0.0.2"),
        (["10.0.0.1"], "10.0.0.1", "1.2.3.4", "1.2.3.4"),
        (["10.0.0.1"], "10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (["10.0.0.0/8"], "10.0.0.1", "6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"),
        (["10.0.0.1"], "10.0.0.1", "6.6.6.6, nonsense", "10.0.0.1"),
        (["10.0.0.1"], "10.0.0.1", "", "10.0.0.1"),
        (["::1"], "::1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(
    trusted: list[str], peer: str, forwarded: str, client: str
) -> None:
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": forwarded})

    assert TrustedProxies(trusted).client_address(request.clone(remote=peer)) == client


@pytest.mark.parametrize(("peer", "secure"), [("10.0.0.1", True), ("10.0.0.2", False)])
def test_a_trusted_proxy_reports_whether_the_client_used_tls(peer: str, secure: bool) -> None:
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-Proto": "https"})

    assert TrustedProxies(["10.0.0.1"]).is_secure(request.clone(remote=peer)) is secure
