"""Following events, from servers and over networks of every kind."""

import json
from typing import Any

import pytest

from evalserver.client import Event, NotFound, Pruned, RequestFailed
from tests.client.both import collect
from tests.client.conftest import MakeClient
from tests.client.faulty import Answer, Cut, FaultyServer, busy, problem

PATH = "/jobs/j1/events"
HEADERS = {"Content-Type": "text/event-stream"}


def message(kind: str, event_id: int | None = None, **data: Any) -> str:
    """One message of a stream."""
    place = "" if event_id is None else f"id: {event_id}\n"
    return f"{place}event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def stream(*messages: str) -> Answer:
    """A stream that ends well."""
    return Answer(text="".join(messages), content_type="text/event-stream")


def cut(*messages: str) -> Cut:
    """A stream that is cut."""
    return Cut("".join(messages).encode(), HEADERS)


END = message("end", status="completed")


async def test_each_message_is_an_event_with_the_place_to_go_on_from(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers(
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


async def test_a_cut_stream_goes_on_behind_the_last_whole_message(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    half = message("status", 5, event="completed")[:-10]
    faulty.answers(
        PATH,
        cut(message("status", 3, event="submitted"), half),
        stream(message("status", 5, event="completed"), END),
    )

    events = await collect(make_quick_client(faulty.url), "events", "j1")

    assert [event.id for event in events] == [3, 5, 5]
    asked = [each.headers.get("Last-Event-ID") for each in faulty.asked]
    assert asked == [None, "3"]


async def test_a_stream_that_ends_without_an_end_is_opened_again(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers(PATH, stream("id: 7\n\n: the server stops\n\n"), busy(503), stream(END))

    events = await collect(make_quick_client(faulty.url), "events", "j1")

    assert [event.kind for event in events] == ["end"]
    assert faulty.asked[-1].headers["Last-Event-ID"] == "7"


async def test_a_server_that_cuts_every_stream_is_not_asked_without_pause(
    make_quick_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers(PATH, *[cut()] * 6, stream(END))
    client = make_quick_client(faulty.url)

    await collect(client, "events", "j1")

    assert len(client.pauses) == 6
    assert client.pauses[-1] > 3


async def test_what_counts_as_the_end_of_a_line_elsewhere_is_part_of_a_text(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    text = "a\u2028b\u0085c\x0bd\x1ce"
    faulty.answers(PATH, stream(message("log", text=text), END))

    [log, _] = await collect(make_client(faulty.url), "events", "j1")

    assert log.data == {"text": text}


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (410, Pruned)])
async def test_a_job_that_is_not_there_is_raised(
    make_client: MakeClient, faulty: FaultyServer, status: int, kind: type[Exception]
) -> None:
    faulty.answers(PATH, problem(status, "Job j1 is not there"))

    with pytest.raises(kind, match="Job j1 is not there"):
        await collect(make_client(faulty.url), "events", "j1")


async def test_an_answer_that_is_no_stream_is_raised(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers(PATH, Answer(text="<html>Log in</html>", content_type="text/html"))

    with pytest.raises(RequestFailed, match="<html>Log in</html>"):
        await collect(make_client(faulty.url), "events", "j1")
