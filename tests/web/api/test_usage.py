"""``GET /usage``: sums of what attempts used."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from evalserver.core.clock import timestamp
from evalserver.store import DATABASE_NAME
from tests.store.test_migrate import change
from tests.support import Api

SECRET = "hf_abcdefghijklmnopqrstuvwxyz0123456789"  # noqa: S105 - of nobody

EMPTY = {"attempts": 0, "seconds": 0.0, "gpu_seconds": 0.0}


async def test_nothing_has_been_used_at_first(api: Api) -> None:
    answer = await api.call("GET", "/usage")

    assert answer == {
        "by": "month", "since": None, "until": None, "rows": [], "groups": 0, "total": EMPTY,
    }  # fmt: skip


async def test_a_finished_job_is_counted_with_its_gpus(api: Api) -> None:
    job_id = await api.submit(num_gpus=2, labels={"series": "run"})
    job = await api.finished(job_id)
    started, ended = (datetime.fromisoformat(job[key]) for key in ("started_at", "completed_at"))
    seconds = (ended - started).total_seconds()

    for by, name in {
        "job": job_id,
        "token": "anonymous",
        "series": "run",
        "model": "dummy",
        "month": f"{ended:%Y-%m}",
    }.items():
        answer = await api.call("GET", f"/usage?by={by}")

        used = {
            "attempts": 1,
            "seconds": pytest.approx(seconds, abs=0.002),
            "gpu_seconds": pytest.approx(2 * seconds, abs=0.004),
        }
        assert answer["rows"] == [{"name": name, **used}]
        assert (answer["groups"], answer["total"]) == (1, used)


async def test_a_period_and_a_limit_select(api: Api) -> None:
    for _ in range(2):
        await api.finished(await api.submit())

    last_year = datetime(datetime.now(UTC).year - 1, 1, 1, tzinfo=UTC)
    one = await api.call("GET", f"/usage?by=job&limit=1&since={last_year:%Y-%m-%d}")
    none = await api.call("GET", f"/usage?by=job&until={last_year:%Y-%m-%d}")

    assert (len(one["rows"]), one["groups"], one["total"]["attempts"]) == (1, 2, 2)
    assert (none["rows"], none["total"]) == ([], EMPTY)
    assert none["until"] == timestamp(last_year)


async def test_a_secret_in_the_name_of_a_model_is_masked(api: Api, data_dir: Path) -> None:
    await api.finished(await api.submit())
    change(data_dir / DATABASE_NAME, f"UPDATE gpu_usage SET model = '{SECRET}'")  # noqa: S608

    answer = await api.call("GET", "/usage?by=model")

    assert [SECRET in row["name"] for row in answer["rows"]] == [False]


@pytest.mark.parametrize(
    "query", ["by=user", "by=", "since=yesterday", "until=x", "limit=0", "limit=10001", "month=1"]
)
async def test_an_invalid_query_is_rejected(api: Api, query: str) -> None:
    await api.call("GET", f"/usage?{query}", 422)
