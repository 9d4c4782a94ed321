"""Jobs: submit, read, retry, prioritize, cancel."""

import asyncio
import shlex
from http import HTTPStatus
from typing import Any

from aiohttp import web

from evalserver.core.job import Job, NewJob
from evalserver.core.lifecycle import Status
from evalserver.core.request import SKIP, SUPERSEDE, EvaluateRequest
from evalserver.core.roles import Role
from evalserver.executors.settings import require_executor
from evalserver.store import request_bytes
from evalserver.submission.rejection import Reason, Rejected
from evalserver.web.api.idempotency import REPLAY_HEADER, idempotency_key
from evalserver.web.api.permissions import require_executor_role, require_profile_role
from evalserver.web.api.redaction import (
    owner_view,
    redacted_view,
    without_checkpoints,
    without_default_secrets,
)
from evalserver.web.http.errors import BadRequest, bad_request
from evalserver.web.http.responses import (
    cacheable_response,
    dump,
    json_response,
    json_text_response,
)
from evalserver.web.keys import (
    BODY,
    COMMANDS,
    ENGINES,
    EXECUTOR_SETTINGS,
    FORECASTS,
    PLANNER,
    PROGRESS,
    QUERY,
    QUEUE_LIMITS,
    SCHEDULER,
    STORE,
    SUBMITTER,
)
from evalserver.web.schemas.job_responses import JOB_KEYS, SKIPPED
from evalserver.web.security.authorization import ACCESS_POLICY, CALLER, require_own
from evalserver.web.streams.long_poll import wait_for_change

MAX_READS = 10
READ_INTERVAL_SECONDS = 0.01


async def evaluate(request: web.Request) -> web.Response:
    """``POST /evaluate``: queue an evaluation; responds when the job is stored on disk.

    With ``?dry_run=1``, returns the command line that would run, and queues nothing. Requests with
    the same ``Idempotency-Key`` create one job.
    """
    wanted: EvaluateRequest = request[BODY]
    caller, validate = request[CALLER].name, request[QUERY].get("checked", True)
    submitter = request.app[SUBMITTER]
    require_profile_role(request, wanted.env_profile)
    require_executor_role(request, submitter.executor_of(wanted.engine, wanted.executor))
    key = idempotency_key(request, wanted, caller)
    if request[QUERY].get("dry_run"):
        job = await submitter.check(wanted, caller, validate=validate, key=key)
        if isinstance(job, Rejected):
            raise bad_request(job)
        return json_response(_plan_json(request, job))
    outcome = await submitter.submit(wanted, caller, _response_text, validate=validate, key=key)
    if isinstance(outcome, Rejected):
        if outcome.reason is Reason.SERIES_FULL and wanted.on_full == SKIP:
            return json_response(_skipped_json(outcome))
        raise bad_request(outcome)
    if wanted.on_newer == SUPERSEDE:
        await request.app[COMMANDS].end_superseded()
    if outcome.answer is None:
        return _queued_response(request, outcome.job_id)
    response = json_text_response(outcome.answer)
    if outcome.replayed:
        response.headers[REPLAY_HEADER] = "true"
    return response


async def get_job(request: web.Request) -> web.Response:
    """``GET /jobs/{job_id}``: one job; ``?wait=`` waits for a change."""
    wait_headers = await wait_for_change(request, request.match_info["job_id"])
    job, position = await job_with_position(request, request.match_info["job_id"])
    values = await serialize_job(request, job, position)
    body = dump(values)
    # The remaining time changes constantly, so it is not part of the ETag.
    essence = body if values["eta_s"] is None else dump({**values, "eta_s": None})
    answer = cacheable_response(request, body, essence=essence)
    answer.headers.update(wait_headers)
    return answer


async def retry_job(request: web.Request) -> web.Response:
    """``POST /jobs/{job_id}/retry``: queue a finished job for another attempt."""
    job_id = request.match_info["job_id"]
    await _require_own(request, job_id)
    actor = request[CALLER].name
    job = await request.app[STORE].queries.job(job_id)
    if reason := require_executor(job.executor, request.app[EXECUTOR_SETTINGS]):
        raise BadRequest(HTTPStatus.CONFLICT, f"{reason} Submit the evaluation again")
    require_executor_role(request, job.executor)
    with request.app[QUEUE_LIMITS].reserve(actor, request_bytes(job.request)) as room:
        if isinstance(room, Rejected):
            raise bad_request(room)
        await request.app[COMMANDS].retry(job_id, actor)
    return _queued_response(request, job_id)


