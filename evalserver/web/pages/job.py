"""``GET /ui/jobs/{job_id}``: the page of one job."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

from evalserver.core.job import Job
from evalserver.core.lifecycle import FINISHED, Status
from evalserver.core.request import REQUEST_FIELDS
from evalserver.store import Event, JobPruned
from evalserver.web.api.artifacts import get_artifacts
from evalserver.web.api.jobs import job_with_position
from evalserver.web.http.errors import BadRequest
from evalserver.web.keys import STORE
from evalserver.web.pages.rendering import call_api, job_json, render_page
from evalserver.web.pages.samples import sample_tasks

MAX_EVENTS = 200
MAX_VERDICTS = 10

EVENT_DESCRIPTIONS: Mapping[str, str] = {
    "submitted": "Submitted",
    "claimed": "Started",
    "handed_over": "Handed over to its cluster",
    "started": "Started there",
    "reattached": "Reattached after a server restart",
    "stalled": "Stalled: nothing written, no GPU used",
    "active_again": "Active again",
    "cancel_requested": "Cancellation requested",
    "interrupted": "Attempt lost; queued again",
    "postponed": "Not started in time; queued again",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "judged": "Judged by a gate",
    "retried": "Queued for another attempt",
    "prioritized": "Priority changed",
}
"""Descriptions of the audit log's events."""


@dataclass(frozen=True)
class Snippets:
    """A request as code that sends it again."""

    curl: str
    python: str
    cli: str


async def get_job_page(request: web.Request) -> web.Response:
    """``GET /ui/jobs/{job_id}``: a job's request, timeline, progress, log, results and files."""
    store, job_id = request.app[STORE], request.match_info["job_id"]
    try:
        job, position = await job_with_position(request, job_id)
    except JobPruned:
        return await _pruned_page(request, await store.queries.with_pruned(job_id))
    events = await store.events.after(0, MAX_EVENTS, job_id)
    # The API's form of the job masks the secrets of other submitters.
    serialized = await job_json(request, job, position)
    explicit_fields = _explicit_fields(serialized["request"])
    return render_page(
        request,
        "job.html",
        job=serialized,
        explicit_fields=explicit_fields,
        is_finished=job.status in FINISHED,
        cancelling=job.cancel_requested_at is not None and job.status is Status.RUNNING,
        metrics=await _load_metrics(request, job),
        verdicts=await store.gates.newest(MAX_VERDICTS, job_id=job_id),
        sample_tasks=sample_tasks(request, job) if job.status is Status.COMPLETED else [],
        events=[_event_json(event) for event in events],
        artifacts=await _load_artifacts(request),
        snippets=make_snippets(explicit_fields, f"{request.scheme}://{request.host}"),
    )


async def _pruned_page(request: web.Request, job: Job) -> web.Response:
    """Return the page of a pruned job: what is kept of it."""
    return render_page(
        request,
        "pruned.html",
        HTTPStatus.GONE,
        job=await job_json(request, job, None),
        pruned_at=job.pruned_at,
        verdicts=await request.app[STORE].gates.newest(MAX_VERDICTS, job_id=job.job_id),
        metrics=await _load_metrics(request, job),
    )


async def _load_metrics(request: web.Request, job: Job) -> list[dict[str, Any]]:
    """Return the job's metrics; those of the request's tasks first, in its order."""
    metrics = await request.app[STORE].queries.metrics(job.job_id)
    order = {task: position for position, task in enumerate(job.request.tasks)}
    ordered = sorted(metrics, key=lambda each: order.get(each.task, len(order)))
    return [asdict(each) for each in ordered]


def make_snippets(fields: Mapping[str, Any], url: str) -> Snippets:
    """Return code that sends a request with these fields to the server at ``url``."""
    body = json.dumps(fields, ensure_ascii=False)
    arguments = "".join(f"    {name}={value!r},\n" for name, value in fields.items())
    return Snippets(
        curl=f"curl -X POST {shlex.quote(f'{url}/evaluate')} \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}",
        python="from evalserver import EvalClient\n\n"
        f"client = EvalClient({url!r})\njob = client.evaluate(\n{arguments})",
        cli=" \\\n  ".join(["evalserver submit", *_cli_options(fields)]),
    )


def _cli_options(fields: Mapping[str, Any]) -> list[str]:
    """Return the fields as options of ``evalserver submit``."""
    options = []
    for name, value in fields.items():
        flag = REQUEST_FIELDS[name].option
        match value:
            case bool():
                options.append(flag if value else f"--no-{flag[2:]}")
            case _ if name == "labels":
                options += [f"{flag} {shlex.quote(f'{key}={text}')}" for key, text in value.items()]
            case list() if name == "seed":
                options.append(f"{flag} {','.join(map(str, value))}")
            case float():
                options.append(f"{flag} {str(value).removesuffix('.0')}")
            case list() | tuple():
                options.append(f"{flag} {shlex.quote(','.join(value))}")
            case dict():
                options.append(f"{flag} {shlex.quote(json.dumps(value, ensure_ascii=False))}")
            case _:
                options.append(f"{flag} {shlex.quote(str(value))}")
    return options


def _explicit_fields(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the request that differ from their defaults."""
    return {
        name: value
        for name, value in request.items()
        if value is not None and value != REQUEST_FIELDS[name].default
    }


def _event_json(event: Event) -> dict[str, Any]:
    return {**asdict(event), "description": EVENT_DESCRIPTIONS.get(event.event, event.event)}


async def _load_artifacts(request: web.Request) -> dict[str, Any]:
    try:
        return dict(await call_api(request, get_artifacts))
    except BadRequest as error:
        return {"artifacts": [], "truncated": False, "error": error.detail}
