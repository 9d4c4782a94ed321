"""``GET`` and ``DELETE /jobs/{job_id}``: a job as clients see it, from submission to its end."""

import asyncio
import uuid

import pytest

from evalserver.core.job import QueuedJob
from evalserver.core.lifecycle import Status
from evalserver.core.result_check import CheckStatus
from evalserver.web.keys import SCHEDULER
from evalserver.web.schemas.job_responses import JobSchema
from tests.conftest import MakeApi
from tests.support import Api, Json
from tests.web.looking import endless_lookups

HANG = {"behave": "hang"}
KEYS = {
    "job_id", "status", "created_at", "started_at", "completed_at", "request", "result", "error",
    "position_in_queue", "engine", "priority", "labels", "attempt", "max_attempts", "progress",
    "exit_code", "submitted_by", "run_dir", "output_dir", "provenance", "links", "event_id",
    "waiting_for", "eta_s", "result_check", "failure", "partial", "gpus", "stalled_since",
    "executor", "handed_over_at", "cluster_job", "batch_id", "series", "step",
}  # fmt: skip


async def test_a_queued_job_has_every_key(api: Api) -> None:
    await api.submit(model_args=HANG)

    job = await api.job(await api.submit())

    assert set(job) == KEYS


async def test_an_ended_job_has_every_key(api: Api) -> None:
    job = await api.finished(await api.submit())

    assert set(job) == KEYS


