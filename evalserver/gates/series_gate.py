"""The gate of a series: judges a completed job by itself, as the operator's settings say."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from evalserver.analysis.gate import GateReport
from evalserver.analysis.gate_policy import Policy
from evalserver.core.job import Job
from evalserver.core.lifecycle import Status
from evalserver.engines import Engine
from evalserver.gates.baselines import NoBaseline, find_baseline
from evalserver.gates.judging import Judged, inconclusive, judge_evaluation
from evalserver.outputs import Evaluation
from evalserver.store import Store

log = structlog.get_logger("evalserver.gates")


@dataclass(frozen=True)
class SeriesGate:
    """By which policy the jobs of a series are judged, and beside what: the id of a job,
    ``previous`` or ``best``."""

    policy_name: str
    policy: Policy
    baseline: str


async def judge_in_series(
    gate: SeriesGate, job: Job, store: Store, engines: Mapping[str, Engine]
) -> Judged:
    """Return the verdict on a completed job.

    It is inconclusive if the baseline is not there, or the two cannot be compared. Raises
    StoreUnavailable.
    """
    evaluation = await _load(store, engines, job)
    try:
        baseline_id = await find_baseline(
            store, job, evaluation.metrics, gate.baseline, gate.policy
        )
        baseline = await _load(store, engines, await _completed(store, baseline_id))
    except NoBaseline as error:
        report = inconclusive(f"There is no baseline: {error}.")
        return Judged(evaluation, None, gate.policy, gate.policy_name, report)
    report = await _judge(gate.policy, baseline, evaluation)
    return Judged(evaluation, baseline_id, gate.policy, gate.policy_name, report)


async def _judge(policy: Policy, baseline: Evaluation, job: Evaluation) -> GateReport:
    stop = threading.Event()
    try:
        return await asyncio.to_thread(judge_evaluation, policy, baseline, job, stop.is_set)
    except Exception as error:  # One job must not keep all later ones from being judged.
        log.exception("a job cannot be judged", job=job.job.job_id, baseline=baseline.job.job_id)
        return inconclusive(f"It cannot be judged; the server's log says why: {error!r}")
    finally:
        # If this was cancelled, the thread still reads.
        stop.set()


async def _completed(store: Store, job_id: str) -> Job:
    """Return a completed job, also a pruned one. Raises NoBaseline."""
    job = await store.queries.find(job_id) or await store.queries.find_pruned(job_id)
    if job is None:
        raise NoBaseline(f"job {job_id} does not exist, or was erased")
    if job.status is not Status.COMPLETED:
        raise NoBaseline(f"job {job_id} is {job.status}")
    return job


async def _load(store: Store, engines: Mapping[str, Engine], job: Job) -> Evaluation:
    metrics = {
        (each.task, each.metric, each.filter): each
        for each in await store.queries.metrics(job.job_id)
    }
    return Evaluation(job, metrics, engines.get(job.engine))
