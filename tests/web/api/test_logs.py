"""``GET /jobs/{job_id}/log``: complete, partial, followed and as plain text, of any attempt."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from evalserver.monitoring.eval_log import EvalLog
from evalserver.monitoring.event_bus import EventBus
from evalserver.store import Store
from evalserver.web.streams.log_follower import LogFollower
from tests.conftest import MakeApi
from tests.store.test_jobs import PLENTY, completed, start
from tests.support import Api, Json, ServerProcess, until, without_permissions

HANG = {"behave": "hang"}
TEXT = b"first line\nsecond line\n\x1b[32mthird\x1b[0m line\n"


def log_of(job: Json) -> Path:
    """Return the path of the log of the job's latest attempt."""
    return Path(job["run_dir"]) / "eval.log"


async def ended_job(api: Api, text: bytes = TEXT) -> str:
    """A job that has ended, with this text as its log."""
    job_id = await api.submit()
    log_of(await api.finished(job_id)).write_bytes(text)
    return job_id


async def fetch(api: Api, job_id: str, query: str = "", **kwargs: Any) -> tuple[Any, bytes]:
    """Return the response and its body."""
    url = f"{api._base}/jobs/{job_id}/log{query}"
    async with api._session.request(kwargs.pop("method", "GET"), url, **kwargs) as response:
        return response, await response.read()


async def body(api: Api, job_id: str, query: str = "", **kwargs: Any) -> bytes:
    """Return the body of a response that must be 200."""
    response, content = await fetch(api, job_id, query, **kwargs)
    assert response.status == 200, content
    return content


@asynccontextmanager
async def following(api: Api, job_id: str, query: str = "") -> AsyncIterator["FollowedLog"]:
    """Follow a log."""
    url = f"{api._base}/jobs/{job_id}/log?follow=1{query}"
    async with api._session.request("GET", url) as response:
        assert response.status == 200
        yield FollowedLog(response)


