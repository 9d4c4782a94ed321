"""Run the examples in the clients' documentation against a real server."""

import asyncio
import doctest
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from evalserver.client import (
    AsyncEvalClient,
    EvalClient,
    JobCancelled,
    JobFailed,
    RequestFailed,
)
from tests.checkpoints_in_shards import in_shards
from tests.support import ServerProcess

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SERIES = {"series": "13b-run1", "step": "100"}


def examples() -> Iterator[tuple[str, str]]:
    """Return the name and text of each example."""
    yield "EvalClient", EvalClient.__doc__ or ""
    yield "AsyncEvalClient", AsyncEvalClient.__doc__ or ""
    for name, call in vars(EvalClient).items():
        documentation = getattr(call, "__doc__", None)
        if not name.startswith("_") and documentation and ">>>" in documentation:
            yield name, documentation


def run(name: str, text: str, url: str, values: dict[str, Any]) -> str:
    """Run an example, and return how its output differs from the documented one."""
    complaints: list[str] = []
    text = text.replace("http://localhost:8000", url)
    parsed = doctest.DocTestParser().get_doctest(text, values, name, None, 0)
    doctest.DocTestRunner(optionflags=OPTIONS).run(parsed, out=complaints.append)
    return "".join(complaints)


def test_every_method_has_an_example() -> None:
    without = {"close"}
    public = {name for name in vars(EvalClient) if not name.startswith("_")}

    assert public - without == dict(examples()).keys() - {"EvalClient", "AsyncEvalClient"}


async def test_every_example_has_the_documented_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints = {}
    in_shards(tmp_path / "100", ema=True)
    options = ("--cancel-grace", "1", "--allow-path", str(tmp_path))
    server = ServerProcess(tmp_path / "data", *options)
    async with server:
        monkeypatch.setenv("EVALSERVER_URL", server.url)
        with EvalClient(server.url) as client:
            for name, text in examples():
                values = _values(client, text)
                text = text.replace("/checkpoints", str(tmp_path))
                complaint = await asyncio.to_thread(run, name, text, server.url, values)
                if complaint:
                    complaints[name] = complaint
                _finish_all_jobs(client)

    assert complaints == {}


def _values(client: EvalClient, text: str) -> dict[str, Any]:
    """Return the objects that an example refers to without creating them."""
    clients = {"EvalClient": EvalClient, "AsyncEvalClient": AsyncEvalClient}
    values: dict[str, Any] = {"client": client, **clients}
    if "baseline_id" in text:
        job = client.evaluate(model="dummy", tasks=["mme"])
        values["baseline_id"] = job["job_id"]
    if re.search(r"[( ]job_id|completed_since|client.leaderboard", text):
        labels = SERIES if "completed_since" in text else None
        job = client.evaluate(model="dummy", tasks=["mme"], labels=labels)
        values["job_id"] = job["job_id"]
        client.wait_for_job(job["job_id"], verbose=False)
    if "(batch_id" in text:
        over = {"model_args.value": [0.25, 0.75]}
        batch = client.submit_batch(
            sweep={"base": {"model": "dummy", "tasks": ["mme"]}, "over": over}
        )
        values["batch_id"] = batch["batch_id"]
        client.wait_for_batch(batch["batch_id"])
    if "other_job_id" in text or "waiting_id" in text:
        job = client.evaluate(model="dummy", tasks=["mme"], model_args={"behave": "hang"})
        values["other_job_id"] = job["job_id"]
    if "waiting_id" in text:
        values["waiting_id"] = client.evaluate(model="dummy", tasks=["mme"])["job_id"]
    return values


def _finish_all_jobs(client: EvalClient) -> None:
    """Finish all jobs, so that they do not affect the next example."""
    for job in client.jobs(status=["queued", "running"]):
        with suppress(RequestFailed):  # it may have finished meanwhile
            client.cancel_job(job["job_id"])
        with suppress(JobFailed, JobCancelled):
            client.wait_for_job(job["job_id"], verbose=False)
