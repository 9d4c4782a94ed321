"""Judges a job beside a baseline: reads the evidence, one task after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evalserver.analysis.gate import (
    Evidence,
    GateReport,
    GateVerdict,
    Judgement,
    decide,
    judge,
    judge_unmatched,
    unmatched_rules,
)
from evalserver.analysis.gate_policy import Policy, policy_json
from evalserver.outputs import (
    Evaluation,
    Key,
    ScoresUnavailable,
    TaskScores,
    load_scores_of_both,
)
from evalserver.store import NewVerdict

DAMAGE_FIELDS = ("value", "low", "high", "method", "n", "worse", "better", "units")


@dataclass(frozen=True)
class Judged:
    """A job's report, with what it was judged by: the policy and its name, if it has one, and the
    baseline, if there is one."""

    evaluation: Evaluation
    baseline_id: str | None
    policy: Policy
    policy_name: str | None
    report: GateReport

    def to_keep(self, *, by_series: bool = False) -> NewVerdict:
        """Return the verdict as the store keeps it."""
        job = self.evaluation.job
        return NewVerdict(
            job_id=job.job_id,
            attempt=job.attempt,
            series=job.series,
            step=job.step,
            baseline_id=self.baseline_id,
            policy=self.policy_name,
            by_series=by_series,
            verdict=self.report.verdict.value,
            reason=self.report.reason,
            report=report_json(self.policy, self.report),
        )


def judge_evaluation(
    policy: Policy, baseline: Evaluation, job: Evaluation, is_stopped: Callable[[], bool]
) -> GateReport:
    """Return what a policy says about a job beside a baseline.

    Reads the samples of both. Raises ReadCancelled once ``is_stopped`` says so.
    """
    known = known_directions(baseline, job)
    judged = {key for key, direction in known.items() if policy.rule_for(key, direction)}
    judgements: list[Judgement] = []
    for task in dict.fromkeys(key[0] for key in known):
        keys = [key for key in known if key[0] == task and key in judged]
        if keys:
            judgements += _judge_task(policy, keys, baseline, job, is_stopped)
    judgements += [judge_unmatched(rule) for rule in unmatched_rules(policy, known)]
    tasks = {key[0] for key in judged}
    not_judged = sorted({key[0] for key in job.metrics} - tasks)
    return decide(judgements, not_judged)


def inconclusive(reason: str) -> GateReport:
    """Return the report on a job of which no metric was judged."""
    return GateReport(GateVerdict.INCONCLUSIVE, reason, ())


def known_directions(*evaluations: Evaluation) -> dict[Key, bool | None]:
    """Return the metrics that one of the jobs has, in order, and whether higher is better."""
    found = {key: each for one in evaluations for key, each in one.metrics.items()}
    return {key: found[key].higher_is_better for key in sorted(found)}


def report_json(policy: Policy, report: GateReport) -> dict[str, Any]:
    """Return the numbers of a report as JSON, with the rules that led to it."""
    return {
        **policy_json(policy),
        "judgements": [_judgement_json(each) for each in report.judgements],
        "n_to_decide": report.n_to_decide,
        "not_judged": list(report.not_judged),
    }


def _judge_task(
    policy: Policy,
    keys: Sequence[Key],
    baseline: Evaluation,
    job: Evaluation,
    is_stopped: Callable[[], bool],
) -> list[Judgement]:
    common = [key for key in keys if key in baseline.metrics and key in job.metrics]
    pair: tuple[TaskScores, TaskScores] | None = None
    why = ""
    if common:
        try:
            pair = load_scores_of_both(baseline, job, common, is_stopped)
        except ScoresUnavailable as error:
            why = str(error)
    judgements = []
    for key in keys:
        evidence = _evidence(baseline, job, key, pair if key in common else None, why)
        rule = policy.rule_for(key, evidence.higher_is_better)
        if rule is not None:
            judgements.append(judge(rule, key, evidence))
    return judgements


def _evidence(
    baseline: Evaluation,
    job: Evaluation,
    key: Key,
    pair: tuple[TaskScores, TaskScores] | None,
    why: str,
) -> Evidence:
    metrics = baseline.metrics.get(key), job.metrics.get(key)
    if pair is None:
        return Evidence(*metrics, why_unpaired=why)
    _, metric, kind = key
    first, second = pair
    # A document is in the same cluster in both jobs, even if only one of them names it.
    clusters = {**second.clusters[kind], **first.clusters[kind]}
    scores = first.scores[metric, kind], second.scores[metric, kind]
    return Evidence(*metrics, scores, clusters)


def _judgement_json(judgement: Judgement) -> dict[str, Any]:
    values: Mapping[str, Any] = asdict(judgement)
    damage = values["damage"]
    shown = damage and {name: damage[name] for name in DAMAGE_FIELDS}
    return {**values, "damage": shown}
