"""Which requests are retried, how long the pauses are, and when retrying ends."""

import asyncio
import itertools
import ssl
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from evalserver.client import RequestFailed, ServerUnreachable
from evalserver.client.retries import Retries, retry_after_s
from tests.client.both import call
from tests.client.conftest import MakeClient
from tests.client.faulty import Disconnect, FaultyServer, Reply, busy, problem, unresponsive_port
from tests.security.test_starting import certificate
from tests.support import free_port

HEALTHY = Reply({"queue_size": 0})
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def test_pauses_double_up_to_the_maximum() -> None:
    retries = Retries(first_s=1.0, longest_s=8.0, chance=lambda: 1.0)

    assert [retries.pause_s(number) for number in range(5)] == [1.0, 2.0, 4.0, 8.0, 8.0]


def test_jitter_shortens_a_pause_by_up_to_half() -> None:
    least = Retries(first_s=1.0, chance=lambda: 0.0)

    assert [least.pause_s(number) for number in range(3)] == [0.5, 1.0, 2.0]


def test_a_thousand_failures_do_not_overflow() -> None:
    assert Retries(longest_s=8.0, chance=lambda: 1.0).pause_s(1000) == 8.0


def test_the_pause_is_at_least_retry_after() -> None:
    assert Retries(longest_s=8.0).pause_s(0, 60.0) == 60.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 12:00:30", 30.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_retry_after_is_parsed_in_both_formats(text: str, seconds: float | None) -> None:
    assert retry_after_s({"Retry-After": text}, NOW) == seconds


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_temporary_errors_are_retried(
    make_quick_client: MakeClient, faulty: FaultyServer, status: int
) -> None:
    faulty.set_replies("/queue", busy(status), busy(status), HEALTHY)

    answer = await call(make_quick_client(faulty.url), "get_queue_status")

    assert answer == {"queue_size": 0}
    assert len(faulty.received) == 3


