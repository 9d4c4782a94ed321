"""What is signed and sent, to which addresses, and how long a failure pauses."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from evalserver.core.clock import timestamp
from evalserver.followers.webhooks.addresses import AddressRefused, AllowedAddresses
from evalserver.followers.webhooks.bodies import MAX_BYTES, body
from evalserver.followers.webhooks.dispatcher import Pauses
from evalserver.followers.webhooks.sender import Sender, _seconds_of, connections
from evalserver.followers.webhooks.signing import make_secret, signature
from evalserver.store import Webhook
from tests.followers.receivers import Receiver, receiving

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_the_published_library_verifies_a_signature() -> None:
    secret, seconds = make_secret(), int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(seconds),
        "webhook-signature": signature([make_secret(), secret], "msg_1", seconds, '{"a": 1}'),
    }

    assert Verifier(secret).verify('{"a": 1}', headers) == {"a": 1}


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.1", "255.255.255.255", "224.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0",
        "fc00::1", "ff02::1", "::ffff:10.0.0.1", "::10.0.0.1", "64:ff9b::10.0.0.1",
        "64:ff9b:1::10.0.0.1", "2002:0a00:0001::", "192.0.2.1", "2001:db8::1", "nonsense",
    ],
)  # fmt: skip
def test_no_address_that_is_not_public_is_allowed(address: str) -> None:
    assert not AllowedAddresses().allows(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert AllowedAddresses().allows(address)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_the_operator_can_allow_a_network(address: str) -> None:
    allowed = AllowedAddresses(["10.1.0.0/16"])

    assert allowed.allows(address)
    assert not allowed.allows("10.2.0.1")


async def test_a_name_resolves_to_allowed_addresses_only() -> None:
    with pytest.raises(AddressRefused, match="localhost is a private address"):
        await AllowedAddresses().resolve("localhost", 80)

    found = await AllowedAddresses(["127.0.0.0/8"]).resolve("localhost", 80)
    assert {each["host"] for each in found} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("failures", "retry_after_s", "pause_s"),
    [
        (1, None, 5),
        (2, None, 10),
        (5, None, 80),
        (1000, None, 14_400),
        (1, 60, 60),
        (1, 1e9, 14_400),
    ],
)
def test_pauses_grow_up_to_a_limit(
    failures: int, retry_after_s: float | None, pause_s: float
) -> None:
    assert Pauses().after(failures, retry_after_s) == pause_s


@pytest.mark.parametrize(
    ("failures", "days", "are_over"),
    [(10, 3.1, True), (1000, 2.9, False), (9, 365, False), (10, -365, False)],
)
def test_pauses_are_over_after_three_days_and_some_attempts(
    failures: int, days: float, are_over: bool
) -> None:
    """A server that was stopped for a week, or whose clock was set, has made few of them."""
    assert Pauses().are_over(failures, days * 86400) is are_over


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("7", 7), ("Tue, 01 Jan 2030 00:01:00 GMT", 60), ("soon", None), ("-5", None),
        ("Tue, 01 Jan 2019 00:01:00 GMT", 0), ("9" * 40, None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert _seconds_of(header, NOW.timestamp()) == seconds


def test_a_large_body_leaves_out_what_is_least_needed() -> None:
    data = {"job_id": "j", "metrics": ["x" * 100] * 1000, "error": "e", "model": "m"}

    text = body("job.completed", "2030", data)

    assert len(text.encode()) <= MAX_BYTES
    assert json.loads(text)["data"] == {
        "job_id": "j", "error": "e", "model": "m", "omitted": ["metrics"],
    }  # fmt: skip


def test_a_body_has_no_secret() -> None:
    text = body("job.failed", "2030", {"error": "api_key=sk-abcdefghijklmnopqrstu was rejected"})

    assert "sk-abcdef" not in text


def webhook_of(receiver: Receiver) -> Webhook:
    """A webhook that is kept nowhere."""
    return Webhook("w", receiver.url, (), None, {}, make_secret(), "2030", "bob")


async def attempt(webhook: Webhook, timeout_s: float = 60.0) -> str | None:
    """Send a message once; returns the error."""
    allowed = AllowedAddresses(["127.0.0.1"])
    async with connections(allowed, timeout_s) as session:
        return (await Sender(session, allowed).send(webhook, "m", "{}")).error


async def test_an_answer_that_takes_too_long_is_a_failure(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        receiver.behave(delay_s=600)

        assert await attempt(webhook_of(receiver), 0.2) == "no answer within 0.2 s"


async def test_an_old_secret_signs_until_its_time_only(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        for hours in (1, -1):
            until = timestamp(datetime.now(UTC) + timedelta(hours=hours))
            webhook = webhook_of(receiver)
            await attempt(replace(webhook, old_secret=make_secret(), old_secret_until=until))

        signatures = [each["headers"]["webhook-signature"] for each in receiver.requests]
        assert [len(each.split()) for each in signatures] == [2, 1]


@pytest.mark.parametrize(
    "answer", [b"\x00nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 99_999]
)
async def test_neither_the_url_nor_a_strange_answer_is_in_an_error(answer: bytes) -> None:
    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(receive, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        receiver = Receiver(port, Path("none"))

        assert await attempt(webhook_of(receiver)) == "its answer is not HTTP"
