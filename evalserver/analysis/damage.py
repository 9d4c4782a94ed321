"""By how much a metric became worse, and the interval in which the true number lies.

Unlike the interval of a comparison, these hold their confidence also where few documents changed:
a gate must not let a model pass because nothing was seen in a few documents.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import NormalDist
from typing import Any

from evalserver.analysis.binomial import upper_bound
from evalserver.analysis.clusters import clustered_skewness, clustered_stderr
from evalserver.analysis.comparison import (
    Clusters,
    NotPaired,
    Scores,
    group_documents,
    largest_difference,
    require_mean,
)
from evalserver.analysis.fractions import are_fractions, is_fraction
from evalserver.analysis.score_interval import score_interval
from evalserver.analysis.t_quantile import t_quantile
from evalserver.core.job import Metric

MIN_CHANGED = 30
"""With fewer documents (or clusters) that changed, their mean is not approximately normal."""
MIN_DENSE = 10
"""Enough, if at least half of them changed."""

PERCENT = 100.0


class IntervalMethod(StrEnum):
    """How the interval of a damage was computed."""

    SCORE = "score"
    """From the documents that became wrong and right."""
    MEAN = "mean"
    """From the mean difference of documents, and its standard error."""
    EXACT = "exact"
    """From how many documents changed, where these are few."""
    UNPAIRED = "unpaired"
    """From the two metrics and their standard errors."""


INTERVALS: Mapping[IntervalMethod, tuple[str, str]] = {
    IntervalMethod.SCORE: (
        "the differences d that a score test with sum(d_i) / n - d over its standard error, if d"
        " were true, does not reject; and those that an exact binomial interval does not exclude",
        "Tango 1998, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8%3C891::AID-SIM780%3E"
        "3.0.CO;2-B; Clopper and Pearson 1934",
    ),
    IntervalMethod.MEAN: (
        "mean(d) ± t stderr, where d is by how much each of n documents became worse, and t the"
        " quantile of Student's distribution with n - 1 degrees of freedom; of k clusters of"
        " documents, stderr = sqrt(k / (k - 1) sum(s^2)) / n, where s is the sum of d - mean(d) in"
        " a cluster, with k - 1 degrees; widened by stderr g (2 t^2 + 1) / (6 sqrt(k)) on the side"
        " to which d is skewed, with the skewness g",
        "Miller 2024, Adding Error Bars to Evals, https://arxiv.org/abs/2411.00640; Johnson 1978,"
        " https://doi.org/10.1080/01621459.1978.10480051",
    ),
    IntervalMethod.EXACT: (
        "with the largest possible difference L of a document: up to L times the largest share of"
        " documents that may become worse, down to -L times that of those that may become better,"
        f" by exact binomial intervals; where fewer than {MIN_CHANGED} documents changed",
        "Clopper and Pearson 1934",
    ),
    IntervalMethod.UNPAIRED: (
        "difference ± z sqrt(stderr^2 of the one + stderr^2 of the other), where the standard error"
        " of a fraction is at least that of one with 2 more successes and 2 more failures",
        "Agresti and Caffo 2000, https://doi.org/10.1080/00031305.2000.10474560",
    ),
}
"""The formula and the source of each method."""


@dataclass(frozen=True)
class Damage:
    """How much worse a job's metric is than the baseline's: positive is worse.

    ``baseline`` is the baseline's value on the documents that were compared. ``low`` and ``high``
    bound the interval; None without one, in which case ``why`` says why. ``why`` also says why
    documents were not paired. ``n`` is the number of paired documents, of which ``worse`` and
    ``better`` changed; ``units`` that of independent ones: their clusters, if they are in some.
    ``spread`` is the largest difference that one can have, infinite if unknown; ``variance`` that
    of the differences of single documents.
    """

    value: float
    baseline: float
    low: float | None = None
    high: float | None = None
    method: IntervalMethod | None = None
    n: int | None = None
    worse: int | None = None
    better: int | None = None
    units: int | None = None
    changed_units: int = 0
    spread: float = math.inf
    variance: float = 0.0
    why: str | None = None

    @property
    def is_paired(self) -> bool:
        """Whether it was computed document by document."""
        return self.n is not None


def paired_damage(
    metrics: tuple[Metric, Metric],
    scores: tuple[Scores, Scores],
    clusters: Clusters,
    higher_is_better: bool,
    confidence: float,
) -> Damage:
    """Return the damage over the documents that both have; the baseline's metric and scores come
    first.

    Raises NotPaired if a metric is not the mean of its scores, or too few documents are common.
    """
    for metric, of_metric in zip(metrics, scores, strict=True):
        require_mean(metric, of_metric)
    baseline, job = scores
    common = baseline.keys() & job.keys()
    n = len(common)
    if n < 2:
        raise NotPaired(f"the two have {n or 'no'} document{'s' * (n != 1)} in common")
    sign = 1 if higher_is_better else -1
    changes = {each: sign * (baseline[each] - job[each]) for each in common}
    groups = group_documents(common, clusters)
    found = _summarize(changes, groups, math.fsum(baseline[each] for each in common) / n)
    all_scores = [each[document] for each in (baseline, job) for document in common]
    unit = _unit_of_binary(all_scores)
    if unit is not None and found.units == n:
        return _with_score_interval(found, unit, confidence)
    return _with_mean_interval(found, changes, groups, largest_difference(all_scores), confidence)


def unpaired_damage(
    baseline: Metric, job: Metric, higher_is_better: bool, confidence: float, why: str
) -> Damage:
    """Return the damage by two metrics alone. ``why`` says why documents cannot be paired."""
    sign = 1 if higher_is_better else -1
    found = Damage(sign * (baseline.value - job.value), baseline.value, why=why)
    first, second = _cautious_stderr(baseline), _cautious_stderr(job)
    if first is None or second is None:
        return replace(found, why=f"{why}, and there are no two standard errors")
    half = NormalDist().inv_cdf((1 + confidence) / 2) * math.hypot(first, second)
    spread = 1.0 if are_fractions(baseline, job) else math.inf
    sizes = [each.n for each in (baseline, job) if each.n is not None]
    smaller = min(sizes) if len(sizes) == 2 else None
    return replace(
        found,
        low=max(found.value - half, -spread),
        high=min(found.value + half, spread),
        method=IntervalMethod.UNPAIRED,
        units=smaller,
        spread=spread,
        variance=math.hypot(first, second) ** 2 * (smaller or 0),
    )


def _summarize(changes: Mapping[Any, float], groups: Clusters, baseline: float) -> Damage:
    n = len(changes)
    sums: dict[Any, float] = {}
    for document, change in changes.items():
        sums[groups[document]] = sums.get(groups[document], 0.0) + change
    return Damage(
        math.fsum(changes.values()) / n,
        baseline,
        n=n,
        worse=sum(change > 0 for change in changes.values()),
        better=sum(change < 0 for change in changes.values()),
        units=len(sums),
        changed_units=sum(change != 0 for change in sums.values()),
        variance=clustered_stderr(changes, groups) ** 2 * n,
    )


def _unit_of_binary(scores: list[float]) -> float | None:
    """Return the score of a right document, if each is right or wrong."""
    found = set(scores)
    return next((unit for unit in (1.0, PERCENT) if found <= {0.0, unit}), None)


def _with_score_interval(found: Damage, unit: float, confidence: float) -> Damage:
    low, high = score_interval(found.worse or 0, found.better or 0, found.n or 0, confidence)
    return replace(
        found, low=low * unit, high=high * unit, method=IntervalMethod.SCORE, spread=unit
    )


def _with_mean_interval(
    found: Damage,
    changes: Mapping[Any, float],
    groups: Clusters,
    spread: float,
    confidence: float,
) -> Damage:
    units, changed = found.units or 0, found.changed_units
    if changed >= MIN_CHANGED or (changed >= MIN_DENSE and changed * 2 >= units):
        quantile = t_quantile(confidence, units - 1)
        stderr = clustered_stderr(changes, groups)
        # A few documents with a large damage, of which more may be missing, skew the mean.
        skewness = clustered_skewness(changes, groups)
        shift = skewness * (2 * quantile**2 + 1) / (6 * math.sqrt(units))
        return replace(
            found,
            low=max(found.value - stderr * (quantile - min(shift, 0.0)), -spread),
            high=min(found.value + stderr * (quantile + max(shift, 0.0)), spread),
            method=IntervalMethod.MEAN,
            spread=spread,
        )
    if not math.isfinite(spread):
        what = "documents" if units == found.n else "clusters of documents"
        why = f"only {changed} of {units} {what} changed, and the metric has no known bounds"
        return replace(found, why=why)
    worse, better = _changed_groups(changes, groups)
    alpha = (1 - confidence) / 2
    return replace(
        found,
        low=min(found.value, -spread * upper_bound(better, units, alpha)),
        high=max(found.value, spread * upper_bound(worse, units, alpha)),
        method=IntervalMethod.EXACT,
        spread=spread,
    )


def _changed_groups(changes: Mapping[Any, float], groups: Clusters) -> tuple[int, int]:
    """Return in how many groups a document became worse, and in how many one became better."""
    worse = {groups[document] for document, change in changes.items() if change > 0}
    better = {groups[document] for document, change in changes.items() if change < 0}
    return len(worse), len(better)


def _cautious_stderr(metric: Metric) -> float | None:
    """Return the standard error of a metric; of a fraction not less than chance allows, since an
    accuracy of 0 or 1 has none."""
    stderr, n = metric.stderr, metric.n
    if stderr is None or not math.isfinite(stderr):
        return None
    if n is None or not is_fraction(metric.value, stderr, n, metric.higher_is_better):
        return stderr or None
    share = (metric.value * n + 2) / (n + 4)
    return max(stderr, math.sqrt(share * (1 - share) / (n + 4)))
