"""Which GPUs are quarantined and held."""

from pathlib import Path

from evalserver.store import Store
from tests.store.test_migrate import rows

GPU = "GPU-0a"


async def test_a_quarantine_says_who_when_and_why_until_it_is_released(store: Store) -> None:
    made = await store.gpus.quarantine(GPU, "alice", "ECC errors")

    assert await store.gpus.quarantines() == {GPU: made}
    assert (made.by, made.reason) == ("alice", "ECC errors")
    assert await store.gpus.release(GPU, "bob") is True
    assert await store.gpus.quarantines() == {}


async def test_each_quarantine_and_release_is_one_event(store: Store, tmp_path: Path) -> None:
    for reason in ("one", "one", "two"):
        await store.gpus.quarantine(GPU, "alice", reason)
    assert [await store.gpus.release(GPU, "bob") for _ in range(2)] == [True, False]

    events = rows(tmp_path, "SELECT actor, event, detail FROM server_events ORDER BY event_id")
    assert [(event[0], event[1]) for event in events] == [
        ("alice", "gpu_quarantined"),
        ("alice", "gpu_quarantined"),
        ("bob", "gpu_released"),
    ]
    assert '"GPU-0a"' in events[0][2]
    assert '"one"' in events[0][2]


async def test_nothing_is_held_at_first(store: Store) -> None:
    assert await store.gpus.holds() == {}


async def test_killed_processes_are_an_event(store: Store, tmp_path: Path) -> None:
    await store.gpus.note_killed(GPU, "evalserver", {4242: "job-1"})

    [event] = rows(tmp_path, "SELECT event, detail FROM server_events")
    assert event[0] == "gpu_processes_killed"
    assert event[1] == '{"gpu":"GPU-0a","processes":{"4242":"job-1"}}'
