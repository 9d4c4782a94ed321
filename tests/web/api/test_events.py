"""``GET /jobs/{job_id}/events`` and ``GET /events``: the event streams that clients follow."""

import pytest

from evalserver.web.keys import PROGRESS, STORE
from tests.event_reader import Message, story
from tests.support import Api
from tests.web.following import HALF, app, finished, is_kind, read_stream, running, without_progress

ALL_EVENTS = ["submitted", "claimed", "completed", "end"]


async def test_a_finished_job_streams_its_history_and_ends(api: Api) -> None:
    job_id = await finished(api)

    assert story(await read_stream(api, f"/jobs/{job_id}/events")) == ALL_EVENTS


async def test_event_ids_are_those_of_the_audit_log(api: Api) -> None:
    await finished(api)
    job_id = await finished(api)
    log = await app(api)[STORE].events.after(0, job_id=job_id)

    messages = await read_stream(api, f"/jobs/{job_id}/events")

    assert [each.event_id for each in messages] == [*(each.event_id for each in log), None]


async def test_a_status_message_carries_its_complete_event(api: Api) -> None:
    job_id = await finished(api, model_args={"behave": "crash"}, max_attempts=1)
    *_, event = await app(api)[STORE].events.after(0, job_id=job_id)

    message = (await read_stream(api, f"/jobs/{job_id}/events"))[-2]

    assert message.data == {
        "event_id": event.event_id,
        "at": event.at,
        "job_id": job_id,
        "event": "failed",
        "from": "running",
        "to": "failed",
        "attempt": 1,
        "actor": "server",
        "detail": event.detail,
    }


async def test_the_end_message_carries_the_final_status(api: Api) -> None:
    job_id = await finished(api, model_args={"behave": "crash"})

    end = (await read_stream(api, f"/jobs/{job_id}/events"))[-1]

    assert end == Message("end", {"job_id": job_id, "status": "failed"})


async def test_events_are_sent_as_they_happen(api: Api) -> None:
    job_id = await running(api)
    async with api.stream(f"/jobs/{job_id}/events") as reader:
        await reader.until(lambda message: message.data["event"] == "claimed")

        await api.call("DELETE", f"/jobs/{job_id}")

        messages = without_progress(await reader.rest())
        assert story(messages) == ["cancel_requested", "cancelled", "end"]


async def test_the_stream_of_a_retried_job_continues_after_its_first_end(api: Api) -> None:
    job_id = await finished(api, model_args={"behave": "crash"}, max_attempts=1)
    await api.call("POST", f"/jobs/{job_id}/retry")
    await api.finished(job_id)

    messages = await read_stream(api, f"/jobs/{job_id}/events")

    again = ["retried", "claimed", "failed"]
    assert story(messages) == ["submitted", "claimed", "failed", *again, "end"]


async def test_events_of_other_jobs_are_not_sent(api: Api) -> None:
    job_id = await running(api)
    async with api.stream(f"/jobs/{job_id}/events") as reader:
        other = await api.submit()
        await api.call("DELETE", f"/jobs/{other}")
        await api.call("DELETE", f"/jobs/{job_id}")

        messages = await reader.rest()

    assert {message.data["job_id"] for message in messages} == {job_id}