async def change_job(request: web.Request) -> web.Response:
    """``PATCH /jobs/{job_id}``: change the priority of a queued job."""
    job_id, priority = request.match_info["job_id"], request[BODY]["priority"]
    await _require_own(request, job_id)
    await request.app[COMMANDS].prioritize(job_id, priority, actor=request[CALLER].name)
    position = request.app[SCHEDULER].queue.position(job_id) or 0
    message = f"Job {job_id} has priority {priority} now, and {_before(position)} before it"
    return json_response({**queued_json(job_id, position), "message": message})


def _before(jobs: int) -> str:
    return "1 job is" if jobs == 1 else f"{jobs or 'no'} jobs are"


async def cancel_job(request: web.Request) -> web.Response:
    """``DELETE /jobs/{job_id}``: cancel a job that has not finished."""
    job_id = request.match_info["job_id"]
    await _require_own(request, job_id)
    message = await request.app[COMMANDS].cancel(job_id, actor=request[CALLER].name)
    return json_response({"message": message})


async def job_with_position(request: web.Request, job_id: str) -> tuple[Job, int | None]:
    """Return the job, and its position in the queue if it is queued.

    The job may be queued or claimed between the reads of the database and of the queue index; then
    both are read again.
    """
    store, queue = request.app[STORE], request.app[SCHEDULER].queue
    for _ in range(MAX_READS):
        job = await store.queries.job(job_id)
        if job.status is not Status.QUEUED:
            return job, None
        position = queue.position(job_id)
        if position is not None:
            return job, position
        await asyncio.sleep(READ_INTERVAL_SECONDS)
    # A job that is still missing in the index comes after all others.
    return job, len(queue)


async def serialize_job(request: web.Request, job: Job, position: int | None) -> dict[str, Any]:
    """Return the job as the JSON object that clients see."""
    # The job may have finished before its progress is removed.
    runs = job.status is Status.RUNNING
    progress = request.app[PROGRESS].get(job.job_id) if runs else None
    forecast = await request.app[FORECASTS].of(job, position)
    is_own = request[CALLER].name == job.submitted_by
    # Not asdict: its deep copy takes longer than everything else here.
    record = owner_view(job, request.app[ENGINES]) if is_own else redacted_view(job)
    if not is_own and not request.app[ACCESS_POLICY].allows(request[CALLER], Role.ADMIN):
        record = without_checkpoints(record)
    values = {
        **record,
        "cluster_job": _cluster_job(request, job),
        "position_in_queue": position,
        "waiting_for": forecast.waiting_for,
        "eta_s": forecast.eta_s,
        "progress": progress,
        "links": _links(job),
    }
    return {key: values[key] for key in JOB_KEYS}


def _cluster_job(request: web.Request, job: Job) -> dict[str, str] | None:
    hand_over = request.app[SCHEDULER].hand_overs.get(job.executor)
    found = None if hand_over is None else hand_over.find_job(job)
    return None if found is None else vars(found)


async def _require_own(request: web.Request, job_id: str) -> None:
    """Raise BadRequest unless the caller may change the job. Its submitter never changes."""
    if not request.app[ACCESS_POLICY].allows(request[CALLER], Role.ADMIN):
        job = await request.app[STORE].queries.job(job_id)
        require_own(request, job.submitted_by, f"Job {job_id}")


def _links(job: Job) -> dict[str, str]:
    path = f"/jobs/{job.job_id}"
    parts = ("events", "log", "results", "artifacts")
    return {"self": path, **{part: f"{path}/{part}" for part in parts}}


def _plan_json(request: web.Request, job: NewJob) -> dict[str, Any]:
    spec = request.app[PLANNER].preview(job)
    argv = spec.command.argv
    return {
        "engine": job.engine,
        "before": spec.before,
        "command": argv,
        "shell": " && ".join(map(shlex.join, [*spec.before.values(), argv])),
        "directory": str(spec.cwd),
        "files": spec.command.files,
        "request": without_default_secrets(job.request, request.app[ENGINES][job.engine]),
    }


def _response_text(job_id: str, position: int) -> str:
    """Return the response body to store with an idempotency key."""
    return dump(queued_json(job_id, position)).decode()


def _queued_response(request: web.Request, job_id: str) -> web.Response:
    # An idle scheduler may have claimed it already: then no job was before it.
    position = request.app[SCHEDULER].queue.position(job_id) or 0
    return json_response(queued_json(job_id, position))


def _skipped_json(full: Rejected) -> dict[str, Any]:
    """Return the response body for a submission that made no job, as its client wished."""
    return {
        "job_id": None,
        "status": SKIPPED,
        "position_in_queue": None,
        "message": f"Skipped: {full.detail}",
    }


def queued_json(job_id: str, position: int) -> dict[str, Any]:
    """Return the response body for a job that was queued."""
    return {
        "job_id": job_id,
        "status": "queued",
        "position_in_queue": position,
        "message": f"Job queued successfully. Position in queue: {position}",
    }