class FollowedLog:
    """What has been received so far of a followed log."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._answer = response
        self.text = b""

    async def until(self, text: bytes) -> None:
        """Read until this text has been received."""
        while text not in self.text:
            piece = await self._answer.content.readany()
            assert piece, f"it ended before {text!r} came: {self.text!r}"
            self.text += piece

    async def read_all(self) -> bytes:
        """Read until the stream ends properly; return everything."""
        return self.text + await self._answer.read()


async def test_a_log_is_sent_as_utf8_text_that_browsers_do_not_sniff(api: Api) -> None:
    response, _ = await fetch(api, await ended_job(api))

    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_complete_log_of_an_ended_job(api: Api) -> None:
    assert await body(api, await ended_job(api)) == TEXT


async def test_the_log_of_a_queued_job_is_empty(api: Api) -> None:
    await api.submit(model_args=HANG)

    assert await body(api, await api.submit()) == b""


async def test_the_log_of_a_job_cancelled_before_its_start_is_empty(api: Api) -> None:
    await api.submit(model_args=HANG)
    job_id = await api.submit()
    await api.call("DELETE", f"/jobs/{job_id}")

    assert await body(api, job_id) == b""


async def test_the_log_of_a_running_job_is_its_output_so_far(api: Api) -> None:
    job_id = await api.submit(model_args={**HANG, "name": "it"})

    async def printed() -> bool:
        return await body(api, job_id) == b"stand-in runs as it\n"

    assert await until(printed)


async def test_a_job_links_to_its_log(api: Api) -> None:
    job_id = await ended_job(api)

    _, content = await fetch(api, job_id)
    async with api._session.get((await api.job(job_id))["links"]["log"]) as response:
        assert await response.read() == content


TAILS = {
    0: b"",
    1: b"\x1b[32mthird\x1b[0m line\n",
    2: b"second line\n\x1b[32mthird\x1b[0m line\n",
    3: TEXT,
    100: TEXT,
}


@pytest.mark.parametrize("lines", TAILS)
async def test_the_last_lines(api: Api, lines: int) -> None:
    assert await body(api, await ended_job(api), f"?tail={lines}") == TAILS[lines]


@pytest.mark.parametrize("offset", [0, 1, 7, len(TEXT) - 1, len(TEXT), 10**9])
async def test_the_rest_from_a_byte_offset(api: Api, offset: int) -> None:
    assert await body(api, await ended_job(api), f"?offset={offset}") == TEXT[offset:]


FIRST_BYTES = {
    "": 0,
    "?plain=1": 0,
    "?tail=0": len(TEXT),
    "?tail=1": len(TEXT) - len(TAILS[1]),
    "?tail=2&plain=1": len(TEXT) - len(TAILS[2]),
    "?tail=1&follow=1": len(TEXT) - len(TAILS[1]),
    "?offset=7": 7,
    "?offset=7&tail=1": len(TEXT) - len(TAILS[1]),
    "?offset=7&tail=100": 7,
    "?offset=7&follow=1": 7,
    "?offset=1000000000": len(TEXT),
}


@pytest.mark.parametrize("query", FIRST_BYTES)
async def test_a_response_reports_its_first_byte(api: Api, query: str) -> None:
    response, _ = await fetch(api, await ended_job(api), query)

    assert response.headers["Log-Offset"] == str(FIRST_BYTES[query])


async def test_following_continues_from_a_byte_offset(api: Api) -> None:
    assert await body(api, await ended_job(api), "?offset=7&follow=1") == TEXT[7:]


async def test_an_unfinished_progress_bar_is_the_last_line(api: Api) -> None:
    job_id = await ended_job(api, b"before\n\rBar: 1%\rBar: 2%")

    assert await body(api, job_id, "?tail=1") == b"\rBar: 1%\rBar: 2%"


RANGES = {
    "bytes=0-4": (206, "bytes 0-4/43", TEXT[:5]),
    "bytes=39-": (206, "bytes 39-42/43", TEXT[39:]),
    "bytes=39-1000": (206, "bytes 39-42/43", TEXT[39:]),
    "bytes=-4": (206, "bytes 39-42/43", TEXT[-4:]),
    "bytes=-1000": (206, "bytes 0-42/43", TEXT),
    "bytes=0-1,3-4": (200, None, TEXT),
    "lines=0-1": (200, None, TEXT),
    "bytes=4-1": (200, None, TEXT),
    "bytes=-": (200, None, TEXT),
    "bytes=x-y": (200, None, TEXT),
}


@pytest.mark.parametrize("range_header", RANGES)
async def test_a_range_of_bytes(api: Api, range_header: str) -> None:
    response, content = await fetch(api, await ended_job(api), headers={"Range": range_header})

    assert (response.status, response.headers.get("Content-Range"), content) == RANGES[range_header]
    assert response.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("range_header", ["bytes=43-", "bytes=100-200", "bytes=-0"])
async def test_an_unsatisfiable_range_is_416(api: Api, range_header: str) -> None:
    response, _ = await fetch(api, await ended_job(api), headers={"Range": range_header})

    assert (response.status, response.headers["Content-Range"]) == (416, "bytes */43")
    assert response.content_type == "application/problem+json"


async def test_a_range_of_another_version_is_ignored(api: Api) -> None:
    headers = {"Range": "bytes=0-4", "If-Range": '"another"'}

    assert await body(api, await ended_job(api), headers=headers) == TEXT


async def test_head_reports_only_the_size(api: Api) -> None:
    response, content = await fetch(api, await ended_job(api), method="HEAD")

    assert (response.status, response.headers["Content-Length"], content) == (200, "43", b"")


@pytest.mark.parametrize("query", ["?follow=1", "?plain=1", "?tail=1"])
async def test_head_supports_every_query(api: Api, query: str) -> None:
    job_id = await api.submit(model_args=HANG)

    assert await body(api, job_id, query, method="HEAD") == b""


async def test_plain_text_has_no_colours_and_only_the_last_state_of_progress_bars(api: Api) -> None:
    job_id = await ended_job(api, TEXT + b"\r 50%|#    |\r100%|#####|\nlast\rline")

    assert await body(api, job_id, "?plain=1") == (
        b"first line\nsecond line\nthird line\n100%|#####|\nline"
    )


async def test_the_last_lines_as_plain_text(api: Api) -> None:
    assert await body(api, await ended_job(api), "?plain=1&tail=1") == b"third line\n"


async def test_following_sends_the_existing_log_and_ends_with_the_job(
    api: Api, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job_id = await api.submit(model_args={"behave": "bars", "gate": str(gate)})
    async with following(api, job_id) as followed:
        await followed.until(b"4/8")
        gate.touch()
        text = await followed.read_all()

    assert text.startswith(b"stand-in runs as dummy\n")
    assert text == log_of(await api.finished(job_id)).read_bytes()
    assert b"8/8" in text


async def test_following_may_start_with_the_last_lines(api: Api, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job_id = await api.submit(model_args={"behave": "bars", "gate": str(gate)})
    await until(lambda: _has(api, job_id, b"4/8"))
    async with following(api, job_id, "&tail=0") as followed:
        gate.touch()
        text = await followed.read_all()

    assert b"4/8" not in text
    assert b"8/8" in text


async def test_following_as_plain_text(api: Api, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job_id = await api.submit(model_args={"behave": "bars", "gate": str(gate)})
    async with following(api, job_id, "&plain=1") as followed:
        await followed.until(b"stand-in runs as dummy\n")
        gate.touch()
        text = (await followed.read_all()).decode()

    assert text.splitlines()[1:] == [
        "Model Responding: 100%|████████| 8/8 [00:08<00:00,  1.00it/s]"
    ]


async def test_following_a_queued_job_waits_for_its_start(api: Api) -> None:
    hanging = await api.submit(model_args=HANG)
    job_id = await api.submit(model_args={"name": "patience"})
    async with following(api, job_id) as followed:
        await api.call("DELETE", f"/jobs/{hanging}")

        assert await followed.read_all() == b"stand-in runs as patience\n"


async def test_following_continues_with_the_next_attempt(api: Api) -> None:
    job_id = await api.submit(model_args={"behave": "crash"})
    await api.finished(job_id)
    hanging = await api.submit(model_args=HANG)
    await api.when(hanging, "running")
    await api.call("POST", f"/jobs/{job_id}/retry")
    async with following(api, job_id) as followed:
        await followed.until(b"was told to crash")
        await api.call("DELETE", f"/jobs/{hanging}")

        assert (await followed.read_all()).count(b"stand-in runs as") == 2


async def test_following_one_attempt_ends_with_it(api: Api) -> None:
    job_id = await api.submit(model_args={"behave": "crash"})
    await api.finished(job_id)
    await api.when(await api.submit(model_args=HANG), "running")
    await api.call("POST", f"/jobs/{job_id}/retry")

    async with following(api, job_id, "&attempt=1") as followed:
        assert b"was told to crash" in await followed.read_all()


async def test_following_an_ended_job_ends_immediately(api: Api) -> None:
    assert await body(api, await ended_job(api), "?follow=1") == TEXT


async def test_a_disconnected_follower_is_released_even_without_new_output(
    server: ServerProcess,
) -> None:
    async with server:
        job_id = await server.api.submit(model_args=HANG)

        async def readers(count: int) -> bool:
            return await asyncio.to_thread(_open_logs, server.process.pid) == count

        await until(lambda: readers(1))
        async with following(server.api, job_id) as followed:
            await followed.until(b"stand-in")
            await until(lambda: readers(2))

        assert await until(lambda: readers(1))


def _open_logs(pid: int) -> int:
    """Return how many logs a process has open; the progress watcher's is among them."""
    names = [file.path for file in psutil.Process(pid).open_files()]
    return sum(name.endswith("/eval.log") for name in names)


