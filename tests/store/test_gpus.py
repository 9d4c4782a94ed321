"""Which GPUs are quarantined and held."""

import sqlite3
from pathlib import Path

import pytest

from evalserver.core.job import Slot
from evalserver.store import IllegalTransition, Store
from tests.store.test_jobs import submit
from tests.store.test_migrate import rows

GPU = "GPU-0a"


async def test_a_quarantine_says_who_when_and_why_until_it_is_released(store: Store) -> None:
    made = await store.gpus.quarantine(GPU, "alice", "ECC errors")

    assert await store.gpus.quarantines() == {GPU: made}
    assert (made.by, made.reason) == ("alice", "ECC errors")
    assert await store.gpus.end_quarantine(GPU, "bob") is True
    assert await store.gpus.quarantines() == {}


async def test_each_quarantine_and_release_is_one_event(store: Store, tmp_path: Path) -> None:
    for reason in ("one", "one", "two"):
        await store.gpus.quarantine(GPU, "alice", reason)
    assert [await store.gpus.end_quarantine(GPU, "bob") for _ in range(2)] == [True, False]

    events = rows(tmp_path, "SELECT actor, event, detail FROM server_events ORDER BY event_id")
    assert [(event[0], event[1]) for event in events] == [
        ("alice", "gpu_quarantined"),
        ("alice", "gpu_quarantined"),
        ("bob", "gpu_quarantine_ended"),
    ]
    assert '"GPU-0a"' in events[0][2]
    assert '"one"' in events[0][2]


async def test_nothing_is_held_at_first(store: Store) -> None:
    assert await store.gpus.holds() == {}


async def test_killed_processes_are_an_event(store: Store, tmp_path: Path) -> None:
    await store.gpus.note_killed(GPU, "evalserver", 4242, "job-1")

    [event] = rows(tmp_path, "SELECT event, detail FROM server_events")
    assert event[0] == "gpu_processes_killed"
    assert event[1] == '{"gpu":"GPU-0a","processes":{"4242":"job-1"}}'


async def test_a_claim_of_a_quarantined_gpu_is_refused(store: Store) -> None:
    job_id = await submit(store)
    await store.gpus.quarantine(GPU, "alice", "ECC errors")

    with pytest.raises(IllegalTransition, match=f"GPU {GPU} is quarantined"):
        await store.jobs.claim(
            await store.queries.job(job_id), Path("run"), Path("out"), Slot((GPU,))
        )

    assert [job.job_id for job in await store.queries.queued()] == [job_id]


async def test_a_claim_of_a_gpu_that_another_job_holds_is_refused(store: Store) -> None:
    first, second = await submit(store), await submit(store)
    slot = Slot((GPU,))
    await store.jobs.claim(await store.queries.job(first), Path("run"), Path("out"), slot)

    with pytest.raises(IllegalTransition, match=f"GPU {GPU} is held by job {first}"):
        await store.jobs.claim(await store.queries.job(second), Path("run"), Path("out"), slot)

    assert [job.job_id for job in await store.queries.queued()] == [second]


async def test_the_database_refuses_a_second_holder_of_a_gpu(store: Store) -> None:
    job_id = await submit(store)
    await store.jobs.claim(await store.queries.job(job_id), Path("run"), Path("out"), Slot((GPU,)))

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        await store._writer.run(
            lambda tx: tx.execute(
                "INSERT INTO gpu_holds VALUES (:gpu, 'service', 'other', '2030')", {"gpu": GPU}
            )
        )


async def test_a_job_that_ends_releases_its_gpus(store: Store) -> None:
    job_id = await submit(store)
    await store.jobs.claim(await store.queries.job(job_id), Path("run"), Path("out"), Slot((GPU,)))

    await store.jobs.interrupt(job_id, "lost")

    assert await store.gpus.holds() == {}
