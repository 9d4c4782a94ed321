"""Raw artifact paths that no client library would send: none leads out of the directory."""

import os
from pathlib import Path

import pytest

from tests.support import Api, Json
from tests.web.files import fetch, fetch_listing, listed_files, output_dir, raw_status


async def test_a_name_that_is_not_utf8_is_listed_with_a_working_url(api: Api, job: Json) -> None:
    (output_dir(job) / os.fsdecode(b"\xff%41.txt")).write_text("here")

    url = (await listed_files(api, job))["\ufffd%41.txt"]["url"]

    assert url.endswith("/artifacts/%FF%2541.txt")
    assert await raw_status(api, url.encode()) == 200


@pytest.mark.parametrize(
    "path",
    [
        b"../../../../../outside/secret",
        b"..%2f..%2f..%2f..%2f..%2foutside/secret",
        b"%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/outside/secret",
        b"dummy/../../job.json",
        b"dummy/..%2f..%2fjob.json",
        b"./x",
        b"x/.",
        b"%2e/x",
        b"/etc/passwd",
        b"%2fetc%2fpasswd",
        b"//etc/passwd",
        b"dummy//x",
        b"x%00",
        b"%00",
        b"x/",
        b"dummy",
        b"dummy/",
        b"..",
        b"..\\..\\job.json",
        b"\xff\xfe",
        b"%ff",
        b"%",
        b"%zz",
        b"link",
        b"link/secret",
        b"file-link",
        b"fifo",
        b"~/x",
        b"a" * 4000,
        b"a/" * 2000 + b"a",
    ],
)
@pytest.mark.timeout(60)
async def test_no_path_leads_outside_or_to_a_special_file(
    api: Api, job: Json, secret: Path, path: bytes
) -> None:
    (output_dir(job) / "x").write_text("x")
    (output_dir(job) / "link").symlink_to(secret)
    (output_dir(job) / "file-link").symlink_to(secret / "secret")
    os.mkfifo(output_dir(job) / "fifo")

    status = await raw_status(api, f"/jobs/{job['job_id']}/artifacts/".encode() + path)

    assert status in (400, 404)


async def test_an_output_directory_replaced_by_a_link_is_gone(
    api: Api, job: Json, secret: Path
) -> None:
    output_dir(job).rename(output_dir(job).with_name("elsewhere"))
    output_dir(job).symlink_to(secret)

    assert (await fetch(api, job, "secret"))[0] == 404
    await fetch_listing(api, job, 410)
