"""``ETag`` and ``If-None-Match`` of a job: an unmodified job is not sent again."""

from datetime import timedelta

import pytest

from evalserver.core.clock import utc_now
from evalserver.web.keys import FORECASTS
from tests.support import Api
from tests.web.answers import fetch

HANG = {"behave": "hang"}


async def queued_job_path(api: Api) -> str:
    """Return the path of a job that stays queued."""
    await api.when(await api.submit(model_args=HANG), "running")
    return f"/jobs/{await api.submit()}"


async def test_a_job_has_an_etag_and_must_be_revalidated(api: Api) -> None:
    response = await fetch(api, "GET", await queued_job_path(api))

    assert response.headers["ETag"].startswith('W/"')
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("known", ["{}", '"other", {}', "*"])
async def test_an_unmodified_job_is_304_without_a_body(api: Api, known: str) -> None:
    path = await queued_job_path(api)
    tag = (await fetch(api, "GET", path)).headers["ETag"]

    response = await fetch(api, "GET", path, headers={"If-None-Match": known.format(tag)})

    assert (response.status, response.body) == (304, b"")
    assert response.headers["ETag"] == tag
    assert "Content-Type" not in response.headers


@pytest.mark.parametrize("known", ['"other"', "nonsense", '""'])
async def test_a_job_is_sent_when_no_etag_matches(api: Api, known: str) -> None:
    path = await queued_job_path(api)

    response = await fetch(api, "GET", path, headers={"If-None-Match": known})

    assert response.status == 200
    assert response.json["status"] == "queued"


async def test_a_changed_job_is_sent_with_another_etag(api: Api) -> None:
    path = await queued_job_path(api)
    tag = (await fetch(api, "GET", path)).headers["ETag"]
    await api.call("DELETE", path)

    response = await fetch(api, "GET", path, headers={"If-None-Match": tag})

    assert response.json["status"] == "cancelled"
    assert response.headers["ETag"] != tag


async def test_a_job_whose_queue_position_changed_is_sent(api: Api) -> None:
    path = await queued_job_path(api)
    tag = (await fetch(api, "GET", path)).headers["ETag"]
    await api.submit(priority=1)

    response = await fetch(api, "GET", path, headers={"If-None-Match": tag})

    assert response.json["position_in_queue"] == 1


async def test_a_new_estimate_of_the_remaining_time_is_no_change(api: Api) -> None:
    await api.finished(await api.submit())
    path = await queued_job_path(api)
    before = await fetch(api, "GET", path)
    api._session.app[FORECASTS]._clock = lambda: utc_now() - timedelta(hours=1)
    after = await fetch(api, "GET", path)

    assert before.json["eta_s"] < after.json["eta_s"]
    assert before.headers["ETag"] == after.headers["ETag"]


async def test_head_has_the_etag_too(api: Api) -> None:
    path = await queued_job_path(api)

    tags = [(await fetch(api, method, path)).headers["ETag"] for method in ("GET", "HEAD")]

    assert tags[0] == tags[1]
