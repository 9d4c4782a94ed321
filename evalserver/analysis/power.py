"""How many documents would decide a question that an interval leaves open."""

import math
from statistics import NormalDist

MAX_DOCUMENTS = 1_000_000_000
"""A question that needs more is not decided by documents."""


def documents_to_decide(
    difference: float, variance: float, margin: float, confidence: float, power: float = 0.5
) -> int | None:
    """Return the number of paired documents with which the confidence interval of the difference
    would exclude the margin.

    It assumes that the true difference is the observed one, that the variance of the differences of
    single documents stays as observed, and that further documents are like these: drawn from the
    same population, in clusters of the same kind, if any. An evaluation of that many documents then
    excludes the margin with the probability ``power``; by default in one of two cases.

    None if no number would decide (the difference is the margin), if it is above MAX_DOCUMENTS, or
    if the variance is 0, which no number of documents can be computed from: see
    ``documents_without_change``.
    """
    gap = abs(difference - margin)
    if gap == 0 or variance <= 0:
        return None
    quantiles = NormalDist().inv_cdf((1 + confidence) / 2) + NormalDist().inv_cdf(power)
    root = quantiles * math.sqrt(variance) / gap
    return math.floor(root**2) + 1 if root < math.sqrt(MAX_DOCUMENTS) else None


def documents_without_change(max_drop: float, confidence: float) -> int:
    """Return the number of documents, none of which became wrong, that exclude a drop of more than
    ``max_drop`` (above 0, below 1) of a metric whose documents are right or wrong.

    It assumes that documents are independent. If a share of ``max_drop`` of the population had
    become wrong, a sample of that size would show none with a probability of at most
    (1 - confidence) / 2, as the exact two-sided interval has it.
    """
    return math.ceil(math.log((1 - confidence) / 2) / math.log1p(-max_drop))
