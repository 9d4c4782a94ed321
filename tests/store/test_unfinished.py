"""The unfinished jobs, and which checkpoints their requests name."""

from pathlib import Path

import pytest

from evalserver.core.lifecycle import Status
from evalserver.store import Store, unfinished
from evalserver.store.store import DATABASE_NAME
from tests.store.test_jobs import complete, start, submit
from tests.store.test_migrate import change


async def test_queued_and_running_jobs_are_read_in_parts_in_the_order_of_submission(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "MAX_PART", 2)
    queued = await submit(store, model_args={"pretrained": "/c/1"}, lease="mark")
    await complete(store)
    running = await start(store, model_args={"pretrained": "/c/2"})
    last = await submit(store)

    part = await store.queries.next_unfinished(0)
    rest = await store.queries.next_unfinished(part[-1].seq)

    assert [(job.job_id, job.status) for job in [*part, *rest]] == [
        (queued, Status.QUEUED), (running, Status.RUNNING), (last, Status.QUEUED),
    ]  # fmt: skip
    assert [(job.model_args, job.lease) for job in part] == [
        ({"pretrained": "/c/1"}, "mark"), ({"pretrained": "/c/2"}, None),
    ]  # fmt: skip
    assert await store.queries.next_unfinished(rest[-1].seq) == []


@pytest.mark.parametrize("request_text", ["{", "[]", '{"model_args": 1, "lease": {}}'])
async def test_a_damaged_request_hides_no_job(
    store: Store, tmp_path: Path, request_text: str
) -> None:
    damaged, intact = await submit(store), await submit(store, model_args={"pretrained": "/c/1"})
    update = f"UPDATE jobs SET request = '{request_text}' WHERE job_id = '{damaged}'"  # noqa: S608
    change(tmp_path / DATABASE_NAME, f"PRAGMA ignore_check_constraints = ON; {update}")

    found = {job.job_id: job.model_args for job in await store.queries.next_unfinished(0)}

    assert found == {damaged: None, intact: {"pretrained": "/c/1"}}
