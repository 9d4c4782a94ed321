"""``GET /jobs``: filters, paging and validation of the query."""

import asyncio
from urllib.parse import quote, urlencode

import pytest

from evalserver.core.job import QueuedJob
from evalserver.web.keys import SCHEDULER
from tests.conftest import MakeApi
from tests.support import Api, Json
from tests.web.answers import fetch
from tests.web.looking import endless_lookups

HANG = {"behave": "hang"}


async def listed_ids(api: Api, **query: str) -> list[str]:
    """Return the IDs of the jobs on one page."""
    response = await api.call("GET", f"/jobs?{urlencode(query)}")
    return [job["job_id"] for job in response["jobs"]]


async def occupy_slot(api: Api) -> str:
    """Occupy the only slot so that later jobs stay queued; return the running job's ID."""
    job_id = await api.submit(model="busy", model_args=HANG)
    await api.when(job_id, "running")
    return job_id


async def test_a_server_without_jobs_returns_an_empty_list(api: Api) -> None:
    assert await api.call("GET", "/jobs") == {"jobs": [], "next": None}


async def test_listed_jobs_equal_single_jobs_newest_first(api: Api) -> None:
    running = await occupy_slot(api)
    first, second = await api.submit(), await api.submit(labels={"team": "a"})

    response = await api.call("GET", "/jobs")

    alone = [await api.job(job_id) for job_id in (second, first, running)]
    # The progress of a running job may change between two requests.
    assert [{**job, "progress": None} for job in response["jobs"]] == [
        {**job, "progress": None} for job in alone
    ]


async def test_queued_jobs_are_listed_with_their_positions(api: Api) -> None:
    await occupy_slot(api)
    await api.submit()
    await api.submit(priority=5)
    await api.submit()

    response = await api.call("GET", "/jobs")

    assert [job["position_in_queue"] for job in response["jobs"]] == [2, 0, 1, None]


async def test_every_filter_finds_its_jobs(api: Api) -> None:
    running = await occupy_slot(api)
    plain = await api.submit()
    other = await api.submit(
        model="qwen", tasks=["mmmu", "gsm8k"], engine="lm_eval", labels={"team": "a=b", "run": ""}
    )

    assert await listed_ids(api, status="running") == [running]
    assert await listed_ids(api, status="running,queued") == [other, plain, running]
    assert await listed_ids(api, model="qwen") == [other]
    assert await listed_ids(api, task="gsm8k") == [other]
    assert await listed_ids(api, engine="lmms_eval") == [plain, running]
    assert await listed_ids(api, label="team=a=b") == [other]
    assert await listed_ids(api, label="run=") == [other]
    assert await listed_ids(api, submitted_by="anonymous", status="queued") == [other, plain]
    assert await listed_ids(api, submitted_by="somebody") == []


async def test_a_job_must_match_every_given_label(api: Api) -> None:
    await occupy_slot(api)
    both = await api.submit(labels={"team": "a", "run": "1"})
    await api.submit(labels={"team": "a"})

    response = await api.call("GET", "/jobs?label=team=a&label=run=1&label=team=a")

    assert [job["job_id"] for job in response["jobs"]] == [both]


async def test_jobs_are_filtered_by_the_times_they_show(api: Api) -> None:
    await occupy_slot(api)
    job_id = await api.submit()
    await asyncio.sleep(0.002)
    later = await api.submit()
    created, next_created = [(await api.job(each))["created_at"] for each in (job_id, later)]

    assert await listed_ids(api, created_after=created, created_before=next_created) == [job_id]


@pytest.mark.parametrize(
    ("time", "found"),
    [
        ("2001-01-01", True),
        ("2001-01-01T00:00:00Z", True),
        ("2001-01-01T00:00:00 02:00", True),  # an unencoded plus sign
        ("2999-12-31T23:59:59.999999-12:00", False),
    ],
)
async def test_a_time_can_be_written_in_several_formats(api: Api, time: str, found: bool) -> None:
    await occupy_slot(api)

    assert bool(await listed_ids(api, created_after=time)) is found


async def test_a_page_has_50_jobs_by_default(api: Api) -> None:
    await occupy_slot(api)
    for _ in range(50):
        await api.submit()

    assert len(await listed_ids(api)) == 50
    assert len(await listed_ids(api, limit="500")) == 51