async def test_a_queued_job_shows_how_many_jobs_are_ahead(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    await api.submit()

    job = await api.job(await api.submit())

    assert (job["status"], job["position_in_queue"]) == ("queued", 1)


async def test_a_completed_job_has_paths_and_metrics(api: Api) -> None:
    job = await api.finished(await api.submit(model_args={"value": 0.75}))

    result = job["result"]["dummy"]
    assert result["metrics"] == {"mme": {"acc,none": 0.75, "acc_stderr,none": 0.01}}
    assert result["results"].startswith(job["output_dir"])
    assert len(result["samples"]) == 1


async def test_a_job_matches_its_schema(api: Api) -> None:
    labels = {"team": "ä"}
    job = await api.finished(await api.submit(labels=labels, gen_kwargs={"top_p": 1.0}))

    check = {**job["result_check"], "status": CheckStatus(job["result_check"]["status"])}
    values = {**job, "status": Status(job["status"]), "result_check": check}
    assert JobSchema().dump(values) == job


async def test_a_job_links_to_its_related_resources(api: Api) -> None:
    job = await api.finished(await api.submit())

    for link in ("self", "results", "artifacts"):
        body = await api.call("GET", job["links"][link])
        assert body["job_id"] == job["job_id"]


async def test_the_error_of_a_failed_job_starts_with_what_happened(api: Api) -> None:
    job = await api.finished(await api.submit(model_args={"behave": "crash"}))

    assert job["status"] == "failed"
    assert job["error"].splitlines()[0] == (
        "The evaluation failed with return code 1: RuntimeError: the stand-in was told to crash"
    )


async def test_an_unknown_job_is_404(api: Api) -> None:
    problem = await api.call("GET", f"/jobs/{uuid.uuid4()}", 404)

    assert problem["detail"].endswith("not found")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_pruned_job_is_410(make_api: MakeApi, method: str) -> None:
    api = await make_api(max_completed_jobs=1)
    pruned = await api.submit()
    await api.finished(await api.submit())

    problem = await api.call(method, f"/jobs/{pruned}", 410)

    assert "was pruned" in problem["detail"]


async def test_a_queued_job_is_cancelled_immediately(api: Api) -> None:
    await api.submit(model_args=HANG)
    job_id = await api.submit()

    await api.call("DELETE", f"/jobs/{job_id}")

    assert (await api.job(job_id))["status"] == "cancelled"


async def test_a_running_job_is_stopped_and_then_cancelled(api: Api) -> None:
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


async def test_cancelling_a_finished_job_is_409(api: Api) -> None:
    job_id = await api.submit()
    await api.finished(job_id)

    problem = await api.call("DELETE", f"/jobs/{job_id}", 409)

    assert "already finished" in problem["detail"]


async def test_a_job_with_raised_priority_runs_earlier(api: Api) -> None:
    running = await api.submit(model_args=HANG)
    first, second = await api.submit(), await api.submit()
    await api.when(running, "running")

    response = await api.call("PATCH", f"/jobs/{second}", json={"priority": 7})

    assert (response["status"], response["position_in_queue"]) == ("queued", 0)
    assert (await api.call("GET", "/queue"))["queued_jobs"] == [second, first]
    assert (await api.job(second))["priority"] == 7


async def test_changing_the_priority_of_a_job_that_is_not_queued_is_409(api: Api) -> None:
    job_id = await api.submit(model_args=HANG)
    await api.when(job_id, "running")

    problem = await api.call("PATCH", f"/jobs/{job_id}", 409, json={"priority": 7})

    assert "only the priority of a queued job can be changed" in problem["detail"]


@pytest.mark.parametrize("body", [{}, {"priority": 1001}, {"priority": "1"}, {"status": "failed"}])
async def test_no_other_field_of_a_job_can_be_changed(api: Api, body: Json) -> None:
    job_id = await api.submit()

    await api.call("PATCH", f"/jobs/{job_id}", 422, json=body)


async def test_a_finished_job_can_be_retried(api: Api) -> None:
    job_id = await api.submit(model_args={"behave": "crash"})
    await api.finished(job_id)

    response = await api.call("POST", f"/jobs/{job_id}/retry")

    assert (response["job_id"], response["status"], response["position_in_queue"]) == (
        job_id,
        "queued",
        0,
    )
    assert (await api.finished(job_id))["attempt"] == 2


async def test_each_attempt_writes_to_its_own_directory(api: Api) -> None:
    job_id = await api.submit()
    first = await api.finished(job_id)

    await api.call("POST", f"/jobs/{job_id}/retry")

    second = await api.finished(job_id)
    assert second["status"] == "completed"
    assert first["output_dir"] != second["output_dir"]


@pytest.mark.parametrize("status", ["running", "queued"])
async def test_retrying_an_unfinished_job_is_409(api: Api, status: str) -> None:
    running, queued = await api.submit(model_args=HANG), await api.submit()
    await api.when(running, "running")
    job_id = {"running": running, "queued": queued}[status]

    problem = await api.call("POST", f"/jobs/{job_id}/retry", 409)

    assert f"is {status}" in problem["detail"]


async def test_retrying_an_unknown_job_is_404(api: Api) -> None:
    await api.call("POST", f"/jobs/{uuid.uuid4()}/retry", 404)


async def test_cancelling_an_unknown_job_is_404(api: Api) -> None:
    await api.call("DELETE", f"/jobs/{uuid.uuid4()}", 404)


async def test_an_ended_job_shows_its_command_line(api: Api) -> None:
    job = await api.finished(await api.submit(tasks=["ai2d"]))

    assert "--tasks=ai2d" in job["provenance"]["command"]


async def test_a_queued_job_missing_from_the_index_is_read_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    job_id = await api.submit()
    queue = api._session.app[SCHEDULER].queue
    queue.remove(job_id)
    first_lookup = endless_lookups(queue, monkeypatch)
    pending = asyncio.create_task(api.job(job_id))
    await first_lookup.wait()
    queue.add(QueuedJob(job_id, 0, 2))

    job = await pending

    assert (job["status"], job["position_in_queue"]) == ("queued", 0)


async def test_a_queued_job_that_stays_missing_from_the_index_is_last(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    await api.submit()
    job_id = await api.submit()
    api._session.app[SCHEDULER].queue.remove(job_id)

    job = await api.job(job_id)

    assert (job["status"], job["position_in_queue"]) == ("queued", 1)


async def test_a_cancelled_job_has_no_position_even_while_still_indexed(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    job_id = await api.submit()
    await api.call("DELETE", f"/jobs/{job_id}")
    api._session.app[SCHEDULER].queue.add(QueuedJob(job_id, 0, 2))

    job = await api.job(job_id)

    assert (job["status"], job["position_in_queue"]) == ("cancelled", None)
