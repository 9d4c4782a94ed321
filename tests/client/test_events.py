"""Following events, with faulty servers and networks."""

import json
from typing import Any

import pytest

from evalserver.client import Event, NotFound, Pruned, RequestFailed
from tests.client.both import collect
from tests.client.conftest import MakeClient
from tests.client.faulty import Disconnect, FaultyServer, Reply, busy, problem

PATH = "/jobs/j1/events"
HEADERS = {"Content-Type": "text/event-stream"}


def message(kind: str, event_id: int | None = None, **data: Any) -> str:
    """Return one message of a stream."""
    place = "" if event_id is None else f"id: {event_id}\n"
    return f"{place}event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def stream(*messages: str) -> Reply:
    """Return a response with a stream that ends regularly."""
    return Reply(text="".join(messages), content_type="text/event-stream")


def cut(*messages: str) -> Disconnect:
    """Return a response with a stream that is cut."""
    return Disconnect("".join(messages).encode(), HEADERS)


END = message("end", status="completed")


async def test_each_message_is_an_event_with_its_id(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(
        PATH,
        stream(
            "retry: 2000\nid: 0\n\n",
            message("status", 3, event="submitted"),
            ": heartbeat\n\n",
            message("progress", stage="Model Responding"),
            END,
        ),
    )

    assert await collect(make_client(faulty.url), "events", "j1") == [
        Event("status", 3, {"event": "submitted"}),
        Event("progress", 3, {"stage": "Model Responding"}),
        Event("end", 3, {"status": "completed"}),
    ]


async def test_a_cut_stream_continues_after_the_last_complete_message(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    half = message("status", 5, event="completed")[:-10]
    faulty.set_replies(
        PATH,
        cut(message("status", 3, event="submitted"), half),
        stream(message("status", 5, event="completed"), END),
    )

    events = await collect(make_quick_client(faulty.url), "events", "j1")

    assert [event.id for event in events] == [3, 5, 5]
    asked = [each.headers.get("Last-Event-ID") for each in faulty.received]
    assert asked == [None, "3"]


async def test_a_stream_without_a_final_event_is_reopened(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(PATH, stream("id: 7\n\n: the server stops\n\n"), busy(503), stream(END))

    events = await collect(make_quick_client(faulty.url), "events", "j1")

    assert [event.kind for event in events] == ["end"]
    assert faulty.received[-1].headers["Last-Event-ID"] == "7"


async def test_reconnecting_to_a_server_that_cuts_every_stream_is_delayed(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(PATH, *[cut()] * 6, stream(END))
    client = make_quick_client(faulty.url)

    await collect(client, "events", "j1")

    assert len(client.pauses) == 6
    assert client.pauses[-1] > 3


async def test_unicode_line_separators_do_not_end_a_line(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    text = "a\u2028b\u0085c\x0bd\x1ce"
    faulty.set_replies(PATH, stream(message("log", text=text), END))

    [log, _] = await collect(make_client(faulty.url), "events", "j1")

    assert log.data == {"text": text}


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (410, Pruned)])
async def test_a_missing_job_raises(
    make_client: MakeClient, faulty: FaultyServer, status: int, kind: type[Exception]
) -> None:
    faulty.set_replies(PATH, problem(status, "Job j1 is not there"))

    with pytest.raises(kind, match="Job j1 is not there"):
        await collect(make_client(faulty.url), "events", "j1")


async def test_a_response_that_is_not_a_stream_raises(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies(PATH, Reply(text="<html>Log in</html>", content_type="text/html"))

    with pytest.raises(RequestFailed, match="<html>Log in</html>"):
        await collect(make_client(faulty.url), "events", "j1")
