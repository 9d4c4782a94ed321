"""Query keys, path segments and headers: invalid ones are named in the error."""

from typing import Any

import pytest

from tests.support import Api


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        (
            "engine=lm_eval&engine=lmms_eval",
            [{"field": "engine", "message": "Must be given once, not 2 times."}],
        ),
        ("engin=lm_eval", [{"field": "engin", "message": "Unknown field. Did you mean 'engine'?"}]),
        ("verbose=", [{"field": "verbose", "message": "Unknown field. Known fields: engine"}]),
        ("=", [{"field": '""', "message": "Unknown field. Known fields: engine"}]),
    ],
)
async def test_an_unknown_query_key_is_named(api: Api, query: str, errors: Any) -> None:
    problem = await api.call("GET", f"/tasks?{query}", 422)

    assert problem["errors"] == errors


async def test_all_errors_of_a_query_are_reported_at_once(api: Api) -> None:
    problem = await api.call("GET", "/tasks?engine=a&engine=b&x=1", 422)

    assert {error["field"] for error in problem["errors"]} == {"engine", "x"}


@pytest.mark.parametrize("job_id", ["x" * 65, "a%00b", "%e2%80%ae"])
async def test_an_invalid_name_in_a_path_is_rejected(api: Api, job_id: str) -> None:
    problem = await api.call("GET", f"/jobs/{job_id}", 422)

    assert [error["field"] for error in problem["errors"]] == ["job_id"]


@pytest.mark.parametrize("value", ["x" * 2000, "\x80"])
async def test_an_invalid_header_is_named(api: Api, value: str) -> None:
    headers = {"If-None-Match": value}

    problem = await api.call("GET", "/openapi.json", 422, headers=headers)

    assert [error["field"] for error in problem["errors"]] == ["If-None-Match"]