async def test_following_a_job_that_has_just_ended_does_not_wait(
    store: Store, tmp_path: Path
) -> None:
    job_id = await start(store)
    before = await store.queries.job(job_id)
    await store.jobs.finish(job_id, completed(), PLENTY)
    (tmp_path / "eval.log").write_bytes(TEXT)
    with closing(LogFollower(store, before, None, EvalLog(tmp_path))) as follower:
        pieces = [piece async for piece in follower.pieces(EventBus(), 0)]

    assert pieces == [TEXT]


async def test_a_stopping_server_ends_followed_logs(server: ServerProcess) -> None:
    async with server:
        job_id = await server.api.submit(model_args=HANG)
        async with following(server.api, job_id) as followed:
            await followed.until(b"stand-in")
            stopped = await asyncio.to_thread(server.stop)

            assert await followed.read_all() == b"stand-in runs as dummy\n"

    assert stopped == 0


async def test_an_earlier_attempt_keeps_its_log(api: Api) -> None:
    job_id = await ended_job(api, b"of the first")
    await api.call("POST", f"/jobs/{job_id}/retry")
    log_of(await api.finished(job_id)).write_bytes(b"of the second")

    logs = [await body(api, job_id, query) for query in ("", "?attempt=1", "?attempt=2")]

    assert logs == [b"of the second", b"of the first", b"of the second"]