async def test_a_history_of_several_pages_is_sent_completely(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalserver.web.streams.updates.PAGE", 1)
    job_id = await finished(api)

    assert story(await read_stream(api, f"/jobs/{job_id}/events")) == ALL_EVENTS


@pytest.fixture
async def job(api: Api) -> tuple[str, list[int]]:
    """A finished job and the IDs of its events."""
    await finished(api)
    job_id = await finished(api)
    events = await app(api)[STORE].events.after(0, job_id=job_id)
    return job_id, [each.event_id for each in events]


async def test_only_missed_events_are_sent(api: Api, job: tuple[str, list[int]]) -> None:
    job_id, ids = job
    headers = {"Last-Event-ID": str(ids[0])}

    messages = await read_stream(api, f"/jobs/{job_id}/events", headers=headers)

    assert story(messages) == ["claimed", "completed", "end"]


async def test_the_query_can_name_the_last_event_too(api: Api, job: tuple[str, list[int]]) -> None:
    job_id, ids = job

    messages = await read_stream(api, f"/jobs/{job_id}/events?last_event_id={ids[1]}")

    assert story(messages) == ["completed", "end"]


async def test_the_header_takes_precedence_over_the_query(
    api: Api, job: tuple[str, list[int]]
) -> None:
    job_id, ids = job
    path = f"/jobs/{job_id}/events?last_event_id={ids[0]}"

    messages = await read_stream(api, path, headers={"Last-Event-ID": str(ids[1])})

    assert story(messages) == ["completed", "end"]


async def test_a_client_that_missed_nothing_gets_the_end_message(
    api: Api, job: tuple[str, list[int]]
) -> None:
    job_id, ids = job
    headers = {"Last-Event-ID": str(ids[-1])}

    assert story(await read_stream(api, f"/jobs/{job_id}/events", headers=headers)) == ["end"]


async def test_a_future_event_id_is_ignored(api: Api, job: tuple[str, list[int]]) -> None:
    job_id, _ = job
    headers = {"Last-Event-ID": "1000"}

    assert story(await read_stream(api, f"/jobs/{job_id}/events", headers=headers)) == ALL_EVENTS


async def test_an_empty_event_id_is_ignored(api: Api, job: tuple[str, list[int]]) -> None:
    job_id, _ = job
    headers = {"Last-Event-ID": ""}

    assert story(await read_stream(api, f"/jobs/{job_id}/events", headers=headers)) == ALL_EVENTS


@pytest.mark.parametrize("name", ["abc", "-1", "1.5", "9" * 100])
async def test_an_invalid_event_id_is_rejected(
    api: Api, job: tuple[str, list[int]], name: str
) -> None:
    job_id, _ = job
    headers = {"Last-Event-ID": name}

    problem = await api.call("GET", f"/jobs/{job_id}/events", 422, headers=headers)

    assert [each["field"] for each in problem["errors"]] == ["Last-Event-ID"]


async def test_the_global_stream_starts_with_new_events(api: Api) -> None:
    await finished(api)
    async with api.stream("/events") as reader:
        await reader.opened()
        job_id = await api.submit()

        message = await reader.next()

    assert (message.data["job_id"], message.data["event"]) == (job_id, "submitted")


async def test_events_of_every_job_are_sent(api: Api) -> None:
    async with api.stream("/events") as reader:
        await reader.opened()
        jobs = [await finished(api), await finished(api)]

        messages = [await reader.until(is_kind("status")) for _ in range(6)]

    assert [each.data["job_id"] for each in messages] == [jobs[0]] * 3 + [jobs[1]] * 3


async def test_a_reconnecting_client_gets_what_it_missed(api: Api) -> None:
    await finished(api)
    job_id = await finished(api)
    async with api.stream("/events", headers={"Last-Event-ID": "3"}) as reader:
        messages = [await reader.next() for _ in range(3)]

    assert story(messages) == ["submitted", "claimed", "completed"]
    assert {each.data["job_id"] for each in messages} == {job_id}


async def test_a_client_that_received_nothing_can_reconnect_where_it_started(api: Api) -> None:
    await finished(api)

    async with api.stream("/events") as reader:
        await reader.opened()

    assert reader.last_event_id == 3


async def test_all_events_from_the_beginning_can_be_requested(api: Api) -> None:
    await finished(api)
    async with api.stream("/events?last_event_id=0") as reader:
        messages = [await reader.next() for _ in range(3)]

    assert [each.event_id for each in messages] == [1, 2, 3]


async def test_progress_of_running_jobs_is_sent(api: Api) -> None:
    job_id = await running(api)
    async with api.stream("/events") as reader:
        await reader.opened()
        app(api)[PROGRESS].update(job_id, HALF)

        message = await reader.next()

    assert (message.kind, message.data["job_id"]) == ("progress", job_id)
