"""The files in the output directory of an attempt: a list, single files, or a zip of all.

The files are untrusted, so they are sent with headers with which browsers execute nothing.
"""

import asyncio
import os
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, unquote_to_bytes

import structlog
from aiohttp import web
from marshmallow import fields, validate

from evalserver.core.clock import timestamp
from evalserver.core.job import Job
from evalserver.core.lifecycle import Status
from evalserver.outputs import (
    Artifact,
    ArtifactList,
    ArtifactNotFound,
    list_artifacts,
    open_artifact,
    zip_chunks,
)
from evalserver.web.http.byte_ranges import byte_range
from evalserver.web.http.errors import BadRequest
from evalserver.web.http.file_response import OpenFileResponse
from evalserver.web.http.responses import dump
from evalserver.web.keys import QUERY, STORE
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.security.revocation import while_authorized

log = structlog.get_logger("evalserver.web")

T = TypeVar("T")

MAX_LISTED_ENTRIES = 1000
MAX_ARCHIVE_ENTRIES = 100_000
"""Maximum files and directories that are examined for a list, and for an archive."""

INLINE_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".log": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".yaml": "text/plain; charset=utf-8",
    ".yml": "text/plain; charset=utf-8",
}
"""Content types that browsers may display, by suffix."""

ATTACHMENT_TYPES = {
    ".gz": "application/gzip",
    ".htm": "text/html; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".tsv": "text/tab-separated-values; charset=utf-8",
    ".wav": "audio/wav",
    ".xml": "application/xml",
    ".zip": "application/zip",
}
"""Content types that browsers must save, as unknown ones: some can contain scripts."""

DEFAULT_TYPE = "application/octet-stream"

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}

MAX_TIMESTAMP = 253_402_300_799.0
"""The last second of the year 9999."""


class ArtifactsQuerySchema(StrictSchema):
    """The query of ``GET /jobs/{job_id}/artifacts``."""

    format = fields.String(
        validate=validate.OneOf(("json", "zip"), error="Must be json or zip."),
        metadata=about("`zip` sends all files as one archive."),
    )


async def get_artifacts(request: web.Request) -> web.StreamResponse:
    """``GET /jobs/{job_id}/artifacts``: list the files; ``?format=zip`` sends them all."""
    job = await request.app[STORE].queries.job(request.match_info["job_id"])
    if request[QUERY].get("format") == "zip":
        return await _send_zip(request, job)
    body = await asyncio.to_thread(_listing_body, job)
    return web.Response(body=body, content_type="application/json")


async def get_artifact(request: web.Request) -> web.StreamResponse:
    """``GET /jobs/{job_id}/artifacts/{path}``: send one file, or a range of it."""
    job = await request.app[STORE].queries.job(request.match_info["job_id"])
    path = _artifact_path(request)
    try:
        file = await asyncio.to_thread(_open, job, path)
    except ArtifactNotFound:
        detail = f"Job {job.job_id} has no file {path[:256]!r} among its artifacts"
        raise BadRequest(HTTPStatus.NOT_FOUND, detail) from None
    try:
        byte_range(request, os.fstat(file.fileno()).st_size)
    except BadRequest:
        file.close()
        raise
    return OpenFileResponse(request, file, _headers(PurePosixPath(path)))


def _open(job: Job, path: str) -> BinaryIO:
    if job.output_dir is None:
        raise ArtifactNotFound(path)
    return open_artifact(Path(job.output_dir), path)


def _artifact_path(request: web.Request) -> str:
    """Return the path after ``/artifacts/``, with exactly the bytes that were sent."""
    _, _, _, _, raw = request.rel_url.raw_path.split("/", 4)
    return os.fsdecode(unquote_to_bytes(os.fsencode(raw)))


def _headers(path: PurePosixPath) -> dict[str, str]:
    ending = path.suffix.lower()
    content_type = INLINE_TYPES.get(ending) or ATTACHMENT_TYPES.get(ending) or DEFAULT_TYPE
    disposition = _disposition("inline" if ending in INLINE_TYPES else "attachment", path.name)
    return {**SECURITY_HEADERS, "Content-Type": content_type, "Content-Disposition": disposition}


def _disposition(kind: str, name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(os.fsencode(name), safe='')}"


def _listing_body(job: Job) -> bytes:
    listing = _list_artifacts(job, MAX_LISTED_ENTRIES)
    return dump(
        {
            "job_id": job.job_id,
            "status": job.status,
            "attempt": job.attempt,
            "artifacts": [
                _artifact_json(job, artifact)
                for artifact in sorted(listing.artifacts, key=lambda artifact: artifact.path)
            ],
            "truncated": listing.truncated,
        }
    )


def _list_artifacts(job: Job, max_entries: int) -> ArtifactList:
    """List the files; empty before an attempt has written any. Raises BadRequest (410)."""
    try:
        if job.output_dir is not None:
            return list_artifacts(Path(job.output_dir), max_entries)
    except ArtifactNotFound:
        if job.status is Status.COMPLETED:
            raise BadRequest(
                HTTPStatus.GONE,
                f"The artifacts of job {job.job_id} were removed after the evaluation: "
                f"the directory {job.output_dir} no longer exists",
            ) from None
    return ArtifactList([], truncated=False)


def _artifact_json(job: Job, artifact: Artifact) -> dict[str, Any]:
    raw = os.fsencode(artifact.path)
    modified = datetime.fromtimestamp(min(max(artifact.modified, 0.0), MAX_TIMESTAMP), UTC)
    return {
        "path": raw.decode(errors="replace"),
        "size": artifact.size,
        "modified_at": timestamp(modified),
        "content_type": _headers(PurePosixPath(artifact.path))["Content-Type"],
        "url": f"/jobs/{job.job_id}/artifacts/{quote(raw)}",
    }


async def _send_zip(request: web.Request, job: Job) -> web.StreamResponse:
    listing = await asyncio.to_thread(_list_artifacts, job, MAX_ARCHIVE_ENTRIES)
    if listing.truncated:
        raise BadRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"Job {job.job_id} has more files than an archive can hold ({MAX_ARCHIVE_ENTRIES}),"
            " or unreadable directories; fetch its artifacts one by one",
        )
    response = web.StreamResponse(headers=SECURITY_HEADERS)
    response.content_type = "application/zip"
    response.headers["Content-Disposition"] = _disposition("attachment", f"{job.job_id}.zip")
    await response.prepare(request)
    if request.method == "GET":
        with suppress(ConnectionError):
            await while_authorized(request, _send_chunks(request, response, job, listing))
    return response


async def _send_chunks(
    request: web.Request, response: web.StreamResponse, job: Job, listing: ArtifactList
) -> None:
    """Produce one chunk at a time in a thread, when the client has received the previous one."""
    chunks = zip_chunks(Path(job.output_dir or ""), listing.artifacts)
    try:
        while (chunk := await _run_in_thread(next, chunks, None)) is not None:
            await response.write(chunk)
    except ConnectionError:
        log.info("a client disconnected while an archive was sent", job=job.job_id)
    except OSError as error:
        log.error("aborted an archive: a file cannot be read", job=job.job_id, error=str(error))
        # The client sees that the archive is incomplete.
        if request.transport is not None:
            request.transport.abort()
    finally:
        await _run_in_thread(chunks.close)


async def _run_in_thread(function: Callable[..., T], *args: Any) -> T:
    """Call ``to_thread``; on cancellation, wait until the thread has finished."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
