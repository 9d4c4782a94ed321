"""Query keys, parts of paths and headers: what is not taken is named."""

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
async def test_a_query_key_that_is_not_taken_is_named(api: Api, query: str, errors: Any) -> None:
    problem = await api.call("GET", f"/tasks?{query}", 422)

    assert problem["errors"] == errors


async def test_every_fault_of_a_query_is_named_at_once(api: Api) -> None:
    problem = await api.call("GET", "/tasks?engine=a&engine=b&x=1", 422)

    assert {error["field"] for error in problem["errors"]} == {"engine", "x"}


@pytest.mark.parametrize("job_id", ["x" * 65, "a%00b", "%e2%80%ae"])
async def test_a_name_in_a_path_that_none_can_have_is_refused(api: Api, job_id: str) -> None:
    problem = await api.call("GET", f"/jobs/{job_id}", 422)

    assert [error["field"] for error in problem["errors"]] == ["job_id"]


@pytest.mark.parametrize("value", ["x" * 2000, "\x80"])
async def test_a_header_that_is_not_taken_is_named(api: Api, value: str) -> None:
    headers = {"If-None-Match": value}

    problem = await api.call("GET", "/openapi.json", 422, headers=headers)

    assert [error["field"] for error in problem["errors"]] == ["If-None-Match"]
