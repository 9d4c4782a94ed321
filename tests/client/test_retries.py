"""What is tried again, how long the pauses are, and when it is enough."""

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
from tests.client.faulty import Answer, Cut, FaultyServer, busy, dark_port, problem
from tests.security.test_starting import certificate
from tests.support import free_port

HEALTHY = Answer({"queue_size": 0})
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def test_pauses_double_up_to_the_longest() -> None:
    retries = Retries(first_s=1.0, longest_s=8.0, chance=lambda: 1.0)

    assert [retries.pause_s(number) for number in range(5)] == [1.0, 2.0, 4.0, 8.0, 8.0]


def test_chance_takes_up_to_half_of_a_pause() -> None:
    least = Retries(first_s=1.0, chance=lambda: 0.0)

    assert [least.pause_s(number) for number in range(3)] == [0.5, 1.0, 2.0]


def test_a_thousand_failures_do_not_overflow() -> None:
    assert Retries(longest_s=8.0, chance=lambda: 1.0).pause_s(1000) == 8.0


def test_the_pause_is_as_long_as_the_server_asks() -> None:
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
def test_retry_after_is_read_in_both_of_its_forms(text: str, seconds: float | None) -> None:
    assert retry_after_s({"Retry-After": text}, NOW) == seconds


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_passes_is_tried_again(
    make_quick_client: MakeClient, faulty: FaultyServer, status: int
) -> None:
    faulty.answers("/queue", busy(status), busy(status), HEALTHY)

    answer = await call(make_quick_client(faulty.url), "get_queue_status")

    assert answer == {"queue_size": 0}
    assert len(faulty.asked) == 3


