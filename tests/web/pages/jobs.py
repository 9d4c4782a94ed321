"""Builders of jobs for the page tests."""

from typing import Any

from tests.support import Api


async def scored(api: Api, *scores: float, **fields: Any) -> str:
    """Run a job whose documents get these scores; return its ID."""
    args = {"behave": "scores", "scores": "/".join(map(str, scores))}
    job_id = await api.submit(**{"model_args": args, **fields})
    job = await api.finished(job_id)
    assert job["status"] == "completed", job["error"]
    return job_id
