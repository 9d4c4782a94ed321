"""Batches: evaluations that are queued together, all of them or none."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiohttp import hdrs, web
from marshmallow import ValidationError

from evalserver.core.in_steps import in_steps
from evalserver.core.job import NewJob
from evalserver.core.request import SUPERSEDE, EvaluateRequest
from evalserver.core.roles import Role
from evalserver.core.wording import count_of_jobs
from evalserver.store import Batch, BatchNotFound, Key
from evalserver.submission.batch_checks import prefix_of
from evalserver.submission.rejection import Rejected
from evalserver.web.api.idempotency import REPLAY_HEADER, batch_key
from evalserver.web.api.metrics import exclude_wait_from_latency
from evalserver.web.api.permissions import require_executor_role, require_profile_role
from evalserver.web.http.errors import bad_request
from evalserver.web.http.requests import explain, flatten, validation_error
from evalserver.web.http.responses import dump, json_response, json_text_response
from evalserver.web.keys import (
    BATCH_WORK,
    BODY,
    BUS,
    COMMANDS,
    QUERY,
    SEARCH_WORK,
    STORE,
    SUBMITTER,
)
from evalserver.web.schemas.batch_request import UncheckedBatch
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.query_fields import JobIdPart, QueryInteger
from evalserver.web.security.authorization import (
    ACCESS_POLICY,
    CALLER,
    require_own,
    require_still_authorized,
)
from evalserver.web.streams.long_poll import CONNECTION_CHECK_SECONDS, is_waiting

COUNT_INTERVAL_SECONDS = 0.2
"""Between two counts of the jobs of a batch whose end a client waits for."""

DEFAULT_LIMIT, MAX_LIMIT = 20, 100
"""Batches in a list."""


class BatchesQuerySchema(StrictSchema):
    """The query of ``GET /batches``."""

    batch_id = JobIdPart(
        metadata=about("The id of a batch, or its beginning or end, of 4 characters or more.")
    )
    limit = QueryInteger(
        1, MAX_LIMIT, load_default=DEFAULT_LIMIT, metadata=about("Maximum number of batches.")
    )


async def submit_batch(request: web.Request) -> web.Response:
    """``POST /batches``: queue many evaluations, all of them or none.

    Responds when the jobs are stored on disk; they are queued in the order of the requests. Every
    error of every request is listed, with the number of its request: `jobs.17.limit`. With
    ``?dry_run=1``, returns the requests, checked and those of a sweep expanded, and queues nothing.
    Requests with the same ``Idempotency-Key`` create one batch.
    """
    # Checking a thousand requests takes a while, in steps: those of several batches would add up.
    jobs, key = await request.app[BATCH_WORK].run(request, lambda: _check(request))
    require_still_authorized(request)
    if request[QUERY].get("dry_run"):
        requests: list[Any] = request[BODY].requests
        return json_response({"count": len(requests), "jobs": requests})
    answer = dump(_submitted_json(jobs)).decode()
    outcome = await request.app[SUBMITTER].queue.write_batch(jobs, answer, key)
    if isinstance(outcome, Rejected):
        raise bad_request(outcome)
    if any(job.request.on_newer == SUPERSEDE for job in jobs):
        await request.app[COMMANDS].end_superseded()
    response = json_text_response(outcome.answer)
    if outcome.replayed:
        response.headers[REPLAY_HEADER] = "true"
    return response


async def list_batches(request: web.Request) -> web.Response:
    """``GET /batches``: the newest batches, or those with a part of an id."""
    found = await request.app[SEARCH_WORK].run(request, lambda: _find_batches(request))
    return json_response({"batches": found})


async def get_batch(request: web.Request) -> web.Response:
    """``GET /batches/{batch_id}``: how many jobs of a batch are in each state.

    With ``?wait=``, the response waits until all of them have finished.
    """
    batch = await _wait_until_finished(request, request.match_info["batch_id"])
    return json_response(_state_json(batch))


async def cancel_batch(request: web.Request) -> web.Response:
    """``DELETE /batches/{batch_id}``: cancel the jobs of a batch that have not finished."""
    batch_id = request.match_info["batch_id"]
    if not request.app[ACCESS_POLICY].allows(request[CALLER], Role.ADMIN):
        batch = await request.app[STORE].batches.batch(batch_id)
        require_own(request, batch.submitted_by, f"Batch {batch_id}")
    done = await request.app[COMMANDS].cancel_batch(batch_id, actor=request[CALLER].name)
    message = (
        f"Batch {batch_id}: {count_of_jobs(done.cancelled)} cancelled,"
        f" {done.stopping} being stopped, {done.finished} had finished"
    )
    return json_response({"batch_id": batch_id, **vars(done), "message": message})


async def _find_batches(request: web.Request) -> list[dict[str, Any]]:
    batches, query = request.app[STORE].batches, request[QUERY]
    found = []
    for batch_id in await batches.newest_ids(query["limit"], query.get("batch_id", "")):
        # The jobs of a batch may be erased meanwhile.
        with suppress(BatchNotFound):
            found.append(_state_json(await batches.batch(batch_id)))
    return found


async def _check(request: web.Request) -> tuple[list[NewJob], Key | None]:
    """Return the jobs that the batch would become. Raises BadRequest."""
    body: UncheckedBatch = request[BODY]
    caller, validate = request[CALLER].name, request[QUERY].get("checked", True)
    requests = await _load_requests(request, body)
    _require_roles(request, requests)
    key = await batch_key(request, requests, caller)
    found = await request.app[SUBMITTER].check_batch(requests, caller, validate=validate, key=key)
    if isinstance(found, Rejected):
        raise bad_request(found)
    return found, key


async def _load_requests(request: web.Request, body: UncheckedBatch) -> list[EvaluateRequest]:
    """Return the requests. Raises BadRequest with the faults of all of them."""
    known, max_bytes = list(body.schema.fields), request.client_max_size
    requests: list[EvaluateRequest] = []
    faults: list[tuple[str, str]] = []
    async for number, each in in_steps(enumerate(body.requests)):
        if not isinstance(each, dict):
            faults.append((prefix_of(number).rstrip("."), "Must be an object."))
            continue
        size = len(dump(each))
        if size > max_bytes:
            fault = f"Must have at most {max_bytes} bytes, has {size}."
            faults.append((prefix_of(number).rstrip("."), fault))
            continue
        try:
            requests.append(body.schema.load(each))
        except ValidationError as error:
            faults += [
                (f"{prefix_of(number)}{path}", explain(message, path, known))
                for path, message in flatten(error.messages)
            ]
    if faults:
        raise validation_error(request, faults, known)
    return requests


def _require_roles(request: web.Request, requests: Sequence[EvaluateRequest]) -> None:
    """Raise BadRequest (403) unless the caller may use what the requests name."""
    executor_of = request.app[SUBMITTER].executor_of
    for profile in {each.env_profile for each in requests}:
        require_profile_role(request, profile)
    for engine, executor in {(each.engine, each.executor) for each in requests}:
        require_executor_role(request, executor_of(engine, executor))


async def _wait_until_finished(request: web.Request, batch_id: str) -> Batch:
    """Return the batch: when its jobs have finished, or after the requested time.

    Raises BatchNotFound, and BadRequest (401) if the client's token is revoked meanwhile.
    """
    batches, clock = request.app[STORE].batches, asyncio.get_running_loop().time
    wait_s = 0.0 if request.method == hdrs.METH_HEAD else request[QUERY].get("wait", 0.0)
    until = clock() + wait_s
    with request.app[BUS].listening() as listener:
        batch = await batches.batch(batch_id)
        while not batch.is_finished and clock() < until:
            if listener.closed or not is_waiting(request):
                break
            await listener.wait(min(until - clock(), CONNECTION_CHECK_SECONDS))
            await asyncio.sleep(COUNT_INTERVAL_SECONDS)
            batch = await batches.batch(batch_id)
    if wait_s > 0:
        require_still_authorized(request)
        exclude_wait_from_latency(request)
    return batch


def _submitted_json(jobs: Sequence[NewJob]) -> dict[str, Any]:
    return {
        "batch_id": jobs[0].batch_id,
        "count": len(jobs),
        "job_ids": [job.job_id for job in jobs],
        "message": f"{count_of_jobs(len(jobs))} queued successfully",
    }


def _state_json(batch: Batch) -> dict[str, Any]:
    path = f"/batches/{batch.batch_id}"
    return {
        "batch_id": batch.batch_id,
        "submitted_by": batch.submitted_by,
        "created_at": batch.created_at,
        "count": sum(batch.counts.values()),
        "counts": {status.value: count for status, count in batch.counts.items()},
        "pruned": batch.pruned,
        "finished": batch.is_finished,
        "links": {
            "self": path,
            "jobs": f"/jobs?batch_id={batch.batch_id}",
            "results": f"{path}/results",
        },
    }