async def test_next_leads_through_all_pages(api: Api) -> None:
    await occupy_slot(api)
    jobs = [await api.submit(model=f"m{number % 2}") for number in range(5)]

    first = await api.call("GET", "/jobs?model=m0&limit=2")
    second = await api.call("GET", f"/jobs?model=m0&limit=1&cursor={first['next']}")

    found = [[job["job_id"] for job in page["jobs"]] for page in (first, second)]
    assert found == [[jobs[4], jobs[2]], [jobs[0]]]
    assert second["next"] is None


async def test_the_link_header_leads_to_the_next_page_of_the_same_query(api: Api) -> None:
    await occupy_slot(api)
    label = {"ä b": "<c>&d=é"}
    old = await api.submit(labels={**label, "run": "1"})
    await api.submit(labels={**label, "run": "1"})
    encoded = quote("ä b=<c>&d=é")

    first = await fetch(api, "GET", f"/jobs?label={encoded}&label=run=1&limit=1&status=queued")
    link, relation = first.headers["Link"].split(";")
    second = await fetch(api, "GET", link.strip("<>"))

    assert relation == ' rel="next"'
    assert [job["job_id"] for job in second.json["jobs"]] == [old]
    assert "Link" not in second.headers


async def test_new_jobs_do_not_shift_pages(api: Api) -> None:
    await occupy_slot(api)
    old = [await api.submit() for _ in range(2)]
    first = await api.call("GET", "/jobs?limit=1")
    await api.submit()

    second = await api.call("GET", f"/jobs?limit=1&cursor={first['next']}")

    assert [job["job_id"] for job in second["jobs"]] == [old[0]]


async def test_a_pruned_job_is_not_listed(make_api: MakeApi) -> None:
    api = await make_api(max_completed_jobs=1)
    await api.finished(await api.submit())
    kept = await api.submit()
    await api.finished(kept)

    assert await listed_ids(api) == [kept]


async def test_a_job_missing_from_the_queue_index_is_read_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await occupy_slot(api)
    job_id = await api.submit()
    queue = api._session.app[SCHEDULER].queue
    queue.remove(job_id)
    first_lookup = endless_lookups(queue, monkeypatch)
    pending = asyncio.create_task(api.call("GET", "/jobs?status=queued"))
    await first_lookup.wait()
    queue.add(QueuedJob(job_id, 0, 2))

    [job] = (await pending)["jobs"]

    assert (job["job_id"], job["position_in_queue"]) == (job_id, 0)


