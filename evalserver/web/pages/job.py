"""``GET /ui/jobs/{job_id}``: all about one job."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from evalserver.core.lifecycle import FINISHED, Status
from evalserver.core.request import REQUEST_FIELDS
from evalserver.store import Event
from evalserver.web.api.artifacts import get_artifacts
from evalserver.web.api.jobs import placed
from evalserver.web.http.errors import BadRequest
from evalserver.web.keys import ENGINES, STORE
from evalserver.web.pages.rendering import answer, page, seen

MOST_EVENTS = 200

WHAT_HAPPENED: Mapping[str, str] = {
    "submitted": "Submitted",
    "claimed": "Started",
    "reattached": "Found again by a restarted server",
    "cancel_requested": "Cancelling was asked for",
    "interrupted": "Its attempt was lost; queued again",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "retried": "Queued for a further attempt",
    "prioritized": "Its priority was changed",
}
"""The events of the audit log in words."""


@dataclass(frozen=True)
class Copies:
    """A request in the languages in which it can be sent again."""

    curl: str
    python: str
    cli: str


async def get_job_page(request: web.Request) -> web.Response:
    """``GET /ui/jobs/{job_id}``: a job's request, story, progress, log, numbers and files."""
    store, job_id = request.app[STORE], request.match_info["job_id"]
    job, position = await placed(request, job_id)
    events = await store.events_after(0, MOST_EVENTS, job_id)
    engine = request.app[ENGINES].get(job.engine)
    done = job.status is Status.COMPLETED
    # As it is shown: others' secrets are masked in it.
    shown = await seen(request, job, position)
    asked = _asked(shown["request"])
    return page(
        request,
        "job.html",
        job=shown,
        asked=asked,
        ends=job.status in FINISHED,
        cancelling=job.cancel_requested_at is not None and job.status is Status.RUNNING,
        metrics=[asdict(each) for each in await store.metrics(job_id)],
        sampled=sorted(engine.samples_files(job.result or {})) if engine and done else [],
        events=[_told(event) for event in events],
        artifacts=await _artifacts(request),
        copies=copies(asked, f"{request.scheme}://{request.host}"),
    )


def copies(asked: Mapping[str, Any], url: str) -> Copies:
    """How to send such a request to the server at ``url``."""
    body = json.dumps(asked, ensure_ascii=False)
    arguments = "".join(f"    {name}={value!r},\n" for name, value in asked.items())
    return Copies(
        curl=f"curl -X POST {shlex.quote(f'{url}/evaluate')} \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}",
        python="from evalserver import EvalClient\n\n"
        f"client = EvalClient({url!r})\njob = client.evaluate(\n{arguments})",
        cli=" \\\n  ".join(["evalserver submit", *_options(asked)]),
    )


def _options(asked: Mapping[str, Any]) -> list[str]:
    """The request as options of ``evalserver submit``."""
    found = []
    for name, value in asked.items():
        flag = REQUEST_FIELDS[name].option
        match value:
            case bool():
                found.append(flag if value else f"--no-{flag[2:]}")
            case _ if name == "labels":
                found += [f"{flag} {shlex.quote(f'{key}={text}')}" for key, text in value.items()]
            case float():
                found.append(f"{flag} {str(value).removesuffix('.0')}")
            case list() | tuple():
                found.append(f"{flag} {shlex.quote(','.join(value))}")
            case dict():
                found.append(f"{flag} {shlex.quote(json.dumps(value, ensure_ascii=False))}")
            case _:
                found.append(f"{flag} {shlex.quote(str(value))}")
    return found


def _asked(request: Mapping[str, Any]) -> dict[str, Any]:
    """What the request says beyond what it would say by itself."""
    return {
        name: value
        for name, value in request.items()
        if value is not None and value != REQUEST_FIELDS[name].default
    }


def _told(event: Event) -> dict[str, Any]:
    return {**asdict(event), "words": WHAT_HAPPENED.get(event.event, event.event)}


async def _artifacts(request: web.Request) -> dict[str, Any]:
    try:
        return dict(await answer(request, get_artifacts))
    except BadRequest as gone:
        return {"artifacts": [], "truncated": False, "gone": gone.detail}
