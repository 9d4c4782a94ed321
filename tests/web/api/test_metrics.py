"""``GET /metrics`` as parsed by Prometheus, of a server that ran jobs."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as families_of_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as families_of_text

from evalserver.monitoring.prometheus import TABLE
from evalserver.version import __version__
from tests.conftest import MakeApi
from tests.support import Api, until

HANG = {"behave": "hang"}
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


async def fetch_metrics(api: Api, accept: str = "") -> tuple[str, str]:
    """Return the body of ``GET /metrics`` and its content type."""
    headers = {"Accept": accept}
    async with api._session.request("GET", api._base + "/metrics", headers=headers) as response:
        assert response.status == 200
        return await response.text(), response.headers["Content-Type"]


async def families(api: Api) -> dict[str, Metric]:
    """Return the exposed metric families by name."""
    text, _ = await fetch_metrics(api)
    return {family.name: family for family in families_of_text(text)}


async def sample_value(api: Api, name: str, **labels: str) -> float | None:
    """Return the value of one sample; None if there is none."""
    for family in (await families(api)).values():
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None


async def job_request_seconds(api: Api) -> float:
    """Return how long requests for a job have taken, in total."""
    name = "evalserver_http_request_duration_seconds_sum"
    route = {"method": "GET", "route": "/jobs/{job_id}", "status": "200"}
    return await sample_value(api, name, **route) or 0.0


async def test_openmetrics_is_served_on_request(api: Api) -> None:
    await api.finished(await api.submit())

    text, content_type = await fetch_metrics(api, OPENMETRICS)

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert list(families_of_openmetrics(text))  # type: ignore[no-untyped-call]


async def test_the_older_text_format_is_the_default(api: Api) -> None:
    text, content_type = await fetch_metrics(api, "*/*")

    assert content_type.startswith("text/plain; version=0.0.4")
    assert list(families_of_text(text))


async def test_every_instrument_is_exposed_from_the_start(api: Api) -> None:
    names = {name.removesuffix("_total") for name in await families(api)}

    assert {row.name.removesuffix("_total") for row in TABLE} - {"evalserver_build"} <= names
    assert "evalserver_build_info" in names


async def test_jobs_are_counted_by_status(api: Api) -> None:
    await api.finished(await api.submit())
    await api.when(await api.submit(model_args=HANG), "running")
    await api.submit()

    assert await sample_value(api, "evalserver_jobs", status="completed") == 1
    assert await sample_value(api, "evalserver_jobs", status="running") == 1
    assert await sample_value(api, "evalserver_jobs", status="queued") == 1
    assert await sample_value(api, "evalserver_running_evaluations") == 1
    assert await sample_value(api, "evalserver_queue_size") == 1


async def test_operations_are_counted(api: Api) -> None:
    await api.finished(await api.submit())
    await api.finished(await api.submit(model_args={"behave": "crash"}))

    engine = {"engine": "lmms_eval"}
    assert await sample_value(api, "evalserver_submissions_total", **engine) == 2
    assert await sample_value(api, "evalserver_finished_total", status="completed", **engine) == 1
    assert await sample_value(api, "evalserver_finished_total", status="failed", **engine) == 1
    durations = "evalserver_evaluation_duration_seconds_count"
    assert await sample_value(api, durations, status="completed", **engine) == 1
    assert await sample_value(api, "evalserver_queue_wait_seconds_count") == 2


async def test_the_gap_between_two_evaluations_is_measured(api: Api) -> None:
    first = await api.submit(model_args={"seconds": 0.5})
    await api.finished(await api.submit())
    await api.finished(first)

    assert await sample_value(api, "evalserver_dispatch_gap_seconds_count") == 1


async def test_the_age_of_the_oldest_queued_job_grows(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")
    assert await sample_value(api, "evalserver_queue_oldest_age_seconds") == 0
    await api.submit()

    async def grows() -> bool:
        return bool(await sample_value(api, "evalserver_queue_oldest_age_seconds"))

    await until(grows)


async def test_commits_are_measured(api: Api) -> None:
    before = await sample_value(api, "evalserver_store_batch_units_sum") or 0.0
    await api.when(await api.submit(model_args=HANG), "running")

    after = await sample_value(api, "evalserver_store_batch_units_sum") or 0.0
    assert after >= before + 2


async def test_responses_are_counted_by_route_pattern(api: Api) -> None:
    job_id = await api.submit()
    await api.job(job_id)
    await api.call("GET", "/jobs/nobody", 404)
    await api.call("GET", "/no/such/path", 404)

    name = "evalserver_http_request_duration_seconds_count"
    job = {"method": "GET", "route": "/jobs/{job_id}"}
    assert await sample_value(api, name, status="200", **job) == 1
    assert await sample_value(api, name, status="404", **job) == 1
    assert await sample_value(api, name, method="*", route="unmatched", status="404") == 1


async def test_unknown_paths_never_become_labels(api: Api) -> None:
    await api.call("GET", "/made-up", 404)
    await api.call("GET", "/jobs/made-up", 404)
    await api.call("PATCH", "/made-up", 404)
    await api.call("PATCH", "/health", 405)

    text, _ = await fetch_metrics(api)

    assert "made-up" not in text and "PATCH" not in text


async def test_time_spent_in_a_long_poll_is_not_measured(api: Api) -> None:
    job_id = await api.submit(model_args=HANG)
    await api.when(job_id, "running")
    before = await job_request_seconds(api)

    known = (await api.job(job_id))["event_id"]
    await api.call("GET", f"/jobs/{job_id}?wait=10&since={known}")

    assert await job_request_seconds(api) < before + 5


async def test_the_build_is_reported(api: Api) -> None:
    text, _ = await fetch_metrics(api)

    assert 'evalserver_build_info{python="3.' in text
    assert f'version="{__version__}"' in text


async def test_memory_and_cpu_time_of_the_process_are_reported(api: Api) -> None:
    assert await sample_value(api, "process_resident_memory_bytes")
    assert await sample_value(api, "process_cpu_seconds_total")


async def test_an_unreadable_database_is_a_fault_metric_not_an_error(
    api: Api, data_dir: Path
) -> None:
    assert await sample_value(api, "evalserver_store_fault") == 0
    with closing(sqlite3.connect(data_dir / "evalserver.db")) as connection:
        connection.execute("DROP TABLE job_counts")

    assert await sample_value(api, "evalserver_store_fault") == 1
    assert await sample_value(api, "evalserver_jobs", status="queued") is None


@pytest.mark.parametrize("query", ["?nothing=1", "?name[]=evalserver_jobs"])
async def test_a_query_is_rejected(make_api: MakeApi, query: str) -> None:
    api = await make_api()

    await api.call("GET", f"/metrics{query}", 422)
