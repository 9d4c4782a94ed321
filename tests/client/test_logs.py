"""Reading and following logs, with faulty servers and networks."""

import asyncio
from typing import Any

import pytest

from evalserver.client import NotFound, Pruned
from tests.client.both import call, collect, rows
from tests.client.conftest import MakeClient
from tests.client.faulty import Disconnect, FaultyServer, Reply, busy, problem
from tests.client.proxy import CuttingProxy
from tests.support import ServerProcess

LOG = "/jobs/j1/log"
JOB = "/jobs/j1"


def job(status: str, attempt: int = 1, event_id: int = 9) -> Reply:
    """Return a response with a job."""
    return Reply({"job_id": "j1", "status": status, "attempt": attempt, "event_id": event_id})


def log(text: str, offset: int = 0) -> Reply:
    """Return a response with a part of the log, starting at an offset."""
    return Reply(text=text, headers={"Log-Offset": str(offset)})


def cut(text: str, offset: int = 0) -> Disconnect:
    """Return the same response, cut at its end."""
    return Disconnect(text.encode(), {"Log-Offset": str(offset)})


def queries(faulty: FaultyServer) -> list[dict[str, str]]:
    """Return the query parameters of each request for the log."""
    return [dict(each.query) for each in faulty.requests_to(LOG)]


async def test_lines_include_their_line_ends(make_client: MakeClient, faulty: FaultyServer) -> None:
    faulty.set_replies(JOB, job("completed"))
    faulty.set_replies(LOG, log("one\ntwo\r\n\n  10%|#\r  20%|##\rdone\n\u2028 is no end\nlast"))

    assert await collect(make_client(faulty.url), "logs", "j1") == [
        *("one\n", "two\r\n", "\n", "  10%|#\r", "  20%|##\r", "done\n"),
        *("\u2028 is no end\n", "last"),
    ]


