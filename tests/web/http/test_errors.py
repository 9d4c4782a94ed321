"""Every error is a problem document."""

from evalserver.web.keys import STORE
from tests.support import Api, request

LARGE = {str(number): "x" * 500 for number in range(60)}


async def call_raw(api: Api, method: str, path: str) -> tuple[str, set[str]]:
    async with api._session.request(method, path) as response:
        return response.content_type, set(await response.json(content_type=None))


async def test_an_error_is_a_problem_document(api: Api) -> None:
    content_type, keys = await call_raw(api, "GET", "/jobs/none")

    assert content_type == "application/problem+json"
    assert keys == {"type", "title", "status", "detail"}


async def test_an_unknown_path_is_404(api: Api) -> None:
    problem = await api.call("GET", "/nowhere", 404)

    assert problem["detail"] == "There is nothing at /nowhere"


async def test_an_unsupported_method_is_405_and_lists_the_supported_ones(api: Api) -> None:
    problem = await api.call("PUT", "/evaluate", 405)

    assert problem["detail"] == "/evaluate does not take PUT; it takes POST"


async def test_an_unknown_query_key_is_422_on_a_route_without_a_query(api: Api) -> None:
    problem = await api.call("GET", "/queue?verbose=1", 422)

    assert problem["errors"][0]["field"] == "verbose"


async def test_a_full_database_is_503_and_stores_nothing(api: Api) -> None:
    await _fill_the_database(api)

    problem = await api.call("POST", "/evaluate", 503, json=request(labels=LARGE))

    assert problem["detail"] == "the database cannot be written: database or disk is full"
    assert (await api.call("GET", "/queue"))["running_job"] is None


async def test_a_database_with_free_space_accepts_jobs_again(api: Api) -> None:
    await _fill_the_database(api)
    await api.call("POST", "/evaluate", 503, json=request(labels=LARGE))

    await _allow_pages(api, 1_000_000)

    await api.call("POST", "/evaluate", 200, json=request(labels=LARGE))


async def _fill_the_database(api: Api) -> None:
    await _allow_pages(api, 1)


async def _allow_pages(api: Api, pages: int) -> None:
    connection = api._session.app[STORE]._connection
    connection.execute(f"PRAGMA max_page_count = {pages}")