async def test_a_job_that_left_the_queue_when_read_again_is_left_out(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await occupy_slot(api)
    job_id = await api.submit()
    queue = api._session.app[SCHEDULER].queue
    queue.remove(job_id)
    first_lookup = endless_lookups(queue, monkeypatch)
    pending = asyncio.create_task(api.call("GET", "/jobs?status=queued"))
    await first_lookup.wait()
    await api.call("DELETE", f"/jobs/{job_id}")

    assert (await pending)["jobs"] == []


REJECTED = {
    "status=done": ("status", "Must be one of queued, running, completed, failed, cancelled"),
    "status=": ("status", "Must be one of"),
    "status=queued,,running": ("status", "Must be one of"),
    "status=runing": ("status", "Did you mean 'running'?"),
    "job_id=abc": ("job_id", "Must be an id or its beginning or end: 4 to 36 characters"),
    "job_id=%25abc": ("job_id", "Must be an id or its beginning or end"),
    "model=": ("model", "1 to 512 characters"),
    "model=a%00b": ("model", "control characters"),
    "engine=lmms": ("engine", "Known engines"),
    "label=team": ("label", "Must be name=text, such as run=7b, not 'team'."),
    "failure=disk": ("failure", "Did you mean 'disk_full'?"),
    "label=a=b&label==b": ("label.1", "1 to 128 characters"),
    "&".join(["label=a=b"] * 11): ("label", "at most 10 times"),
    "created_after=yesterday": ("created_after", "Must be a time in ISO 8601"),
    "created_before=0001-01-01T00:00:00%2B01:00": ("created_before", "Must be a time in ISO 8601"),
    "created_before=9999-12-31T23:59:59.9999": ("created_before", "Must be a time in ISO 8601"),
    "limit=0": ("limit", "Must be an integer from 1 to 500."),
    "limit=501": ("limit", "Must be an integer from 1 to 500."),
    "limit=-1": ("limit", "Must be an integer from 1 to 500."),
    "limit=1.0": ("limit", "Must be an integer from 1 to 500."),
    "limit=%C2%B2": ("limit", "Must be an integer from 1 to 500."),
    "limit=" + "1" * 5000: ("limit", "Must be an integer from 1 to 500."),
    "limit=1&limit=2": ("limit", "Must be given once, not 2 times."),
    "model=a&model=a": ("model", "Must be given once, not 2 times."),
    "status=queued&status=running": ("status", "Must be given once, not 2 times."),
    "cursor=": ("cursor", "1 to 4096 characters"),
    "sort=age": ("sort", "Must be one of created_at, started_at, completed_at, duration"),
    "sort=-prioritiy": ("sort", "Did you mean 'priority'?"),
    "sort=model&finished_after=0": ("sort", "Cannot be combined with finished_after"),
    "sort=model&cursor=nonsense": ("cursor", "Must be the 'next' of a response to this query"),
    "cursor=nonsense": ("cursor", "Must be the 'next' of a response to this query"),
    "cursor=%F0%9F%A6%8A": ("cursor", "Must be the 'next' of a response to this query"),
    "state=queued": ("state", "Unknown field."),
    "lable=a=b&lable=c=d": ("lable", "Did you mean 'label'?"),
}


@pytest.mark.parametrize(
    ("query", "expected"), REJECTED.items(), ids=[each[:40] for each in REJECTED]
)
async def test_an_invalid_query_is_rejected(
    api: Api, query: str, expected: tuple[str, str]
) -> None:
    problem = await api.call("GET", f"/jobs?{query}", 422)

    [error] = problem["errors"]
    assert error["field"] == expected[0]
    assert expected[1] in error["message"]


async def test_all_errors_of_a_query_are_reported_at_once(api: Api) -> None:
    problem = await api.call("GET", "/jobs?limit=0&status=x&stat=1", 422)

    assert {error["field"] for error in problem["errors"]} == {"limit", "status", "stat"}


async def _two_pages(api: Api) -> Json:
    await occupy_slot(api)
    await api.submit()
    first: Json = await api.call("GET", "/jobs?limit=1")
    return first


async def test_a_cursor_of_another_query_is_rejected(api: Api) -> None:
    cursor = (await _two_pages(api))["next"]

    problem = await api.call("GET", f"/jobs?limit=1&status=queued&cursor={cursor}", 422)

    assert problem["errors"][0]["field"] == "cursor"


async def test_a_cursor_is_valid_for_an_equivalent_query(api: Api) -> None:
    await occupy_slot(api)
    jobs = [await api.submit(labels={"a": "1", "b": "2"}) for _ in range(2)]
    first = await api.call("GET", "/jobs?limit=1&label=a=1&label=b=2")

    second = await api.call("GET", f"/jobs?label=b=2&label=a=1&cursor={first['next']}")

    assert [job["job_id"] for job in second["jobs"]] == [jobs[0]]


async def test_a_modified_cursor_is_rejected(api: Api) -> None:
    cursor = (await _two_pages(api))["next"]
    changed = [
        cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
        for at in range(len(cursor))
    ]

    for each in [*changed, cursor + "A", cursor[:-1], cursor + "=="]:
        await api.call("GET", f"/jobs?limit=1&cursor={each}", 422)


async def test_jobs_are_sorted_as_requested_page_by_page(api: Api) -> None:
    running = await occupy_slot(api)
    low, high, middle = [await api.submit(priority=each) for each in (-1, 5, 2)]

    first = await api.call("GET", "/jobs?sort=-priority&limit=3")
    rest = await api.call("GET", f"/jobs?sort=-priority&limit=3&cursor={first['next']}")

    assert [job["job_id"] for job in first["jobs"]] == [high, middle, running]
    assert [job["job_id"] for job in rest["jobs"]] == [low]
    assert rest["next"] is None
    assert await listed_ids(api, sort="priority") == [low, running, middle, high]


async def test_a_cursor_of_another_sort_order_is_rejected(api: Api) -> None:
    for _ in range(2):
        await api.submit(model_args=HANG)

    page = await api.call("GET", "/jobs?sort=-priority&limit=1")
    for query in ("", "sort=priority&", "sort=-model&"):
        problem = await api.call("GET", f"/jobs?{query}cursor={page['next']}", 422)
        assert problem["errors"][0]["field"] == "cursor"


async def test_search_matches_parts_of_a_checkpoint_path_but_not_of_a_secret(api: Api) -> None:
    await occupy_slot(api)
    given = {"pretrained": "org/SFT-7b-step-400", "api_key": "of-somebody-alone"}
    wanted = await api.submit(model_args=given)

    assert await listed_ids(api, search="sft-7b-step") == [wanted]
    assert await listed_ids(api, search="of-some") == []
