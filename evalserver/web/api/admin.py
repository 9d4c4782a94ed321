"""Operations of administrators: drain and resume the queue, prune and erase jobs, back up."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType

import structlog
from aiohttp import web

from evalserver.core.clock import timestamp, utc_now
from evalserver.store import (
    DATABASE_NAME,
    ArchiveFailed,
    Backup,
    BackupFailed,
    DatabaseRefused,
    back_up,
)
from evalserver.system.permissions import make_private
from evalserver.web.http.errors import BadRequest, FieldError
from evalserver.web.http.responses import json_response
from evalserver.web.keys import ARGS, BACKUP_LOCK, BODY, QUERY, RETENTION, SCHEDULER, STORE
from evalserver.web.schemas.fields import PublicText, Text, about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.query_fields import QueryBoolean, QueryInteger, QuerySeconds
from evalserver.web.security.authentication import is_local
from evalserver.web.security.authorization import CALLER

log = structlog.get_logger("evalserver.web")

BACKUPS_NAME = "backups"
"""The directory of backups, in the data directory."""

TEN_YEARS_SECONDS = 10 * 366 * 86400.0


class DrainQuerySchema(StrictSchema):
    """The query of ``POST /drain``."""

    reason = PublicText(longest=200, metadata=about("The reason, shown to those whose jobs wait."))


class PruneQuerySchema(StrictSchema):
    """The query of ``POST /prune``."""

    keep = QueryInteger(0, 2**31, metadata=about("How many of the newest finished jobs to keep."))
    older_than_s = QuerySeconds(
        TEN_YEARS_SECONDS, metadata=about("Remove jobs that finished longer ago, in seconds.")
    )
    dry_run = QueryBoolean(
        metadata=about("Whether to count these jobs only, without removing any.")
    )


class NewArchiveSchema(StrictSchema):
    """The body of ``POST /audit/archives``."""

    EXAMPLE = MappingProxyType({"path": "/archive/audit-2026.db"})

    path = Text(required=True, longest=4096, metadata=about("The path of the archive file."))


async def drain(request: web.Request) -> web.Response:
    """``POST /drain``: start no jobs until ``POST /resume``, even after a restart.

    Running jobs continue; submissions are accepted, and wait.
    """
    actor = request[CALLER].name
    reason = request[QUERY].get("reason")
    draining = await request.app[SCHEDULER].drain(actor, reason)
    log.warning("draining: no jobs are started", by=actor, reason=reason)
    rest = _what_continues(request.app[SCHEDULER].running)
    message = f"The server is draining: it starts nothing new until it is resumed; {rest}"
    return json_response({"message": message, "draining": vars(draining)})


def _what_continues(running: Sequence[str]) -> str:
    if not running:
        return "nothing runs"
    return f"job {running[0]} runs on" if len(running) == 1 else f"jobs {', '.join(running)} run on"


async def resume(request: web.Request) -> web.Response:
    """``POST /resume``: start queued jobs again."""
    actor = request[CALLER].name
    if not await request.app[SCHEDULER].resume(actor):
        return json_response({"message": "The server was not draining; nothing was changed"})
    log.info("resumed: jobs are started again", by=actor)
    return json_response({"message": "The server starts jobs again"})


async def prune(request: web.Request) -> web.Response:
    """``POST /prune``: remove finished jobs with their files.

    Removes either all but the newest jobs, or those that finished before a time. The audit log
    keeps their events. Output directories that clients named are not removed. With `?dry_run=1` it
    only counts what it would remove.
    """
    actor, query = request[CALLER].name, request[QUERY]
    if ("keep" in query) == ("older_than_s" in query):
        message = "Must have exactly one of keep and older_than_s."
        faults = tuple(FieldError(name, message) for name in ("keep", "older_than_s"))
        raise BadRequest(HTTPStatus.UNPROCESSABLE_ENTITY, message, faults)
    retention = request.app[RETENTION]
    age = query.get("older_than_s")
    before = None if age is None else timestamp(utc_now() - timedelta(seconds=age))
    if query.get("dry_run"):
        count = await retention.count(query.get("keep"), before)
        jobs = "1 finished job" if count == 1 else f"{count} finished jobs"
        return json_response({"message": f"{jobs} would be pruned", "pruned": count})
    if before is None:
        count = await retention.keep_newest(query["keep"], actor)
    else:
        count = await retention.remove_older(before, actor)
    log.info("pruned finished jobs", jobs=count, by=actor)
    jobs = "1 finished job was" if count == 1 else f"{count} finished jobs were"
    return json_response({"message": f"{jobs} pruned", "pruned": count})


async def prune_job(request: web.Request) -> web.Response:
    """``POST /jobs/{job_id}/prune``: remove one finished job with its files."""
    job_id, actor = request.match_info["job_id"], request[CALLER].name
    await request.app[RETENTION].remove(job_id, actor)
    log.info("pruned a finished job", job=job_id, by=actor)
    return json_response({"message": f"Job {job_id} was pruned"})


async def erase_job(request: web.Request) -> web.Response:
    """``POST /jobs/{job_id}/erase``: remove a finished job with its files and its numbers.

    Also removes what is kept of a pruned job. The audit log keeps its events.
    """
    job_id, actor = request.match_info["job_id"], request[CALLER].name
    await request.app[RETENTION].erase(job_id, actor)
    log.warning("erased a job with its numbers", job=job_id, by=actor)
    return json_response({"message": f"Job {job_id} was erased"})


async def make_backup(request: web.Request) -> web.Response:
    """``POST /backup``: copy a snapshot of the database to a new file in the data directory.

    The copy is verified before it gets its name, and only the server's user can read it.
    """
    actor, lock = request[CALLER].name, request.app[BACKUP_LOCK]
    if lock.locked():
        raise BadRequest(HTTPStatus.CONFLICT, "A backup is in progress; retry when it is finished")
    async with lock:
        try:
            made = await asyncio.to_thread(_back_up, request.app[ARGS].data_dir)
        except (OSError, DatabaseRefused) as error:
            raise BackupFailed(f"cannot make the backup: {error}") from error
        await request.app[STORE].server.note_backup(actor, made)
    log.info("backup made", path=str(made.path), size=made.size, by=actor)
    return json_response({**vars(made), "path": str(made.path)})


async def remove_archived(request: web.Request) -> web.Response:
    """``POST /audit/archives``: remove events from the audit log that an archive file contains.

    Only accepted over the socket in the data directory, from ``evalserver audit archive``, since it
    names a file on the server's machine.
    """
    if not is_local(request):
        raise BadRequest(
            HTTPStatus.FORBIDDEN,
            "Only 'evalserver audit archive' on the server's machine may remove events",
        )
    actor = request[CALLER].name
    try:
        made = await request.app[STORE].server.remove_archived(actor, Path(request[BODY]["path"]))
    except ArchiveFailed as error:
        raise BadRequest(HTTPStatus.CONFLICT, str(error)) from error
    log.info("audit log archived", **vars(made), by=actor)
    return json_response(
        {"message": f"Events {made.first_event} to {made.last_event} are archived"}
    )


def _back_up(where: str) -> Backup:
    data_dir = Path(where).absolute()
    make_private(data_dir / BACKUPS_NAME)
    name = utc_now().strftime("evalserver-%Y%m%dT%H%M%S.%fZ.db")
    return back_up(data_dir / DATABASE_NAME, data_dir / BACKUPS_NAME / name)
