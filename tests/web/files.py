"""Requests for the artifacts of a job."""

import asyncio
import io
import zipfile
from pathlib import Path
from typing import Any

from tests.support import Api, Json

HANG = {"behave": "hang"}
MEGABYTE = 2**20
SECRET = b"nobody's business"


def output_dir(job: Json) -> Path:
    """Return the output directory of the job's last attempt."""
    return Path(job["output_dir"])


async def fetch_listing(api: Api, job: Json, status: int = 200) -> Any:
    """Return the response of the artifact list."""
    return await api.call("GET", f"/jobs/{job['job_id']}/artifacts", status)


async def listed_files(api: Api, job: Json) -> dict[str, Json]:
    """Return the listed files by their paths."""
    return {each["path"]: each for each in (await fetch_listing(api, job))["artifacts"]}


async def fetch(api: Api, job: Json, path: str, **headers: str) -> tuple[int, Any, bytes]:
    """Return status, headers and body of one file."""
    url = f"/jobs/{job['job_id']}/artifacts/{path}"
    async with api._session.get(url, headers=headers) as response:
        return response.status, response.headers, await response.read()


async def raw_status(api: Api, target: bytes) -> int:
    """Return the status of a request whose path no client library has normalized."""
    server = api._session.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    response = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert SECRET not in response
    return int(response.split()[1])


async def open_archive(api: Api, job: Json) -> zipfile.ZipFile:
    """Download the archive of all files and open it."""
    async with api._session.get(f"/jobs/{job['job_id']}/artifacts?format=zip") as response:
        assert response.status == 200
        return zipfile.ZipFile(io.BytesIO(await response.read()))
