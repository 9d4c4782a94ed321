"""Differences between the metrics of two evaluations, with confidence intervals.

Pure functions; nothing here reads files. After Evan Miller, "Adding Error Bars to Evals: A
Statistical Approach to Language Model Evaluations" (arXiv:2411.00640): the documents of a task are
a sample from a population of possible documents, so a metric has a sampling error.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Any

from evalserver.analysis.fractions import are_fractions
from evalserver.core.job import Metric

CONFIDENCE = 0.95
"""The confidence level of the intervals."""
QUANTILE = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

SMALL_SAMPLE = 30
"""With fewer documents, the mean is not approximately normally distributed."""

TOLERANCE = 1e-6
"""Relative tolerance between the mean of the samples and the metric of the harness."""

Scores = Mapping[Any, float]
"""The score of each document, by its id, of any type."""


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
        "job's score minus the baseline's, of each of n documents; interval = difference ± "
        f"{QUANTILE:.2f} stderr, within -1 and 1 for scores from 0 to 1",
        f"{MILLER}, on paired differences",
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
    metric can have, if these are known; ``n`` is the number of paired documents.
    ``exceeds_noise``: the interval excludes 0. ``improved``: the metric changed for the better.
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


def paired_difference(
    baseline: Metric, other: Metric, baseline_scores: Scores, other_scores: Scores
) -> Difference:
    """Return the mean difference over the documents that both have.

    Raises NotPaired if a metric is not the mean of its scores, or too few documents are common.
    """
    _require_mean(baseline, baseline_scores)
    _require_mean(other, other_scores)
    common = baseline_scores.keys() & other_scores.keys()
    n = len(common)
    if n < 2:
        raise NotPaired(f"the two have {n or 'no'} document{'s' * (n != 1)} in common")
    differences = [other_scores[each] - baseline_scores[each] for each in common]
    mean = math.fsum(differences) / n
    variance = math.fsum((each - mean) ** 2 for each in differences) / (n - 1)
    notes = []
    if n < max(len(baseline_scores), len(other_scores)):
        notes.append(_subset_note(common, baseline_scores, other_scores))
    if n < SMALL_SAMPLE:
        notes.append(f"With fewer than {SMALL_SAMPLE} documents the true interval is wider.")
    scores = (*baseline_scores.values(), *other_scores.values())
    limit = _largest_difference(scores)
    stderr = math.sqrt(variance / n)
    return _difference(other, mean, stderr, n, Method.PAIRED, " ".join(notes), limit)


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
    return _difference(other, value, stderr, None, Method.UNPAIRED, note, limit)


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


def _subset_note(common: Collection[Any], baseline_scores: Scores, other_scores: Scores) -> str:
    """Say that the difference is not that of the two values, and of which it is."""
    baseline, job = (
        math.fsum(scores[each] for each in common) / len(common)
        for scores in (baseline_scores, other_scores)
    )
    return (
        f"The difference is that of the {len(common)} documents that both have, of which the"
        f" baseline's value is {baseline:.4g} and the job's {job:.4g}; the values themselves are of"
        f" {len(baseline_scores)} and {len(other_scores)} documents."
    )


def _largest_difference(scores: Collection[float]) -> float:
    """Return the largest difference between means of scores such as these; infinite if unknown."""
    if all(0 <= each <= 1 for each in scores):
        return 1.0
    return 100.0 if all(each in (0, 100) for each in scores) else math.inf


def _require_mean(metric: Metric, scores: Scores) -> None:
    mean = math.fsum(scores.values()) / len(scores) if scores else math.nan
    if not math.isclose(mean, metric.value, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
        raise NotPaired(
            f"{metric.metric} is not the mean of the scores of its documents"
            if scores
            else f"the samples have no scores for {metric.metric}"
        )
