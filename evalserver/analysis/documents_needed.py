"""With how many documents the interval of a damage would leave its margin out."""

import math
from collections.abc import Callable

from evalserver.analysis.binomial import upper_bound
from evalserver.analysis.damage import MIN_CHANGED, Damage, IntervalMethod
from evalserver.analysis.power import MAX_DOCUMENTS, documents_to_decide
from evalserver.analysis.score_interval import score_interval

PRECISION = 0.02
"""Of the number that is found."""


def documents_needed(damage: Damage, margin: float, confidence: float) -> int | None:
    """Return about how many documents would decide, if the damage stayed as it is.

    It assumes that further documents are like those that were seen: as many of them became worse
    and better, in clusters of the same kind. None if no number, or none up to MAX_DOCUMENTS, would
    decide, or if the number of documents is unknown.
    """
    if damage.value == margin:
        return None
    n = damage.n or damage.units
    if n is None:
        return None
    if damage.method is IntervalMethod.SCORE:
        return _smallest(n, lambda count: _decides_counts(damage, count / n, margin, confidence))
    if damage.method is IntervalMethod.EXACT and damage.changed_units == 0:
        limit = (1 - confidence) / 2
        per_unit = n / (damage.units or n)
        return _smallest(
            n,
            lambda count: damage.spread * upper_bound(0, int(count / per_unit), limit) <= margin,
        )
    needed = documents_to_decide(damage.value, damage.variance, margin, confidence)
    if needed is None:
        return None
    if damage.method is IntervalMethod.EXACT:
        needed = max(needed, math.ceil(n * MIN_CHANGED / damage.changed_units))
    return max(needed, n + 1)


def _decides_counts(damage: Damage, factor: float, margin: float, confidence: float) -> bool:
    """Whether so many times the documents, with as many times the changes, would decide."""
    worse, better, n = (
        round((each or 0) * factor) for each in (damage.worse, damage.better, damage.n)
    )
    low, high = score_interval(worse, better, n, confidence)
    return low * damage.spread > margin or high * damage.spread <= margin


def _smallest(n: int, decides: Callable[[int], bool]) -> int | None:
    """Return about the smallest number above n that decides; larger ones decide, too."""
    low, high = n, n * 2
    while not decides(high):
        if high > MAX_DOCUMENTS:
            return None
        low, high = high, high * 2
    while high - low > max(1, PRECISION * low):
        middle = (low + high) // 2
        if decides(middle):
            high = middle
        else:
            low = middle
    return high
