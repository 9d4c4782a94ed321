"""``GET /jobs/{job_id}/artifacts?format=zip``: a streamed archive of an attempt's files."""

import asyncio
import errno
import io
import os
import zipfile
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support import Api, Json, until
from tests.web.files import HANG, MEGABYTE, fetch_listing, listed_files, open_archive, output_dir


async def test_the_archive_contains_every_file(api: Api, job: Json) -> None:
    (output_dir(job) / "a").mkdir()
    (output_dir(job) / "a" / "x.bin").write_bytes(os.urandom(3 * MEGABYTE))

    with await open_archive(api, job) as found:
        contents = {name: found.read(name) for name in found.namelist()}

    assert contents == {
        name: (output_dir(job) / name).read_bytes() for name in await listed_files(api, job)
    }


async def test_the_archive_is_named_after_the_job(api: Api, job: Json) -> None:
    async with api._session.get(f"/jobs/{job['job_id']}/artifacts?format=zip") as response:
        assert response.headers["Content-Type"] == "application/zip"
        assert (
            f'attachment; filename="{job["job_id"]}.zip"' in response.headers["Content-Disposition"]
        )
        await response.read()


async def test_the_archive_does_not_follow_links(api: Api, job: Json, secret: Path) -> None:
    (output_dir(job) / "folder").symlink_to(secret)
    (output_dir(job) / "file").symlink_to(secret / "secret")

    with await open_archive(api, job) as found:
        assert all(name.startswith("dummy/") for name in found.namelist())


async def test_the_archive_of_a_job_that_never_ran_is_empty(api: Api) -> None:
    await api.submit(model_args=HANG)
    job_id = await api.submit()

    with await open_archive(api, {"job_id": job_id}) as found:
        assert found.namelist() == []


async def test_files_removed_while_the_archive_is_built_are_left_out(api: Api, job: Json) -> None:
    for number in range(40):
        (output_dir(job) / f"{number:02}").write_bytes(os.urandom(MEGABYTE))
    async with api._session.get(f"/jobs/{job['job_id']}/artifacts?format=zip") as response:
        begin = await response.content.readexactly(MEGABYTE)
        for path in output_dir(job).glob("[0-9]*"):
            path.unlink()
        rest = await response.read()

    with zipfile.ZipFile(io.BytesIO(begin + rest)) as found:
        assert found.testzip() is None
        assert len(found.namelist()) < 42
        assert b"were removed or cannot be read" in found.comment


async def test_head_builds_no_archive(api: Api, job: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr("evalserver.web.api.artifacts.zip_chunks", lambda *args: calls.append(args))

    async with api._session.head(f"/jobs/{job['job_id']}/artifacts?format=zip") as response:
        assert (response.status, await response.read()) == (200, b"")
    assert calls == []


async def test_a_job_with_too_many_files_is_rejected_before_the_first_byte(
    api: Api, job: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalserver.web.api.artifacts.MAX_ARCHIVE_ENTRIES", 1)

    problem = await api.call("GET", f"/jobs/{job['job_id']}/artifacts?format=zip", 422)

    assert "fetch its artifacts one by one" in problem["detail"]


async def test_an_archive_that_fails_midway_is_not_a_valid_zip(
    api: Api, job: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> Generator[bytes, None, None]:
        yield b"PK"
        raise OSError(errno.EIO, "the disk cannot be read")

    monkeypatch.setattr("evalserver.web.api.artifacts.zip_chunks", failing)

    async with api._session.get(f"/jobs/{job['job_id']}/artifacts?format=zip") as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


@pytest.fixture
async def start_reading(api: Api, job: Json) -> Callable[[], Awaitable[tuple[Any, Any]]]:
    """Start to read an archive of many megabytes, then stop reading."""
    for number in range(8):
        (output_dir(job) / f"{number}").write_bytes(os.urandom(8 * MEGABYTE))

    async def begin() -> tuple[Any, Any]:
        server = api._session.server
        reader, writer = await asyncio.open_connection(server.host, server.port)
        target = f"/jobs/{job['job_id']}/artifacts?format=zip"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readexactly(1000)
        await until(_is_open(output_dir(job)))
        return reader, writer

    return begin


def _is_open(folder: Path) -> Callable[[], Awaitable[bool]]:
    async def found() -> bool:
        return bool(_open_files(folder))

    return found


def _open_files(folder: Path) -> list[str]:
    """Return the files below a folder that this process has open."""
    return [link.name for link in Path("/proc/self/fd").iterdir() if _points_below(link, folder)]


def _points_below(link: Path, folder: Path) -> bool:
    try:
        return link.readlink().is_relative_to(folder)
    except FileNotFoundError:
        return False  # it was closed in the meantime


async def test_a_client_that_disconnects_releases_file_and_thread(
    api: Api, job: Json, start_reading: Callable[[], Awaitable[tuple[Any, Any]]]
) -> None:
    _, writer = await start_reading()

    writer.transport.abort()

    async def released() -> bool:
        return not _open_files(output_dir(job))

    await until(released)
    assert (await api.call("GET", "/health"))["status"] == "healthy"


async def test_clients_that_do_not_read_block_no_thread(
    api: Api, job: Json, start_reading: Callable[[], Awaitable[tuple[Any, Any]]]
) -> None:
    clients = [await start_reading() for _ in range((os.cpu_count() or 1) + 6)]

    body = await asyncio.wait_for(fetch_listing(api, job), 60)

    assert len(body["artifacts"]) == 10
    for _, writer in clients:
        writer.transport.abort()
