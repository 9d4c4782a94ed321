"""The event bus: which listeners are woken, and when."""

from evalserver.core.lifecycle import EventKind, Status
from evalserver.monitoring.event_bus import EventBus
from evalserver.store import CommittedEvent

SOON = 0.01
"""Seconds until a listener without events gives up."""


async def test_a_listener_is_woken_by_events_of_its_job() -> None:
    bus = EventBus()

    with bus.listening("a") as listener:
        bus.notify("a")

        assert await listener.wait(SOON)


async def test_a_listener_is_not_woken_by_events_of_another_job() -> None:
    bus = EventBus()

    with bus.listening("a") as listener:
        bus.notify("b")

        assert not await listener.wait(SOON)


async def test_a_listener_to_all_jobs_is_woken_by_events_of_any_job() -> None:
    bus = EventBus()

    with bus.listening() as listener:
        bus.notify("a")

        assert await listener.wait(SOON)


async def test_an_event_wakes_a_listener_once() -> None:
    bus = EventBus()

    with bus.listening("a") as listener:
        bus.notify("a")
        bus.notify("a")
        await listener.wait(SOON)

        assert not await listener.wait(SOON)


async def test_a_listener_knows_the_newest_event_that_it_was_woken_for() -> None:
    bus = EventBus()

    with bus.listening("a") as listener:
        bus.on_event(event(7, "a"))
        bus.on_event(event(8, "b"))
        bus.notify("a")

        assert listener.newest_event_id == 7


async def test_closing_the_bus_wakes_all_listeners_permanently() -> None:
    bus = EventBus()

    with bus.listening("a") as listener:
        bus.close()

        assert [await listener.wait(SOON), await listener.wait(SOON)] == [True, True]


async def test_a_listener_to_a_closed_bus_learns_that_it_is_closed() -> None:
    bus = EventBus()
    bus.close()

    with bus.listening("a") as listener:
        assert listener.closed


async def test_a_listener_that_unsubscribed_is_removed() -> None:
    bus = EventBus()

    with bus.listening("a"):
        pass

    assert len(bus) == 0


def event(event_id: int, job_id: str) -> CommittedEvent:
    """Return an event that the store has committed."""
    return CommittedEvent(
        event_id=event_id,
        kind=EventKind.CLAIMED,
        job_id=job_id,
        seq=1,
        priority=0,
        before=Status.QUEUED,
        after=Status.RUNNING,
        engine="lmms_eval",
        attempt=1,
        created_at="2030-01-01T00:00:00.000+00:00",
        started_at="2030-01-01T00:00:01.000+00:00",
        completed_at=None,
        submitted_by="alice",
        request_bytes=2,
    )
