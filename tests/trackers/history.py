"""A server with many finished jobs, written into its database while it does not run."""

import sys
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from evalserver.core.clock import timestamp
from evalserver.core.job import Metric, NewJob, Outcome
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.store import Store

ALL = 10**6

BEGINNING = datetime(2030, 1, 1, tzinfo=UTC)

Numbers = set[tuple[str, str, int, float]]
"""Job, name of the number, step, value."""


async def complete_jobs(
    data_dir: Path, steps: range, *, series: str | None = "run", keep: int = ALL
) -> Numbers:
    """Complete a job for each step, of which the newest ``keep`` are not pruned; returns the
    numbers that a tracker must have in the end, as it names them."""
    data_dir.mkdir(exist_ok=True)
    store = await Store.open(data_dir)
    numbers: Numbers = set()
    try:
        for step in steps:
            job_id = await _run(store, series, step, keep)
            numbers |= {
                (job_id, "mme/acc", step, _accuracy(step).value),
                (job_id, "mme/acc_stderr", step, 0.25),
            }
    finally:
        await store.close()
    return numbers


async def _run(store: Store, series: str | None, step: int, keep: int) -> str:
    labels = {"team": "even" if step % 2 == 0 else "odd"}
    request = EvaluateRequest("dummy", ("mme",), labels=labels, series=series, step=step)
    job_id = str(uuid.uuid4())
    await store.jobs.submit(NewJob(job_id, "lmms_eval", request, "alice"))
    job = await store.queries.job(job_id)
    await store.jobs.claim(job, Path("run"), Path("output"), after_event=sys.maxsize)
    await store.jobs.finish(job_id, _outcome(step), keep)
    return job_id


def _accuracy(step: int) -> Metric:
    return Metric("mme", "acc", "none", step / 1024, 0.25, 8, True)


def _outcome(step: int) -> Outcome:
    moment = timestamp(BEGINNING + timedelta(seconds=step))
    outcome = Outcome(Status.COMPLETED, moment, 0, result={"dummy": {"metrics": {}}})
    return replace(outcome, metrics=(_accuracy(step),))