async def test_an_earlier_attempts_log_is_found_after_settings_changed(make_api: MakeApi) -> None:
    api = await make_api(temp_dir_prefix="old_")
    job_id = await ended_job(api, b"of the first")
    await api._session.close()
    api = await make_api(temp_dir_prefix="new_")
    await api.call("POST", f"/jobs/{job_id}/retry")
    await api.finished(job_id)

    assert await body(api, job_id, "?attempt=1") == b"of the first"


async def test_an_attempt_that_has_not_started_is_404(api: Api) -> None:
    problem = await api.call("GET", f"/jobs/{await ended_job(api)}/log?attempt=2", 404)

    assert "has no attempt 2; the latest is 1" in problem["detail"]


async def test_the_log_of_an_unknown_job_is_404(api: Api) -> None:
    problem = await api.call("GET", f"/jobs/{uuid.uuid4()}/log", 404)

    assert problem["detail"].endswith("not found")


async def test_the_log_of_a_pruned_job_is_410(make_api: MakeApi) -> None:
    api = await make_api(max_completed_jobs=1)
    pruned = await api.submit()
    await api.finished(await api.submit())

    problem = await api.call("GET", f"/jobs/{pruned}/log", 410)

    assert "was pruned" in problem["detail"]


def _remove_all(log: Path) -> None:
    shutil.rmtree(log.parent)


def _link_elsewhere(log: Path) -> None:
    elsewhere = log.parents[3] / "elsewhere"
    elsewhere.write_text("not for you")
    log.unlink()
    log.symlink_to(elsewhere)


LOSSES: dict[str, tuple[Callable[[Path], None], str]] = {
    "all files": (_remove_all, "its run directory"),
    "the log": (Path.unlink, "eval.log was removed"),
    "a link": (_link_elsewhere, "is not a regular file any more"),
}


@pytest.mark.parametrize(("damage", "reason"), LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize("query", ["", "?follow=1", "?tail=3", "?plain=1"])
async def test_a_lost_log_is_410(
    api: Api, damage: Callable[[Path], None], reason: str, query: str
) -> None:
    job_id = await ended_job(api)
    damage(log_of(await api.job(job_id)))

    problem = await api.call("GET", f"/jobs/{job_id}/log{query}", 410)

    assert reason in problem["detail"]


async def test_a_temporarily_unreadable_log_is_503(api: Api) -> None:
    job_id = await ended_job(api)
    log_of(await api.job(job_id)).chmod(0)

    with without_permissions():
        response, _ = await fetch(api, job_id)

    assert (response.status, "Retry-After" in response.headers) == (503, True)


REJECTED = (
    "tail=-1",
    "tail=x",
    "tail=1000001",
    "tail=",
    "attempt=0",
    "offset=-1",
    "offset=x",
    "follow=maybe",
    "plain=2",
    "line=1",
)


@pytest.mark.parametrize("query", REJECTED)
async def test_an_invalid_query_is_rejected(api: Api, query: str) -> None:
    problem = await api.call("GET", f"/jobs/{uuid.uuid4()}/log?{query}", 422)

    assert [each["field"] for each in problem["errors"]] == [query.partition("=")[0]]


async def _has(api: Api, job_id: str, text: bytes) -> bool:
    return text in await body(api, job_id)
