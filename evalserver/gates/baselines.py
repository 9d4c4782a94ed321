"""What a job is compared with: a named job, or an earlier step of its series."""

from collections.abc import Mapping

from evalserver.analysis.best_step import find_best
from evalserver.analysis.gate_policy import Policy, Tier
from evalserver.core.job import Job, Metric
from evalserver.core.series import BEST, PREVIOUS
from evalserver.outputs import Key
from evalserver.store import Store

MAX_CANDIDATES = 2000
"""Of earlier steps, the latest are considered for the best."""


class NoBaseline(Exception):
    """There is nothing to compare a job with; the message says why."""


async def find_baseline(
    store: Store, job: Job, metrics: Mapping[Key, Metric], choice: str, policy: Policy
) -> str:
    """Return the id of the job that ``choice`` stands for: itself an id, ``previous`` or ``best``.

    The previous and the best step are of the job's series, with its engine, tasks and limit. Which
    one is best is said by the critical metrics of the policy. Raises NoBaseline.
    """
    if choice not in (PREVIOUS, BEST):
        return choice
    if job.series is None or job.step is None:
        raise NoBaseline(f"the job has no {'series' if job.series is None else 'step'}")
    candidates = [each.job_id for each in await store.gates.earlier_steps(job)]
    if not candidates:
        raise NoBaseline(
            f"no earlier step of the series {job.series!r} has completed with the same engine,"
            " tasks and limit"
        )
    if choice == PREVIOUS:
        return candidates[0]
    found = await store.gates.metrics_of(candidates[:MAX_CANDIDATES])
    values = {
        job_id: {(each.task, each.metric, each.filter): each for each in of_job}
        for job_id, of_job in found.items()
    }
    best = find_best(list(values), values, critical_directions(policy, metrics))
    if best is None:
        raise NoBaseline("no earlier step has all critical metrics that the job has")
    return best


def critical_directions(policy: Policy, metrics: Mapping[Key, Metric]) -> dict[Key, bool]:
    """Return whether higher is better, for each critical metric of which that is known."""
    found = {}
    for key, metric in metrics.items():
        rule = policy.rule_for(key, metric.higher_is_better)
        if rule is None or rule.tier is not Tier.CRITICAL:
            continue
        direction = rule.higher_is_better(metric.higher_is_better)
        if direction is not None:
            found[key] = direction
    return found
