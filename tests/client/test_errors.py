"""The clients' exceptions and their messages."""

import copy
import pickle
from typing import Any

import httpx
import pytest

from evalserver.client import (
    EvalClient,
    JobCancelled,
    JobFailed,
    NotFound,
    Pruned,
    RequestFailed,
)
from tests.client.both import call
from tests.client.conftest import MakeClient
from tests.client.faulty import FaultyServer, Reply, problem

FAULTS = [
    {"field": "limit", "message": "Must be at least 1."},
    {"field": "tsks", "message": "Unknown field. Did you mean 'tasks'?"},
]


async def test_a_rejection_has_the_servers_message_and_every_error(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/evaluate", problem(422, "The request was refused.", errors=FAULTS))

    with pytest.raises(RequestFailed) as raised:
        await call(make_client(faulty.url), "evaluate", "m", ["t"])

    assert str(raised.value).splitlines() == [
        "The request was refused.",
        "  limit: Must be at least 1.",
        "  tsks: Unknown field. Did you mean 'tasks'?",
    ]


async def test_a_rejection_has_structured_attributes(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/evaluate", problem(422, "The request was refused.", errors=FAULTS))

    with pytest.raises(httpx.HTTPStatusError) as raised:
        await call(make_client(faulty.url), "evaluate", "m", ["t"])

    error = raised.value
    assert isinstance(error, RequestFailed)
    assert (error.status, error.response.status_code) == (422, 422)
    assert error.detail == "The request was refused."
    assert error.errors == FAULTS


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (410, Pruned)])
async def test_an_unknown_job_is_distinguished_from_a_removed_one(
    make_client: MakeClient, faulty: FaultyServer, status: int, kind: type[RequestFailed]
) -> None:
    faulty.set_replies("/jobs/j1", problem(status, "There is no job j1"))

    with pytest.raises(kind, match="There is no job j1"):
        await call(make_client(faulty.url), "get_job", "j1")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Reply(text="<h1>Bad\nGateway</h1>", status=500), r"500 .*: <h1>Bad Gateway</h1>"),
        (Reply(text="", status=500), r"GET http\S+/queue was answered 500 Internal Server Error$"),
        (Reply({"detail": [{"loc": ["body"]}]}, 422), r"was answered 422 .*\"loc\""),
        (Reply({"detail": "no", "errors": ["x", {"y": 1}]}, 500), "^no$"),
        (Reply([1], 500), r"was answered 500 .*: \[1\]"),
        (
            Reply(text="<html>Log in</html>"),
            "was answered 200 OK, which is not a JSON object: <html>",
        ),
        (Reply([1, 2]), r"was answered 200 OK, which is not a JSON object: \[1, 2\]"),
        (Reply(text="x" * 5000, status=500), "x…$"),
        (
            Reply(status=308, headers={"Location": "https://lab/queue"}),
            "was answered 308 Permanent Redirect to https://lab/queue",
        ),
    ],
)
async def test_a_response_of_another_server_is_quoted(
    make_client: MakeClient, faulty: FaultyServer, answer: Reply, words: str
) -> None:
    faulty.set_replies("/queue", answer)

    with pytest.raises(RequestFailed, match=words):
        await call(make_client(faulty.url), "get_queue_status")


async def test_no_error_shows_the_token(make_client: MakeClient, faulty: FaultyServer) -> None:
    faulty.set_replies("/queue", Reply(text="no", status=500))
    url = faulty.url.replace("http://", "http://x:s3cret@")

    with pytest.raises(RequestFailed) as raised:
        await call(make_client(url), "get_queue_status")

    assert "s3cret" not in f"{raised.value} {raised.value!r} {raised.value.request.url}"


def test_a_failed_job_is_reported_as_in_lmms_evals_client() -> None:
    error = JobFailed({"job_id": "j1", "error": "It broke\nLast lines of eval.log:\nBoom"})

    assert isinstance(error, RuntimeError)
    assert str(error) == "Job failed: It broke\nLast lines of eval.log:\nBoom"


@pytest.mark.parametrize("kind", [JobFailed, JobCancelled])
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
def test_a_job_error_can_be_pickled_and_copied(
    kind: type[JobFailed | JobCancelled], again: Any
) -> None:
    error = kind({"job_id": "j1", "error": "It broke"})

    copied = again(error)

    assert (type(copied), str(copied), copied.job) == (kind, str(error), error.job)


async def test_a_request_error_can_be_pickled(faulty: FaultyServer) -> None:
    faulty.set_replies("/jobs/j1", problem(404, "There is no job j1", errors=FAULTS))
    with pytest.raises(NotFound) as raised, EvalClient(faulty.url) as client:
        await call(client, "get_job", "j1")

    copied = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 - made here

    assert (type(copied), str(copied)) == (NotFound, str(raised.value))
    assert (copied.status, copied.errors) == (404, FAULTS)