async def test_the_server_determines_the_pause(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/queue", busy(429, Retry_After="37"), HEALTHY)
    client = make_quick_client(faulty.url)

    await call(client, "get_queue_status")

    assert client.pauses == [37.0]


async def test_a_pause_beyond_the_time_limit_is_not_started(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/queue", busy(503, Retry_After="3600"), HEALTHY)
    client = make_quick_client(faulty.url)

    with pytest.raises(RequestFailed, match="Nothing can be written"):
        await call(client, "get_queue_status")

    assert client.pauses == []


async def test_retrying_ends_at_the_time_limit(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/queue", busy())
    client = make_quick_client(faulty.url, retry_for=30)

    with pytest.raises(RequestFailed) as raised:
        await call(client, "get_queue_status")

    assert raised.value.status == 503
    assert 20 < sum(client.pauses) <= 30


async def test_a_cut_connection_is_reopened(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(
        "/queue", Disconnect(), Disconnect(b'{"queue', {"Content-Length": "99"}), HEALTHY
    )

    assert await call(make_quick_client(faulty.url), "get_queue_status") == {"queue_size": 0}


async def test_a_refused_connection_ends_with_a_helpful_message(
    make_quick_client: MakeClient,
) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(httpx.ConnectError) as raised:
        await call(make_quick_client(url, retry_for=30), "get_queue_status")

    assert f"{url} does not answer" in str(raised.value)
    assert isinstance(raised.value, ServerUnreachable)


async def test_an_untrusted_certificate_is_reported_immediately(
    make_quick_client: MakeClient, tmp_path: Path
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate(tmp_path, "unknown"))
    server = await asyncio.start_server(lambda *_: None, "localhost", 0, ssl=tls)
    async with server:
        client = make_quick_client(f"https://localhost:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(ServerUnreachable, match="SSL_CERT_FILE"):
            await call(client, "get_queue_status")

    assert client.pauses == []


async def test_an_unresponsive_server_is_given_up_after_the_timeout(
    make_quick_client: MakeClient,
) -> None:
    async with unresponsive_port() as url:
        client = make_quick_client(url, timeout=0.5, retry_for=2)
        with pytest.raises(httpx.ReadTimeout):
            await call(client, "get_queue_status")

    assert client.pauses


@pytest.mark.parametrize("status", [400, 404, 409, 410, 422, 500])
async def test_permanent_errors_are_not_retried(
    make_quick_client: MakeClient, faulty: FaultyServer, status: int
) -> None:
    faulty.set_replies("/queue", problem(status, "no"))

    with pytest.raises(RequestFailed):
        await call(make_quick_client(faulty.url), "get_queue_status")

    assert len(faulty.received) == 1


async def test_health_is_not_retried(make_quick_client: MakeClient, faulty: FaultyServer) -> None:
    faulty.set_replies("/health", busy(), Reply({"status": "healthy"}))

    assert await call(make_quick_client(faulty.url), "is_healthy") is False


async def test_the_first_failure_is_logged(
    make_quick_client: MakeClient, faulty: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.set_replies("/queue", busy(), busy(), HEALTHY)

    await call(make_quick_client(faulty.url), "get_queue_status")

    [warned] = [each for each in caplog.records if each.levelname == "WARNING"]
    assert "GET /queue: Nothing can be written right now; trying again in" in warned.getMessage()


class TestSubmitting:
    """Submissions whose response was lost, which the server may have accepted."""

    QUEUED = Reply({"job_id": "j1", "status": "queued"})
    KNOWS_KEYS = Reply({"paths": {"/evaluate": {"post": {"in": "header Idempotency-Key"}}}})

    async def test_is_repeated_with_the_same_key_if_the_server_supports_keys(
        self, make_quick_client: MakeClient, faulty: FaultyServer
    ) -> None:
        faulty.set_replies("/evaluate", Disconnect(), busy(502), self.QUEUED)
        faulty.set_replies("/openapi.json", self.KNOWS_KEYS)

        job = await call(make_quick_client(faulty.url), "evaluate", "m", ["t"])

        assert job["job_id"] == "j1"
        keys = [each.headers["Idempotency-Key"] for each in faulty.requests_to("/evaluate")]
        assert len(keys) == 3
        assert len(set(keys)) == 1

    async def test_is_not_repeated_if_the_server_does_not_support_keys(
        self, make_quick_client: MakeClient, faulty: FaultyServer
    ) -> None:
        faulty.set_replies("/evaluate", Disconnect(), self.QUEUED)
        faulty.set_replies("/openapi.json", Reply({"paths": {"/evaluate": {}}}))

        with pytest.raises(ServerUnreachable, match="may have received POST /evaluate"):
            await call(make_quick_client(faulty.url), "evaluate", "m", ["t"])

        assert len(faulty.requests_to("/evaluate")) == 1

    async def test_is_always_repeated_after_a_temporary_rejection(
        self, make_quick_client: MakeClient, faulty: FaultyServer
    ) -> None:
        faulty.set_replies("/evaluate", busy(503), busy(429), self.QUEUED)

        job = await call(make_quick_client(faulty.url), "evaluate", "m", ["t"])

        assert job["job_id"] == "j1"
        assert faulty.requests_to("/openapi.json") == []

    async def test_waits_while_the_same_submission_is_being_processed(
        self, make_quick_client: MakeClient, faulty: FaultyServer
    ) -> None:
        at_work = problem(409, "The first is at work", headers={"Retry-After": "1"})
        faulty.set_replies("/evaluate", Disconnect(), at_work, self.QUEUED)
        faulty.set_replies("/openapi.json", self.KNOWS_KEYS)

        job = await call(make_quick_client(faulty.url), "evaluate", "m", ["t"])

        assert job["job_id"] == "j1"

    async def test_each_submission_has_its_own_key(
        self, make_quick_client: MakeClient, faulty: FaultyServer
    ) -> None:
        faulty.set_replies("/evaluate", self.QUEUED)
        client = make_quick_client(faulty.url)

        for _ in range(3):
            await call(client, "evaluate", "m", ["t"])

        assert len({each.headers["Idempotency-Key"] for each in faulty.received}) == 3


@pytest.mark.parametrize(
    ("name", "path"), [("retry_job", "/jobs/j1/retry"), ("merge_checkpoint", "/merge")]
)
async def test_a_command_that_may_have_been_executed_is_not_repeated(
    make_quick_client: MakeClient, faulty: FaultyServer, name: str, path: str
) -> None:
    faulty.set_replies(path, Disconnect())

    with pytest.raises(ServerUnreachable, match="may have received POST"):
        await call(make_quick_client(faulty.url), name, "j1")

    assert len(faulty.requests_to(path)) == 1


async def test_a_command_that_timed_out_is_not_repeated(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/jobs/j1/retry", Reply({}, after_s=60.0), Reply({"job_id": "j1"}))

    with pytest.raises(ServerUnreachable, match="may have received POST"):
        await call(make_quick_client(faulty.url, timeout=2), "retry_job", "j1")

    assert len(faulty.requests_to("/jobs/j1/retry")) == 1


async def test_a_cancel_whose_response_was_lost_succeeds(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    finished = problem(409, "Job j1 is cancelled already")
    faulty.set_replies("/jobs/j1", Disconnect(), finished, Reply({"status": "cancelled"}))

    answer = await call(make_quick_client(faulty.url), "cancel_job", "j1")

    assert "cancelled" in answer["message"]


async def test_a_lost_response_is_remembered_while_the_server_is_busy(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    finished = problem(409, "Job j1 is cancelled already")
    faulty.set_replies("/jobs/j1", Disconnect(), busy(), finished, Reply({"status": "cancelled"}))

    answer = await call(make_quick_client(faulty.url), "cancel_job", "j1")

    assert "cancelled" in answer["message"]


async def test_a_cancelled_job_cannot_be_cancelled_again(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    finished = problem(409, "Job j1 is cancelled already")
    faulty.set_replies("/jobs/j1", finished, Reply({"status": "cancelled"}))

    with pytest.raises(RequestFailed, match="cancelled already"):
        await call(make_quick_client(faulty.url), "cancel_job", "j1")


async def test_a_cancel_that_comes_too_late_is_an_error(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    for cut in ([], [Disconnect()]):
        finished = problem(409, "Job j1 has completed")
        faulty.set_replies("/jobs/j1", *cut, finished, Reply({"status": "completed"}))

        with pytest.raises(RequestFailed, match="has completed"):
            await call(make_quick_client(faulty.url), "cancel_job", "j1")


def test_clients_do_not_retry_all_at_once() -> None:
    pauses = {Retries().pause_s(3) for _ in itertools.repeat(None, 50)}

    assert len(pauses) > 40
