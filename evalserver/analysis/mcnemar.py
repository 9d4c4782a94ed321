"""Whether more documents became wrong than right: McNemar's exact test.

Of the documents that both jobs judged right or wrong, only those that the two judge differently
say which is better: the discordant pairs. Without a difference between the jobs each of them is as
likely to become wrong as to become right.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RIGHT, WRONG = 1, 0

NEGLIGIBLE = 1e-17
"""Relative to the sum; smaller terms do not change it."""


@dataclass(frozen=True)
class DiscordantPairs:
    """The number of documents that only the baseline, and that only the job, has right."""

    right_to_wrong: int
    wrong_to_right: int


def count_discordant(
    baseline_scores: Mapping[Any, float], other_scores: Mapping[Any, float]
) -> DiscordantPairs | None:
    """Count the common documents that became wrong and right; None if a score is not 0 or 1.

    Only for metrics of which higher is better.
    """
    common = baseline_scores.keys() & other_scores.keys()
    pairs = [(baseline_scores[each], other_scores[each]) for each in common]
    if any(score not in (RIGHT, WRONG) for pair in pairs for score in pair):
        return None
    return DiscordantPairs(pairs.count((RIGHT, WRONG)), pairs.count((WRONG, RIGHT)))


def exact_p_value(pairs: DiscordantPairs) -> float:
    """Return the two-sided p-value: twice the smaller tail of the binomial distribution with
    probability 1/2, at most 1."""
    n = pairs.right_to_wrong + pairs.wrong_to_right
    smaller = min(pairs.right_to_wrong, pairs.wrong_to_right)
    return min(1.0, 2 * _lower_tail(smaller, n))


def _lower_tail(k: int, n: int) -> float:
    """Return the probability of at most k of n, where each has the probability 1/2; k <= n / 2.

    The terms are summed from the largest, so that millions of documents need thousands of terms.
    """
    log_largest = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    largest = math.exp(log_largest - n * math.log(2))
    term = total = 1.0
    while k > 0 and term > NEGLIGIBLE * total:
        term *= k / (n - k + 1)
        total += term
        k -= 1
    return largest * total
