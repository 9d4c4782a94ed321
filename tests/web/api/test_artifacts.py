"""``GET /jobs/{job_id}/artifacts``: listing an attempt's files and downloading single files."""

import os
import uuid
from pathlib import Path

import pytest

from evalserver.web.api.artifacts import MAX_LISTED_ENTRIES
from tests.conftest import MakeApi
from tests.support import Api, Json
from tests.web.files import HANG, fetch, fetch_listing, listed_files, output_dir


async def test_every_file_is_listed_by_its_path(api: Api, job: Json) -> None:
    assert sorted(await listed_files(api, job)) == [
        "dummy/20260101_000000_results.json",
        "dummy/20260101_000000_samples_mme.jsonl",
    ]


async def test_a_listed_file_has_its_size_time_type_and_url(api: Api, job: Json) -> None:
    path = output_dir(job) / "a b.json"
    path.write_text("12345")
    os.utime(path, (1_000_000_000.5, 1_000_000_000.5))

    assert (await listed_files(api, job))["a b.json"] == {
        "path": "a b.json",
        "size": 5,
        "modified_at": "2001-09-09T01:46:40.500+00:00",
        "content_type": "application/json",
        "url": f"/jobs/{job['job_id']}/artifacts/a%20b.json",
    }


async def test_the_list_names_its_attempt(api: Api, job: Json) -> None:
    body = await fetch_listing(api, job)

    del body["artifacts"]
    assert body == {
        "job_id": job["job_id"],
        "status": "completed",
        "attempt": 1,
        "truncated": False,
    }


async def test_a_running_job_lists_its_files_so_far(api: Api) -> None:
    job_id = await api.submit(model_args=HANG)
    job = await api.when(job_id, "running")
    output_dir(job).mkdir(parents=True, exist_ok=True)
    (output_dir(job) / "partial.json").touch()

    assert list(await listed_files(api, job)) == ["partial.json"]


async def test_a_job_that_never_ran_has_no_artifacts(api: Api) -> None:
    await api.submit(model_args=HANG)
    job_id = await api.submit()

    body = await fetch_listing(api, {"job_id": job_id})

    assert (body["artifacts"], body["attempt"]) == ([], 0)


async def test_a_failed_job_lists_its_files(api: Api) -> None:
    job = await api.finished(await api.submit(model_args={"behave": "no_numbers"}))

    assert list(await listed_files(api, job)) == [
        "dummy/20260101_000000_results.json",
        "dummy/20260101_000000_samples_mme.jsonl",
    ]


async def test_a_completed_job_whose_directory_was_removed_is_410(api: Api, job: Json) -> None:
    output_dir(job).rename(output_dir(job).with_name("elsewhere"))

    problem = await fetch_listing(api, job, 410)

    assert "were removed after the evaluation" in problem["detail"]


async def test_a_long_list_is_truncated_and_marked(api: Api, job: Json) -> None:
    for number in range(MAX_LISTED_ENTRIES):
        (output_dir(job) / f"{number}").touch()

    body = await fetch_listing(api, job)

    assert body["truncated"]
    assert len(body["artifacts"]) <= MAX_LISTED_ENTRIES


async def test_in_a_client_chosen_directory_only_the_attempts_files_are_listed(
    api: Api, tmp_path: Path
) -> None:
    named = tmp_path / "results"
    job = await api.finished(await api.submit(output_dir=str(named)))
    (named / "somebody-elses").touch()

    assert len(await listed_files(api, job)) == 2
    assert (await fetch(api, job, "..%2f..%2fsomebody-elses"))[0] == 404


async def test_a_file_is_sent_unchanged(api: Api, job: Json) -> None:
    [results, _] = (await fetch_listing(api, job))["artifacts"]

    async with api._session.get(results["url"]) as response:
        body = await response.read()

    assert body == (output_dir(job) / results["path"]).read_bytes()


