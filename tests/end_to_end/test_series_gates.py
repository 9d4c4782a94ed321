"""The gate of a series judges each completed step by itself, once, whatever is killed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.crashing_server import CrashingServer
from tests.support import Api, Json, until
from tests.web.api.test_compare import run_scored
from tests.web.api.test_gates import RIGHT, WORSE

SETTINGS = """
[gates.nightly]
max_drop = 0.01

[series."7b-*"]
gate = "nightly"
"""


async def verdicts(api: Api, series: str = "7b-a") -> list[Json]:
    """The verdicts on jobs of a series, the oldest first."""
    body = await api.call("GET", "/gate/verdicts", params={"series": series})
    found: list[Json] = body["verdicts"]
    return found[::-1]


async def wait_for_verdicts(api: Api, count: int, series: str = "7b-a") -> list[Json]:
    """Wait until there are so many, and return them."""

    async def enough() -> list[Json] | None:
        found = await verdicts(api, series)
        return found if len(found) >= count else None

    found: list[Json] = await until(enough)
    return found


def gated(baseline: str = "previous", series: str = "7b-*") -> Json:
    """Settings of a server whose series have a gate."""
    return {
        "gates": {"nightly": {"max_drop": 0.01}},
        "series": {series: {"gate": "nightly", "baseline": baseline}},
    }


async def test_each_completed_step_is_judged_beside_the_one_before(make_api: Any) -> None:
    api = await make_api(**gated())
    first = await run_scored(api, *RIGHT, series="7b-a", step=100)
    second = await run_scored(api, *RIGHT, series="7b-a", step=200)
    third = await run_scored(api, *WORSE, series="7b-a", step=300)

    found = await wait_for_verdicts(api, 3)

    assert [(each["job_id"], each["baseline_id"], each["verdict"]) for each in found] == [
        (first, None, "inconclusive"),
        (second, first, "go"),
        (third, second, "no_go"),
    ]
    assert {(each["actor"], each["policy"], each["by_series"]) for each in found} == {
        ("server", "nightly", True)
    }


async def test_a_step_may_be_judged_beside_the_best_one_or_a_named_job(make_api: Any) -> None:
    api = await make_api(**gated("best"))
    best = await run_scored(api, *RIGHT, series="7b-a", step=100)
    await run_scored(api, *WORSE, series="7b-a", step=200)
    await run_scored(api, *WORSE, series="7b-a", step=300)

    found = await wait_for_verdicts(api, 3)

    assert (found[2]["baseline_id"], found[2]["verdict"]) == (best, "no_go")


async def test_a_baseline_that_does_not_exist_is_inconclusive(make_api: Any) -> None:
    nobody = "00000000-0000-7000-8000-000000000000"
    api = await make_api(**gated(nobody))
    await run_scored(api, *RIGHT, series="7b-a")

    [found] = await wait_for_verdicts(api, 1)

    assert found["verdict"] == "inconclusive"
    assert f"job {nobody} does not exist, or was erased" in found["reason"]


async def test_what_has_no_gate_or_did_not_complete_is_not_judged(make_api: Any) -> None:
    api = await make_api(**gated())
    await run_scored(api, *RIGHT)
    await run_scored(api, *RIGHT, series="13b", step=1)
    crash = {"behave": "crash"}
    failed = await api.submit(model_args=crash, max_attempts=1, series="7b-a", step=1)
    await api.finished(failed)
    judged = await run_scored(api, *RIGHT, series="7b-a", step=2)

    await wait_for_verdicts(api, 1)

    everything = (await api.call("GET", "/gate/verdicts"))["verdicts"]
    assert [each["job_id"] for each in everything] == [judged]


async def test_a_job_that_is_retried_is_judged_again(make_api: Any) -> None:
    api = await make_api(**gated())
    job = await run_scored(api, *RIGHT, series="7b-a", step=1)
    await wait_for_verdicts(api, 1)

    await api.call("POST", f"/jobs/{job}/retry")

    found = await wait_for_verdicts(api, 2)
    assert [each["attempt"] for each in found] == [1, 2]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[CrashingServer]:
    """A running server whose series have a gate, without a crash point."""
    config = tmp_path / "server.toml"
    config.write_text(SETTINGS)
    server = CrashingServer(tmp_path / "data", "--config", str(config))
    async with server:
        yield server


async def test_killed_before_and_after_a_verdict_is_kept(server: CrashingServer) -> None:
    await run_scored(server.api, *RIGHT, series="7b-a", step=100)
    await wait_for_verdicts(server.api, 1)
    for point in ("series_judged", "series_verdict_kept"):
        step = 200 if point == "series_judged" else 300
        await server.start_to_crash_at(point)
        await server.api.submit_unchecked(series="7b-a", step=step, model_args=SCORES)
        await server.restart_after_crash()

        await wait_for_verdicts(server.api, step // 100)

    found = await verdicts(server.api)
    assert [(each["step"], each["verdict"]) for each in found] == [
        (100, "inconclusive"),
        (200, "go"),
        (300, "go"),
    ]
    events = "SELECT count(*) FROM job_events WHERE event = 'judged'"
    assert server.query(events) == ["3"]


SCORES = {"behave": "scores", "scores": "/".join(map(str, RIGHT))}
