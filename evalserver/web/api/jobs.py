"""Submitting a job, looking at it, cancelling it."""

import asyncio
import shlex
from typing import Any

from aiohttp import web

from evalserver.core.job import Job, NewJob
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.core.roles import Role
from evalserver.store import request_bytes
from evalserver.submission.rejection import Rejected
from evalserver.web.api.idempotency import REPLAY_HEADER, idempotency_key
from evalserver.web.api.redaction import (
    others_values,
    own_values,
    without_checkpoints,
    without_defaults,
)
from evalserver.web.http.errors import bad_request
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
    FORECASTS,
    PLANNER,
    PROGRESS,
    QUERY,
    QUEUE_LIMITS,
    SCHEDULER,
    STORE,
    SUBMITTER,
)
from evalserver.web.schemas.job_responses import JOB_KEYS
from evalserver.web.security.authorization import ACCESS_POLICY, CALLER, require_own
from evalserver.web.streams.long_poll import wait_for_change

LOOKS = 10
BETWEEN_LOOKS_SECONDS = 0.01


async def evaluate(request: web.Request) -> web.Response:
    """``POST /evaluate``: queue an evaluation; answers once the job is on disk.

    With ``?dry_run=1`` it answers with the command line that would run, and queues nothing.
    With an ``Idempotency-Key``, once for all requests that carry it.
    """
    wanted: EvaluateRequest = request[BODY]
    caller, validate = request[CALLER].name, request[QUERY].get("checked", True)
    key = idempotency_key(request, wanted, caller)
    submitter = request.app[SUBMITTER]
    if request[QUERY].get("dry_run"):
        job = await submitter.check(wanted, caller, validate=validate, key=key)
        if isinstance(job, Rejected):
            raise bad_request(job)
        return json_response(_planned(request, job))
    outcome = await submitter.submit(wanted, caller, _answer, validate=validate, key=key)
    if isinstance(outcome, Rejected):
        raise bad_request(outcome)
    if outcome.answer is None:
        return _queued(request, outcome.job_id)
    response = json_text_response(outcome.answer)
    if outcome.replayed:
        response.headers[REPLAY_HEADER] = "true"
    return response


async def get_job(request: web.Request) -> web.Response:
    """``GET /jobs/{job_id}``: one job; ``?wait=`` waits for it to change."""
    waited = await wait_for_change(request, request.match_info["job_id"])
    job, position = await placed(request, request.match_info["job_id"])
    values = await shown(request, job, position)
    # What is left of the time changes all the time, and is no news.
    essence = dump({**values, "eta_s": None})
    answer = cacheable_response(request, dump(values), essence=essence)
    answer.headers.update(waited)
    return answer


async def retry_job(request: web.Request) -> web.Response:
    """``POST /jobs/{job_id}/retry``: queue a finished job for a further attempt."""
    job_id = request.match_info["job_id"]
    await _require_own(request, job_id)
    actor = request[CALLER].name
    job = await request.app[STORE].job(job_id)
    with request.app[QUEUE_LIMITS].reserve(actor, request_bytes(job.request)) as rejected:
        if rejected is not None:
            raise bad_request(rejected)
        await request.app[COMMANDS].retry(job_id, actor)
    return _queued(request, job_id)


async def change_job(request: web.Request) -> web.Response:
    """``PATCH /jobs/{job_id}``: give a job that waits another priority."""
    job_id, priority = request.match_info["job_id"], request[BODY]["priority"]
    await _require_own(request, job_id)
    await request.app[COMMANDS].prioritize(job_id, priority, actor=request[CALLER].name)
    position = request.app[SCHEDULER].queue.position(job_id) or 0
    message = f"Job {job_id} has priority {priority} now. Position in queue: {position}"
    return json_response({**queued_at(job_id, position), "message": message})


async def cancel_job(request: web.Request) -> web.Response:
    """``DELETE /jobs/{job_id}``: cancel a job that has not finished."""
    job_id = request.match_info["job_id"]
    await _require_own(request, job_id)
    message = await request.app[COMMANDS].cancel(job_id, actor=request[CALLER].name)
    return json_response({"message": message})


async def placed(request: web.Request, job_id: str) -> tuple[Job, int | None]:
    """The job, and its position if it is queued.

    The record and the index of the queue are two moments: a job may have been queued or claimed
    between them, and then both are looked at again.
    """
    store, queue = request.app[STORE], request.app[SCHEDULER].queue
    for _ in range(LOOKS):
        job = await store.job(job_id)
        if job.status is not Status.QUEUED:
            return job, None
        position = queue.position(job_id)
        if position is not None:
            return job, position
        await asyncio.sleep(BETWEEN_LOOKS_SECONDS)
    # What the index has not heard of for so long comes after all that it knows.
    return job, len(queue)


async def shown(request: web.Request, job: Job, position: int | None) -> dict[str, Any]:
    """The job as clients see it, ready to be written."""
    # A record may tell of the end a moment before the board has heard of it.
    runs = job.status is Status.RUNNING
    progress = request.app[PROGRESS].of(job.job_id) if runs else None
    forecast = await request.app[FORECASTS].of(job, position)
    is_own = request[CALLER].name == job.submitted_by
    # Not asdict, which copies all that is below, and takes longer than all else here.
    record = own_values(job, request.app[ENGINES]) if is_own else others_values(job)
    if not is_own and not request.app[ACCESS_POLICY].allows(request[CALLER], Role.ADMIN):
        record = without_checkpoints(record)
    values = {
        **record,
        "position_in_queue": position,
        "waiting_for": forecast.waiting_for,
        "eta_s": forecast.eta_s,
        "progress": progress,
        "links": _links(job),
    }
    return {key: values[key] for key in JOB_KEYS}


async def _require_own(request: web.Request, job_id: str) -> None:
    """Raise BadRequest unless the caller may change the job. Who submitted it never changes."""
    if not request.app[ACCESS_POLICY].allows(request[CALLER], Role.ADMIN):
        job = await request.app[STORE].job(job_id)
        require_own(request, job.submitted_by, f"Job {job_id}")


def _links(job: Job) -> dict[str, str]:
    path = f"/jobs/{job.job_id}"
    parts = ("events", "log", "results", "artifacts")
    return {"self": path, **{part: f"{path}/{part}" for part in parts}}


def _planned(request: web.Request, job: NewJob) -> dict[str, Any]:
    spec = request.app[PLANNER].preview(job)
    argv = spec.command.argv
    return {
        "engine": job.engine,
        "before": spec.before,
        "command": argv,
        "shell": " && ".join(map(shlex.join, [*spec.before.values(), argv])),
        "directory": str(spec.cwd),
        "files": spec.command.files,
        "request": without_defaults(job.request, request.app[ENGINES][job.engine]),
    }


def _answer(job_id: str, position: int) -> str:
    """What is kept with an idempotency key, to be answered again."""
    return dump(queued_at(job_id, position)).decode()


def _queued(request: web.Request, job_id: str) -> web.Response:
    # An idle scheduler may have claimed it already: then nobody was before it.
    position = request.app[SCHEDULER].queue.position(job_id) or 0
    return json_response(queued_at(job_id, position))


def queued_at(job_id: str, position: int) -> dict[str, Any]:
    """What is told of a job that has been queued."""
    return {
        "job_id": job_id,
        "status": "queued",
        "position_in_queue": position,
        "message": f"Job queued successfully. Position in queue: {position}",
    }
