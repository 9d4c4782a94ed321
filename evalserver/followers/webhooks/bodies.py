"""The bodies of messages: type, timestamp, and what everybody may know of the job."""

from typing import Any

import orjson

from evalserver.core.job import Job, Metric
from evalserver.core.masking import masked
from evalserver.store import Event

MAX_BYTES = 20_000
"""Of a body; the specification advises less than 20 KB."""

OPTIONAL = ("metrics", "error", "labels", "tasks", "verdict", "series", "model")
"""What is left out of a body that would be too large, in this order."""

JsonObject = dict[str, Any]


def job_body(kind: str, event: Event, job: Job, metrics: list[Metric], url: str) -> str:
    """Return the body of a message about a job; ``url`` is that of the server."""
    data: JsonObject = {
        "job_id": job.job_id,
        "status": event.to_status or job.status,
        "attempt": event.attempt,
        "event_id": event.event_id,
        "model": job.request.model,
        "tasks": list(job.request.tasks),
        "engine": job.engine,
        "series": job.series,
        "step": job.step,
        "labels": dict(job.labels),
        "batch_id": job.batch_id,
        "submitted_by": job.submitted_by,
        "created_at": job.created_at,
        "links": _links(job.job_id, url),
    }
    if event.event in ("completed", "failed", "cancelled"):
        data["error"] = event.detail.get("error") or event.detail.get("reason")
        data["failure"] = event.detail.get("failure")
        data["metrics"] = [_metric_json(each) for each in metrics]
    if event.event == "stalled":
        data["stalled_since"] = event.detail.get("since")
    if event.event == "judged":
        data["verdict"] = dict(event.detail)
    return body(kind, event.at, data)


def server_body(kind: str, at: str, actor: str, detail: JsonObject, url: str) -> str:
    """Return the body of a message about the server."""
    return body(kind, at, {"actor": actor, **detail, "links": {"system": f"{url}/ui/system"}})


def body(kind: str, at: str, data: JsonObject) -> str:
    """Return a body as it is signed and sent, without secrets and small enough."""
    data = masked(data)
    omitted: list[str] = []
    text = _text(kind, at, data)
    for name in OPTIONAL:
        if len(text.encode()) <= MAX_BYTES:
            break
        if name in data:
            del data[name]
            omitted.append(name)
            text = _text(kind, at, {**data, "omitted": omitted})
    return text


def _text(kind: str, at: str, data: JsonObject) -> str:
    return orjson.dumps({"type": kind, "timestamp": at, "data": data}).decode()


def _links(job_id: str, url: str) -> dict[str, str]:
    return {"api": f"{url}/jobs/{job_id}", "page": f"{url}/ui/jobs/{job_id}"}


def _metric_json(metric: Metric) -> JsonObject:
    return {
        name: getattr(metric, name) for name in ("task", "metric", "filter", "value", "stderr", "n")
    }