@pytest.mark.parametrize(
    ("name", "content_type", "kind"),
    [
        ("x.json", "application/json", "inline"),
        ("x.jsonl", "application/x-ndjson", "inline"),
        ("X.PNG", "image/png", "inline"),
        ("x.log", "text/plain; charset=utf-8", "inline"),
        ("x.html", "text/html; charset=utf-8", "attachment"),
        ("x.svg", "image/svg+xml", "attachment"),
        ("x.xml", "application/xml", "attachment"),
        ("x.json.gz", "application/gzip", "attachment"),
        ("x.js", "application/octet-stream", "attachment"),
        ("x", "application/octet-stream", "attachment"),
        (".html", "application/octet-stream", "attachment"),
    ],
)
async def test_a_file_has_its_type_and_active_content_is_sent_as_attachment(
    api: Api, job: Json, name: str, content_type: str, kind: str
) -> None:
    (output_dir(job) / name).write_text("<script>alert(1)</script>")

    _, headers, _ = await fetch(api, job, name)

    assert headers["Content-Type"] == content_type
    assert headers["Content-Disposition"].partition(";")[0] == kind
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


async def test_a_file_name_cannot_inject_a_header(api: Api, job: Json) -> None:
    (output_dir(job) / 'a"\r\nX-Evil: 1.txt').write_text("x")

    status, headers, _ = await fetch(api, job, "a%22%0D%0AX-Evil%3A%201.txt")

    assert (status, "X-Evil" in headers) == (200, False)
    assert headers["Content-Disposition"] == (
        "inline; filename=\"a___X-Evil_ 1.txt\"; filename*=UTF-8''a%22%0D%0AX-Evil%3A%201.txt"
    )


@pytest.mark.parametrize(
    ("range_header", "status", "body"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=8-", 206, b"89"),
        ("bytes=-3", 206, b"789"),
    ],
)
async def test_a_range_request_is_answered(
    api: Api, job: Json, range_header: str, status: int, body: bytes
) -> None:
    (output_dir(job) / "x").write_bytes(b"0123456789")

    response = await fetch(api, job, "x", Range=range_header)

    assert (response[0], response[2]) == (status, body)


async def test_an_unsatisfiable_range_is_416(api: Api, job: Json) -> None:
    (output_dir(job) / "x").write_bytes(b"0123456789")

    status, headers, body = await fetch(api, job, "x", Range="bytes=10-")

    assert (status, headers["Content-Range"]) == (416, "bytes */10")
    assert b"there are 10 bytes" in body


async def test_an_unmodified_file_is_304(api: Api, job: Json) -> None:
    (output_dir(job) / "x").write_bytes(b"0123456789")
    _, headers, _ = await fetch(api, job, "x")

    status, _, _ = await fetch(api, job, "x", **{"If-None-Match": headers["ETag"]})

    assert status == 304


async def test_a_compressed_sibling_is_not_sent_instead(api: Api, job: Json, secret: Path) -> None:
    (output_dir(job) / "x").write_text("plain")
    (output_dir(job) / "x.gz").write_text("compressed")

    _, _, body = await fetch(api, job, "x", **{"Accept-Encoding": "gzip, br"})

    assert body == b"plain"


async def test_head_sends_no_body(api: Api, job: Json) -> None:
    (output_dir(job) / "x").write_text("12345")

    async with api._session.head(f"/jobs/{job['job_id']}/artifacts/x") as response:
        assert (response.status, response.headers["Content-Length"]) == (200, "5")
        assert await response.read() == b""


async def test_a_missing_file_is_404_and_named(api: Api, job: Json) -> None:
    problem = await api.call("GET", f"/jobs/{job['job_id']}/artifacts/no/such.json", 404)

    assert problem["detail"] == (
        f"Job {job['job_id']} has no file 'no/such.json' among its artifacts"
    )


@pytest.mark.parametrize("path", ["", "/x", "?format=zip"])
async def test_an_unknown_job_is_404(api: Api, path: str) -> None:
    await api.call("GET", f"/jobs/{uuid.uuid4()}/artifacts{path}", 404)


@pytest.mark.parametrize("path", ["", "/x", "?format=zip"])
async def test_a_pruned_job_is_410(make_api: MakeApi, path: str) -> None:
    api = await make_api(max_completed_jobs=1)
    pruned = await api.submit()
    await api.finished(await api.submit())

    await api.call("GET", f"/jobs/{pruned}/artifacts{path}", 410)
