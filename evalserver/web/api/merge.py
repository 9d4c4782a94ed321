"""Merging the shards of a checkpoint: a job of the engine ``merge``, whose end is waited for."""

from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aiohttp import web
from marshmallow import fields

from evalserver.checkpoints.merging import Merge
from evalserver.core.job import Job
from evalserver.core.lifecycle import FINISHED, Status
from evalserver.submission.rejection import Rejected
from evalserver.web.api.jobs import queued_at
from evalserver.web.api.metrics import exclude_wait_from_latency
from evalserver.web.http.errors import RETRY_AFTER_SECONDS, BadRequest, bad_request
from evalserver.web.http.responses import json_response
from evalserver.web.keys import BODY, BUS, SCHEDULER, STORE, SUBMITTER
from evalserver.web.schemas.fields import Header, about
from evalserver.web.schemas.path_fields import CheckpointDirectory, CheckpointType, MergedDirectory
from evalserver.web.schemas.queries import HeadersSchema, StrictSchema
from evalserver.web.schemas.responses import JOB_ID, JobId, ResponseSchema
from evalserver.web.security.authorization import CALLER, require_still_authorized
from evalserver.web.streams.long_poll import (
    CONNECTION_CHECK_SECONDS,
    PREFERENCE_APPLIED,
    is_waiting,
    preferences,
)

RESPOND_ASYNC = "respond-async"


class MergeSchema(StrictSchema):
    """What is to be merged. null stands for a field that is not given."""

    EXAMPLE = MappingProxyType(
        {"checkpoint_path": "/checkpoints/run-7/checkpoint-1500", "checkpoint_type": "ema"}
    )

    checkpoint_path = CheckpointDirectory(
        longest=2048,
        required=True,
        metadata=about(
            "A checkpoint in shards, or a directory with several `checkpoint-*`, of which the "
            "newest is meant; in a directory that the server allows."
        ),
    )
    output_path = MergedDirectory(
        longest=2048,
        allow_none=True,
        metadata=about("Where the merged one goes; `checkpoint_path` itself if absent."),
    )
    checkpoint_type = CheckpointType(
        allow_none=True, metadata=about("Which weights; `regular` if absent.")
    )


class MergeHeadersSchema(HeadersSchema):
    """The headers of ``POST /merge``."""

    prefer = Header(
        longest=1024,
        data_key="Prefer",
        metadata=about("`respond-async` answers at once, with 202 (RFC 7240)."),
    )


class MergedSchema(ResponseSchema):
    """A merge that has gone well."""

    EXAMPLE = MappingProxyType(
        {
            "success": True,
            "message": "Checkpoint merged successfully",
            "merged_path": "/checkpoints/run-7/checkpoint-1500",
            "job_id": JOB_ID,
        }
    )

    success = fields.Boolean()
    message = fields.String()
    merged_path = fields.String(metadata=about("The directory of the merged checkpoint."))
    job_id = JobId()


async def merge_checkpoint(request: web.Request) -> web.Response:
    """``POST /merge``: merge a checkpoint that training has left in shards.

    It is a job like any other, and waits for its turn. The answer waits for its end, unless the
    client prefers not to; a client that goes away stops nothing.
    """
    submitter = request.app[SUBMITTER]
    job = await submitter.check_merge(_wanted(request[BODY]), request[CALLER].name)
    outcome = job if isinstance(job, Rejected) else await submitter.enqueue(job)
    if isinstance(outcome, Rejected):
        raise bad_request(outcome)
    if RESPOND_ASYNC in preferences(request):
        return _accepted(request, outcome.job_id)
    ended = await _end_of(request, outcome.job_id)
    if ended is None:
        return _accepted(request, outcome.job_id)
    return _merged(ended)


def _wanted(given: dict[str, Any]) -> Merge:
    checkpoint = Path(given["checkpoint_path"])
    output = Path(given.get("output_path") or checkpoint)
    return Merge(checkpoint, given.get("checkpoint_type") or "regular", output)


async def _end_of(request: web.Request, job_id: str) -> Job | None:
    """The job once it has ended; None when its client has gone away.

    Raises BadRequest: 503 when the server stops before, 401 when the client's token is revoked.
    """
    with request.app[BUS].listening(job_id) as listener:
        while (job := await request.app[STORE].job(job_id)).status not in FINISHED:
            if listener.closed:
                raise BadRequest(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"The server is stopping; the merge goes on, and GET /jobs/{job_id} tells of it"
                    " when the server is back",
                    headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
                )
            if not is_waiting(request):
                require_still_authorized(request)
                return None
            await listener.wait(CONNECTION_CHECK_SECONDS)
    exclude_wait_from_latency(request)
    return job


def _accepted(request: web.Request, job_id: str) -> web.Response:
    position = request.app[SCHEDULER].queue.position(job_id) or 0
    answer = json_response(queued_at(job_id, position), HTTPStatus.ACCEPTED)
    answer.headers["Location"] = f"/jobs/{job_id}"
    answer.headers[PREFERENCE_APPLIED] = RESPOND_ASYNC
    return answer


def _merged(job: Job) -> web.Response:
    where = f"see GET /jobs/{job.job_id} and its log"
    if job.status is Status.CANCELLED:
        raise BadRequest(HTTPStatus.CONFLICT, f"The merge was cancelled; {where}")
    if job.status is Status.FAILED:
        reason = (job.error or "it does not say why").splitlines()[0]
        raise BadRequest(HTTPStatus.INTERNAL_SERVER_ERROR, f"Merge failed: {reason}; {where}")
    path = (job.request.lmms_engine_kwargs or {}).get("output_path")
    return json_response(
        {
            "success": True,
            "message": "Checkpoint merged successfully",
            "merged_path": path,
            "job_id": job.job_id,
        }
    )