async def test_the_server_says_how_long_to_wait(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/queue", busy(429, Retry_After="37"), HEALTHY)
    client = make_quick_client(faulty.url)

    await call(client, "get_queue_status")

    assert client.pauses == [37.0]


async def test_a_wait_beyond_the_limit_is_not_begun(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/queue", busy(503, Retry_After="3600"), HEALTHY)
    client = make_quick_client(faulty.url)

    with pytest.raises(RequestFailed, match="Nothing can be written"):
        await call(client, "get_queue_status")

    assert client.pauses == []


async def test_trying_ends_with_the_limit(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/queue", busy())
    client = make_quick_client(faulty.url, retry_for=30)

    with pytest.raises(RequestFailed) as raised:
        await call(client, "get_queue_status")

    assert raised.value.status == 503
    assert 20 < sum(client.pauses) <= 30


async def test_a_cut_connection_is_made_again(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/queue", Cut(), Cut(b'{"queue', {"Content-Length": "99"}), HEALTHY)

    assert await call(make_quick_client(faulty.url), "get_queue_status") == {"queue_size": 0}


async def test_a_refused_connection_ends_with_words_that_help(
    make_quick_client: MakeClient,
) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(httpx.ConnectError) as raised:
        await call(make_quick_client(url, retry_for=30), "get_queue_status")

    assert f"{url} does not answer" in str(raised.value)
    assert isinstance(raised.value, ServerUnreachable)


async def test_a_certificate_that_is_not_trusted_is_told_at_once(
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


async def test_a_server_that_says_nothing_is_given_up_after_the_timeout(
    make_quick_client: MakeClient,
) -> None:
    async with dark_port() as url:
        client = make_quick_client(url, timeout=0.5, retry_for=2)
        with pytest.raises(httpx.ReadTimeout):
            await call(client, "get_queue_status")

    assert client.pauses


@pytest.mark.parametrize("status", [400, 404, 409, 410, 422, 500])
async def test_what_does_not_pass_is_not_tried_again(
    make_quick_client: MakeClient, faulty: FaultyServer, status: int
) -> None:
    faulty.answers("/queue", problem(status, "no"))

    with pytest.raises(RequestFailed):
        await call(make_quick_client(faulty.url), "get_queue_status")

    assert len(faulty.asked) == 1


async def test_health_is_what_it_is_now(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/health", busy(), Answer({"status": "healthy"}))

    assert await call(make_quick_client(faulty.url), "is_healthy") is False


async def test_the_first_failure_is_told_in_the_log(
    make_quick_client: MakeClient, faulty: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.answers("/queue", busy(), busy(), HEALTHY)

    await call(make_quick_client(faulty.url), "get_queue_status")

    [warned] = [each for each in caplog.records if each.levelname == "WARNING"]
    assert "GET /queue: Nothing can be written right now; trying again in" in warned.getMessage()


class TestSubmitting:
    """A submission whose answer was lost may have been taken."""

    QUEUED = Answer({"job_id": "j1", "status": "queued"})
    KNOWS_KEYS = Answer({"paths": {"/evaluate": {"post": {"in": "header Idempotency-Key"}}}})

    async def test_is_sent_again_under_the_same_key_where_keys_are_known(
        self, make_quick_client: MakeClient, faulty: FaultyServer
    ) -> None:
        faulty.answers("/evaluate", Cut(), busy(502), self.QUEUED)
        faulty.answers("/openapi.json", self.KNOWS_KEYS)

        job = await call(make_quick_client(faulty.url), "evaluate", "m", ["t"])

        assert job["job_id"] == "j1"
        keys = [each.headers["Idempotency-Key"] for each in faulty.asked_for("/evaluate")]
        assert len(keys) == 3
        assert len(set(keys)) == 1

    async def test_is_not_sent_again_where_keys_are_unknown(
        self, make_quick_client: MakeClient, faulty: FaultyServer
    ) -> None:
        faulty.answers("/evaluate", Cut(), self.QUEUED)
        faulty.answers("/openapi.json", Answer({"paths": {"/evaluate": {}}}))

        with pytest.raises(ServerUnreachable, match="may have received POST /evaluate"):
            await call(make_quick_client(faulty.url), "evaluate", "m", ["t"])

        assert len(faulty.asked_for("/evaluate")) == 1

    async def test_is_sent_again_anywhere_when_it_was_turned_away(
        self, make_quick_client: MakeClient, faulty: FaultyServer
    ) -> None:
        faulty.answers("/evaluate", busy(503), busy(429), self.QUEUED)

        job = await call(make_quick_client(faulty.url), "evaluate", "m", ["t"])

        assert job["job_id"] == "j1"
        assert faulty.asked_for("/openapi.json") == []

    async def test_waits_for_the_same_submission_that_is_still_at_work(
        self, make_quick_client: MakeClient, faulty: FaultyServer
    ) -> None:
        at_work = problem(409, "The first is at work", headers={"Retry-After": "1"})
        faulty.answers("/evaluate", Cut(), at_work, self.QUEUED)
        faulty.answers("/openapi.json", self.KNOWS_KEYS)

        job = await call(make_quick_client(faulty.url), "evaluate", "m", ["t"])

        assert job["job_id"] == "j1"

    async def test_has_a_key_of_its_own_each_time(
        self, make_quick_client: MakeClient, faulty: FaultyServer
    ) -> None:
        faulty.answers("/evaluate", self.QUEUED)
        client = make_quick_client(faulty.url)

        for _ in range(3):
            await call(client, "evaluate", "m", ["t"])

        assert len({each.headers["Idempotency-Key"] for each in faulty.asked}) == 3


@pytest.mark.parametrize(
    ("name", "path"), [("retry_job", "/jobs/j1/retry"), ("merge_checkpoint", "/merge")]
)
async def test_a_deed_that_may_have_been_done_is_not_asked_for_twice(
    make_quick_client: MakeClient, faulty: FaultyServer, name: str, path: str
) -> None:
    faulty.answers(path, Cut())

    with pytest.raises(ServerUnreachable, match="may have received POST"):
        await call(make_quick_client(faulty.url), name, "j1")

    assert len(faulty.asked_for(path)) == 1


async def test_a_command_whose_answer_does_not_come_in_time_is_not_sent_twice(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/jobs/j1/retry", Answer({}, after_s=60.0), Answer({"job_id": "j1"}))

    with pytest.raises(ServerUnreachable, match="may have received POST"):
        await call(make_quick_client(faulty.url, timeout=2), "retry_job", "j1")

    assert len(faulty.asked_for("/jobs/j1/retry")) == 1


async def test_a_cancel_whose_answer_was_lost_has_worked(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    finished = problem(409, "Job j1 is cancelled already")
    faulty.answers("/jobs/j1", Cut(), finished, Answer({"status": "cancelled"}))

    answer = await call(make_quick_client(faulty.url), "cancel_job", "j1")

    assert "cancelled" in answer["message"]


async def test_a_lost_answer_is_remembered_while_the_server_is_busy(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    finished = problem(409, "Job j1 is cancelled already")
    faulty.answers("/jobs/j1", Cut(), busy(), finished, Answer({"status": "cancelled"}))

    answer = await call(make_quick_client(faulty.url), "cancel_job", "j1")

    assert "cancelled" in answer["message"]


async def test_a_job_that_was_cancelled_before_cannot_be_cancelled(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    finished = problem(409, "Job j1 is cancelled already")
    faulty.answers("/jobs/j1", finished, Answer({"status": "cancelled"}))

    with pytest.raises(RequestFailed, match="cancelled already"):
        await call(make_quick_client(faulty.url), "cancel_job", "j1")


async def test_a_cancel_that_comes_too_late_is_an_error(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    for cut in ([], [Cut()]):
        finished = problem(409, "Job j1 has completed")
        faulty.answers("/jobs/j1", *cut, finished, Answer({"status": "completed"}))

        with pytest.raises(RequestFailed, match="has completed"):
            await call(make_quick_client(faulty.url), "cancel_job", "j1")


def test_the_clients_of_a_server_do_not_come_back_all_at_once() -> None:
    pauses = {Retries().pause_s(3) for _ in itertools.repeat(None, 50)}

    assert len(pauses) > 40
