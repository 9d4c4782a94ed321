"""Merges of sharded checkpoints: jobs of the engine ``merge``."""

from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aiohttp import web
from marshmallow import fields

from evalserver.checkpoints.merging import Merge
from evalserver.core.job import Job
from evalserver.core.lifecycle import FINISHED, Status
from evalserver.engines import merge
from evalserver.submission.rejection import Rejected
from evalserver.web.api.jobs import queued_json
from evalserver.web.api.metrics import exclude_wait_from_latency
from evalserver.web.api.permissions import require_executor_role
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
    """A checkpoint to merge. null is the same as an absent field."""

    EXAMPLE = MappingProxyType(
        {"checkpoint_path": "/checkpoints/run-7/checkpoint-1500", "checkpoint_type": "ema"}
    )

    checkpoint_path = CheckpointDirectory(
        longest=2048,
        required=True,
        metadata=about(
            "A sharded checkpoint, or a directory with several `checkpoint-*`, of which the newest "
            "is merged; in a directory that the server allows."
        ),
    )
    output_path = MergedDirectory(
        longest=2048,
        allow_none=True,
        metadata=about("The path of the merged checkpoint, by default `checkpoint_path`."),
    )
    checkpoint_type = CheckpointType(
        allow_none=True, metadata=about("Which weights to merge, by default `regular`.")
    )


class MergeHeadersSchema(HeadersSchema):
    """The headers of ``POST /merge``."""

    prefer = Header(
        longest=1024,
        data_key="Prefer",
        metadata=about("`respond-async` responds at once with 202 (RFC 7240)."),
    )


class MergedSchema(ResponseSchema):
    """A successful merge."""

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
    merged_path = fields.String(metadata=about("The path of the merged checkpoint."))
    job_id = JobId()


async def merge_checkpoint(request: web.Request) -> web.Response:
    """``POST /merge``: merge a sharded checkpoint.

    The merge is a job, and waits in the queue. The response waits for its end, unless the client
    sends ``Prefer: respond-async``. The job continues if the client disconnects.
    """
    submitter = request.app[SUBMITTER]
    require_executor_role(request, submitter.executor_of(merge.NAME))
    job = await submitter.check_merge(_parse_merge(request[BODY]), request[CALLER].name)
    outcome = job if isinstance(job, Rejected) else await submitter.queue.write(job)
    if isinstance(outcome, Rejected):
        raise bad_request(outcome)
    if RESPOND_ASYNC in preferences(request):
        return _accepted_response(request, outcome.job_id)
    finished = await _wait_until_finished(request, outcome.job_id)
    if finished is None:
        return _accepted_response(request, outcome.job_id)
    return _merged_response(finished)


def _parse_merge(given: dict[str, Any]) -> Merge:
    checkpoint = Path(given["checkpoint_path"])
    output = Path(given.get("output_path") or checkpoint)
    return Merge(checkpoint, given.get("checkpoint_type") or "regular", output)


async def _wait_until_finished(request: web.Request, job_id: str) -> Job | None:
    """Wait until the job has finished, and return it; None if the client has disconnected.

    Raises BadRequest: 503 if the server stops first, 401 if the client's token is revoked.
    """
    with request.app[BUS].listening(job_id) as listener:
        while (job := await request.app[STORE].queries.job(job_id)).status not in FINISHED:
            if listener.closed:
                raise BadRequest(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"The server is stopping; the merge continues, see GET /jobs/{job_id}"
                    " after the restart",
                    headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
                )
            if not is_waiting(request):
                require_still_authorized(request)
                return None
            await listener.wait(CONNECTION_CHECK_SECONDS)
    exclude_wait_from_latency(request)
    return job


def _accepted_response(request: web.Request, job_id: str) -> web.Response:
    position = request.app[SCHEDULER].queue.position(job_id) or 0
    answer = json_response(queued_json(job_id, position), HTTPStatus.ACCEPTED)
    answer.headers["Location"] = f"/jobs/{job_id}"
    answer.headers[PREFERENCE_APPLIED] = RESPOND_ASYNC
    return answer


def _merged_response(job: Job) -> web.Response:
    where = f"see GET /jobs/{job.job_id} and its log"
    if job.status is Status.CANCELLED:
        raise BadRequest(HTTPStatus.CONFLICT, f"The merge was cancelled; {where}")
    if job.status is Status.FAILED:
        reason = (job.error or "unknown error").splitlines()[0]
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