async def test_plain_lines_are_as_a_terminal_would_show_them(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(JOB, job("completed"))
    faulty.set_replies(LOG, log("\x1b[32mone\x1b[0m\n  10%|#\r  20%|##\nlast"))

    lines = await collect(make_client(faulty.url), "logs", "j1", plain=True)

    assert lines == ["one\n", "  20%|##\n", "last"]


async def test_a_job_that_has_not_started_has_no_lines(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(JOB, job("queued", attempt=0))

    assert await collect(make_client(faulty.url), "logs", "j1") == []


async def test_reading_a_cut_log_continues_at_the_cut(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(JOB, job("completed"))
    first = "grüße "
    faulty.set_replies(LOG, cut(first), busy(), cut("", 8), log("an alle\n", len(first.encode())))

    lines = await collect(make_quick_client(faulty.url), "logs", "j1")

    assert "".join(lines) == "grüße an alle\n"
    assert queries(faulty)[-1] == {"attempt": "1", "offset": "8"}


async def test_a_cut_character_is_reassembled(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(JOB, job("completed"))
    whole = "ü\n".encode()
    rest = Reply(text="\n", headers={"Log-Offset": "1"})
    halves = Disconnect(whole[:1], {"Log-Offset": "0"}), Disconnect(whole[1:2], {"Log-Offset": "1"})
    faulty.set_replies(LOG, *halves, rest)

    assert await collect(make_quick_client(faulty.url), "logs", "j1") == ["ü\n"]


async def test_the_tail_is_requested_only_once(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(JOB, job("completed"))
    faulty.set_replies(LOG, cut("one\n", 100), log("two\n", 104))

    lines = await collect(make_quick_client(faulty.url), "logs", "j1", tail=2)

    assert lines == ["one\n", "two\n"]
    assert queries(faulty) == [
        {"attempt": "1", "tail": "2"},
        {"attempt": "1", "offset": "104"},
    ]


async def test_following_continues_where_a_stopped_server_left_off(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(JOB, job("running"), job("running"), job("completed"))
    faulty.set_replies(LOG, log("one\n"), log("two\n", 4))

    lines = await collect(make_quick_client(faulty.url), "logs", "j1", follow=True)

    assert lines == ["one\n", "two\n"]
    assert queries(faulty)[1] == {"attempt": "1", "follow": "1", "offset": "4"}


async def test_following_continues_with_further_attempts(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    second = job("running", attempt=2)
    faulty.set_replies(
        JOB, job("running"), job("queued"), job("queued"), second, job("completed", 2)
    )
    faulty.set_replies(LOG, log("first\n"), log("second\n"))

    lines = await collect(make_quick_client(faulty.url), "logs", "j1", follow=True)

    assert lines == ["first\n", "second\n"]
    assert [query["attempt"] for query in queries(faulty)] == ["1", "2"]


async def test_following_one_attempt_ends_with_it(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(JOB, job("running", attempt=3))
    faulty.set_replies(LOG, log("first\n"))

    lines = await collect(make_quick_client(faulty.url), "logs", "j1", follow=True, attempt=1)

    assert lines == ["first\n"]


async def test_a_line_without_an_end_is_returned_in_parts(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(JOB, job("completed"))
    faulty.set_replies(LOG, log("x" * 1_000_000))

    lines = await collect(make_client(faulty.url), "logs", "j1")

    assert len(lines) > 1
    assert "".join(lines) == "x" * 1_000_000


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (410, Pruned)])
async def test_a_missing_log_raises(
    make_client: MakeClient, faulty: FaultyServer, status: int, kind: type[Exception]
) -> None:
    faulty.set_replies(JOB, job("completed"))
    faulty.set_replies(LOG, problem(status, "The log is gone"))

    with pytest.raises(kind, match="The log is gone"):
        await collect(make_client(faulty.url), "logs", "j1")


class TestRealServer:
    """Logs of a real server."""

    async def submit(self, client: Any, **model_args: Any) -> str:
        """Submit an evaluation, and return its job id."""
        job = await call(client, "evaluate", "dummy", ["mme"], model_args=model_args)
        return str(job["job_id"])

    async def test_a_log_is_followed_from_the_queue_to_the_end(
        self, server: ServerProcess, make_client: MakeClient
    ) -> None:
        async with server:
            client = make_client(server.url)
            await self.submit(client, seconds=1)
            job_id = await self.submit(client, seconds=1, name="second")

            lines = await collect(client, "logs", job_id, follow=True)

        assert lines == ["stand-in runs as second\n"]

    async def test_following_loses_and_repeats_nothing_through_cuts_and_crashes(
        self, server: ServerProcess, make_client: MakeClient
    ) -> None:
        async with server, CuttingProxy(server.url) as proxy:
            client = make_client(proxy.url)
            job_id = await self.submit(client, behave="count", lines=60, pause=0.1)
            lines: list[str] = []
            async for line in rows(client, "logs", job_id, follow=True):
                lines.append(line)
                if len(lines) in (10, 20):
                    proxy.cut_all()
                if len(lines) == 30:
                    server.kill()
                    starting = asyncio.create_task(server.start())

            await starting

        assert lines[1:] == [f"line {number}\n" for number in range(60)]

    async def test_the_tail_has_the_last_lines(
        self, server: ServerProcess, make_client: MakeClient
    ) -> None:
        async with server:
            client = make_client(server.url)
            job_id = await self.submit(client, behave="count", lines=50, pause=0)
            await call(client, "wait_for_job", job_id, verbose=False)

            lines = await collect(client, "logs", job_id, tail=2, plain=True)

        assert lines == ["line 48\n", "line 49\n"]

    async def test_each_attempt_has_its_own_log(
        self, server: ServerProcess, make_client: MakeClient
    ) -> None:
        async with server:
            client = make_client(server.url)
            job_id = await self.submit(client, behave="count", lines=1)
            await call(client, "wait_for_job", job_id, verbose=False)
            await call(client, "retry_job", job_id)
            await call(client, "wait_for_job", job_id, verbose=False)

            first = await collect(client, "logs", job_id, attempt=1)

            assert first == await collect(client, "logs", job_id)
            with pytest.raises(NotFound, match="has no attempt 3"):
                await collect(client, "logs", job_id, attempt=3)
