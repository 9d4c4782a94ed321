"""``GET`` and ``DELETE /jobs/{job_id}``: a job as clients see it, from the queue to its end."""

import asyncio
import uuid

import pytest

from evalserver.core.lifecycle import Status
from evalserver.web.keys import SCHEDULER
from evalserver.web.schemas.job_responses import JobSchema
from tests.conftest import MakeApi
from tests.support import Api, Json
from tests.web.looking import looked_for

HANG = {"behave": "hang"}
KEYS = {
    "job_id", "status", "created_at", "started_at", "completed_at", "request", "result", "error",
    "position_in_queue", "engine", "priority", "labels", "attempt", "max_attempts", "progress",
    "exit_code", "submitted_by", "run_dir", "output_dir", "provenance", "links", "event_id",
    "waiting_for", "eta_s",
}  # fmt: skip


async def test_every_key_is_there_while_the_job_is_queued(api: Api) -> None:
    await api.submit(model_args=HANG)

    job = await api.job(await api.submit())

    assert set(job) == KEYS


async def test_every_key_is_there_when_the_job_has_ended(api: Api) -> None:
    job = await api.finished(await api.submit())

    assert set(job) == KEYS


async def test_a_queued_job_says_how_many_are_before_it(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    await api.submit()

    job = await api.job(await api.submit())

    assert (job["status"], job["position_in_queue"]) == ("queued", 1)


async def test_a_completed_job_carries_paths_and_numbers(api: Api) -> None:
    job = await api.finished(await api.submit(model_args={"value": 0.75}))

    result = job["result"]["dummy"]
    assert result["metrics"] == {"mme": {"acc,none": 0.75, "acc_stderr,none": 0.01}}
    assert result["results"].startswith(job["output_dir"])
    assert len(result["samples"]) == 1


async def test_a_job_is_written_as_its_schema_would_write_it(api: Api) -> None:
    labels = {"team": "ä"}
    job = await api.finished(await api.submit(labels=labels, gen_kwargs={"top_p": 1.0}))

    assert JobSchema().dump({**job, "status": Status(job["status"])}) == job


async def test_a_job_links_to_what_belongs_to_it(api: Api) -> None:
    job = await api.finished(await api.submit())

    for link in ("self", "results", "artifacts"):
        body = await api.call("GET", job["links"][link])
        assert body["job_id"] == job["job_id"]


async def test_a_failed_job_says_in_its_first_line_what_happened(api: Api) -> None:
    job = await api.finished(await api.submit(model_args={"behave": "crash"}))

    assert job["status"] == "failed"
    assert job["error"].splitlines()[0] == (
        "The evaluation failed with return code 1: RuntimeError: the stand-in was told to crash"
    )


async def test_a_job_that_never_was_is_404(api: Api) -> None:
    problem = await api.call("GET", f"/jobs/{uuid.uuid4()}", 404)

    assert problem["detail"].endswith("not found")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_pruned_job_is_410(make_api: MakeApi, method: str) -> None:
    api = await make_api(max_completed_jobs=1)
    pruned = await api.submit()
    await api.finished(await api.submit())

    problem = await api.call(method, f"/jobs/{pruned}", 410)

    assert "was pruned" in problem["detail"]


async def test_a_queued_job_is_cancelled_at_once(api: Api) -> None:
    await api.submit(model_args=HANG)
    job_id = await api.submit()

    await api.call("DELETE", f"/jobs/{job_id}")

    assert (await api.job(job_id))["status"] == "cancelled"


async def test_a_running_job_is_stopped_and_then_reads_cancelled(api: Api) -> None:
    job_id = await api.submit(model_args=HANG)
    await api.when(job_id, "running")

    await api.call("DELETE", f"/jobs/{job_id}")

    assert (await api.finished(job_id))["status"] == "cancelled"


async def test_a_cancelled_job_lets_the_next_one_run(api: Api) -> None:
    first = await api.submit(model_args=HANG)
    second = await api.submit()
    await api.when(first, "running")

    await api.call("DELETE", f"/jobs/{first}")

    assert (await api.finished(second))["status"] == "completed"


async def test_cancelling_what_has_finished_is_409(api: Api) -> None:
    job_id = await api.submit()
    await api.finished(job_id)

    problem = await api.call("DELETE", f"/jobs/{job_id}", 409)

    assert "already finished" in problem["detail"]


async def test_a_job_that_is_given_a_higher_priority_runs_earlier(api: Api) -> None:
    running = await api.submit(model_args=HANG)
    first, second = await api.submit(), await api.submit()
    await api.when(running, "running")

    answer = await api.call("PATCH", f"/jobs/{second}", json={"priority": 7})

    assert (answer["status"], answer["position_in_queue"]) == ("queued", 0)
    assert (await api.call("GET", "/queue"))["queued_jobs"] == [second, first]
    assert (await api.job(second))["priority"] == 7


async def test_the_priority_of_what_does_not_wait_is_409(api: Api) -> None:
    job_id = await api.submit(model_args=HANG)
    await api.when(job_id, "running")

    problem = await api.call("PATCH", f"/jobs/{job_id}", 409, json={"priority": 7})

    assert "only the priority of a queued job can be changed" in problem["detail"]


@pytest.mark.parametrize("body", [{}, {"priority": 1001}, {"priority": "1"}, {"status": "failed"}])
async def test_nothing_else_of_a_job_can_be_changed(api: Api, body: Json) -> None:
    job_id = await api.submit()

    await api.call("PATCH", f"/jobs/{job_id}", 422, json=body)


async def test_a_finished_job_can_be_tried_again(api: Api) -> None:
    job_id = await api.submit(model_args={"behave": "crash"})
    await api.finished(job_id)

    answer = await api.call("POST", f"/jobs/{job_id}/retry")

    assert (answer["job_id"], answer["status"], answer["position_in_queue"]) == (
        job_id,
        "queued",
        0,
    )
    assert (await api.finished(job_id))["attempt"] == 2


async def test_a_further_attempt_writes_to_a_directory_of_its_own(api: Api) -> None:
    job_id = await api.submit()
    first = await api.finished(job_id)

    await api.call("POST", f"/jobs/{job_id}/retry")

    second = await api.finished(job_id)
    assert second["status"] == "completed"
    assert first["output_dir"] != second["output_dir"]


@pytest.mark.parametrize("status", ["running", "queued"])
async def test_what_has_not_finished_cannot_be_tried_again(api: Api, status: str) -> None:
    running, queued = await api.submit(model_args=HANG), await api.submit()
    await api.when(running, "running")
    job_id = {"running": running, "queued": queued}[status]

    problem = await api.call("POST", f"/jobs/{job_id}/retry", 409)

    assert f"is {status}" in problem["detail"]


async def test_trying_again_what_never_was_is_404(api: Api) -> None:
    await api.call("POST", f"/jobs/{uuid.uuid4()}/retry", 404)


async def test_cancelling_what_never_was_is_404(api: Api) -> None:
    await api.call("DELETE", f"/jobs/{uuid.uuid4()}", 404)


async def test_an_ended_job_says_which_command_was_run(api: Api) -> None:
    job = await api.finished(await api.submit(tasks=["ai2d"]))

    assert "--tasks=ai2d" in job["provenance"]["command"]


async def test_a_queued_job_that_the_index_does_not_know_yet_is_looked_up_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    job_id = await api.submit()
    queue = api._session.app[SCHEDULER].queue
    queue.remove(job_id)
    looked = looked_for(queue, monkeypatch)
    asking = asyncio.create_task(api.job(job_id))
    await looked.wait()
    queue.add(job_id, 0, 2)

    job = await asking

    assert (job["status"], job["position_in_queue"]) == ("queued", 0)


async def test_a_queued_job_that_the_index_never_knows_is_behind_all_others(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    await api.submit()
    job_id = await api.submit()
    api._session.app[SCHEDULER].queue.remove(job_id)

    job = await api.job(job_id)

    assert (job["status"], job["position_in_queue"]) == ("queued", 1)


async def test_a_cancelled_job_has_no_position_even_while_the_index_has_one(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    job_id = await api.submit()
    await api.call("DELETE", f"/jobs/{job_id}")
    api._session.app[SCHEDULER].queue.add(job_id, 0, 2)

    job = await api.job(job_id)

    assert (job["status"], job["position_in_queue"]) == ("cancelled", None)
