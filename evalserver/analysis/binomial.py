"""Exact bounds for the probability of an event that was seen k times in n: Clopper and Pearson."""

import math

NEGLIGIBLE = 1e-15
"""Relative to the sum; smaller terms do not change it."""

STEPS = 60
"""Halvings of an interval of length 1, after which it is as small as rounding errors."""


def upper_bound(k: int, n: int, alpha: float) -> float:
    """Return the probability with which at most ``k`` of ``n`` are seen with probability ``alpha``:
    the true one is larger with a confidence of at most ``alpha``."""
    if k >= n:
        return 1.0
    if k == 0:
        return -math.expm1(math.log(alpha) / n)
    low, high = k / n, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _lower_tail(k, n, middle) > alpha:
            low = middle
        else:
            high = middle
    return high


def lower_bound(k: int, n: int, alpha: float) -> float:
    """Return the probability with which at least ``k`` of ``n`` are seen with probability
    ``alpha``."""
    return 1 - upper_bound(n - k, n, alpha)


def _lower_tail(k: int, n: int, p: float) -> float:
    """Return the probability of at most ``k`` of ``n``; k / n <= p < 1, so the terms decrease."""
    log_largest = (
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(p)
        + (n - k) * math.log1p(-p)
    )
    odds = (1 - p) / p
    term = total = 1.0
    while k > 0 and term > NEGLIGIBLE * total:
        term *= k / (n - k + 1) * odds
        total += term
        k -= 1
    return math.exp(log_largest) * total
