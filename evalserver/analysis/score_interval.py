"""The interval of a paired difference of documents that are right or wrong.

The interval of the comparison, difference ± quantile times stderr, is too narrow where few
documents changed: with none it has no width at all. This one holds its confidence there, too.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

from evalserver.analysis.binomial import lower_bound, upper_bound

STEPS = 50
"""Halvings of an interval of at most length 2."""

MAX_EXACT = 1000
"""With more documents that changed, the exact interval adds nothing to the approximate one."""


def score_interval(worse: int, better: int, n: int, confidence: float) -> tuple[float, float]:
    """Return the bounds of the probability of becoming worse minus that of becoming better.

    Of ``n`` independent documents, ``worse`` and ``better`` changed. It is Tango's score interval,
    widened where an exact one is wider: that of Clopper and Pearson for the share of the documents
    that became worse among those that changed, and, where all changed in one direction, for the
    share of these among all.
    """
    low, high = _tango(worse, better, n, confidence)
    alpha = (1 - confidence) / 2
    changed = worse + better
    if 0 < changed <= MAX_EXACT:
        low = min(low, (2 * lower_bound(worse, changed, alpha) - 1) * changed / n)
        high = max(high, (2 * upper_bound(worse, changed, alpha) - 1) * changed / n)
    if better == 0:
        high = max(high, upper_bound(worse, n, alpha))
    if worse == 0:
        low = min(low, -upper_bound(better, n, alpha))
    return low, high


def _tango(worse: int, better: int, n: int, confidence: float) -> tuple[float, float]:
    """Return the differences that a score test with this confidence does not reject."""
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    observed = (worse - better) / n
    low = _border(lambda delta: _score(worse, better, n, delta) >= quantile, -1.0, observed)
    high = _border(lambda delta: _score(worse, better, n, delta) > -quantile, observed, 1.0)
    return low, high


def _border(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return where ``holds``, which is true of small differences, ends to be so."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return high if holds(high) else low


def _score(worse: int, better: int, n: int, delta: float) -> float:
    """Return the observed difference minus ``delta``, in standard errors as they would be if
    ``delta`` were true."""
    a = 2 * n
    b = delta * (2 * n - worse + better) - worse - better
    c = -better * delta * (1 - delta)
    # The most probable share of documents that become better, if the difference is delta.
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * share + delta * (1 - delta))
    gap = worse - better - n * delta
    if variance <= 0:
        return math.copysign(math.inf, gap) if gap else 0.0
    return gap / math.sqrt(variance)
