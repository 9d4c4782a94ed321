"""``GET /queue`` and ``GET /health``: exactly what lmms-eval's clients expect."""

from datetime import datetime

from tests.support import Api

HANG = {"behave": "hang"}


async def test_the_queue_shows_running_and_waiting_jobs_in_order(api: Api) -> None:
    running = await api.submit(model_args=HANG)
    await api.when(running, "running")
    waiting = [await api.submit() for _ in range(2)]
    urgent = await api.submit(priority=1)

    queue = await api.call("GET", "/queue")

    assert queue == {
        "queue_size": 3,
        "running_job": running,
        "running_jobs": [running],
        "queued_jobs": [urgent, *waiting],
        "completed_jobs": 0,
        "failed_jobs": 0,
        "cancelled_jobs": 0,
    }


async def test_a_limit_shows_the_first_jobs_and_counts_all(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    first, _ = [await api.submit() for _ in range(2)]

    queue = await api.call("GET", "/queue?limit=1")

    assert (queue["queued_jobs"], queue["queue_size"]) == ([first], 2)


async def test_the_queue_counts_ended_jobs(api: Api) -> None:
    await api.finished(await api.submit())
    await api.finished(await api.submit(model_args={"behave": "crash"}))

    queue = await api.call("GET", "/queue")

    assert (queue["completed_jobs"], queue["failed_jobs"]) == (1, 1)


async def test_the_queue_counts_cancelled_jobs(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    await api.call("DELETE", f"/jobs/{await api.submit()}")

    assert (await api.call("GET", "/queue"))["cancelled_jobs"] == 1


async def test_a_cancelled_job_does_not_count_as_queued(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    await api.call("DELETE", f"/jobs/{await api.submit()}")

    assert (await api.call("GET", "/health"))["queue_size"] == 0


async def test_health_has_three_keys_and_a_time_with_a_time_zone(api: Api) -> None:
    health = await api.call("GET", "/health")

    assert set(health) == {"status", "timestamp", "queue_size"}
    assert datetime.fromisoformat(health["timestamp"]).tzinfo is not None


async def test_health_supports_head(api: Api) -> None:
    await api.call("HEAD", "/health")
