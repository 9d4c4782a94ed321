"""Differences between the metrics of two evaluations, with confidence intervals.

Pure functions; nothing here reads files. After Evan Miller, "Adding Error Bars to Evals: A
Statistical Approach to Language Model Evaluations" (arXiv:2411.00640): the documents of a task are
a sample from a population of possible documents, so a metric has a sampling error.
"""

import math
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

from evalserver.analysis.clusters import clustered_stderr
from evalserver.analysis.comparison_notes import MIN_CLUSTERS, cluster_notes, sample_notes
from evalserver.analysis.fractions import are_fractions
from evalserver.analysis.mcnemar import DiscordantPairs, count_discordant, exact_p_value
from evalserver.analysis.power import documents_to_decide
from evalserver.analysis.significance import SignificanceTest, normal_p_value, sign_p_value
from evalserver.core.job import Metric

CONFIDENCE = 0.95
"""The confidence level of the intervals."""
ALPHA = 0.05
"""A metric with an adjusted p-value of at most this changed by more than chance explains."""
QUANTILE = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

TOLERANCE = 1e-6
"""Relative tolerance between the mean of the samples and the metric of the harness."""

Scores = Mapping[Any, float]
"""The score of each document, by its id, of any type."""
Clusters = Mapping[Any, Hashable]
"""The cluster of each document that names one, by the document's id."""


class Method(StrEnum):
    """How a difference was computed."""

    PAIRED = "paired"
    """Document by document, which removes the variance of the difficulty of documents."""
    UNPAIRED = "unpaired"
    """From two metrics and their standard errors."""
    BARE = "bare"
    """From two metrics without standard errors, so without an interval."""


MILLER = "Miller 2024, Adding Error Bars to Evals, https://arxiv.org/abs/2411.00640"

FORMULAS: Mapping[Method, tuple[str, str]] = {
    Method.PAIRED: (
        "difference = mean(d), stderr = sqrt(sum((d - mean(d))^2) / (n (n - 1))), where d is the "
        "job's score minus the baseline's, of each of n documents; with k clusters of documents, "
        "stderr = sqrt(k / (k - 1) sum(s^2)) / n, where s is the sum of d - mean(d) in a cluster; "
        f"interval = difference ± {QUANTILE:.2f} stderr, within -1 and 1 for scores from 0 to 1",
        f"{MILLER}, on paired differences and clustered standard errors",
    ),
    Method.UNPAIRED: (
        "difference = the job's value minus the baseline's, stderr = sqrt(stderr^2 of the one + "
        f"stderr^2 of the other), as the harness gives them; interval = difference ± "
        f"{QUANTILE:.2f} stderr, within -1 and 1 for scores from 0 to 1",
        f"{MILLER}, on unpaired differences",
    ),
    Method.BARE: (
        "difference = the job's value minus the baseline's; without standard errors there is no "
        "interval",
        "subtraction",
    ),
}
"""The formula and the source of each method."""


class NotPaired(Exception):
    """The two metrics cannot be compared document by document; says why."""


@dataclass(frozen=True)
class Difference:
    """A job's metric minus the baseline's.

    ``low`` and ``high`` bound the confidence interval, which lies within the differences that the
    metric can have, if these are known; ``n`` is the number of paired documents, ``clusters`` that
    of their clusters, if the standard error takes these into account.
    ``exceeds_noise``: the interval excludes 0. ``improved``: the metric changed for the better.
    ``right_to_wrong`` and ``wrong_to_right`` count documents, if each is right or wrong.
    ``p_value`` is that of ``test``; ``p_adjusted`` is corrected for the number of metrics, and
    ``regressed`` says whether the metric became worse by that: see ``holm``.
    ``n_to_decide``: with about so many documents the interval would exclude 0, if it does not yet.
    Each is None if unknown. ``note`` states the limits of the comparison.
    """

    value: float
    stderr: float | None
    low: float | None
    high: float | None
    n: int | None
    method: Method
    exceeds_noise: bool | None
    improved: bool | None
    note: str | None
    clusters: int | None = None
    right_to_wrong: int | None = None
    wrong_to_right: int | None = None
    p_value: float | None = None
    test: SignificanceTest | None = None
    p_adjusted: float | None = None
    regressed: bool | None = None
    n_to_decide: int | None = None


