"""``GET /jobs?finished_after=``: jobs that finished after an event, each job once."""

from urllib.parse import urlencode

import pytest

from tests.support import Api, Json


async def fetch_page(api: Api, **query: object) -> Json:
    """Fetch one page."""
    page: Json = await api.call("GET", f"/jobs?{urlencode(query)}")
    return page


async def complete(api: Api, **request: object) -> Json:
    """Submit a job and wait until it has finished."""
    return await api.finished(await api.submit(**request))


async def test_jobs_are_listed_in_the_order_in_which_they_finished(api: Api) -> None:
    first, second = await complete(api), await complete(api)
    await api.submit(model_args={"behave": "hang"})

    page = await fetch_page(api, finished_after=0)

    assert page == {"jobs": [first, second], "next": None}


async def test_the_list_continues_after_a_jobs_event_id(api: Api) -> None:
    first = await complete(api)
    second = await complete(api)

    assert (await fetch_page(api, finished_after=first["event_id"]))["jobs"] == [second]
    assert (await fetch_page(api, finished_after=second["event_id"]))["jobs"] == []


async def test_next_leads_through_all_pages(api: Api) -> None:
    jobs = [await complete(api) for _ in range(3)]

    first = await fetch_page(api, finished_after=0, limit=2)
    second = await fetch_page(api, finished_after=0, limit=2, cursor=first["next"])

    assert first["jobs"] + second["jobs"] == jobs
    assert second["next"] is None


async def test_filters_apply(api: Api) -> None:
    await complete(api, labels={"series": "a"})
    matching = await complete(api, labels={"series": "b"})

    assert (await fetch_page(api, finished_after=0, label="series=b"))["jobs"] == [matching]


async def test_an_event_id_of_another_database_is_ignored(api: Api) -> None:
    job = await complete(api)

    assert (await fetch_page(api, finished_after=10**9))["jobs"] == [job]


async def test_a_cursor_of_another_order_is_rejected(api: Api) -> None:
    await complete(api)
    await complete(api)
    cursor = (await fetch_page(api, limit=1))["next"]

    query = urlencode({"limit": 1, "finished_after": 0, "cursor": cursor})
    problem = await api.call("GET", f"/jobs?{query}", 422)

    assert problem["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize("event", ["-1", "1.5", "soon", "", "9" * 40])
async def test_an_invalid_event_id_is_rejected(api: Api, event: str) -> None:
    problem = await api.call("GET", f"/jobs?finished_after={event}", 422)

    assert problem["errors"][0]["field"] == "finished_after"
