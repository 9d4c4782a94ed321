"""Verdicts of gates: what passes, what is a breach, and what nothing can be said about."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalserver.analysis.gate import (
    Evidence,
    GateReport,
    GateVerdict,
    Judgement,
    MetricVerdict,
    decide,
    judge,
    judge_unmatched,
    unmatched_rules,
)
from evalserver.analysis.gate_policy import Direction, Missing, Rule, Tier, parse_policy
from evalserver.core.job import Metric

KEY = ("mmlu", "acc", "none")
ONE_PERCENT = Rule(max_drop=0.01)
PASS, BREACH = MetricVerdict.PASS, MetricVerdict.BREACH
INSUFFICIENT, IGNORED = MetricVerdict.INSUFFICIENT, MetricVerdict.IGNORED


def metric_of(scores: Sequence[float], **known: Any) -> Metric:
    """The metric that a harness would report of these scores."""
    n, mean = len(scores), math.fsum(scores) / len(scores)
    variance = math.fsum((each - mean) ** 2 for each in scores) / (n - 1) / n
    return replace(Metric(*KEY, mean, math.sqrt(variance), n, True), **known)


def evidence_of(
    baseline: Sequence[float],
    job: Sequence[float],
    clusters: Mapping[Any, int] | None = None,
    **known: Any,
) -> Evidence:
    """Both jobs with the scores of their documents."""
    scores = (dict(enumerate(baseline)), dict(enumerate(job)))
    metrics = (metric_of(baseline, **known), metric_of(job, **known))
    return Evidence(*metrics, scores, clusters or {})


def counts(worse: int, better: int, n: int, unit: float = 1.0) -> Evidence:
    """So many of n documents became wrong and right; of the others half are right."""
    same = n - worse - better
    rest = [unit] * (same // 2) + [0.0] * (same - same // 2)
    first = [unit] * worse + [0.0] * better + rest
    second = [0.0] * worse + [unit] * better + rest
    return evidence_of(first, second)


def verdict(evidence: Evidence, rule: Rule = ONE_PERCENT) -> MetricVerdict:
    """What the rule says about it."""
    return judge(rule, KEY, evidence).verdict


def report(*verdicts: tuple[Tier, MetricVerdict], n_to_decide: int | None = None) -> GateReport:
    """The verdict on metrics of these tiers about which this was found."""
    return decide(
        [
            Judgement("t", "m", "none", tier, each, "", 0.95, n_to_decide=n_to_decide)
            for tier, each in verdicts
        ]
    )


def test_a_damage_wholly_above_the_margin_is_a_breach() -> None:
    assert verdict(counts(60, 10, 1000)) is BREACH


def test_a_damage_wholly_below_the_margin_passes() -> None:
    assert verdict(counts(10, 10, 5000)) is PASS


def test_a_damage_across_the_margin_is_insufficient_evidence() -> None:
    assert verdict(counts(12, 10, 500)) is INSUFFICIENT


def test_an_improvement_passes_with_a_margin_of_0() -> None:
    assert verdict(counts(10, 60, 1000), Rule(max_drop=0.0)) is PASS


def test_a_significant_damage_within_the_margin_passes() -> None:
    assert verdict(counts(300, 200, 100_000)) is PASS


def test_no_change_in_few_documents_does_not_pass() -> None:
    judgement = judge(ONE_PERCENT, KEY, counts(0, 0, 200))

    assert judgement.verdict is INSUFFICIENT
    assert judgement.n_to_decide == pytest.approx(380, rel=0.03)


def test_no_change_in_many_documents_passes() -> None:
    assert verdict(counts(0, 0, 400)) is PASS


def test_no_change_never_passes_with_a_margin_of_0() -> None:
    judgement = judge(Rule(max_drop=0.0), KEY, counts(0, 0, 100_000))

    assert (judgement.verdict, judgement.n_to_decide) == (INSUFFICIENT, None)


def test_the_smaller_of_both_margins_is_that_of_the_value_on_paired_documents() -> None:
    judgement = judge(Rule(max_drop=0.01, max_relative_drop=0.01), KEY, counts(10, 10, 5000))

    assert judgement.margin == pytest.approx(0.005)


def test_of_a_loss_a_rise_is_the_damage() -> None:
    random_numbers = random.Random(1)
    first = [random_numbers.gauss(3, 1) for _ in range(500)]
    second = [each + random_numbers.gauss(0.5, 0.1) for each in first]
    rule = Rule(max_drop=0.1)

    assert verdict(evidence_of(first, second, higher_is_better=False), rule) is BREACH
    assert verdict(evidence_of(second, first, higher_is_better=False), rule) is PASS


def test_the_direction_of_a_rule_comes_before_that_of_the_harness() -> None:
    worse = counts(10, 60, 1000)

    assert verdict(worse, replace(ONE_PERCENT, direction=Direction.LOWER)) is BREACH


def test_without_a_direction_the_evidence_is_insufficient() -> None:
    evidence = evidence_of([1.0] * 500, [0.0] * 500, higher_is_better=None)

    judgement = judge(Rule(metric="acc", max_drop=0.01), KEY, evidence)

    assert judgement.verdict is INSUFFICIENT
    assert "direction" in judgement.reason


def test_scores_in_percent_are_judged_in_percent() -> None:
    evidence = counts(60, 10, 1000, unit=100.0)

    assert verdict(evidence, Rule(max_drop=1.0)) is BREACH
    assert verdict(evidence, Rule(max_drop=8.0)) is PASS


def test_a_margin_that_no_metric_can_reach_is_no_limit() -> None:
    judgement = judge(Rule(max_drop=1.0), KEY, counts(100, 0, 1000))

    assert judgement.verdict is INSUFFICIENT
    assert "no limit" in judgement.reason


def test_few_changes_of_scores_between_0_and_1_do_not_pass() -> None:
    first = [each / 300 for each in range(1, 301)]
    second = [each - 0.001 * (number < 5) for number, each in enumerate(first)]

    judgement = judge(ONE_PERCENT, KEY, evidence_of(first, second))

    assert judgement.verdict is INSUFFICIENT
    assert judgement.damage and judgement.damage.method == "exact"
    assert judgement.n_to_decide and judgement.n_to_decide > 300


def test_few_changes_of_a_metric_without_bounds_have_no_interval() -> None:
    first = [float(each) for each in range(300)]
    second = [each + (number < 5) for number, each in enumerate(first)]

    judgement = judge(ONE_PERCENT, KEY, evidence_of(first, second))

    assert judgement.verdict is INSUFFICIENT
    assert judgement.damage and judgement.damage.low is None
    assert "only 5 of 300 documents changed" in judgement.reason


def test_documents_of_a_cluster_say_less_than_independent_ones() -> None:
    first = [1.0] * 2000
    second = [float(each % 100 >= 3) for each in range(2000)]
    second.sort()
    alone = evidence_of(first, second)
    clustered = replace(alone, clusters={each: each // 100 for each in range(2000)})

    assert verdict(alone) is BREACH
    assert verdict(clustered) is INSUFFICIENT


def test_without_pairs_a_large_damage_is_a_breach() -> None:
    evidence = replace(counts(800, 0, 2000), scores=None)

    judgement = judge(ONE_PERCENT, KEY, evidence)

    assert judgement.verdict is BREACH
    assert "not paired (there are no scores of documents)" in judgement.reason


def test_without_pairs_nothing_passes() -> None:
    evidence = replace(counts(0, 5000, 10_000), scores=None)

    assert verdict(evidence) is INSUFFICIENT


def test_without_pairs_a_rule_may_allow_a_pass() -> None:
    evidence = replace(counts(0, 5000, 10_000), scores=None)

    assert verdict(evidence, replace(ONE_PERCENT, allow_unpaired=True)) is PASS


def test_without_standard_errors_nothing_is_said() -> None:
    evidence = Evidence(Metric(*KEY, 0.9, None, 10_000, True), Metric(*KEY, 0.1, None, 1, True))

    judgement = judge(replace(ONE_PERCENT, allow_unpaired=True), KEY, evidence)

    assert judgement.verdict is INSUFFICIENT
    assert "no two standard errors" in judgement.reason


def test_an_accuracy_of_0_without_pairs_is_a_breach_though_its_standard_error_is_0() -> None:
    evidence = replace(evidence_of([1.0] * 400, [0.0] * 400), scores=None)

    assert verdict(evidence) is BREACH


def test_scores_of_which_the_metric_is_no_mean_are_not_paired() -> None:
    evidence = replace(counts(10, 10, 5000), job=Metric(*KEY, 0.9, 0.001, 5000, True))

    judgement = judge(ONE_PERCENT, KEY, evidence)

    assert judgement.verdict is INSUFFICIENT
    assert "acc is not the mean of the scores of its documents" in judgement.reason


@pytest.mark.parametrize("n", [0, 1])
def test_without_common_documents_nothing_is_paired(n: int) -> None:
    baseline = {each: 1.0 for each in range(10)}
    job = {each: 1.0 for each in range(10 - n, 20)}
    metric = Metric(*KEY, 1.0, 0.0, 10, True)

    judgement = judge(ONE_PERCENT, KEY, Evidence(metric, metric, (baseline, job)))

    assert judgement.verdict is INSUFFICIENT
    assert "in common" in judgement.reason


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (Missing.INCONCLUSIVE, INSUFFICIENT),
        (Missing.BREACH, BREACH),
        (Missing.IGNORE, IGNORED),
    ],
)
def test_a_number_that_the_job_lacks_means_what_the_rule_says(
    missing: Missing, expected: MetricVerdict
) -> None:
    evidence = Evidence(Metric(*KEY, 0.5, 0.01, 100, True), None)

    assert verdict(evidence, replace(ONE_PERCENT, missing=missing)) is expected


@pytest.mark.parametrize("missing", Missing)
def test_a_number_that_the_baseline_lacks_cannot_be_judged(missing: Missing) -> None:
    evidence = Evidence(None, Metric(*KEY, 0.5, 0.01, 100, True))

    assert verdict(evidence, replace(ONE_PERCENT, missing=missing)) is INSUFFICIENT


def test_a_rule_that_matches_no_metric_cannot_be_judged() -> None:
    policy = parse_policy({"max_drop": 0.01, "rules": [{"task": "mmlu*"}, {"task": "gsm8k"}]})

    [rule] = unmatched_rules(policy, {KEY: True})

    assert judge_unmatched(rule).verdict is INSUFFICIENT
    assert judge_unmatched(rule).reason.startswith("no metric of either job matches task 'gsm8k'")


def test_it_is_a_go_when_every_critical_metric_passes() -> None:
    found = report((Tier.CRITICAL, PASS), (Tier.CRITICAL, PASS))

    assert found.verdict is GateVerdict.GO


@pytest.mark.parametrize("tier", [Tier.CRITICAL, Tier.SUPPORTING])
def test_one_breach_is_a_no_go(tier: Tier) -> None:
    found = report((Tier.CRITICAL, PASS), (Tier.CRITICAL, INSUFFICIENT), (tier, BREACH))

    assert found.verdict is GateVerdict.NO_GO


def test_one_critical_metric_without_evidence_is_inconclusive() -> None:
    found = report((Tier.CRITICAL, PASS), (Tier.CRITICAL, INSUFFICIENT))

    assert found.verdict is GateVerdict.INCONCLUSIVE


def test_a_supporting_metric_need_not_pass() -> None:
    found = report((Tier.CRITICAL, PASS), (Tier.SUPPORTING, INSUFFICIENT))

    assert found.verdict is GateVerdict.GO


def test_an_advisory_metric_does_not_count() -> None:
    assert report((Tier.CRITICAL, PASS), (Tier.ADVISORY, BREACH)).verdict is GateVerdict.GO


@pytest.mark.parametrize(
    "verdicts",
    [
        [],
        [(Tier.ADVISORY, PASS)],
        [(Tier.SUPPORTING, PASS)],
        [(Tier.CRITICAL, IGNORED)],
    ],
)
def test_without_a_judged_critical_metric_it_is_inconclusive(
    verdicts: list[tuple[Tier, MetricVerdict]],
) -> None:
    assert report(*verdicts).verdict is GateVerdict.INCONCLUSIVE


def test_so_many_documents_decide_as_the_metric_needs_that_needs_most() -> None:
    found = decide(
        [
            Judgement("a", "m", "none", Tier.CRITICAL, INSUFFICIENT, "", 0.95, n_to_decide=300),
            Judgement("b", "m", "none", Tier.CRITICAL, INSUFFICIENT, "", 0.95, n_to_decide=900),
            Judgement("c", "m", "none", Tier.ADVISORY, INSUFFICIENT, "", 0.95, n_to_decide=5000),
        ]
    )

    assert found.n_to_decide == 900
    assert "About 900 documents would decide" in found.reason


def test_how_many_documents_decide_is_unknown_if_it_is_of_one_metric() -> None:
    found = report((Tier.CRITICAL, INSUFFICIENT), (Tier.CRITICAL, PASS))

    assert found.n_to_decide is None


@given(st.integers(20, 2000), st.floats(0, 0.2), st.floats(0, 0.2), st.floats(0, 0.05))
def test_with_as_many_documents_as_are_said_to_decide_it_is_decided(
    n: int, worse: float, better: float, max_drop: float
) -> None:
    rule = Rule(max_drop=max_drop)
    became_worse, became_better = round(n * worse), round(n * better)
    needed = judge(rule, KEY, counts(became_worse, became_better, n)).n_to_decide
    if needed is None or needed > 20_000:
        return
    factor = needed / n
    more = counts(round(became_worse * factor), round(became_better * factor), needed)

    assert verdict(more, rule) in (PASS, BREACH)
    assert needed > n


@pytest.mark.parametrize("paired", [True, False])
def test_numbers_that_are_too_large_are_insufficient_evidence(paired: bool) -> None:
    scores = {each: 1e200 * (each % 3) for each in range(60)}
    huge = Metric(*KEY, 1e200, 1e300, 60, True)
    small = Metric(*KEY, 0.5, 1e300, 60, True)
    evidence = Evidence(huge, huge, (scores, dict(reversed(scores.items())))) if paired else None

    assert verdict(evidence or Evidence(small, small)) is INSUFFICIENT


def test_a_few_documents_with_a_large_damage_widen_the_interval_towards_damage() -> None:
    same = [0.5 + each / 10_000 for each in range(500)]
    fallen = [each - (0.4 if number % 16 == 0 else 0.0) for number, each in enumerate(same)]
    risen = [each + (0.4 if number % 16 == 0 else 0.0) for number, each in enumerate(same)]

    worse = judge(ONE_PERCENT, KEY, evidence_of(same, fallen)).damage
    better = judge(ONE_PERCENT, KEY, evidence_of(same, risen)).damage

    assert worse and worse.high is not None and worse.low is not None
    assert worse.high - worse.value > 1.1 * (worse.value - worse.low)
    assert better and (better.low, better.high) == pytest.approx((-worse.high, -worse.low))