def paired_difference(
    baseline: Metric,
    other: Metric,
    baseline_scores: Scores,
    other_scores: Scores,
    clusters: Clusters = MappingProxyType({}),
) -> Difference:
    """Return the mean difference over the documents that both have.

    If all these documents are in ``clusters``, and in several, the standard error is that of
    clustered documents. Raises NotPaired if a metric is not the mean of its scores, or too few
    documents are common.
    """
    require_mean(baseline, baseline_scores)
    require_mean(other, other_scores)
    common = baseline_scores.keys() & other_scores.keys()
    n = len(common)
    if n < 2:
        raise NotPaired(f"the two have {n or 'no'} document{'s' * (n != 1)} in common")
    differences = {each: other_scores[each] - baseline_scores[each] for each in common}
    mean = math.fsum(differences.values()) / n
    groups = group_documents(common, clusters)
    independent = len(set(groups.values()))
    stderr = clustered_stderr(differences, groups)
    notes = [
        *sample_notes(baseline_scores, other_scores, common),
        *cluster_notes(clusters, common),
    ]
    limit = largest_difference((*baseline_scores.values(), *other_scores.values()))
    found = _difference(other, mean, stderr, n, Method.PAIRED, " ".join(notes), limit)
    pairs = count_discordant(baseline_scores, other_scores) if other.higher_is_better else None
    p_value, test = _test_pairs(found, pairs if independent == n else None, independent)
    needed = documents_to_decide(mean, stderr**2 * n, 0.0, CONFIDENCE)
    return replace(
        found,
        clusters=None if independent == n else independent,
        right_to_wrong=None if pairs is None else pairs.right_to_wrong,
        wrong_to_right=None if pairs is None else pairs.wrong_to_right,
        p_value=p_value,
        test=test,
        n_to_decide=None if found.exceeds_noise else needed,
    )


def unpaired_difference(baseline: Metric, other: Metric, why: str) -> Difference:
    """Return the difference of two metrics, with an interval if both have standard errors.

    ``why`` says why they cannot be paired, for the note.
    """
    value = other.value - baseline.value
    note = f"Not paired: {why}."
    if baseline.stderr is None or other.stderr is None:
        return _difference(other, value, None, None, Method.BARE, note)
    stderr = math.hypot(baseline.stderr, other.stderr)
    limit = 1.0 if are_fractions(baseline, other) else math.inf
    found = _difference(other, value, stderr, None, Method.UNPAIRED, note, limit)
    if stderr == 0:
        return found
    return replace(found, p_value=normal_p_value(value, stderr), test=SignificanceTest.NORMAL)


def _difference(
    metric: Metric,
    value: float,
    stderr: float | None,
    n: int | None,
    method: Method,
    note: str,
    limit: float = math.inf,
) -> Difference:
    low = high = exceeds = None
    if stderr is not None:
        low, high = value - QUANTILE * stderr, value + QUANTILE * stderr
        exceeds = low > 0 or high < 0
        low, high = max(low, -limit), min(high, limit)
    improved = None
    if metric.higher_is_better is not None and value != 0:
        improved = (value > 0) == metric.higher_is_better
    return Difference(value, stderr, low, high, n, method, exceeds, improved, note or None)


def group_documents(common: Collection[Any], clusters: Clusters) -> Clusters:
    """Return the cluster of each document; a cluster for each where not all name one of several."""
    named = {each: clusters[each] for each in common if each in clusters}
    if len(named) == len(common) and len(set(named.values())) >= MIN_CLUSTERS:
        return named
    return {each: each for each in common}


def _test_pairs(
    found: Difference, pairs: DiscordantPairs | None, independent: int
) -> tuple[float, SignificanceTest]:
    """Return the p-value of a paired difference, and the test: McNemar's if there are ``pairs``,
    which must be independent; ``independent`` is the number of documents, or of clusters."""
    if pairs is not None:
        return exact_p_value(pairs), SignificanceTest.MCNEMAR
    if found.stderr:
        return normal_p_value(found.value, found.stderr), SignificanceTest.NORMAL
    return (1.0 if found.value == 0 else sign_p_value(independent)), SignificanceTest.SIGN


def largest_difference(scores: Collection[float]) -> float:
    """Return the largest difference between means of scores such as these; infinite if unknown."""
    if all(0 <= each <= 1 for each in scores):
        return 1.0
    return 100.0 if all(each in (0, 100) for each in scores) else math.inf


def require_mean(metric: Metric, scores: Scores) -> None:
    """Raise NotPaired unless the metric is the mean of these scores."""
    mean = math.fsum(scores.values()) / len(scores) if scores else math.nan
    if not math.isclose(mean, metric.value, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
        raise NotPaired(
            f"{metric.metric} is not the mean of the scores of its documents"
            if scores
            else f"the samples have no scores for {metric.metric}"
        )
