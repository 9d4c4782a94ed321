"""How a number of one evaluation differs from that of another, and whether by more than noise.

Pure functions of numbers; nothing here reads files. After Evan Miller, "Adding Error Bars to Evals:
A Statistical Approach to Language Model Evaluations" (arXiv:2411.00640): the documents of a task
are a sample of all that could be asked, so another sample would have given another number.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Any

from evalserver.core.job import Metric

CONFIDENCE = 0.95
"""How often such an interval holds the true difference."""
QUANTILE = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

FEW = 30
"""Below so many documents the mean is not yet normally distributed."""

TOLERANCE = 1e-6
"""Relative; between the mean of the samples and what the harness made of them."""

Scores = Mapping[Any, float]
"""What each document got, by its id, whatever that is."""


class Method(StrEnum):
    """How a difference was computed."""

    PAIRED = "paired"
    """Document by document: what makes a document hard for both drops out."""
    UNPAIRED = "unpaired"
    """From two numbers and their standard errors."""
    BARE = "bare"
    """From two numbers alone: nothing says how uncertain they are."""


MILLER = "Miller 2024, Adding Error Bars to Evals, https://arxiv.org/abs/2411.00640"

FORMULAS: Mapping[Method, tuple[str, str]] = {
    Method.PAIRED: (
        "difference = mean(d), stderr = sqrt(sum((d - mean(d))^2) / (n (n - 1))), where d is the "
        "job's score minus the baseline's, of each of n documents; interval = difference ± "
        f"{QUANTILE:.2f} stderr",
        f"{MILLER}, on paired differences",
    ),
    Method.UNPAIRED: (
        "difference = the job's value minus the baseline's, stderr = sqrt(stderr^2 of the one + "
        f"stderr^2 of the other), as the harness gives them; interval = difference ± "
        f"{QUANTILE:.2f} stderr",
        f"{MILLER}, on unpaired differences",
    ),
    Method.BARE: (
        "difference = the job's value minus the baseline's; without standard errors there is no "
        "interval",
        "subtraction",
    ),
}
"""Each method in words, and where it is from."""


class NotPaired(Exception):
    """The two numbers cannot be compared document by document; says why."""


@dataclass(frozen=True)
class Difference:
    """A job's number minus the baseline's.

    ``low`` and ``high`` bound the interval of ``CONFIDENCE``; ``n`` is the number of documents that
    were paired. ``exceeds_noise``: the interval leaves out 0. ``improved``: it changed to the
    better. Each is None where there is no saying. ``note`` says what to know when reading it.
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
    """The mean difference over the documents that both have.

    Raises NotPaired when a number is not the mean of its scores, or too few documents are common.
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
    note = _note_on_pairs(n, max(len(baseline_scores), len(other_scores)))
    return _difference(other, mean, math.sqrt(variance / n), n, Method.PAIRED, note)


def unpaired_difference(baseline: Metric, other: Metric, why: str) -> Difference:
    """The difference of two numbers, with an interval if both have standard errors.

    ``why`` they could not be paired goes into the note.
    """
    value = other.value - baseline.value
    note = f"Not paired: {why}."
    if baseline.stderr is None or other.stderr is None:
        return _difference(other, value, None, None, Method.BARE, note)
    stderr = math.hypot(baseline.stderr, other.stderr)
    return _difference(other, value, stderr, None, Method.UNPAIRED, note)


def _difference(
    metric: Metric, value: float, stderr: float | None, n: int | None, method: Method, note: str
) -> Difference:
    low = high = exceeds = None
    if stderr is not None:
        low, high = value - QUANTILE * stderr, value + QUANTILE * stderr
        exceeds = low > 0 or high < 0
    improved = None
    if metric.higher_is_better is not None and value != 0:
        improved = (value > 0) == metric.higher_is_better
    return Difference(value, stderr, low, high, n, method, exceeds, improved, note or None)


def _note_on_pairs(n: int, most: int) -> str:
    notes = []
    if n < most:
        notes.append(f"Over the {n} documents that both have; the larger evaluation has {most}.")
    if n < FEW:
        notes.append(f"With fewer than {FEW} documents the true interval is wider.")
    return " ".join(notes)


def _require_mean(metric: Metric, scores: Scores) -> None:
    mean = math.fsum(scores.values()) / len(scores) if scores else math.nan
    if not math.isclose(mean, metric.value, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
        raise NotPaired(
            f"{metric.metric} is not the mean of what single documents got"
            if scores
            else f"the samples have no number under {metric.metric}"
        )
