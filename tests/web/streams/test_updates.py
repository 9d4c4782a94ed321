"""Messages of a stream that are not events: progress and log lines."""

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalserver.web.keys import PROGRESS
from evalserver.web.streams.event_stream import StreamLimits
from tests.conftest import MakeApi
from tests.event_reader import Message, story
from tests.support import Api, until
from tests.web.following import HALF, app, is_kind, running


@pytest.fixture(autouse=True)
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the watcher read a log only once, so that progress posted by a test stays the newest."""
    monkeypatch.setattr("evalserver.monitoring.progress.POLL_SECONDS", 3600)


async def test_progress_is_sent_without_an_id(api: Api) -> None:
    job_id = await running(api)
    app(api)[PROGRESS].update(job_id, HALF)

    async with api.stream(f"/jobs/{job_id}/events") as reader:
        message = await reader.until(is_kind("progress"))

    data = {"stage": "Model Responding", "fraction": 0.5, "done": 4, "total": 8}
    assert message == Message(
        "progress", {"job_id": job_id, **data, "rate": 2.0, "eta_s": 2.0}, None
    )


async def test_progress_is_sent_when_it_changes(api: Api) -> None:
    job_id = await running(api)
    async with api.stream(f"/jobs/{job_id}/events") as reader:
        await reader.opened()
        app(api)[PROGRESS].update(job_id, HALF)

        message = await reader.until(lambda message: message.data.get("fraction") is not None)

    assert message.data["fraction"] == 0.5


async def test_progress_faster_than_the_limit_is_skipped(make_api: MakeApi) -> None:
    api = await make_api(StreamLimits(progress_s=3600))
    job_id = await running(api)
    app(api)[PROGRESS].update(job_id, HALF)
    async with api.stream(f"/jobs/{job_id}/events") as reader:
        await reader.until(is_kind("progress"))

        app(api)[PROGRESS].update(job_id, replace(HALF, fraction=0.6))
        await api.call("DELETE", f"/jobs/{job_id}")

        assert story(await reader.rest()) == ["cancel_requested", "cancelled", "end"]


async def test_the_newest_skipped_progress_is_sent_after_the_interval(make_api: MakeApi) -> None:
    api = await make_api(StreamLimits(progress_s=0.3))
    job_id = await running(api)
    app(api)[PROGRESS].update(job_id, HALF)
    async with api.stream(f"/jobs/{job_id}/events") as reader:
        await reader.until(is_kind("progress"))

        for fraction in (0.6, 0.7):
            app(api)[PROGRESS].update(job_id, replace(HALF, fraction=fraction))

        assert (await reader.next()).data["fraction"] == 0.7


@pytest.fixture
async def fast_polling(make_api: MakeApi) -> Api:
    """An application that reads logs at short intervals."""
    return await make_api(StreamLimits(log_s=0.05))


@pytest.fixture
async def job(fast_polling: Api) -> tuple[str, Path]:
    """A running job and its log, which says that it runs."""
    job_id = await running(fast_polling)
    log = Path((await fast_polling.job(job_id))["run_dir"]) / "eval.log"
    await until(log_contains(log, "stand-in runs as dummy"))
    return job_id, log


async def test_the_log_of_a_new_attempt_is_sent_from_its_beginning(fast_polling: Api) -> None:
    first = await running(fast_polling)
    job_id = await fast_polling.submit()
    async with fast_polling.stream(f"/jobs/{job_id}/events?log=1") as reader:
        await reader.opened()
        await fast_polling.call("DELETE", f"/jobs/{first}")

        messages = await reader.rest()

    [line] = [each for each in messages if each.kind == "log"]
    text = "stand-in runs as dummy\n"
    assert line.data == {"job_id": job_id, "attempt": 1, "offset": 0, "text": text}


async def test_the_complete_log_is_sent_before_the_attempt_ends(fast_polling: Api) -> None:
    first = await running(fast_polling)
    job_id = await fast_polling.submit(model_args={"behave": "crash"}, max_attempts=1)
    async with fast_polling.stream(f"/jobs/{job_id}/events?log=1") as reader:
        await reader.opened()
        await fast_polling.call("DELETE", f"/jobs/{first}")

        messages = await reader.rest()

    log = Path((await fast_polling.job(job_id))["run_dir"]) / "eval.log"
    assert "".join(each.data["text"] for each in messages if each.kind == "log") == (
        log.read_text()
    )
    assert story(messages)[-3:] == ["log", "failed", "end"]


async def test_only_new_lines_of_a_running_attempt_are_sent(
    fast_polling: Api, job: tuple[str, Path]
) -> None:
    job_id, log = job
    before = log.stat().st_size
    async with fast_polling.stream(f"/jobs/{job_id}/events?log=1") as reader:
        await reader.until(lambda message: message.data["event"] == "claimed")
        append(log, "something new\n")

        message = await reader.until(is_kind("log"))

    assert (message.kind, message.data["text"]) == ("log", "something new\n")
    assert message.data["offset"] == before


async def test_log_lines_are_not_sent_by_default(fast_polling: Api, job: tuple[str, Path]) -> None:
    job_id, log = job
    async with fast_polling.stream(f"/jobs/{job_id}/events") as reader:
        await reader.opened()
        append(log, "something new\n")
        await fast_polling.call("DELETE", f"/jobs/{job_id}")

        messages = await reader.rest()

    assert "log" not in {message.kind for message in messages}


async def test_log_lines_are_requested_with_1(api: Api) -> None:
    problem = await api.call("GET", f"/jobs/{uuid.uuid4()}/events?log=yes", 422)

    assert problem["errors"] == [{"field": "log", "message": "Must be 1 or 0."}]


def log_contains(log: Path, text: str) -> Any:
    """Return a condition: the log contains this text."""

    async def found() -> bool:
        return log.exists() and text in log.read_text()

    return found


def append(log: Path, text: str) -> None:
    """Write to a log as its runner does."""
    with log.open("a") as file:
        file.write(text)
